"""Captions of line 21 as cues: a decoder of CEA-608 (ANSI/CTA-608-E; also 47 CFR 79.101). Pure.

Each field carries two channels, so there are four: CC1 and CC2 in the first field, CC3 and CC4 in the second. A channel is shown in one of
three ways. Pop-on captions are loaded unseen and shown at once. Roll-up captions are written at the bottom of two to four lines, which
move up at a carriage return. Paint-on captions are written where they are seen.

A cue is what stands on the screen between two moments at which it changes. Text that is written where it is seen would change it thirty
times a second, so it counts as there from the first letter of a line: lines roll when the next one begins, and a pause of a second within
one begins another cue, so that nobody reads what is said much later.

Kept: text with its special and extended characters, italics, and whether it stands at the top, in the middle or at the bottom. Colours,
underlining, blinking and columns go. Text services (T1 to T4) and the data about programmes in field 2 (XDS) are left out. Why FFmpeg's
own decoder is not used is in docs/decisions/0015-text.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Literal

from captions import markup
from captions.cc_data import Pair
from captions.found import RawCue

CHANNELS = ("CC1", "CC2", "CC3", "CC4")
ROWS, COLUMNS = 15, 32
_PAUSE_MS = 1000

_ODD = bytes(number.bit_count() & 1 for number in range(256))
_BASIC = {0x27: "’", 0x2A: "á", 0x5C: "é", 0x5E: "í", 0x5F: "ó", 0x60: "ú", 0x7B: "ç", 0x7C: "÷", 0x7D: "Ñ", 0x7E: "ñ", 0x7F: "█"}
_SPECIAL = "®°½¿™¢£♪à èâêîôû"
_EXTENDED = {
    0x12: "ÁÉÓÚÜü‘¡*'—©℠•“”ÀÂÇÈÊËëÎÏïÔÙùÛ«»",
    0x13: "ÃãÍÌìÒòÕõ{}\\^_|~ÄäÖöß¥¤¦ÅåØø┌┐└┘",
}
_ROW = {0x10: (11, 11), 0x11: (1, 2), 0x12: (3, 4), 0x13: (12, 13), 0x14: (14, 15), 0x15: (5, 6), 0x16: (7, 8), 0x17: (9, 10)}

# Miscellaneous control codes (CTA-608-E table 52), by their second byte.
_RESUME_LOADING, _BACKSPACE, _DELETE_TO_END, _RESUME_DIRECT = 0x20, 0x21, 0x24, 0x29
_TEXT_RESTART, _RESUME_TEXT, _ERASE_SHOWN, _RETURN, _ERASE_LOADED, _END_OF_CAPTION = 0x2A, 0x2B, 0x2C, 0x2D, 0x2E, 0x2F
_ROLL_UP = {0x25: 2, 0x26: 3, 0x27: 4}
_CAPTIONS_AGAIN = frozenset({_RESUME_LOADING, _RESUME_DIRECT, _END_OF_CAPTION, *_ROLL_UP})

Cell = tuple[str, bool]  # a character, and whether it is italic
Memory = dict[int, dict[int, Cell]]  # by row from 1, then by column from 0


class Decoder:
    """Reads pairs in order of time."""

    def __init__(self) -> None:
        self.damaged = 0  # pairs of which something was lost on the air
        self.read = 0  # pairs that were whole
        self._fields = {1: _Field("CC1", "CC2"), 2: _Field("CC3", "CC4")}

    def feed(self, pair: Pair) -> None:
        """Raises KeyError for a field that there is not."""
        whole = _ODD[pair.first], _ODD[pair.second]
        if not all(whole):
            self.damaged += 1
            if not whole[0] or pair.first & 0x60 == 0:  # of a control code, half is nothing
                return
        else:
            self.read += 1
        self._fields[pair.field].feed(pair.at_ms, pair.first & 0x7F, pair.second & 0x7F if whole[1] else 0)

    def finish(self, end_ms: int) -> dict[str, list[RawCue]]:
        """The cues of each channel that has any. What stands on the screen last stays until `end_ms`."""
        channels = [channel for field in self._fields.values() for channel in field.channels]
        for channel in channels:
            channel.cut(max(end_ms, channel.latest_ms))
        return {channel.name: channel.cues for channel in channels if channel.cues}


def decode(pairs: Iterable[Pair], end_ms: int) -> tuple[dict[str, list[RawCue]], Decoder]:
    """The cues of each channel that has any, and the decoder, which has counted what it read."""
    decoder = Decoder()
    for pair in pairs:
        decoder.feed(pair)
    return decoder.finish(end_ms), decoder


class _Field:
    """Two channels that take turns."""

    def __init__(self, *names: str) -> None:
        self.channels = tuple(_Channel(name) for name in names)
        self._channel = self.channels[0]
        self._skips = False  # what comes is a text service's, or about the programme
        self._texts = [False, False]
        self._latest: tuple[int, int] | None = None

    def feed(self, at_ms: int, first: int, second: int) -> None:
        if 0x10 <= first < 0x20:
            if (first, second) == self._latest:  # control codes are sent twice, so that one may be lost
                self._latest = None
                return
            self._latest = first, second
            self._control(at_ms, first, second)
            return
        self._latest = None
        if 0 < first < 0x10:
            self._skips = True  # until the next control code
        elif not self._skips:
            for code in (first, second):
                if code >= 0x20:
                    self._channel.write(at_ms, _BASIC.get(code, chr(code)))

    def _control(self, at_ms: int, first: int, second: int) -> None:
        number, code = first >> 3 & 1, first & ~0x08
        self._channel = self.channels[number]
        is_command = code in (0x14, 0x15) and 0x20 <= second < 0x30
        if is_command and second in (_TEXT_RESTART, _RESUME_TEXT):
            self._texts[number] = True
        elif is_command and second in _CAPTIONS_AGAIN:
            self._texts[number] = False
        self._skips = self._texts[number]
        if is_command and (not self._skips or second in (_ERASE_SHOWN, _ERASE_LOADED)):
            self._channel.command(at_ms, second)
        elif not is_command and not self._skips:
            self._other(at_ms, code, second)

    def _other(self, at_ms: int, code: int, second: int) -> None:
        channel = self._channel
        if second >= 0x40:
            above, below = _ROW[code]
            channel.place(below if second & 0x20 else above, second & 0x1F)
        elif code == 0x11 and second >= 0x30:
            channel.write(at_ms, _SPECIAL[second - 0x30])
        elif code == 0x11 and second >= 0x20:
            channel.style(at_ms, italic=second >= 0x2E)
        elif code in _EXTENDED and second >= 0x20:
            channel.backspace()  # for receivers that know the basic characters only, one of these is sent before
            channel.write(at_ms, _EXTENDED[code][second - 0x20])
        elif code == 0x17 and 0x21 <= second <= 0x23:
            channel.tab(second - 0x20)


class _Channel:
    """The memories of one channel, and the cues so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cues: list[RawCue] = []
        self.latest_ms = 0
        self._way: Literal["none", "pop", "roll", "paint"] = "none"
        self._shown: Memory = {}
        self._loaded: Memory = {}
        self._row, self._column, self._italic = ROWS, 0, False
        self._lines = 2  # of roll-up captions
        self._base = ROWS  # the row that the lowest of them stands in
        self._rolls = False  # before the next letter
        self._since_ms = 0  # what is shown is shown since then
        self._begins = True  # the next letter begins a cue

    def cut(self, at_ms: int) -> None:
        """What is shown is about to change: it was a cue."""
        if at_ms > self._since_ms and (text := _text(self._shown)):
            settings = _place(self._shown)
            before = self.cues[-1] if self.cues else None
            if before and (before.end_ms, before.text, before.settings) == (self._since_ms, text, settings):
                self.cues[-1] = RawCue(0, before.start_ms, at_ms, text, settings)
            else:
                self.cues.append(RawCue(0, self._since_ms, at_ms, text, settings))
        self._since_ms = at_ms

    def write(self, at_ms: int, letter: str) -> None:
        if self._way == "none":  # we came in the middle of a caption
            return
        if self._way != "pop":
            moves = self._way == "roll" and self._row != self._base
            if self._rolls or moves or self._begins or at_ms - self.latest_ms >= _PAUSE_MS:
                self.cut(at_ms)
            self._roll()
            if moves:
                self._shown = {row + self._row - self._base: cells for row, cells in self._shown.items()}
                self._base = self._row
            self._begins = False
            self.latest_ms = at_ms
        column = min(self._column, COLUMNS - 1)  # what is too long for its row overwrites the last letter
        self._memory.setdefault(self._row, {})[column] = letter, self._italic
        self._column = column + 1

    def style(self, at_ms: int, *, italic: bool) -> None:
        """A code within a row takes a column of its own, a blank one."""
        self.write(at_ms, " ")
        self._italic = italic

    def place(self, row: int, attribute: int) -> None:
        """The code before a row: where it is, and either its style or an indent in steps of four columns. Lines that roll up move there
        with the next letter."""
        self._row = max(row, self._lines) if self._way == "roll" else row
        self._column = (attribute & 0x0E) * 2 if attribute & 0x10 else 0
        self._italic = attribute in (0x0E, 0x0F)

    def tab(self, columns: int) -> None:
        self._column = min(self._column + columns, COLUMNS - 1)

    def backspace(self) -> None:
        self._column = max(0, self._column - 1)
        self._memory.get(self._row, {}).pop(self._column, None)

    def command(self, at_ms: int, code: int) -> None:
        if code == _RESUME_LOADING:
            self._way = "pop"
        elif code == _RESUME_DIRECT:
            self._way, self._begins, self._rolls = "paint", True, False
        elif code in _ROLL_UP:
            self._roll_up(at_ms, _ROLL_UP[code])
        elif code == _BACKSPACE:
            self.backspace()
        elif code == _DELETE_TO_END:
            row = self._memory.get(self._row, {})
            for column in [column for column in row if column >= self._column]:
                del row[column]
        elif code == _ERASE_SHOWN:
            self._show(at_ms, {})
        elif code == _ERASE_LOADED:
            self._loaded = {}
        elif code == _RETURN and self._way == "roll":
            if self._rolls:
                self.cut(at_ms)
                self._roll()
            self._rolls, self._column, self._italic = True, 0, False
        elif code == _END_OF_CAPTION:
            before = self._shown
            self._show(at_ms, self._loaded)
            self._loaded, self._way = before, "pop"

    @property
    def _memory(self) -> Memory:
        return self._loaded if self._way == "pop" else self._shown

    def _show(self, at_ms: int, memory: Memory) -> None:
        self.cut(at_ms)
        self._shown, self._rolls, self._begins = memory, False, True

    def _roll_up(self, at_ms: int, lines: int) -> None:
        if self._way != "roll":
            self._show(at_ms, {})
            self._loaded = {}
            self._row, self._column, self._base = ROWS, 0, ROWS
        self._way, self._lines = "roll", lines

    def _roll(self) -> None:
        if self._rolls:
            kept = range(self._base - self._lines + 2, self._base + 1)
            self._shown = {row - 1: cells for row, cells in self._shown.items() if row in kept}
        self._rolls = False


def _text(memory: Memory) -> str:
    """As cue text, a line for each row that has something to read."""
    return "\n".join(filter(None, (_line(memory[row]) for row in sorted(memory))))


def _line(cells: dict[int, Cell]) -> str:
    if not any(letter.strip() for letter, _ in cells.values()):
        return ""
    row = [cells.get(column, (" ", False)) for column in range(min(cells), max(cells) + 1)]
    runs = ((italic, "".join(letter for letter, _ in run)) for italic, run in groupby(row, key=lambda cell: cell[1]))
    line = "".join(_italic(words) if italic else markup.escape(words) for italic, words in runs)
    return re.sub(r"\s+", " ", line).strip()


def _italic(words: str) -> str:
    """Blanks stay outside."""
    inner = words.strip()
    if not inner:
        return " "
    before, after = words[: len(words) - len(words.lstrip())], words[len(words.rstrip()) :]
    return f"{before}<i>{markup.escape(inner)}</i>{after}"


def _place(memory: Memory) -> str:
    """Cue settings of a third of the screen; at the bottom, where captions mostly stand, there are none."""
    last = max(row for row, cells in memory.items() if cells)
    return markup.placed(8 if last <= 5 else 5 if last <= 10 else 2)
