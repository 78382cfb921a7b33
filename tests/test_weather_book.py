"""Weather as of a moment."""

from models.weather import STALE_AFTER_MS, Weather, WeatherBook

HOUR = 3_600_000


def test_the_latest_report_before_the_moment_holds() -> None:
    book = WeatherBook([Weather("n", 2 * HOUR, 2.0), Weather("n", HOUR, 1.0), Weather("s", HOUR, 9.0)])
    assert [book.at("n", t) and book.at("n", t).temperature_c for t in (0, HOUR, 2 * HOUR - 1, 2 * HOUR)] == [
        None,
        1.0,
        1.0,
        2.0,
    ]


def test_an_old_report_says_nothing() -> None:
    book = WeatherBook([Weather("n", 0, 1.0)])
    assert book.at("n", STALE_AFTER_MS) is not None
    assert book.at("n", STALE_AFTER_MS + 1) is None


def test_a_report_for_the_same_time_replaces_the_one_before() -> None:
    book = WeatherBook([Weather("n", HOUR, 1.0), Weather("n", HOUR, 5.0)])
    assert (len(book), book.at("n", HOUR)) == (1, Weather("n", HOUR, 5.0))


def test_no_region_has_no_weather() -> None:
    assert WeatherBook([Weather("n", 0, 1.0)]).at(None, 0) is None


def test_forgetting_keeps_what_came_later() -> None:
    book = WeatherBook([Weather("n", HOUR, 1.0), Weather("n", 2 * HOUR, 2.0)])
    book.forget_before(2 * HOUR)
    assert (len(book), book.at("n", HOUR), book.at("n", 2 * HOUR)) == (1, None, Weather("n", 2 * HOUR, 2.0))
