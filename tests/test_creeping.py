"""How often in a row a vehicle moved on a little."""

import pytest

from geofence.creeping import Creeping
from tests.test_assignment import stand


def moves(*stands):
    creeping = Creeping()
    return [creeping.moves(s) for s in stands]


def test_a_queue_moves_on_and_on():
    assert moves(*(stand(20 * n, 40 * n, 30) for n in range(5))) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("place", "begin_s", "found"),
    [
        ((40, 0), 80, [0, 1, 2]),
        ((40, 20), 80, [0, 1, 2]),  # around a bend
        ((0, 0), 80, [0, 1, 1]),  # back again
        ((20, 30), 80, [0, 1, 1]),  # off to the side
        ((22, 0), 80, [0, 1, 0]),  # no further than noise
        ((180, 0), 80, [0, 1, 0]),  # a drive of its own
        ((40, 0), 130, [0, 1, 0]),  # a minute later
    ],
)
def test_only_a_short_move_onwards_soon_after_counts(place, begin_s, found):
    first, second = stand(0, 0, 30), stand(20, 40, 30)
    assert moves(first, second, stand(place[0], begin_s, 30, north=place[1])) == found
