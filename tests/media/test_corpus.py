"""A sample of the hostile corpus against the probe: every case ends with a documented code, within its limits, and touches nothing else.

Checklist lines F1, F3 and F7. All of it: `python -m tests.corpus --all`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from ingest import ffprobe
from kit.process import Command
from kit.world import World
from media import accepted
from tests.clips import Clips
from tests.corpus import SEED, Case, Seeds, damage, sample
from tests.corpus.trial import ground

SAMPLE = 110
FOLLOWED = ("script-hls-near-as.m3u8", "script-ffconcat-near-as.mp4")  # by an ffprobe that nobody holds back


def test_every_case_of_a_sample_ends_as_it_must(local_world: World, clips: Clips, tmp_path: Path) -> None:
    """Always the same sample."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    with ground(folder, local_world, clips) as (place, everything):
        assert len(everything) > 900
        chosen = sample(everything, SAMPLE, Random(SEED))
        outcomes = [place.tries(case) for case in chosen]
    assert {case.kind for case in chosen} == {case.kind for case in everything}
    assert {outcome.case.name: outcome.faults for outcome in outcomes if outcome.faults} == {}
    assert len({outcome.code for outcome in outcomes}) >= 6


def test_the_same_seed_makes_the_same_files(clips: Clips, tmp_path: Path) -> None:
    def made(seed: int) -> list[Case]:
        return list(damage.cases(Seeds(lambda name: clips(name).read_bytes(), tmp_path, 1, Random(seed))))

    assert made(1) == made(1)
    assert made(1) != made(2)


@pytest.fixture
def without_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    """ffprobe with none of its lists, as a careless caller would run it."""
    words = ("-protocol_whitelist", "-format_whitelist", "-codec_whitelist")

    def unguarded(made: Command) -> Command:
        argv = made.argv
        kept = [word for at, word in enumerate(argv) if word not in words and argv[at - 1] not in words]
        return replace(made, argv=(kept[0], "-allowed_extensions", "ALL", "-extension_picky", "0", *kept[1:]))

    streams = ffprobe.streams_command
    monkeypatch.setattr(ffprobe, "streams_command", lambda *words: unguarded(streams(*words)))


@pytest.mark.usefixtures("without_guards")
@pytest.mark.parametrize("confined", [False, True], ids=["bare", "in the sandbox"])
def test_the_sandbox_alone_keeps_the_canary_alive(
    local_world: World, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confined: bool
) -> None:
    """Without its lists ffprobe does follow scripts; then it is the sandbox that stops it. And the tripwires do trip."""
    if not confined:
        monkeypatch.setattr("ingest.ffprobe._confinement", lambda *_: None)
    with ground(tmp_path, local_world, clips) as (place, everything):
        outcomes = [place.tries(case) for case in everything if case.name in FOLLOWED]
    opened = {name for outcome in outcomes for name in outcome.opened}
    assert opened == (set() if confined else {"canary.ts"})


def test_no_command_lacks_its_lists() -> None:
    """Checklist line F2, for ffprobe; transcode's commands have a test of their own."""
    source = Path("/where/the source is.mp4")
    for made in (ffprobe.streams_command("ffprobe", source, 99), ffprobe.packets_command("ffprobe", source, 99, 10**9)):
        words = dict(zip(made.argv, made.argv[1:], strict=False))
        assert words["-protocol_whitelist"] == "file"
        assert words["-format_whitelist"].split(",") == list(accepted.DEMUXERS)
        assert set(words["-codec_whitelist"].split(",")) == {*accepted.DECODERS, *accepted.OTHER_DECODERS}
        assert words["-max_pixels"] == "99"
        assert made.argv[-1] == f"file:{source}"
        assert made.confine is not None
        assert made.confine.reads == (source,)
        assert made.confine.writes == ()
        assert made.confine.memory_bytes <= 512 << 20


def test_a_fault_would_be_seen(local_world: World, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of the probe")

    monkeypatch.setattr("ingest.probe.checks.check_streams", broken)
    with ground(tmp_path, local_world, clips) as (place, everything):
        outcome = place.tries(next(case for case in everything if case.name == "flipped-plain-1-anywhere"))
    assert outcome.faults == ["ended with ZeroDivisionError: of the probe"]
