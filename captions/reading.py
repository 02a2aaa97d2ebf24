"""A text file of whatever kind as cues in order, and a list of what is wrong with it, by line. Pure.

One bad cue costs that cue and no other. A file is refused as a whole (`Unreadable`) only when it is too large, when it is of no kind
that is known here, or when nothing of it is left. Sizes are bounded throughout, so that no file can cost more than its
size allows: `MAX_BYTES`, `MAX_CUES`, `captions.markup.MAX_CUE_CHARS`, `MAX_PROBLEMS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from captions.ass import is_ass, read_ass
from captions.blocks import is_webvtt, read_srt, read_webvtt
from captions.decode import decode
from captions.found import Found, RawCue
from captions.markup import MAX_CUE_CHARS
from captions.ttml import NotXml, is_ttml, read_ttml
from kit.errors import HeadwaterError, Retry
from media.cues import Cue, Problem

MAX_BYTES = 5 << 20
MAX_CUES = 20_000
MAX_PROBLEMS = 200  # more are counted, and not kept
LONGEST_MS = 100 * 3600 * 1000

Format = Literal["srt", "webvtt", "ass", "ttml"]


class Unreadable(HeadwaterError):
    """Nothing of the file can be used."""

    status, code, retry = 422, "unreadable_text", Retry.NEVER


@dataclass(frozen=True, slots=True)
class Read:
    """A file that was read: its cues by time, and what was wrong by line."""

    format: Format
    cues: tuple[Cue, ...]
    problems: tuple[Problem, ...]


def read(data: bytes, *, shift_ms: int = 0) -> Read:
    """The cues of a file, each `shift_ms` later than it says. Raises Unreadable."""
    if len(data) > MAX_BYTES:
        raise Unreadable(f"A text file may have {MAX_BYTES >> 20} MB.")
    text, guessed = decode(data)
    kind, found = _parsed(text)
    if not found.cues:
        first = min(found.problems, key=lambda problem: problem.line, default=Problem(1, "There is no cue in the file."))
        raise Unreadable(f"No cue of the file can be used. Line {first.line}: {first.detail}")
    cues, problems = put_in_order(found.cues, shift_ms=shift_ms, ordered=kind != "ass")
    if not cues:
        raise Unreadable(f"No cue of the file can be used. Line {problems[0].line}: {problems[0].detail}")
    return Read(kind, cues, shortened((*guessed, *found.problems, *problems)))


def _parsed(text: str) -> tuple[Format, Found]:
    if is_webvtt(text):
        return "webvtt", read_webvtt(text)
    if is_ttml(text):
        try:
            return "ttml", read_ttml(text)
        except NotXml as error:
            raise Unreadable(f"Line {error.line}: {error.detail}") from error
    if is_ass(text):
        return "ass", read_ass(text)
    if "-->" in text:
        return "srt", read_srt(text)
    raise Unreadable("This is no SRT, WebVTT, ASS, SSA or TTML file.")


def shortened(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By line, and not too many."""
    listed = sorted(problems, key=lambda problem: problem.line)
    if len(listed) <= MAX_PROBLEMS:
        return tuple(listed)
    return (*listed[:MAX_PROBLEMS], Problem(listed[MAX_PROBLEMS].line, f"{len(listed) - MAX_PROBLEMS} more problems follow."))


def put_in_order(raw: Sequence[RawCue], *, shift_ms: int, ordered: bool) -> tuple[tuple[Cue, ...], tuple[Problem, ...]]:
    """Cues that can be shown, by time. Cues may overlap: players show both. `ordered`: a file of this kind should be in order."""
    problems: list[Problem] = []
    kept: list[tuple[int, Cue]] = []
    latest_ms = 0
    for cue in raw[:MAX_CUES]:
        start_ms, end_ms = cue.start_ms + shift_ms, cue.end_ms + shift_ms
        if end_ms <= start_ms:
            problems.append(Problem(cue.line, "The cue ends before it begins." if end_ms < start_ms else "The cue has no duration."))
        elif end_ms <= 0:
            problems.append(Problem(cue.line, "The cue ends before the title begins."))
        elif start_ms > LONGEST_MS:
            problems.append(Problem(cue.line, "The cue begins after more than 100 hours."))
        else:
            if start_ms < 0:
                problems.append(Problem(cue.line, "The cue begins before the title; it is shown from the title's beginning."))
            if ordered and start_ms < latest_ms:
                problems.append(Problem(cue.line, "The cue begins before the one above it; cues were sorted by time."))
            latest_ms = max(latest_ms, start_ms)
            if len(cue.text) > MAX_CUE_CHARS:
                problems.append(Problem(cue.line, f"The cue has more than {MAX_CUE_CHARS} characters, and is left out."))
                continue
            kept.append((cue.line, Cue(max(0, start_ms), min(end_ms, LONGEST_MS), cue.text, cue.settings)))
    if len(raw) > MAX_CUES:
        problems.append(Problem(raw[MAX_CUES].line, f"A track may have {MAX_CUES} cues; {len(raw) - MAX_CUES} are left out from here on."))
    kept.sort(key=lambda item: (item[1].start_ms, item[1].end_ms, item[0]))
    return tuple(cue for _, cue in kept), tuple(problems)
