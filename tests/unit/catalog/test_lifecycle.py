"""The life of an asset: every status met by every event."""

from __future__ import annotations

from itertools import product

import pytest

from catalog.asset import TRANSITIONS, AssetEvent, AssetStatus, WrongStatus, next_status

S, E = AssetStatus, AssetEvent

# Written out a second time on purpose, as the sentences of the specification. "-" is refused.
TABLE = """
            receiving  received    playable    completed  failed   delete
waiting     uploading  processing  -           -          errored  deleted
uploading   uploading  processing  uploading   -          errored  deleted
processing  -          processing  processing  ready      errored  deleted
ready       -          ready       ready       ready      ready    deleted
errored     -          -           errored     errored    errored  deleted
deleted     deleted    deleted     deleted     deleted    deleted  deleted
"""


def expected() -> dict[tuple[AssetStatus, AssetEvent], AssetStatus | None]:
    heading, *rows = (line.split() for line in TABLE.strip().splitlines())
    return {
        (S(row[0]), E(event)): None if cell == "-" else S(cell)
        for row in rows
        for event, cell in zip(heading, row[1:], strict=True)
    }  # fmt: skip


@pytest.mark.parametrize(("status", "event"), list(product(S, E)))
def test_every_status_meets_every_event(status: AssetStatus, event: AssetEvent) -> None:
    wanted = expected()[status, event]
    if wanted is None:
        with pytest.raises(WrongStatus, match=str(status)):
            next_status(status, event)
    else:
        assert next_status(status, event) is wanted


def test_the_table_has_no_entry_beyond_the_specification() -> None:
    assert set(TRANSITIONS) == {pair for pair, wanted in expected().items() if wanted is not None}


def test_deleted_is_the_end() -> None:
    assert all(next_status(S.DELETED, event) is S.DELETED for event in E)


def test_everything_can_be_deleted() -> None:
    assert all(next_status(status, E.DELETE) is S.DELETED for status in S)


def test_repeating_an_event_that_was_accepted_is_harmless_once_the_source_is_here() -> None:
    """Background steps may run twice."""
    for status, event in product((S.PROCESSING, S.READY, S.ERRORED, S.DELETED), E):
        try:
            after = next_status(status, event)
        except WrongStatus:
            continue
        assert next_status(after, event) is after
