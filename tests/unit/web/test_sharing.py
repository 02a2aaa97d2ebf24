"""What other sites are told about a video."""

from __future__ import annotations

import pytest

from tests.unit.web.test_views import CASES, asset
from web import sharing, views

PUBLIC = "https://video.example"


def view(name: str = "ready", **changes: object) -> views.WatchView:
    return views.watch(asset(**changes) if changes else CASES[name], "pb1", has_poster=True)


def test_the_preview_names_player_poster_and_size() -> None:
    tags = {name: content for _, name, content in sharing.meta_tags(view(), sharing.addresses(view(), PUBLIC))}
    assert tags["og:url"] == "https://video.example/watch/pb1"
    assert tags["og:video:secure_url"] == tags["twitter:player"] == "https://video.example/embed/pb1"
    assert (tags["og:video:width"], tags["og:video:height"]) == ("1280", "720")
    assert tags["og:image"] == "https://video.example/v/pb1/poster.jpg"
    assert tags["twitter:card"] == "player"


def test_plain_http_has_no_secure_address() -> None:
    names = {name for _, name, _ in sharing.meta_tags(view(), sharing.addresses(view(), "http://127.0.0.1:8080"))}
    assert "og:video:secure_url" not in names


def test_the_video_object_has_what_search_engines_ask_for() -> None:
    told = sharing.video_object(view(), sharing.addresses(view(), PUBLIC + "/"))
    assert told["@type"] == "VideoObject"
    assert told["duration"] == "PT1M23S"
    assert told["uploadDate"] == "2026-11-02T12:00:00Z"
    assert told["thumbnailUrl"] == ["https://video.example/v/pb1/poster.jpg"]
    assert told["contentUrl"] == "https://video.example/v/pb1/main.m3u8"


@pytest.mark.parametrize(("seconds", "iso"), [(0.2, "PT1S"), (60, "PT1M"), (83.4, "PT1M23S"), (3600, "PT1H"), (3723, "PT1H2M3S")])
def test_durations_in_iso_8601(seconds: float, iso: str) -> None:
    assert sharing.duration_iso(seconds) == iso


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://video.example/watch/abc123", "abc123"),
        ("https://video.example/embed/abc123", "abc123"),
        ("https://video.example/watch/abc123?t=30", "abc123"),
        ("https://video.example/watch/abc123/", "abc123"),
        ("https://video.example/watch/abc123/state", None),
        ("https://video.example/v/abc123/main.m3u8", None),
        ("http://video.example/watch/abc123", None),
        ("https://other.example/watch/abc123", None),
        ("not an address", None),
    ],
)
def test_which_addresses_are_videos_of_ours(url: str, found: str | None) -> None:
    assert sharing.playback_id_of(url, PUBLIC) == found


@pytest.mark.parametrize(
    ("max_width", "max_height", "size"), [(None, None, (640, 360)), (320, None, (320, 180)), (1000, 90, (160, 90)), (4, 4, (4, 2))]
)
def test_oembed_stays_inside_the_limits(max_width: int | None, max_height: int | None, size: tuple[int, int]) -> None:
    answer = sharing.oembed(view(), sharing.addresses(view(), PUBLIC), max_width, max_height)
    assert (answer["width"], answer["height"]) == size
    assert answer["type"] == "video"
    assert answer["version"] == "1.0"


def test_a_title_cannot_break_out_of_the_embed_code() -> None:
    nasty = view(title='"><script>alert(1)</script>')
    assert "<script>" not in str(sharing.oembed(nasty, sharing.addresses(nasty, PUBLIC), None, None)["html"])


def test_a_description_becomes_one_line() -> None:
    assert sharing.summary(view(description="One\n  two")) == "One two"
    assert len(sharing.summary(view(description="word " * 100))) <= 200
    assert sharing.summary(view()) == "Video, 1:23"
