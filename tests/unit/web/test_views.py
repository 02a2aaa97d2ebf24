"""What cards and watch pages show. `CASES` is also held against the script's own rules by tests/integration/test_front_end.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from web import views
from web.resources import AssetResource


def asset(**changes: Any) -> AssetResource:
    """A ready asset of two renditions, 83.4 s long, with `changes`."""
    content: dict[str, Any] = {
        "id": "ast_1", "title": "Spring", "description": "", "tags": [], "external_id": None, "metadata": {}, "status": "ready",
        "playable": True, "progress": 1.0, "eta_s": None, "error": None,
        "source": {"container": "mov", "duration_s": 83.4, "width": 1920, "height": 1080, "frame_rate": "24/1", "video_codec": "h264",
                   "audio_tracks": 1, "size_bytes": 9, "hdr": "sdr"},
        "renditions": [rendition("480p", 854, 480), rendition("1080p", 1920, 1080)], "tracks": [],
        "playback_ids": [{"id": "pb1", "policy": "public"}], "created_at": datetime(2026, 11, 2, 12, tzinfo=UTC),
        "updated_at": datetime(2026, 11, 2, 12, tzinfo=UTC), "timings": {"received_at": None, "playable_at": None, "ready_at": None},
    }  # fmt: skip
    return AssetResource.model_validate(content | changes)


def rendition(name: str, width: int | None, height: int | None, status: str = "ready", kind: str = "video") -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "codec": "x", "width": width, "height": height, "frame_rate": None, "bitrate_bps": None,
        "peak_bps": None, "status": status, "progress": 1.0, "fps": None,
    }  # fmt: skip


PORTRAIT = {**asset().source.model_dump(), "width": 1080, "height": 1920}  # type: ignore[union-attr]
CASES = {
    "ready": asset(),
    "waiting": asset(status="waiting", playable=False, progress=0.0, source=None, renditions=[]),
    "uploading": asset(status="uploading", playable=False, progress=0.0, source=None, renditions=[]),
    "processing": asset(
        status="processing", playable=False, progress=0.4271, eta_s=70.0, renditions=[rendition("480p", 854, 480, "encoding")]
    ),
    "playable": asset(
        status="processing", progress=0.5, eta_s=12.0, renditions=[rendition("480p", 854, 480), rendition("1080p", 1920, 1080, "encoding")]
    ),
    "failed": asset(status="errored", playable=False, progress=0.2, error={"code": "truncated", "detail": "The file ends early."}),
    "failed but once playable": asset(status="errored", playable=True, error={"code": "x", "detail": "Stopped."}),
    "portrait": asset(source=PORTRAIT, renditions=[rendition("1080p", 1080, 1920)]),
    "sound only": asset(source={**PORTRAIT, "width": None, "height": None}, renditions=[rendition("audio", None, None, kind="audio")]),
    "without a title": asset(title=""),
    "without an address": asset(playback_ids=[]),
    "an hour": asset(source={**PORTRAIT, "duration_s": 3723.0}),
}

STATES = {
    "ready": "ready", "waiting": "receiving", "uploading": "receiving", "processing": "processing", "playable": "playable",
    "failed": "failed", "failed but once playable": "failed",
}  # fmt: skip


@pytest.mark.parametrize(("name", "state"), STATES.items())
def test_the_state_of_a_card(name: str, state: str) -> None:
    assert views.card(CASES[name]).state == state


def test_a_ready_card_says_everything() -> None:
    card = views.card(CASES["ready"])
    assert (card.length, card.size, card.created, card.created_iso) == ("1:23", "1080p", "2 Nov 2026", "2026-11-02T12:00:00Z")
    assert (card.watch, card.poster, card.percent) == ("/watch/pb1", "/v/pb1/poster.jpg", 0)


def test_only_what_can_be_watched_counts_as_quality() -> None:
    assert views.card(CASES["playable"]).size == "480p"
    assert views.card(CASES["processing"]).size == ""
    assert views.card(CASES["sound only"]).size == ""


def test_percent_is_never_rounded_up_to_done() -> None:
    assert views.card(CASES["processing"]).percent == 42
    assert views.card(asset(status="processing", progress=0.9999)).percent == 99


def test_a_card_without_an_address_leads_nowhere() -> None:
    card = views.card(CASES["without an address"])
    assert (card.watch, card.poster) == ("", "")


def test_a_failed_video_has_no_link_and_a_reason() -> None:
    card = views.card(CASES["failed"])
    assert (card.watch, card.problem) == ("", "The file ends early.")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (0.49, "0:00"), (59.5, "1:00"), (83.4, "1:23"), (3599.6, "1:00:00"), (3723, "1:02:03"), (-1, "0:00")]
)
def test_clock(seconds: float, text: str) -> None:
    assert views.clock(seconds) == text


def test_a_stage_keeps_its_shape_whatever_the_source() -> None:
    assert views.watch(CASES["ready"], "pb1", has_poster=True).ratio == "1.7778"
    assert views.watch(CASES["portrait"], "pb1", has_poster=True).ratio == "0.5625"
    assert views.watch(CASES["sound only"], "pb1", has_poster=False).ratio == "1.7778"
    assert views.watch(asset(source={**PORTRAIT, "width": 8000, "height": 16}), "pb1", has_poster=False).ratio == "2.4000"


def test_a_poster_is_shown_when_there_is_one() -> None:
    assert views.watch(CASES["ready"], "pb1", has_poster=True).poster == "/v/pb1/poster.jpg"
    assert views.watch(CASES["ready"], "pb1", has_poster=False).poster == ""
    assert views.watch(CASES["processing"], "pb1", has_poster=True).poster == ""


def test_a_waiting_video_is_being_prepared_for_whoever_opens_its_page() -> None:
    assert views.watch(CASES["waiting"], "pb1", has_poster=False).state == "processing"


@pytest.mark.parametrize(("case", "state"), [("waiting", "playable"), ("processing", "playable"), ("ready", "ready"), ("failed", "failed")])
def test_the_player_begins_when_the_playlists_are_there(case: str, state: str) -> None:
    assert views.watch(CASES[case], "pb1", published=True, has_poster=False).state == state
