"""Which content coding a client gets: gzip or none (RFC 9110 section 12.5.3). Only texts are ever compressed."""

from __future__ import annotations

import gzip
import re

_QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


def accepts_gzip(header: str | None) -> bool:
    """Whether an Accept-Encoding header (None: there was none) allows gzip. What it does not say, it does not allow."""
    wildcard = False
    for item in (header or "").split(","):
        name, _, parameters = item.partition(";")
        quality = _QUALITY.fullmatch(parameters.strip())
        allowed = not parameters.strip() or (quality is not None and float(quality[1]) > 0)
        match name.strip().lower():
            case "gzip" | "x-gzip":
                return allowed
            case "*":
                wildcard = allowed
    return wildcard


def compress(body: bytes) -> bytes:
    """gzip without a time stamp, so that equal texts stay equal."""
    return gzip.compress(body, compresslevel=9, mtime=0)
