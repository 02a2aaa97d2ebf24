"""What a path below `/v/{playback_id}/` asks for.

Only names that we make ourselves are recognised, spelled in exactly one way: no escapes, no dots to walk with, no doubled
slashes. Everything else asks for nothing, so no path of a client ever becomes part of an object key unchecked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from media import keys
from media.ids import AssetId, PlanDigest

Kind = Literal["multivariant", "poster", "playlist", "init", "segment", "iframe", "still"]

_PLAYBACK_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_STILL = re.compile(r"(?P<plan>[0-9a-z_-]{8,128})/poster\.jpg")
_OF_RENDITION = re.compile(
    r"(?P<plan>[0-9a-z_-]{8,128})/(?P<rendition>[0-9a-z][0-9a-z_-]{0,63})/"
    r"(?:(?P<playlist>index|iframes)\.m3u8|(?P<init>init)\.mp4|(?P<gop>i/)?(?P<index>[0-9]{5,9})\.m4s)"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """`poster` is the one at the stable address, `still` the same picture under its plan. The other fields are set as far as
    the kind has them; `name` is the last element of the path, `index` the number of a segment or, of an `iframe`, of a group of
    pictures."""

    kind: Kind
    name: str
    plan: PlanDigest | None = None  # None: the plan that is published now
    rendition: str = ""
    index: int = -1


def is_playback_id(text: str) -> bool:
    return _PLAYBACK_ID.fullmatch(text) is not None


def parse(path: str) -> Wanted | None:
    """What `path` (below the playback id, as it was sent, without the query) names, or None."""
    if path == "main.m3u8":
        return Wanted("multivariant", path)
    if path == "poster.jpg":
        return Wanted("poster", path)
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
