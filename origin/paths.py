"""What a path below `/v/{playback_id}/` asks for.

Only names that we make ourselves are recognised, spelled in exactly one way: no escapes, no dots to walk with, no doubled
slashes. Everything else asks for nothing, so no path of a client ever becomes part of an object key unchecked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from catalog.track import FIRST_SEGMENT_PART, PLAYLIST_PART, WHOLE_PART
from media import keys
from media.ids import AssetId, PlanDigest

Kind = Literal["multivariant", "poster", "playlist", "init", "segment", "iframe", "still", "text", "chapters"]

_PLAYBACK_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_STILL = re.compile(r"(?P<plan>[0-9a-z_-]{8,128})/poster\.jpg")
_TEXT = re.compile(r"t/(?P<text>[0-9a-f]{40})/(?:(?P<playlist>index\.m3u8)|(?P<whole>whole\.vtt)|(?P<index>[0-9]{5,9})\.vtt)")
_OF_RENDITION = re.compile(
    r"(?P<plan>[0-9a-z_-]{8,128})/(?P<rendition>[0-9a-z][0-9a-z_-]{0,63})/"
    r"(?:(?P<playlist>index|iframes)\.m3u8|(?P<init>init)\.mp4|(?P<gop>i/)?(?P<index>[0-9]{5,9})\.m4s)"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """`poster` is the one at the stable address, `still` the same picture under its plan. The other fields are set as far as
    the kind has them; `name` is the last element of the path, `index` the number of a segment or, of an `iframe`, of a group of
    pictures; of a `text` and of `chapters`, the part of the pack of that digest (`catalog.track.TextPack`)."""

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
    if path == "poster.jpg":
        return Wanted("poster", path)
    if path == "chapters.vtt":
        return Wanted("chapters", path, index=WHOLE_PART)
    if text := _TEXT.fullmatch(path):
        return _text(text, path.rpartition("/")[2])
    if still := _STILL.fullmatch(path):
        return Wanted("still", "poster.jpg", PlanDigest(still["plan"]))
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


def object_key(wanted: Wanted, asset: AssetId, published: PlanDigest) -> str:
    """Where the store keeps what is wanted. Raises ValueError for what has no object of its own: the multivariant playlist is a
    row, and an I-frame a part of a segment."""
    plan = wanted.plan or published
    if wanted.kind in ("poster", "still"):
        return keys.poster(asset, plan)
    if wanted.kind == "segment":
        return keys.media_segment(asset, plan, wanted.rendition, wanted.index)
    if wanted.kind == "init":
        return keys.init_segment(asset, plan, wanted.rendition)
    if wanted.kind == "playlist":
        spell = keys.media_playlist if wanted.name == "index.m3u8" else keys.iframe_playlist
        return spell(asset, plan, wanted.rendition)
    raise ValueError(f"no object of its own: {wanted.kind}")
