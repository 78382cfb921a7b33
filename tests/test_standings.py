"""What standings say of ways through fences, and which ways are told, against the plain rules."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geofence import ways
from geofence.standings import APART_MS, CUSTOMER, Standings, judged, standing

TIMES = st.integers(0, 40).map(lambda n: 20_000 * n)
CUSTOMERS = st.sampled_from(["a", "b", "c"])
SPANS = st.tuples(TIMES, TIMES).map(sorted)
STOOD = st.lists(st.tuples(CUSTOMERS, SPANS, st.booleans()), max_size=8)
WAYS = st.lists(st.tuples(CUSTOMERS, SPANS), min_size=1, max_size=9)


def plainly(customer, span, stood):
    entered, left = span
    beside = [
        (end, speaks)
        for other, (begin, end), speaks in stood
        if other == customer and begin - left <= APART_MS and entered - end <= APART_MS
    ]
    settled = max([left + APART_MS, *(end for end, _ in beside)])
    return settled, any(speaks for _, speaks in beside)


def kept(stood) -> Standings:
    standings = Standings()
    standings.add(standing(c, *span, speaks) for c, span, speaks in stood)
    return standings


@given(WAYS, STOOD, STOOD)
def test_a_way_waits_for_the_standings_beside_it_and_speaking_ones_silence_it(through, stood, more):
    standings = kept(stood)
    standings.forget_before(min(entered for _, (entered, _) in through) - APART_MS)
    rows = standings.and_(standing(c, *span, speaks) for c, span, speaks in more)
    for customer, span in through:
        own = rows[rows[:, CUSTOMER] == hash(customer)]
        assert judged(*span, own) == plainly(customer, span, stood + more)


@given(STOOD, TIMES)
def test_the_first_standings_are_forgotten_as_far_as_they_ended_before(stood, ts_ms):
    standings = kept(stood)
    standings.forget_before(ts_ms)
    gone = next((n for n, (_, (_, end), _) in enumerate(stood) if end >= ts_ms), len(stood))
    assert standings.and_(()).tolist() == kept(stood[gone:]).and_(()).tolist()


@given(WAYS, STOOD, TIMES, TIMES, st.integers(0, 9))
def test_ways_are_joined_wait_or_are_told_as_the_plain_rules_say(through, stood, until, after, cut):
    """A fence a customer; some are noted before, and have waited for the others."""
    noted = sorted(through, key=lambda w: w[1])
    found = []
    for customer, (entered, left) in noted:
        before = next((w for w in reversed(found) if w[0] == customer), None)
        if before is not None and entered - before[2] <= APART_MS:
            before[2] = max(before[2], left)
        else:
            found.append([customer, entered, left])
    said = [(w, *plainly(w[0], w[1:], stood)) for w in found]
    rows = np.array([(ord(c), hash(c), *span) for c, span in noted])
    rows = np.concatenate([ways.joined(rows[:cut]), rows[cut:]])
    waits, told = ways.settled(rows, kept(stood).and_(()), until, after)
    assert waits.tolist() == [[ord(w[0]), hash(w[0]), *w[1:]] for w, ms, _ in said if ms > until]
    tells = [w for w, ms, silent in said if after < ms <= until and not silent]
    assert told.tolist() == [[ord(w[0]), w[1]] for w in tells]
