"""Cue text of other formats as WebVTT cue text (W3C WebVTT section 4.2.2). Pure.

Kept: `<i>`, `<b>`, `<u>`, `<ruby>`, `<rt>`, `<lang>`, voices, classes, and of colours those that WebVTT names. Every other tag goes
and leaves its text. Tags are closed in order, so no player has to guess, and signs that mean something are escaped, so no text
can become a tag, end its cue or begin another.
"""

from __future__ import annotations

import html
import re

MAX_CUE_CHARS = 4000
_MAX_DEPTH = 16
_TAG = re.compile(r"<(?P<end>/?)(?P<name>[A-Za-z]+)(?P<classes>(?:\.[^\s<>.&]+)*)(?P<rest>[\s/][^<>]*)?>")
_MOMENT = re.compile(r"<[\d:]+[.,]\d{1,3}>")  # of karaoke; the words stay, all at once
_PLAIN_TAGS = frozenset({"i", "b", "u"})
_VTT_TAGS = frozenset({"i", "b", "u", "c", "v", "lang", "ruby", "rt"})
_HTML_NAMES = {"em": "i", "strong": "b", "ins": "u"}
_COLOUR = re.compile(r"""color\s*=\s*["']?\s*([#\w]+)""", re.IGNORECASE)
_COLOURS = {  # not white, which text is in any case, nor black, which cannot be read on the black that players put behind it
    "lime": "lime", "cyan": "cyan", "red": "red", "yellow": "yellow", "magenta": "magenta", "blue": "blue", "aqua": "cyan",
    "fuchsia": "magenta", "#00ff00": "lime", "#00ffff": "cyan", "#ff0000": "red", "#ffff00": "yellow", "#ff00ff": "magenta",
    "#0000ff": "blue",
}  # fmt: skip


def escape(text: str) -> str:
    """Text as text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clean(text: str, *, vtt: bool = False) -> str:
    """`text` with HTML-like tags, as SRT has them or, with `vtt`, as WebVTT has them. Empty when nothing is left to read."""
    out: list[str] = []
    open_tags: list[str] = []
    at = 0
    text = _MOMENT.sub("", text)
    for tag in _TAG.finditer(text):
        out.append(_words(text[at : tag.start()]))
        at = tag.end()
        name = _HTML_NAMES.get(tag["name"].lower(), tag["name"].lower())
        if tag["end"]:
            _close(name, out, open_tags)
        elif len(open_tags) < _MAX_DEPTH and (opened := _opened(name, tag["classes"], (tag["rest"] or "").strip(), vtt)):
            out.append(opened)
            open_tags.append(name)
    out.append(_words(text[at:]))
    out += [_end(name) for name in reversed(open_tags)]
    lines = (line.strip() for line in "".join(out).split("\n"))
    joined = "\n".join(line for line in lines if line)
    return joined if re.sub(r"<[^>]*>", "", joined).strip() else ""


def _words(text: str) -> str:
    return escape(html.unescape(text)).replace("\u200b", "")


def _opened(name: str, classes: str, rest: str, vtt: bool) -> str:
    """The opening tag, empty when it is none of ours."""
    if name == "font":
        colour = _COLOUR.search(rest)
        known = _COLOURS.get(colour[1].lower()) if colour else None
        return f"<c.{known}>" if known else ""
    if name in _PLAIN_TAGS and not vtt:
        return f"<{name}>"
    if not vtt or name not in _VTT_TAGS:
        return ""
    annotated = f" {_words(rest)}" if rest and name in ("v", "lang") else ""
    return f"<{name}{classes}{annotated}>"


def _end(name: str) -> str:
    return "</c>" if name == "font" else f"</{name}>"


def _close(name: str, out: list[str], open_tags: list[str]) -> None:
    """Closes the tag and those that were opened inside it; an end without a beginning is nothing."""
    while name in open_tags:
        closed = open_tags.pop()
        out.append(_end(closed))
        if closed == name:
            return


def placed(alignment: int) -> str:
    r"""Cue settings of an ASS alignment (`\an`, a numeric keypad: 8 is the top, 2 the bottom, where cues are in any case)."""
    settings = []
    row, column = divmod(alignment - 1, 3)
    if row == 2:
        settings.append("line:5%")
    elif row == 1:
        settings.append("line:45%")
    if column == 0:
        settings += ["position:5%", "align:start"]
    elif column == 2:
        settings += ["position:95%", "align:end"]
    return " ".join(settings)
