"""Range requests: the checklist's C2 to C6, and a property against the definition."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.ranges import MAX_RANGES, Span, choose


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=-500", 500, 1000),
        ("bytes=500-", 500, 1000),
        ("bytes=-5000", 0, 1000),
        ("bytes=999-", 999, 1000),
        ("bytes=999-999999", 999, 1000),
        ("BYTES=1-2", 1, 3),
        ("bytes= 1-2 ,", 1, 3),
        ("bytes=0-9,1005-", 0, 10),  # C4: one range of two can be served
        ("bytes=5-9,0-4", 0, 10),  # they touch
        ("bytes=0-99,50-149,100-120", 0, 150),  # C6: they overlap
        ("bytes=0-999999999999999999", 0, 1000),
    ],
)
def test_a_part_is_sent(header: str, start: int, end: int) -> None:
    assert choose(header, 1000) == Span(start, end, 1000)


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-1001,2000-", "bytes=-0"])
def test_nothing_can_be_sent(header: str) -> None:
    assert choose(header, 1000) == "unsatisfiable"


@pytest.mark.parametrize(
    "header",
    [None, "", "items=0-9", "bytes", "bytes=", "bytes=a-b", "bytes=9-5", "bytes=-", "bytes=0-1,x", "bytes=1 - 2", "bytes=--5",
     "bytes=0-9,20-29", "bytes=0-1-2", "bytes=+1-2", "bytes=" + ",".join(["0-1"] * (MAX_RANGES + 1)), "bytes=" + "9" * 30 + "-"],
)  # fmt: skip
def test_the_whole_is_sent(header: str | None) -> None:  # C5, C6
    assert choose(header, 1000) == "whole"


def test_an_empty_object_has_no_bytes_to_ask_for() -> None:
    assert choose("bytes=0-0", 0) == "unsatisfiable"
    assert choose(None, 0) == "whole"


def test_content_range() -> None:
    assert Span(0, 1, 1000).content_range == "bytes 0-0/1000"


@settings(deadline=None)
@given(st.lists(st.tuples(st.none() | st.integers(0, 60), st.none() | st.integers(0, 60)), min_size=1, max_size=5), st.integers(0, 50))
def test_what_is_sent_is_what_was_asked_for(asked: list[tuple[int | None, int | None]], total: int) -> None:
    header = "bytes=" + ",".join(f"{'' if first is None else first}-{'' if last is None else last}" for first, last in asked)
    wanted: set[int] = set()
    for first, last in asked:
        if first is None:
            wanted |= set(range(max(0, total - (last or 0)), total))
        else:
            wanted |= set(range(first, total if last is None else min(last + 1, total)))
    invalid = any((a is None and b is None) or (a is not None and b is not None and b < a) for a, b in asked)
    found = choose(header, total)
    if invalid:
        assert found == "whole"
    elif not wanted:
        assert found == "unsatisfiable"
    elif isinstance(found, Span):
        assert set(range(found.start, found.end)) == wanted  # never a byte that was not asked for
    else:
        assert found == "whole"
        assert wanted != set(range(min(wanted), max(wanted) + 1))  # only because they are several
