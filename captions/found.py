"""What the readers of the formats hand over: cues with the line each began at, before they are put in order, and what was wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from media.cues import Problem

NO_TEXT = "The cue has no text."
BAD_TIMES = "The times of the cue cannot be read."


@dataclass(frozen=True, slots=True)
class RawCue:
    """A cue as its file has it; its text is clean already. Times may make no sense yet."""

    line: int
    start_ms: int
    end_ms: int
    text: str
    settings: str = ""


@dataclass(slots=True)
class Found:
    """What a reader has read so far."""

    cues: list[RawCue] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def bad(self, line: int, detail: str) -> None:
        self.problems.append(Problem(line, detail))

    def cue(self, line: int, times: tuple[int, int], text: str, settings: str = "") -> None:
        if text:
            self.cues.append(RawCue(line, *times, text, settings))
        else:
            self.bad(line, NO_TEXT)
