"""What standings say of ways through fences, against the plain rule."""

from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.standings import APART_MS, Standings, standing, way

TIMES = st.integers(0, 40).map(lambda n: 20_000 * n)
CUSTOMERS = st.sampled_from(["a", "b", "c"])
SPANS = st.tuples(TIMES, TIMES).map(sorted)
STOOD = st.lists(st.tuples(CUSTOMERS, SPANS, st.booleans()), max_size=8)
WAYS = st.lists(st.tuples(CUSTOMERS, SPANS), min_size=1, max_size=6)


def plainly(customer, span, stood):
    entered, left = span
    beside = [
        (end, speaks)
        for other, (begin, end), speaks in stood
        if other == customer and begin - left <= APART_MS and entered - end <= APART_MS
    ]
    settled = max([left + APART_MS, *(end for end, _ in beside)])
    return [settled, int(any(speaks for _, speaks in beside))]


@given(WAYS, STOOD, STOOD, TIMES)
@settings(deadline=None)  # compiles at first
def test_a_way_waits_for_the_standings_beside_it_and_speaking_ones_silence_it(ways, kept, more, forgotten):
    standings = Standings()
    standings.add(standing(c, *span, speaks) for c, span, speaks in kept)
    standings.forget_before(forgotten)
    judged = standings.judge([way(c, *span) for c, span in ways], [standing(c, *s, p) for c, s, p in more])
    stood = [s for s in kept if s[1][1] >= forgotten] + more
    assert judged == [plainly(c, span, stood) for c, span in ways]
