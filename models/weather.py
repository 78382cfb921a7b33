"""Weather by region, looked up as of a moment."""

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

STALE_AFTER_MS: Final = 6 * 3_600_000
"""A report older than this says nothing about a stop any more."""


@dataclass(frozen=True, slots=True)
class Weather:
    """One report (or forecast) for a region; None where the report does not say."""

    region: str
    ts_ms: int
    temperature_c: float | None = None
    precipitation_mm: float | None = None
    snow_depth_cm: float | None = None
    wind_mps: float | None = None


class WeatherBook:
    """All reports there are; the last one for the same region and time holds."""

    def __init__(self, reports: Iterable[Weather] = ()) -> None:
        self._times: dict[str, list[int]] = {}
        self._reports: dict[tuple[str, int], Weather] = {}
        for report in reports:
            self.put(report)

    def __len__(self) -> int:
        return len(self._reports)

    def put(self, report: Weather) -> None:
        """Add a report, or replace the one for that region and time."""
        key = (report.region, report.ts_ms)
        if key not in self._reports:
            insort(self._times.setdefault(report.region, []), report.ts_ms)
        self._reports[key] = report

    def at(self, region: str | None, ts_ms: int) -> Weather | None:
        """The latest report for the region at or before that time; None when it is stale or there is none."""
        times = self._times.get(region, []) if region is not None else []
        place = bisect_right(times, ts_ms)
        if place == 0 or region is None or ts_ms - times[place - 1] > STALE_AFTER_MS:
            return None
        return self._reports[region, times[place - 1]]

    def forget_before(self, ts_ms: int) -> None:
        """Drop reports older than that time."""
        for region, times in self._times.items():
            keep = bisect_right(times, ts_ms - 1)
            for old in times[:keep]:
                del self._reports[region, old]
            del times[:keep]
