"""SubRip (SRT) and WebVTT: times on a line of their own, text below it, a blank line between cues. Pure.

SRT has no standard; what players read is. Counters may be missing, wrong or doubled, blank lines may be missing between cues or
stand inside one, decimals may follow a comma, a point or a colon. WebVTT is read with the same leniency (W3C WebVTT section 4.1
and 6.1); its style sheets and regions, which could load things and few players know, are left out and reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from captions import markup
from captions.found import BAD_TIMES, Found

_ARROW = re.compile(r"^\s*-?\d[^-]*-->")  # as times begin; an arrow in the middle of a sentence is text
_SIGNED = r"(-)?\s*(?:(\d{1,6})\s*:\s*)?(\d{1,2})\s*:\s*(\d{1,2})(?:\s*[,.:]\s*(\d{1,9}))?"
_TIMING = re.compile(rf"^\s*{_SIGNED}\s*-->\s*{_SIGNED}(?P<rest>(?:[ \t].*)?)$")
_COUNTER = re.compile(r"^\s*\d{1,9}\s*$")
_SSA_TAG = re.compile(r"\{\\an?(\d{1,2})\}")
_SSA_STYLE = re.compile(r"\{\\([ibu])([01])\}")
_SSA_ANY = re.compile(r"\{\\[^{}]*\}")
_SSA_OLD = {1: 1, 2: 2, 3: 3, 5: 7, 6: 8, 7: 9, 9: 4, 10: 5, 11: 6}  # `\a` of SSA to the keypad of `\an`
_SETTINGS = {
    "vertical": re.compile(r"rl|lr"),
    "line": re.compile(r"(?:-?\d{1,3}|\d{1,3}(?:\.\d{1,6})?%)(?:,(?:start|center|end))?"),
    "position": re.compile(r"\d{1,3}(?:\.\d{1,6})?%(?:,(?:line-left|center|line-right))?"),
    "size": re.compile(r"\d{1,3}(?:\.\d{1,6})?%"),
    "align": re.compile(r"start|center|end|left|right"),
}

Block = Sequence[tuple[int, str]]  # numbered lines without a blank one


def is_webvtt(text: str) -> bool:
    return re.match(r"WEBVTT(?:[ \t\n]|$)", text) is not None


def read_srt(text: str) -> Found:
    """Every cue that has times. Text that belongs to no cue is reported."""
    found, current = Found(), _Cue()
    for block in _blocks(text):
        timed = any(_ARROW.match(line) for _, line in block)
        if not timed and _COUNTER.match(block[0][1]) and len(block) > 1:
            current.close(found, vtt=False)
            found.bad(block[0][0], "The cue has no times.")
        elif not timed and not current.line:
            found.bad(block[0][0], "This text belongs to no cue.")
        else:
            _srt_block(block, current, found)
    current.close(found, vtt=False)
    return found


def _srt_block(block: Block, current: _Cue, found: Found) -> None:
    """A block may hold several cues when the blank lines between them are missing."""
    for place, (number, line) in enumerate(block):
        if _ARROW.match(line):
            current.close(found, vtt=False)
            current.begin(number, line, found, vtt=False)
        elif not (_COUNTER.match(line) and place + 1 < len(block) and _ARROW.match(block[place + 1][1])):  # else the next cue's counter
            current.words.append(line)


def read_webvtt(text: str) -> Found:
    """Every cue that has times. The header and comments are no cues, and are not missed."""
    found = Found()
    for block in _blocks(text):
        (number, first), current = block[0], _Cue()
        timing = next((place for place, (_, line) in enumerate(block) if _ARROW.match(line)), None)
        if timing is not None and (timing <= 1 or is_webvtt(first)):  # the line above the times is the cue's name
            current.begin(*block[timing], found, vtt=True)
            for later, line in block[timing + 1 :]:
                if _ARROW.match(line):  # a blank line is missing
                    current.close(found, vtt=True)
                    current.begin(later, line, found, vtt=True)
                else:
                    current.words.append(line)
            current.close(found, vtt=True)
        elif first.startswith("X-TIMESTAMP-MAP") or any(line.startswith("X-TIMESTAMP-MAP") for _, line in block[:8]):
            found.bad(number, "The file is a segment of a stream; its X-TIMESTAMP-MAP is not applied.")
        elif re.match(r"(STYLE|REGION)[ \t]*$", first):
            found.bad(number, f"{first.strip().title()} blocks are not taken over.")
        elif not is_webvtt(first) and not re.match(r"NOTE(?:\s|$)", first):
            found.bad(number, "This text belongs to no cue.")
    return found


def _blocks(text: str) -> Iterator[Block]:
    block: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


class _Cue:
    """The cue that is being read. `line` is 0 when there is none, or when it had no times."""

    def __init__(self) -> None:
        self.line = 0
        self.words: list[str] = []
        self._times = (0, 0)
        self._settings = ""

    def begin(self, number: int, line: str, found: Found, *, vtt: bool) -> None:
        self.line, self.words = number, []
        match = _TIMING.match(line)
        if match is None:
            self._times, self._settings = (0, -1), ""
            found.bad(number, BAD_TIMES)
            return
        self._times = (_ms(match.groups()[0:5]), _ms(match.groups()[5:10]))
        self._settings = settings(match["rest"]) if vtt else ""

    def close(self, found: Found, *, vtt: bool) -> None:
        line, self.line = self.line, 0
        if not line or self._times == (0, -1):
            return
        words, placing = "\n".join(self.words), self._settings
        if not vtt:
            words, placing = _without_ssa(words)
        found.cue(line, self._times, markup.clean(words, vtt=vtt), placing)


def settings(text: str) -> str:
    """Those of WebVTT's cue settings that are spelled right; regions are not kept, so they are none."""
    kept: dict[str, str] = {}
    for word in text.split():
        name, _, value = word.partition(":")
        if name in _SETTINGS and _SETTINGS[name].fullmatch(value):
            kept[name] = value
    return " ".join(f"{name}:{value}" for name, value in kept.items())


def _without_ssa(words: str) -> tuple[str, str]:
    r"""SRT borrows `{\an8}` and `{\i1}` from SSA. The text without them, and the cue settings."""
    placing = ""
    if found := _SSA_TAG.search(words):
        number = int(found[1]) if found[0].startswith("{\\an") else _SSA_OLD.get(int(found[1]), 2)
        placing = markup.placed(number) if 1 <= number <= 9 else ""
    words = _SSA_STYLE.sub(lambda tag: f"<{'' if tag[2] == '1' else '/'}{tag[1]}>", words)
    return _SSA_ANY.sub("", words), placing


def _ms(parts: Sequence[str | None]) -> int:
    sign, hours, minutes, seconds, decimals = parts
    ms = int(((decimals or "") + "000")[:3])
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    return (-1 if sign else 1) * (whole * 1000 + ms)
