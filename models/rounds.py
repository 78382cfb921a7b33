"""Learned places in rounds: visits that corrected fences win back tell of places not found before."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from geofence.events import ServiceTime
from geofence.fences import Fence, FenceSet
from geofence.geometry import distance_m
from geofence.halts import Halt
from geofence.routes import Route
from models.places import EVIDENCE, Learning, Suggestion, apply, moved_from, suggest

APPLIED: Final = 0.5
"""Suggestions from this confidence on are tried in the next round."""


def suggest_in_rounds(
    rounds: int,
    records: Iterable[ServiceTime],
    halts: Mapping[str, Sequence[Halt]],
    fences: Sequence[Fence],
    routes: Sequence[Route],
    learning: Learning,
    detect: Callable[[Sequence[Fence]], Iterable[ServiceTime]],
) -> list[Suggestion]:
    """`suggest`, and once more with what `detect` finds of the same pings with the fences so corrected.

    So many `rounds` at most, fewer when a round corrects nothing. The suggestions are versions of the fences
    given, however often they were moved on the way.
    """
    tried: dict[str, Suggestion] = {}
    corrected, fresh = list(fences), suggest(records, halts, FenceSet(fences), routes, learning)
    for _ in range(rounds - 1):
        sure = {s.fence.fence_id: s for s in fresh if s.confidence >= APPLIED}
        if not sure:
            break
        tried.update(sure)
        corrected, _ = apply(corrected, [s.fence for s in sure.values()], 0.0, whole_past=True)
        fresh = suggest(detect(corrected), halts, FenceSet(corrected), routes, learning)
    known = FenceSet(fences)
    found = {**tried, **{s.fence.fence_id: s for s in fresh}}
    ours = (_of_given(found[fence_id], known) for fence_id in sorted(found))
    return [s for s in ours if s.moved_m >= learning.min_move_m]


def _of_given(suggestion: Suggestion, known: FenceSet) -> Suggestion:
    """The suggestion as one of the fences given."""
    new = suggestion.fence
    old = known.get(new.fence_id, new.valid_from_ms or 0)
    if old is None:
        return suggestion
    moved_m = distance_m(old.lat, old.lon, new.lat, new.lon)
    evidence = {**new.facts[EVIDENCE], **moved_from(old, moved_m)}
    return Suggestion(replace(new, facts={**new.facts, EVIDENCE: evidence}), suggestion.confidence, moved_m)
