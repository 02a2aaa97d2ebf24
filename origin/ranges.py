"""Byte ranges: RFC 9110 section 14, as an origin of media needs them.

One part at most is ever sent. Ranges that touch or overlap are joined into one; a request for several separate parts gets the
whole object, which section 14.2 allows and which costs an attacker nothing to cheat us out of (multipart answers do).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

MAX_RANGES = 16
_SPEC = re.compile(r"([0-9]{0,19})-([0-9]{0,19})")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `[start, end)` of an object of `total` bytes."""

    start: int
    end: int
    total: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.end - 1}/{self.total}"


def _parse(header: str) -> list[tuple[int | None, int | None]] | None:
    """First and last byte of each range as written, or None when the header is not a list of byte ranges."""
    unit, equals, rest = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    specs = [spec.strip(" \t") for spec in rest.split(",")]
    found: list[tuple[int | None, int | None]] = []
    for spec in specs:
        if not spec:  # RFC 9110 section 5.6.1: empty list elements are ignored
            continue
        match = _SPEC.fullmatch(spec)
        if match is None or match[0] == "-":
            return None
        first = int(match[1]) if match[1] else None
        last = int(match[2]) if match[2] else None
        if first is not None and last is not None and last < first:
            return None  # section 14.1.1: such a set is invalid as a whole
        found.append((first, last))
    return found or None


def _resolve(first: int | None, last: int | None, total: int) -> tuple[int, int] | None:
    if first is None:
        return (max(0, total - last), total) if last and total else None
    if first >= total:
        return None
    return first, total if last is None else min(last + 1, total)


def choose(header: str | None, total: int) -> Span | Literal["whole", "unsatisfiable"]:
    """What to send of an object of `total` bytes to a GET with this Range header (None: there was none)."""
    wanted = None if header is None else _parse(header)
    if wanted is None or len(wanted) > MAX_RANGES:
        return "whole"
    resolved = sorted(span for first, last in wanted if (span := _resolve(first, last, total)) is not None)
    if not resolved:
        return "unsatisfiable"
    start, end = resolved[0]
    for other_start, other_end in resolved[1:]:
        if other_start > end:
            return "whole"
        end = max(end, other_end)
    return Span(start, end, total)
