"""The table of known-bad FFmpeg releases, and what is made of it. Checklist line F11."""

from __future__ import annotations

import re

import pytest

from media import accepted
from media.ffmpeg_faults import FAULTS, Fault, has, is_sound, judge, release
from stack import doctor_media
from stack.findings import Outcome

LISTING = "Demuxers:\n D. = Demuxing supported\n --\n D  avi             AVI\n D  mov,mp4         QuickTime\n D  zzz  other\n"


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("8.1", (8, 1, 0)),
        ("n8.1.2", (8, 1, 2)),
        ("n9.0.2-17-g2a571b6068-20260930", (9, 0, 2)),
        ("7.1.1-essentials_build-www.gyan.dev", (7, 1, 1)),
        ("5.1.9-0+deb12u1", None),
        ("6.1.1-3ubuntu5", None),
        ("N-118000-g1234567", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_what_a_version_stands_for(said: str, number: tuple[int, ...] | None) -> None:
    assert release(said) == number


def test_a_hole_is_closed_branch_by_branch() -> None:
    fault = Fault("CVE-0000-0", ("mov",), "…", ((7, 1, 4), (8, 1, 0)), "https://example.org")
    bad = [(6, 1, 9), (7, 0, 2), (7, 1, 3), (8, 0, 5)]
    good = [(7, 1, 4), (7, 1, 9), (8, 1, 0), (8, 1, 5), (9, 0, 0)]
    assert [number for number in (*bad, *good) if has(number, fault)] == bad


def test_a_hole_within_reach_is_told_from_one_elsewhere() -> None:
    old = judge("8.0.1")
    assert "CVE-2026-40962" in {fault.cve for fault in old.reachable}
    assert "CVE-2026-8461" in {fault.cve for fault in old.elsewhere}
    packaged = judge("n8.1.2")
    assert packaged.reachable == ()
    assert {part for fault in packaged.elsewhere for part in fault.parts} == {"hls", "hap", "vvc"}
    assert judge("9.0.2") == judge("n9.1")
    assert not judge("5.1.9-0+deb12u1").judged


@pytest.mark.parametrize(
    ("version", "sound"),
    [("9.0.2", True), ("n9.0.2-17-g2a571b6068-20260930", True), ("9.1", True), ("8.1.3", True), ("8.1.2", False), ("9.0.1", False),
     ("7.1.1", False), ("5.1.9-0+deb12u1", False), ("N-118000-g1234567", False), ("unknown", False)],
)  # fmt: skip
def test_a_decoder_is_sound_where_its_release_is_known_to_be(version: str, sound: bool) -> None:
    assert is_sound(version, ("vvc",)) == sound


def test_what_ffprobe_may_not_open_is_known_to_have_had_a_hole() -> None:
    """Otherwise a list of its own would be of no use."""
    for names in accepted.UNPROBED_CODECS.values():
        assert not is_sound("8.1.2", names)
        assert not {*accepted.DECODERS, *accepted.OTHER_DECODERS} & set(names)
    assert not accepted.UNPROBED_CODECS.keys() & accepted.VIDEO_CODECS.keys()


def test_the_table_is_in_order() -> None:
    for fault in FAULTS:
        assert re.match(r"CVE-20\d\d-\d+", fault.cve)
        assert fault.source.startswith("https://")
        assert list(fault.fixed) == sorted(fault.fixed)
        assert all(len(number) == 3 for number in fault.fixed)
    assert not {"hls", "dash", "concat", "magicyuv", "hap", "vvc"} & {*accepted.DEMUXERS, *accepted.DECODERS}


def test_an_old_release_fails_and_says_what_to_do() -> None:
    found = doctor_media.known_faults("FFmpeg", "ffmpeg version 8.0.1", (LISTING, LISTING))
    assert found.outcome is Outcome.FAILED
    assert "CVE-2026-40962" in found.said
    assert "https://" in found.said
    assert found.remedy == "Use FFmpeg 9.0.2 or newer."


def test_a_good_release_says_how_much_of_it_is_open() -> None:
    found = doctor_media.known_faults("FFmpeg", "ffmpeg version n9.0.2-17-g2a571b6068", (LISTING, LISTING))
    assert found.outcome is Outcome.OK
    assert f"{len(accepted.DEMUXERS)} of 3 demuxers" in found.said
    elsewhere = doctor_media.known_faults("ffprobe", "ffprobe version n8.1.2", (LISTING, LISTING))
    assert elsewhere.outcome is Outcome.OK
    assert "CVE-2026-107697" in elsewhere.said


def test_a_distributions_build_is_not_judged_by_its_number() -> None:
    found = doctor_media.known_faults("FFmpeg", "ffmpeg version 5.1.9-0+deb12u1", (LISTING, LISTING))
    assert found.outcome is Outcome.OK
    assert "change log" in found.said
