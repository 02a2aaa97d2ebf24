"""Viewers and titles for tests of viewing: events as a caller sends them, and a catalogue that can be watched."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from catalog import store
from catalog.asset import Asset, NewAsset, NewPresentation, PlaybackPolicy
from kit.world import World
from tests.assets import INFO, SOURCE_DIGEST, a_plan, inits_of

DURATION_S = 13.0  # of every title made here
_numbers = itertools.count()


def a_title(
    world: World,
    title: str = "A film",
    *,
    description: str = "",
    tags: Sequence[str] = (),
    policy: PlaybackPolicy = "public",
    ready: bool = True,
) -> Asset:
    """An asset of `DURATION_S` seconds, ready to be watched or still being prepared."""
    with world.db.begin() as conn:
        asset = store.create_asset(conn, NewAsset(title=title, description=description, tags=tuple(tags), playback_policy=policy))
        store.mark_received(conn, asset.id, source_key="s", size_bytes=9)
        store.set_source_info(conn, asset.id, INFO, SOURCE_DIGEST)
        if ready:
            plan = a_plan()
            store.save_plan(conn, asset.id, plan, inits_of(plan))
            store.publish(conn, asset.id, NewPresentation(plan.digest, "ready", {}, has_poster=True))
        return store.get_asset(conn, asset.id)


def playback_of(world: World, asset: Asset) -> str:
    with world.db.connect() as conn:
        return str(store.playbacks_of(conn, [asset.id])[asset.id][0].id)


def event(viewer: str, asset_id: str, kind: str = "heartbeat", *, ago_s: float = 0.0, **more: Any) -> dict[str, Any]:
    """One event with an id of its own, `ago_s` seconds before now."""
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    made = {"event_id": f"e{next(_numbers)}", "viewer_id": viewer, "asset_id": asset_id, "session_id": f"{viewer}/{asset_id}", "kind": kind}
    return made | {"at": at.isoformat()} | more


def watched(viewer: str, asset_id: str, *, share: float = 1.0, ago_s: float = 0.0) -> dict[str, Any]:
    """A view of a part of a title, or of all of it."""
    kind = "complete" if share >= 1 else "heartbeat"
    return event(viewer, asset_id, kind, ago_s=ago_s, position_s=DURATION_S * share, watched_s=DURATION_S * share)
