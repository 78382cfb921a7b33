"""The steps of work: every time belongs to one, and drivers take theirs at different moments."""

from hypothesis import given
from hypothesis import strategies as st

from geofence.ticks import TICK_MS, Ticks

TIMES = st.integers(-(10**13), 10**13)


@given(st.text(), TIMES)
def test_a_step_ends_with_the_time_or_less_than_a_step_after_it(driver_id: str, ts_ms: int) -> None:
    assert 0 <= Ticks(driver_id).of(ts_ms) - ts_ms < TICK_MS


@given(st.text(), TIMES)
def test_the_end_before_a_time_is_the_last_one_that_is_earlier(driver_id: str, ts_ms: int) -> None:
    ticks = Ticks(driver_id)
    before = ticks.before(ts_ms)
    assert before < ts_ms <= before + TICK_MS
    assert ticks.of(before) == before


def test_ends_are_a_step_apart() -> None:
    ticks = Ticks("anna")
    end = ticks.of(1_700_000_000_000)
    assert ticks.of(end + 1) == end + TICK_MS


def test_drivers_steps_do_not_end_together() -> None:
    ends = [Ticks(f"driver-{n}").of(0) for n in range(600)]
    seconds = [sum(end // 1000 == s for end in ends) for s in range(60)]
    assert max(seconds) < 30  # 600 drivers, 60 seconds: ten each, give or take
