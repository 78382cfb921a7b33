"""Reading ahead: the same items in the same order, made in time; errors where they are asked for."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.files.ahead import Ahead


@given(st.integers(0, 6), st.integers(0, 6))
def test_everything_comes_once_and_in_order(count, few):
    assert list(Ahead(range(count), few)) == list(range(count))


def test_the_first_few_are_made_before_they_are_asked_for_and_the_others_not():
    made = []
    ahead = Ahead((made.append(n) or n for n in range(5)), 2)
    ahead.wait()
    assert made == [0, 1]
    assert list(ahead) == list(range(5))


def test_no_thread_is_left_after_waiting():
    threads = []
    ahead = Ahead((threads.append(threading.current_thread()) for _ in range(3)), 3)
    ahead.wait()
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()
    assert not threads[0].is_alive()


def test_what_goes_wrong_is_raised_where_it_is_asked_for():
    def items():
        yield 1
        raise ValueError("the second")

    ahead = Ahead(items(), 2)
    ahead.wait()
    with pytest.raises(ValueError, match="the second"):
        next(iter(ahead))
