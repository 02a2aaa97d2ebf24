"""What a path below `/v/{playback_id}/` asks for.

Only names that we make ourselves are recognised, spelled in exactly one way: no escapes, no dots to walk with, no doubled
slashes. Everything else asks for nothing, so no path of a client ever becomes part of an object key unchecked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from catalog.track import FIRST_SEGMENT_PART, PLAYLIST_PART, WHOLE_PART
from media import keys, pictures
from media.ids import AssetId, PlanDigest

Kind = Literal[
    "multivariant",
    "manifest",
    "poster",
    "playlist",
    "init",
    "segment",
    "iframe",
    "still",
    "text",
    "chapters",
    "download",
    "moment",
    "thumbnail",
    "storyboard",
    "preview",
    "key",
]

_PLAYBACK_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_STILL = re.compile(r"(?P<plan>[0-9a-z_-]{8,128})/(?:(?P<width>t/[1-9][0-9]{1,3})/(?P<gop>[0-9]{5,9})\.jpg|(?P<name>[a-z0-9.-]{1,40}))")
_CURRENT: Mapping[str, Kind] = {
    pictures.POSTER: "poster", pictures.STORYBOARD: "storyboard", pictures.PREVIEW: "preview", "thumbnail.jpg": "moment",
}  # fmt: skip
_TEXT = re.compile(r"t/(?P<text>[0-9a-f]{40})/(?:(?P<playlist>index\.m3u8)|(?P<whole>whole\.vtt)|(?P<index>[0-9]{5,9})\.vtt)")
_KEY = re.compile(r"key/(?P<key>[0-9a-f]{32})")
_DOWNLOAD = re.compile(r"download/(?P<file>[0-9a-z][0-9a-z_-]{0,63}\.(?:mp4|webm|m4a))")
_OF_RENDITION = re.compile(
    r"(?P<plan>[0-9a-z_-]{8,128})/(?P<rendition>[0-9a-z][0-9a-z_-]{0,63})/"
    r"(?:(?P<playlist>index|iframes)\.m3u8|(?P<init>init)\.mp4|(?P<gop>i/)?(?P<index>[0-9]{5,9})\.m4s)"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """`poster`, `storyboard` and `preview` are those at the stable addresses, and a `still` is any of these under its plan. A `thumbnail`
    is the picture of a group of pictures, whose width stands for a rendition; at a `moment` there is a redirection to it.

    The other fields are set as far as the kind has them; `name` is the last element of the path, `index` the number of a segment or, of
    an `iframe`, of a group of pictures; of a `text` and of `chapters`, the part of the pack of that digest (`catalog.track.TextPack`)."""

    kind: Kind
    name: str
    plan: PlanDigest | None = None  # None: the plan that is published now
    rendition: str = ""
    index: int = -1
    text: str = ""


def is_playback_id(text: str) -> bool:
    return _PLAYBACK_ID.fullmatch(text) is not None


def parse(path: str) -> Wanted | None:
    """What `path` (below the playback id, as it was sent, without the query) names, or None."""
    if path == "main.m3u8":
        return Wanted("multivariant", path)
    if path == "manifest.mpd":
        return Wanted("manifest", path)
    if kind := _CURRENT.get(path):
        return Wanted(kind, path)
    if path == "chapters.vtt":
        return Wanted("chapters", path, index=WHOLE_PART)
    if download := _DOWNLOAD.fullmatch(path):
        return Wanted("download", download["file"])
    if key := _KEY.fullmatch(path):
        return Wanted("key", key["key"])
    if text := _TEXT.fullmatch(path):
        return _text(text, path.rpartition("/")[2])
    if (still := _STILL.fullmatch(path)) and (picture := _picture(still)):
        return picture
    found = _OF_RENDITION.fullmatch(path)
    if found is None:
        return None
    plan, rendition, name = PlanDigest(found["plan"]), found["rendition"], path.rpartition("/")[2]
    if found["playlist"]:
        return Wanted("playlist", name, plan, rendition)
    if found["init"]:
        return Wanted("init", name, plan, rendition)
    index = int(found["index"])
    if name != f"{index:05d}.m4s":
        return None
    return Wanted("iframe" if found["gop"] else "segment", name, plan, rendition, index)


def _text(found: re.Match[str], name: str) -> Wanted | None:
    """A part of a pack."""
    if found["playlist"]:
        return Wanted("text", name, text=found["text"], index=PLAYLIST_PART)
    if found["whole"]:
        return Wanted("text", name, text=found["text"], index=WHOLE_PART)
    index = int(found["index"])
    return Wanted("text", name, text=found["text"], index=FIRST_SEGMENT_PART + index) if name == f"{index:05d}.vtt" else None


def _picture(found: re.Match[str]) -> Wanted | None:
    """A picture under its plan."""
    plan = PlanDigest(found["plan"])
    if found["name"]:
        return Wanted("still", found["name"], plan) if pictures.NAME.fullmatch(found["name"]) else None
    index = int(found["gop"])
    name = f"{index:05d}.jpg"
    return Wanted("thumbnail", name, plan, found["width"], index) if f"{found['gop']}.jpg" == name else None


def object_key(wanted: Wanted, asset: AssetId, published: PlanDigest) -> str:
    """Where the store keeps what is wanted. Raises ValueError for what has no object of its own: the multivariant playlist and the
    DASH manifest are in a row, and an I-frame a part of a segment."""
    plan = wanted.plan or published
    if wanted.kind in ("poster", "still", "storyboard", "preview"):
        return keys.picture(asset, plan, wanted.name)
    if wanted.kind == "thumbnail":
        return keys.picture(asset, plan, f"{wanted.rendition}/{wanted.name}")
    if wanted.kind == "segment":
        return keys.media_segment(asset, plan, wanted.rendition, wanted.index)
    if wanted.kind == "init":
        return keys.init_segment(asset, plan, wanted.rendition)
    if wanted.kind == "playlist":
        spell = keys.media_playlist if wanted.name == "index.m3u8" else keys.iframe_playlist
        return spell(asset, plan, wanted.rendition)
    raise ValueError(f"no object of its own: {wanted.kind}")
