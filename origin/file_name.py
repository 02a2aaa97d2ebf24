"""What a browser calls a file that it saves: RFC 6266, with the name in UTF-8 as RFC 8187 spells it. Pure.

A title is anybody's words. What a file system, a shell or a header could take amiss is left out of it: separators, control characters,
names that begin with a dot, and marks that turn the direction of writing ("gpj.exe" would look like "exe.jpg").
"""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

MAX_BYTES = 180  # of the title: file systems take 255, and the rung and the form come behind it
_SEPARATORS = frozenset('/\\:*?"<>|%')


def file_stem(title: str) -> str:
    """`title` as the name of a file, or "video"."""
    kept = ("-" if sign in _SEPARATORS else " " if unicodedata.category(sign)[0] in "CZ" else sign for sign in title)
    name = " ".join("".join(kept).split()).strip(". -")
    return name.encode(errors="replace")[:MAX_BYTES].decode(errors="ignore").rstrip(". ") or "video"


def attachment(title: str, name: str) -> str:
    """The Content-Disposition of the file called `name` ("720p.mp4") of a title."""
    full = f"{file_stem(title)} {name}"
    plain = unicodedata.normalize("NFKD", full).encode("ascii", "ignore").decode().replace('"', "'").replace("\\", "-")
    return f"attachment; filename=\"{' '.join(plain.split())}\"; filename*=UTF-8''{quote(full, safe='')}"
