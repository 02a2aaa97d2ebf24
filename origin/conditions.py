"""Conditional requests on entity tags: RFC 9110 section 13, in the order of section 13.2.2.

All of our tags are strong and come from the content. There is no Last-Modified, because a date differs between replicas that
hold the same bytes; conditions on dates are therefore ignored, as sections 13.1.3 and 13.1.4 ask when no date is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def strong_etag(digest: str) -> str:
    """The tag of the bytes with this SHA-256 (hex)."""
    return f'"{digest[:40]}"'


def _listed(header: str, etag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    return any(tag == etag and (weak or not prefix) for prefix, tag in _TAG.findall(header))


def evaluate(headers: Mapping[str, str], etag: str) -> Literal["send", "not_modified", "failed"]:
    """What the preconditions of a GET or HEAD say. `headers` has lower-case names."""
    if (match := headers.get("if-match")) is not None and not _listed(match, etag, weak=False):
        return "failed"
    if (none_match := headers.get("if-none-match")) is not None and _listed(none_match, etag, weak=True):
        return "not_modified"
    return "send"


def range_header(headers: Mapping[str, str], etag: str) -> str | None:
    """The Range header, unless If-Range says that it was meant for other bytes (section 13.1.5: strong comparison)."""
    condition = headers.get("if-range")
    return headers.get("range") if condition is None or condition.strip() == etag else None
