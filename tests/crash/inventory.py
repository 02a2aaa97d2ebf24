"""What is there in the end, and what is wrong with it. `take` looks; `problems` decides, and is pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from kit.storage import Storage
from media import keys
from media.ids import PlanDigest

GIVEN_UP = frozenset({"deleted", "errored/upload_expired"})  # how a title may end that its client was never told of


@dataclass(frozen=True, slots=True)
class Inventory:
    """One database and one store, when nothing is left to do."""

    assets: Mapping[str, str] = field(default_factory=dict)  # status by id; of an errored one with its code
    objects: Mapping[str, str] = field(default_factory=dict)  # SHA-256 by key
    recorded: Mapping[str, str] = field(default_factory=dict)  # what the database says of segments: SHA-256 by key
    source_sha256: Mapping[str, str | None] = field(default_factory=dict)  # what it says of sources, by asset
    published: Mapping[str, str] = field(default_factory=dict)  # stage, poster and multivariant playlist by asset
    multiparts: tuple[str, ...] = ()  # keys of open multipart uploads
    unfinished: tuple[str, ...] = ()  # jobs that are neither done nor cancelled, bells, uploads with leftovers
    folders: tuple[str, ...] = ()  # work folders on the local disk


def take(engine: Engine, store: Storage, scratch_dir: Path) -> Inventory:
    with engine.begin() as conn:

        def rows(query: str) -> list[Any]:
            return list(conn.execute(text(query)))

        assets = rows("SELECT id, status, error_code, source_sha256 FROM assets")
        segments = rows("SELECT asset_id, plan_digest, rendition, index, sha256 FROM segments")
        published = rows("SELECT asset_id, stage, multivariant, has_poster FROM presentations")
        unfinished = [
            *(f"job {row.kind} is {row.state}: {row.error_code}" for row in rows(
                "SELECT kind, state, error_code FROM jobs WHERE state NOT IN ('succeeded', 'cancelled')"
            )),
            *(f"a bell for {row.job_id} was never sent" for row in rows("SELECT job_id FROM outbox")),
            *(f"upload {row.id} is {row.state} and holds things" for row in rows(
                "SELECT id, state FROM uploads WHERE freed_at IS NULL OR state IN ('waiting', 'receiving')"
            )),
            *(f"upload {row.upload_id} has parts" for row in rows("SELECT DISTINCT upload_id FROM upload_parts")),
        ]  # fmt: skip
    return Inventory(
        assets={row.id: f"{row.status}/{row.error_code}" if row.status == "errored" else row.status for row in assets},
        objects={found.key: hashlib.sha256(store.get(found.key)).hexdigest() for found in store.list("")},
        recorded={keys.media_segment(row.asset_id, PlanDigest(row.plan_digest), row.rendition, row.index): row.sha256 for row in segments},
        source_sha256={row.id: row.source_sha256 for row in assets},
        published={row.asset_id: f"{row.stage} {row.has_poster} {row.multivariant}" for row in published},
        multiparts=tuple(found.key for found in store.open_multiparts("")),
        unfinished=tuple(unfinished),
        folders=tuple(sorted(path.name for path in (scratch_dir / "work").glob("*"))),
    )


def problems(after: Inventory, quiet: Inventory, ends: str, either: str = "") -> list[str]:
    """What a run that was killed has left otherwise than the `quiet` one; one sentence each, none when all is well.

    `either`: the end of the keys of objects of which there are two right versions; what was recorded decides.
    """
    return [*_titles(after, quiet, ends, either), *_recorded(after), *_leftovers(after)]


def _titles(after: Inventory, quiet: Inventory, ends: str, either: str) -> Iterator[str]:
    model = next(name for name, status in quiet.assets.items() if status.startswith(ends))
    expected, statuses = _shape(quiet, model), (quiet.assets[model], *GIVEN_UP)
    if quiet.assets[model] not in after.assets.values():
        yield f"no title is {quiet.assets[model]}: {sorted(after.assets.values())}"
    for name, status in after.assets.items():
        if status not in statuses:
            yield f"a title is {status}, which is no way to end here"
        wanted = expected if status == quiet.assets[model] else {}
        shape = _shape(after, name)
        yield from (f"missing: {key}" for key in sorted(wanted.keys() - shape.keys()))
        yield from (f"orphaned: {key} of a title that is {status}" for key in sorted(shape.keys() - wanted.keys()))
        changed = [key for key in sorted(wanted.keys() & shape.keys()) if wanted[key] != shape[key]]
        yield from (f"other bytes: {key}" for key in changed if not (either and key.endswith(either)))
        if not either and status == "ready" and after.published.get(name) != quiet.published.get(model):
            yield "another presentation was published"


def _shape(inventory: Inventory, asset: str) -> dict[str, str]:
    """The objects of one title, under names that are the same for every title of the same source."""
    return {key.replace(asset, "…"): sha256 for key, sha256 in inventory.objects.items() if f"/{asset}/" in key}


def _recorded(after: Inventory) -> Iterator[str]:
    for key, sha256 in after.recorded.items():
        if after.objects.get(key) != sha256:
            yield f"recorded, but not stored like that: {key}"
    for asset, source in after.source_sha256.items():
        if after.assets[asset] == "ready" and after.objects.get(f"{keys.SOURCES}{asset}/source") != source:
            yield "the source does not have the SHA-256 that was recorded"


def _leftovers(after: Inventory) -> Iterator[str]:
    owned = tuple(f"/{asset}/" for asset in after.assets)
    yield from (f"orphaned: {key}" for key in after.objects if not any(part in key for part in owned))
    yield from (f"an open multipart upload of {key}" for key in after.multiparts)
    yield from after.unfinished
    yield from (f"a work folder: {name}" for name in after.folders)
