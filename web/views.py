"""What the templates show, worked out from the public JSON of an asset. Pure.

`card` follows the same rules as web/frontend/src/library/view.ts, which takes over after the first paint.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from web.resources import AssetResource

CardState = Literal["receiving", "processing", "playable", "ready", "failed"]
StageState = Literal["processing", "playable", "ready", "failed"]

UNTITLED = "Untitled video"
SOUND = "Sound"


@dataclass(frozen=True, slots=True)
class CardView:
    """One video of the library. Texts are empty where there is nothing to say."""

    id: str
    playback_id: str
    title: str
    state: CardState
    percent: int
    length: str  # "1:23"
    size: str  # "1080p"
    created: str  # "22 Nov 2026"
    created_iso: str
    problem: str
    watch: str  # path
    poster: str  # path; a video that is playable but not ready may not have one yet, so its card asks for it
    portrait: bool
    preview: str = ""  # path of a few moments in motion
    left: str = ""  # how long it will take is known to the feed only


@dataclass(frozen=True, slots=True)
class WatchView:
    """The watch page and the embedded player. Paths, not addresses."""

    asset_id: str
    playback_id: str
    title: str
    description: str
    state: StageState
    percent: int
    detail: str  # why it failed, for the owner's eyes as much as the viewer's
    duration_s: float | None
    length: str
    size: str
    created: str
    created_iso: str
    width: int
    height: int
    playlist: str
    poster: str  # empty when there is none yet
    chapters: str = ""
    storyboard: str = ""
    sound: bool = False  # without pictures

    @property
    def ratio(self) -> str:
        """Width over height, bounded so that the page keeps its shape."""
        return f"{min(2.4, max(0.5, self.width / self.height)):.4f}"


BLANK = CardView("", "", "", "receiving", 0, "", "", "", "", "", "", "", portrait=False)


def clock(seconds: float) -> str:
    """83 -> "1:23", 3723 -> "1:02:03"."""
    minutes, tail = divmod(max(0, int(seconds + 0.5)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{tail:02d}" if hours else f"{minutes}:{tail:02d}"


def day(moment: datetime) -> str:
    """22 Nov 2026."""
    return f"{moment.day} {moment:%b %Y}"


def count(videos: int) -> str:
    return "1 video" if videos == 1 else f"{videos} videos"


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def card_state(asset: AssetResource) -> CardState:
    if asset.status == "errored":
        return "failed"
    if asset.status == "ready":
        return "ready"
    if asset.playable:
        return "playable"
    return "processing" if asset.status == "processing" else "receiving"


def is_sound(asset: AssetResource) -> bool:
    """Whether there are no pictures in it."""
    return asset.source is not None and asset.source.video_codec is None


def largest_side(asset: AssetResource) -> str:
    """ "1080p": the shorter side of the largest rendition that can be watched; "Sound" where there is nothing to be seen."""
    if is_sound(asset):
        return SOUND
    videos = (item for item in asset.renditions if item.kind == "video" and item.status == "ready")
    largest = max((min(item.width or 0, item.height or 0) for item in videos), default=0)
    return f"{largest}p" if largest else ""


def card(asset: AssetResource) -> CardView:
    state = card_state(asset)
    playback_id = asset.playback_ids[0].id if asset.playback_ids else ""
    source = asset.source
    seen = state in ("playable", "ready")
    return CardView(
        id=asset.id,
        playback_id=playback_id,
        title=asset.title or UNTITLED,
        state=state,
        percent=int(asset.progress * 100) if state in ("processing", "playable") else 0,
        length=clock(source.duration_s) if source else "",
        size=largest_side(asset),
        created=day(asset.created_at),
        created_iso=_iso(asset.created_at),
        problem=asset.error.detail if asset.error else "",
        watch=f"/watch/{playback_id}" if playback_id and (seen or state == "processing") else "",
        poster=f"/v/{playback_id}/poster.jpg" if playback_id and state == "ready" else "",
        portrait=is_sound(asset) or bool(source and (source.height or 0) > (source.width or 0)),  # covers are square: all of it is shown
        preview=below(playback_id, asset, "preview.mp4"),
    )


def below(playback_id: str, asset: AssetResource, name: str) -> str:
    """The path of a picture, or nothing while there is none."""
    return f"/v/{playback_id}/{name}" if playback_id and name in asset.pictures else ""


def watch(asset: AssetResource, playback_id: str, *, published: bool = False, has_poster: bool, has_chapters: bool = False) -> WatchView:
    """`published`: its playlists are there, so a player can begin and will be waited for."""
    state = card_state(asset)
    if published and state in ("receiving", "processing"):
        state = "playable"
    source = asset.source
    return WatchView(
        asset_id=asset.id,
        playback_id=playback_id,
        title=asset.title or UNTITLED,
        description=asset.description,
        state="processing" if state == "receiving" else state,
        percent=int(asset.progress * 100),
        detail=asset.error.detail if asset.error else "",
        duration_s=source.duration_s if source else None,
        length=clock(source.duration_s) if source else "",
        size=largest_side(asset),
        created=day(asset.created_at),
        created_iso=_iso(asset.created_at),
        width=(source.width if source else None) or 16,
        height=(source.height if source else None) or 9,
        playlist=f"/v/{playback_id}/main.m3u8",
        poster=f"/v/{playback_id}/poster.jpg" if has_poster and state in ("playable", "ready") else "",
        storyboard=below(playback_id, asset, "storyboard.vtt"),
        chapters=f"/v/{playback_id}/chapters.vtt" if has_chapters else "",
        sound=is_sound(asset),
    )
