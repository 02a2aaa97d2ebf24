"""Which paths name something, and that no other path becomes part of an object key (checklist C16)."""

from __future__ import annotations

import pytest

from media.ids import AssetId, PlanDigest
from origin.paths import Wanted, is_playback_id, object_key, parse

PLAN = PlanDigest("0123456789abcdef" * 4)
ASSET = AssetId("ast_1")


@pytest.mark.parametrize(
    ("path", "wanted", "key"),
    [
        ("poster.jpg", Wanted("poster", "poster.jpg"), f"presentations/ast_1/{PLAN}/poster.jpg"),
        (f"{PLAN}/poster.jpg", Wanted("still", "poster.jpg", PLAN), f"presentations/ast_1/{PLAN}/poster.jpg"),
        ("storyboard.vtt", Wanted("storyboard", "storyboard.vtt"), f"presentations/ast_1/{PLAN}/storyboard.vtt"),
        ("preview.mp4", Wanted("preview", "preview.mp4"), f"presentations/ast_1/{PLAN}/preview.mp4"),
        (f"{PLAN}/poster-00012500.jpg", Wanted("still", "poster-00012500.jpg", PLAN), f"presentations/ast_1/{PLAN}/poster-00012500.jpg"),
        (f"{PLAN}/storyboard-007.jpg", Wanted("still", "storyboard-007.jpg", PLAN), f"presentations/ast_1/{PLAN}/storyboard-007.jpg"),
        (f"{PLAN}/t/320/00012.jpg", Wanted("thumbnail", "00012.jpg", PLAN, "t/320", 12), f"presentations/ast_1/{PLAN}/t/320/00012.jpg"),
        (f"{PLAN}/480p/index.m3u8", Wanted("playlist", "index.m3u8", PLAN, "480p"), f"presentations/ast_1/{PLAN}/480p/index.m3u8"),
        (f"{PLAN}/480p/iframes.m3u8", Wanted("playlist", "iframes.m3u8", PLAN, "480p"), f"presentations/ast_1/{PLAN}/480p/iframes.m3u8"),
        (f"{PLAN}/480p/init.mp4", Wanted("init", "init.mp4", PLAN, "480p"), f"presentations/ast_1/{PLAN}/480p/init.mp4"),
        (f"{PLAN}/480p/00007.m4s", Wanted("segment", "00007.m4s", PLAN, "480p", 7), f"presentations/ast_1/{PLAN}/480p/00007.m4s"),
        (f"{PLAN}/480p/123456.m4s", Wanted("segment", "123456.m4s", PLAN, "480p", 123456), f"presentations/ast_1/{PLAN}/480p/123456.m4s"),
    ],
)  # fmt: skip
def test_named(path: str, wanted: Wanted, key: str) -> None:
    assert parse(path) == wanted
    assert object_key(wanted, ASSET, PLAN) == key


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("main.m3u8", Wanted("multivariant", "main.m3u8")), (f"{PLAN}/480p/i/00007.m4s", Wanted("iframe", "00007.m4s", PLAN, "480p", 7))],
)
def test_what_has_no_object_of_its_own(path: str, wanted: Wanted) -> None:
    assert parse(path) == wanted
    with pytest.raises(ValueError, match="no object of its own"):
        object_key(wanted, ASSET, PLAN)


@pytest.mark.parametrize(
    "path",
    ["", "/", "main.m3u8/", "/main.m3u8", "main.m3u8\n", "MAIN.M3U8", "../main.m3u8", f"{PLAN}/../poster.jpg",
     f"{PLAN}/480p/../720p/init.mp4", f"{PLAN}/480p/%30.m4s", f"{PLAN}/480p/0.m4s", f"{PLAN}/480p/000007.m4s",
     f"{PLAN}/480p/i/7.m4s", f"{PLAN}/480p/i/init.mp4", f"{PLAN}/480p/i/i/00007.m4s",
     f"{PLAN}/480p/00007.m4s\x00", f"{PLAN}//init.mp4", f"{PLAN}/.../init.mp4", f"{PLAN}/480p/x/init.mp4", "short/480p/init.mp4",
     f"{PLAN}/poster.png", f"{PLAN}/poster-1.jpg", f"{PLAN}/t/320/12.jpg", f"{PLAN}/t/0320/00012.jpg", f"{PLAN}/t/x/00012.jpg",
     f"{PLAN}/t/320/000012.jpg", f"{PLAN}/storyboard-07.jpg", f"{PLAN}/evil.vtt", "thumbnail.png",
     f"{PLAN}\\480p\\init.mp4", f"{PLAN}/480p/init.mp4;x", f"{PLAN}/480p/٠٠٠٠٧.m4s"],
)  # fmt: skip
def test_unnamed(path: str) -> None:
    assert parse(path) is None


def test_playback_ids() -> None:
    assert is_playback_id("0123456789abcdefghjk")
    assert not any(is_playback_id(text) for text in ("", "a/b", "a.b", "a" * 65, "a\n", "é"))
