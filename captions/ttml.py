"""TTML, which is also called DFXP, EBU-TT and IMSC text: every `<p>` is a cue. Pure.

The parser is expat with every kind of entity and document type refused, so no file can grow while it is read or name another one, and
it tells lines. Times may be clocks, frames, ticks or offsets, and are relative to the elements around them (TTML2 section 10 and
12.3). Kept of styles: italic, bold and underlined, whether said in place or by a named style; regions that stand at the top.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from xml.parsers import expat

from captions import markup
from captions.found import BAD_TIMES, Found

_CLOCK = re.compile(r"(\d{2,6}):(\d{2}):(\d{2})(?:\.(\d{1,9})|:(\d{2,4})(?:\.\d+)?)?")
_OFFSET = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(h|ms|m|s|f|t)")
_MAX_DEPTH = 64
_SPACES = re.compile(r"[ \t\n]+")
_TIMED = frozenset({"body", "div", "p", "span"})
TOP = "line:5%"


class NotXml(ValueError):
    """The file cannot be read as XML at all; `line` says where it went wrong."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(detail)
        self.line, self.detail = line, detail


def is_ttml(text: str) -> bool:
    return re.search(r"<(?:\w+:)?tt[\s>]", text[:65536]) is not None


@dataclass(slots=True)
class _Element:
    name: str
    begin: Fraction
    end: Fraction | None
    spaced: bool  # white space counts
    at_top: bool
    tags: tuple[str, ...] = ()
    line: int = 0
    words: list[str] = field(default_factory=list)
    bad: bool = False


@dataclass(slots=True)
class _Reader:
    found: Found = field(default_factory=Found)
    stack: list[_Element] = field(default_factory=list)
    styles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    top_regions: set[str] = field(default_factory=set)
    frame_rate: Fraction = Fraction(30)
    tick_rate: Fraction = Fraction(1)
    line: int = 0

    def start(self, name: str, raw: Mapping[str, str]) -> None:
        name = _local(name)
        given = {_local(key): value for key, value in raw.items()}
        if name == "tt":
            self._rates(given)
        if len(self.stack) >= _MAX_DEPTH:
            raise NotXml(self.line, "Elements are nested too deeply.")
        if name == "style" and "id" in given:
            self.styles[given["id"]] = self._tags(given)
        elif name == "region" and given.get("displayAlign") == "before":
            self.top_regions.add(given.get("id", ""))
        elif name == "style" and self.stack and self.stack[-1].name == "region" and given.get("displayAlign") == "before":
            self.top_regions.add(self.stack[-1].words[0] if self.stack[-1].words else "")
        self.stack.append(self._element(name, given))
        if name == "region":
            self.stack[-1].words.append(given.get("id", ""))
        elif name == "br":
            self._say("\n")
        elif name == "span":
            self._say("".join(f"<{tag}>" for tag in self.stack[-1].tags))

    def end(self, _name: str) -> None:
        element = self.stack.pop()
        if element.name == "span":
            self._say("".join(f"</{tag}>" for tag in reversed(element.tags)))
        elif element.name == "p" and not element.bad:
            opened, closed = "".join(f"<{tag}>" for tag in element.tags), "".join(f"</{tag}>" for tag in reversed(element.tags))
            words = markup.clean(f"{opened}{''.join(element.words)}{closed}")
            if element.end is None:
                self.found.bad(element.line, "The cue has no end.")
            else:
                self.found.cue(element.line, (_ms(element.begin), _ms(element.end)), words, TOP if element.at_top else "")

    def text(self, data: str) -> None:
        if self.stack and any(element.name == "p" for element in self.stack):
            self._say(markup.escape(data if self.stack[-1].spaced else _SPACES.sub(" ", data)))

    def _say(self, words: str) -> None:
        for element in reversed(self.stack):
            if element.name == "p":
                element.words.append(words)
                return

    def _rates(self, given: Mapping[str, str]) -> None:
        rate = Fraction(_number(given.get("frameRate")) or 30)
        multiplier = re.fullmatch(r"\s*(\d{1,6})[\s:]+(\d{1,6})\s*", given.get("frameRateMultiplier", ""))
        if multiplier and int(multiplier[1]) and int(multiplier[2]):
            rate *= Fraction(int(multiplier[1]), int(multiplier[2]))
        self.frame_rate = rate
        self.tick_rate = Fraction(_number(given.get("tickRate")) or (rate if "frameRate" in given else 1))

    def _tags(self, given: Mapping[str, str]) -> tuple[str, ...]:
        tags = [tag for name in given.get("style", "").split()[:8] for tag in self.styles.get(name, ())]
        said = {"i": given.get("fontStyle"), "b": given.get("fontWeight"), "u": given.get("textDecoration")}
        wanted = {"i": ("italic", "oblique"), "b": ("bold",), "u": ("underline",)}
        tags += [tag for tag, value in said.items() if value in wanted[tag]]
        return tuple(dict.fromkeys(tag for tag in tags if said[tag] in (None, *wanted[tag])))

    def _element(self, name: str, given: Mapping[str, str]) -> _Element:
        around = self.stack[-1] if self.stack else None
        begin, end = (around.begin, around.end) if around else (Fraction(0), None)
        bad = False
        if name in _TIMED:
            try:
                begin, end = self._times(given, begin, end)
            except ValueError:
                bad = name == "p"
                if bad:
                    self.found.bad(self.line, BAD_TIMES)
        spaced = given["space"] == "preserve" if "space" in given else bool(around and around.spaced)
        at_top = given["region"] in self.top_regions if "region" in given else bool(around and around.at_top)
        tags = self._tags(given) if name in ("p", "span") else ()
        return _Element(name, begin, end, spaced, at_top, tags, self.line, bad=bad)

    def _times(self, given: Mapping[str, str], begin: Fraction, end: Fraction | None) -> tuple[Fraction, Fraction | None]:
        """Raises ValueError."""
        first = begin + (self._time(given["begin"]) if "begin" in given else 0)
        ends = [] if end is None else [end]
        if "end" in given:
            ends.append(begin + self._time(given["end"]))
        if "dur" in given:
            ends.append(first + self._time(given["dur"]))
        return first, min(ends) if ends else None

    def _time(self, said: str) -> Fraction:
        if clock := _CLOCK.fullmatch(said.strip()):
            whole = Fraction((int(clock[1]) * 60 + int(clock[2])) * 60 + int(clock[3]))
            return whole + Fraction(f"0.{clock[4] or 0}") + Fraction(int(clock[5] or 0)) / self.frame_rate
        if offset := _OFFSET.fullmatch(said.strip()):
            units = {"h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}
            units |= {"f": 1 / self.frame_rate, "t": 1 / self.tick_rate}
            return Fraction(offset[1]) * units[offset[2]]
        raise ValueError(said)


def read_ttml(text: str) -> Found:
    """Raises NotXml; what was read until then is lost, because an XML file that breaks off says nothing reliable."""
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        reader.line = parser.CurrentLineNumber
        reader.start(name, attributes)

    def refuse(*_: object) -> None:
        raise NotXml(parser.CurrentLineNumber, "The file has a document type, which subtitles do not need and which is not read.")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, reader.end, reader.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(re.sub(r"^\s*<\?xml[^>]*\?>", lambda head: "\n" * head[0].count("\n"), text, count=1).encode(), True)
    except expat.ExpatError as error:
        raise NotXml(error.lineno, f"The file is not well-formed XML: {expat.ErrorString(error.code)}.") from error
    return reader.found


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _number(said: str | None) -> int:
    return int(said) if said is not None and re.fullmatch(r"\d{1,9}", said) else 0


def _ms(seconds: Fraction) -> int:
    return round(seconds * 1000)
