"""Cues on their way into the store, and what has viewers shown them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from catalog.track import Content
from kit.world import World
from media import cues, keys
from media.ids import AssetId

Refresh = Callable[[Connection, World, str], None]


def stored(world: World, asset_id: str, form: str, found: Sequence[cues.Cue], problems: Sequence[cues.Problem]) -> Content:
    """Put cues into the store."""
    data = cues.to_json(found)
    sha256 = hashlib.sha256(data).hexdigest()
    world.storage.put(keys.text_cues(AssetId(asset_id), sha256), data, content_type="application/json")
    return Content(form, sha256, len(found), tuple(problems))
