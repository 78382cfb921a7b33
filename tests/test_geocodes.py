"""The chance that a geocode is wrong, told by how far customers' places are from theirs."""

import numpy as np
import pytest

from models.geocodes import wrong_geocodes


def rayleigh(scale: float, count: int, seed: int) -> list[float]:
    return np.random.default_rng(seed).rayleigh(scale, count).tolist()


def test_nothing_to_judge():
    assert wrong_geocodes([]) == []


def test_the_further_off_the_likelier_wrong():
    chances = wrong_geocodes([5.0, 30.0, 60.0, 90.0, 150.0])
    assert chances == sorted(chances)
    assert chances[0] < 0.05
    assert chances[-1] > 0.95


def test_where_vans_park_far_from_the_door_more_is_needed():
    """60 m is much where places scatter by 10 m, and little where they scatter by 35 m."""
    near, far = wrong_geocodes([*rayleigh(10, 60, 1), 60.0]), wrong_geocodes([*rayleigh(35, 60, 1), 60.0])
    assert near[-1] > 0.9
    assert far[-1] < 0.3


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_chances_are_right_about_as_often_as_they_say(share):
    right, wrong = rayleigh(12, round(400 * (1 - share)), 2), rayleigh(51, round(400 * share), 3)
    chances = np.array(wrong_geocodes([*right, *wrong]))
    assert chances.mean() == pytest.approx(share, abs=0.05)
    sure = chances >= 0.5
    assert sure[len(right) :].sum() >= 0.9 * sure.sum()


def test_one_customer_far_off_moves_the_others_little():
    assert wrong_geocodes([10.0, 12.0, 2000.0])[0] == pytest.approx(wrong_geocodes([10.0, 12.0])[0], abs=0.05)
