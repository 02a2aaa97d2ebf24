r"""Advanced SubStation Alpha and its predecessor SSA, as they are written by Aegisub and found in Matroska. Pure.

Their text becomes plain cues: lines, italics, bold, underlining and the nine places of `\an`. Everything that moves, fades, draws or
is coloured goes. Comments are left out, as players do.
Source: the ASS format specification (matroska.org, "SSA/ASS Subtitles").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from captions import markup
from captions.found import BAD_TIMES, Found

_TIME = re.compile(r"\s*(-)?(\d{1,4}):(\d{1,2}):(\d{1,2})[.:,](\d{1,3})\s*")
_OVERRIDE = re.compile(r"\{([^{}]*)\}")
_COMMAND = re.compile(r"\\(an|a|i|b|u|p|r)(\d*)(?=\\|$|\s|[^\w(])")
_OLD = {1: 1, 2: 2, 3: 3, 5: 7, 6: 8, 7: 9, 9: 4, 10: 5, 11: 6}  # alignments of SSA, and of `\a`, to the keypad
_EVENTS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")
_STYLES = ("name",)


def is_ass(text: str) -> bool:
    return re.search(r"^\s*\[(?:Script Info|V4\+? Styles|Events)\]\s*$", text[:65536], re.IGNORECASE | re.MULTILINE) is not None


def read_ass(text: str) -> Found:
    found = Found()
    section, styles = "", dict[str, int]()
    events: Sequence[str] = _EVENTS
    fields: Sequence[str] = _STYLES
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip().startswith("["):
            section = line.strip().strip("[]").lower()
            continue
        key, _, rest = line.partition(":")
        match section, key.strip().lower():
            case "events", "format":
                events = _names(rest) or events
            case "events", "dialogue":
                _dialogue(number, rest, events, styles, found)
            case (("v4+ styles" | "v4 styles"), "format"):
                fields = _names(rest)
            case (("v4+ styles" | "v4 styles"), "style"):
                _style(rest, fields, styles, old=section == "v4 styles")
    return found


def _names(text: str) -> list[str]:
    return [name.strip().lower() for name in text.split(",")]


def _style(text: str, fields: Sequence[str], styles: dict[str, int], *, old: bool) -> None:
    values = dict(zip(fields, (value.strip() for value in text.split(",")), strict=False))
    if values.get("alignment", "").isdecimal():
        number = int(values["alignment"][:3])
        styles[values.get("name", "").lstrip("*")] = _OLD.get(number, 2) if old else number


def _dialogue(number: int, text: str, fields: Sequence[str], styles: dict[str, int], found: Found) -> None:
    parts = text.split(",", len(fields) - 1)
    values = dict(zip(fields, parts, strict=False))
    start, end = _TIME.fullmatch(values.get("start", "")), _TIME.fullmatch(values.get("end", ""))
    if start is None or end is None or len(parts) < len(fields):
        found.bad(number, BAD_TIMES)
        return
    words, alignment = _words(values.get("text", ""), styles.get(values.get("style", "").strip().lstrip("*"), 2))
    cleaned = markup.clean(words)
    if cleaned or not _is_drawing(values.get("text", "")):
        found.cue(number, (_ms(start), _ms(end)), cleaned, markup.placed(alignment) if 1 <= alignment <= 9 else "")


def _is_drawing(text: str) -> bool:
    return any(name == "p" and value not in ("", "0") for tags in _OVERRIDE.findall(text) for name, value in _COMMAND.findall(tags))


def _words(text: str, alignment: int) -> tuple[str, int]:
    """HTML-like text, and where it stands."""
    out: list[str] = []
    drawing, at = False, 0

    def say(piece: str) -> None:
        if not drawing:
            out.append(markup.escape(piece.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", "\u00a0")))

    for block in _OVERRIDE.finditer(text):
        say(text[at : block.start()])
        at = block.end()
        for name, value in _COMMAND.findall(block[1]):
            if name == "p":
                drawing = value not in ("", "0")
            elif name == "r":
                out += ["</i>", "</b>", "</u>"]
            elif name in ("a", "an") and value:
                alignment = int(value[:2]) if name == "an" else _OLD.get(int(value[:2]), 2)
            elif name in ("i", "b", "u"):
                out.append(f"<{name}>" if value not in ("", "0") else f"</{name}>")
    say(text[at:])
    return "".join(out), alignment


def _ms(time: re.Match[str]) -> int:
    whole = (int(time[2]) * 60 + int(time[3])) * 60 + int(time[4])
    return (-1 if time[1] else 1) * (whole * 1000 + int((time[5] + "00")[:3]))
