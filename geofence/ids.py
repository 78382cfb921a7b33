"""Ids that come from outside and go into keys, states and records: there must be one, and it must end."""

from typing import Final

LONGEST_ID: Final = 1_000


def flaw_of(identifier: str) -> str | None:
    """Why an id cannot be used; None when it can.

    >>> flaw_of("")
    'is empty'
    """
    if not identifier:
        return "is empty"
    return f"is longer than {LONGEST_ID:,} characters" if len(identifier) > LONGEST_ID else None
