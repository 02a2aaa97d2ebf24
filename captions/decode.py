"""Bytes of a text file as text, in whatever encoding they are. Pure.

Subtitles are often older than UTF-8 and never say what they are in. A byte order mark decides; then UTF-16 shows by its zero
bytes; then UTF-8, which other encodings hardly ever happen to be; then charset-normalizer guesses from the letters. A guess is told
to the user as a problem of line 1, because only a reader can see that it is wrong.
"""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

from media.cues import Problem

FALLBACK = "cp1252"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,100}?encoding=["']([A-Za-z0-9._-]{1,40})["']""")
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257")
_OTHERS = ("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp874", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", *_LATIN)
_SAMPLE_BYTES = 64 << 10


def decode(data: bytes) -> tuple[str, tuple[Problem, ...]]:
    """The text with line feeds as its only line ends and without zero bytes, and what had to be guessed. Never fails."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _plain(data[len(mark) :].decode(encoding, errors="replace")), ()
    if wide := _utf16(data):
        return _plain(data.decode(wide, errors="replace")), ()
    try:
        return _plain(data.decode("utf-8")), ()
    except UnicodeDecodeError:
        encoding = _declared(data) or _guess(data)
    said = Problem(1, f"The file is not UTF-8; it was read as {encoding}. Check a few accented letters.")
    return _plain(data.decode(encoding, errors="replace")), (said,)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def _utf16(data: bytes) -> str | None:
    """UTF-16 without a mark: half of its bytes are zero, as far as it has Latin letters, digits and spaces, which times are."""
    head = data[:2048]
    low, high = head[0::2].count(0), head[1::2].count(0)
    if len(head) < 4 or max(low, high) < len(head) // 5:
        return None
    return "utf-16-le" if high > low else "utf-16-be"


def _declared(data: bytes) -> str | None:
    """What an XML file says of itself."""
    found = _DECLARED.match(data)
    if found is None:
        return None
    try:
        info = codecs.lookup(found[1].decode("ascii"))
    except LookupError:
        return None
    return info.name if not info.name.startswith("utf") and _is_text(info.name) else None


def _is_text(encoding: str) -> bool:
    """Python also knows "encodings" from bytes to bytes."""
    try:
        b"a".decode(encoding)
    except (LookupError, UnicodeError):
        return False
    return True


def _guess(data: bytes) -> str:
    """Short lines are little to go by, so only encodings that subtitles come in are considered, and where most letters are ASCII only
    those of languages that write so."""
    letters = b"".join(line for line in data.splitlines(keepends=True) if any(byte > 127 for byte in line))[:_SAMPLE_BYTES]
    high = sum(byte > 127 for byte in letters)
    latin = sum(65 <= byte <= 90 or 97 <= byte <= 122 for byte in letters)
    best = from_bytes(letters, cp_isolation=list(_LATIN if high * 2 < latin else _OTHERS), preemptive_behaviour=False).best()
    return best.encoding if best is not None else FALLBACK
