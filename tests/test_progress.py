"""Progress on stderr: a bar for people, plain lines for logs, silence when work fails early."""

import sys

import pytest

from streams.cli import progress as module
from streams.cli.progress import progress


def test_short_work_says_one_plain_line_at_its_end(capsys):
    with progress(10, "Counting") as bar:
        bar.advance(10)
        bar.note("(ten)")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Counting: done in 0.")
    assert err.endswith(" s (ten)\n")
    assert err.count("\n") == 1


def test_long_work_says_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr(module, "PLAIN_EVERY_S", 0.0)
    with progress(4, "Counting") as bar:
        bar.advance()
        bar.advance()
    assert capsys.readouterr().err.splitlines()[:2] == ["Counting: 25 %", "Counting: 50 %"]


def test_work_of_unknown_size_says_what_it_notes(capsys, monkeypatch):
    monkeypatch.setattr(module, "PLAIN_EVERY_S", 0.0)
    with progress(None, "Counting") as bar:
        bar.note("3 sheep")
        bar.advance(3)
    assert capsys.readouterr().err.splitlines()[0] == "Counting: 3 sheep"


def test_work_that_fails_leaves_the_word_to_the_error(capsys):
    with pytest.raises(ValueError, match="boom"), progress(10, "Counting"):
        raise ValueError("boom")
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_ends_full(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    with progress(200, "Counting") as bar:
        bar.advance(50)
        bar.note("sheep")
    out, err = capsys.readouterr()
    assert out == ""
    assert "Counting" in err
    assert "100%" in err
    assert "sheep" in err
