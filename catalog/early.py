"""Sources that are worked on while they still arrive: how far they are there, how they are read, and how that is undone.

Parts of a multipart upload cannot be read before the upload is complete. So of a source whose index comes first, the upload keeps
copies of its parts as objects of their own (`ingest.early_copy`), and notes here how far they reach. Work that needs more is held
back (`kit.job_store.reached` lets it go). Readers get the copies while there is no source object, and that object afterwards.

When the upload starts anew, is given up, or turns out to be another file, everything made from it is dropped: jobs, plan, playlists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.asset import Asset, AssetStatus
from catalog.plan_store import drop_renditions, drop_unused_plans
from catalog.source_store import save_source_map
from catalog.store import PURGE, SETTLED_AFTER_S, get_asset, lock_asset
from catalog.tables import assets, early_sources, presentations
from catalog.track_store import drop_embedded
from kit import job_store
from kit.errors import Unavailable
from kit.jobs import NewJob
from kit.scratch import Source
from kit.storage import MissingObject, ObjectInfo, Storage
from media import keys
from media.ids import AssetId, PlanDigest, UploadId

DROP = "catalog.drop"


@dataclass(frozen=True, slots=True)
class Early:
    """The copies of one source. `generation` tells one attempt at sending a file from the next."""

    asset_id: str
    upload_id: str
    generation: int
    size_bytes: int
    part_bytes: int
    arrived_bytes: int  # from the start, without a gap

    def key(self, number: int) -> str:
        """Of the copy of part `number`, from 1."""
        return keys.upload_early(UploadId(self.upload_id), self.generation, number)


class NotArrived(Unavailable):
    """The bytes are still on their way."""

    code = "not_arrived"


def load(conn: Connection, asset_id: str) -> Early | None:
    row = conn.execute(select(early_sources).where(early_sources.c.asset_id == asset_id)).mappings().one_or_none()
    return None if row is None else Early(**row)


def arrived(conn: Connection, early: Early) -> bool:
    """Note that the copies reach so far, and let go what waited for that. False when nobody works on this source any more."""
    asset = lock_asset(conn, early.asset_id)
    if asset.status is not AssetStatus.UPLOADING:
        return False
    values = {name: getattr(early, name) for name in Early.__slots__}
    conn.execute(upsert(early_sources).values(values).on_conflict_do_update(index_elements=["asset_id"], set_=values))
    place = {"source_key": keys.source(AssetId(early.asset_id)), "source_size_bytes": early.size_bytes}
    conn.execute(update(assets).where(assets.c.id == early.asset_id).values(place))
    job_store.reached(conn, early.asset_id, early.arrived_bytes)
    return True


def drop(conn: Connection, asset_id: str) -> None:
    """Undo everything that was made early, if anything was. What still lies in the store is removed by the step "catalog.drop"."""
    asset = lock_asset(conn, asset_id)
    early = load(conn, asset_id)
    if early is None:
        return
    job_store.cancel_asset(conn, asset_id)
    job_store.forget(conn, asset_id, keep=(DROP, PURGE))
    conn.execute(delete(early_sources).where(early_sources.c.asset_id == asset_id))
    conn.execute(delete(presentations).where(presentations.c.asset_id == asset_id))
    nothing = dict.fromkeys(("source", "source_digest", "source_sha256", "plan_digest", "playable_at"))
    place = dict.fromkeys(("source_key", "source_size_bytes")) if asset.received_at is None else {}
    conn.execute(update(assets).where(assets.c.id == asset_id).values({**nothing, **place, "playable": False}))
    save_source_map(conn, asset_id, None)
    drop_renditions(conn, asset_id)
    drop_embedded(conn, asset_id)
    if asset.plan_digest is not None:
        drop_unused_plans(conn, [asset.plan_digest])
        subject = f"{asset_id}/{asset.plan_digest}/{early.generation}"
        job_store.enqueue(conn, NewJob(DROP, subject, asset_id, weight=0.0, delay_s=SETTLED_AFTER_S, max_attempts=20))


def is_dropped(conn: Connection, asset_id: str, plan_digest: str) -> bool:
    """Whether nothing of that plan is wanted any more: the same file may have come again."""
    return get_asset(conn, asset_id).plan_digest != plan_digest


def dropped_prefix(subject: str) -> tuple[str, str]:
    """The plan that a "catalog.drop" is about, and where its objects lie."""
    asset_id, digest, _ = subject.split("/")
    return digest, keys.plan_prefix(AssetId(asset_id), PlanDigest(digest))


def reader(storage: Storage, asset: Asset, early: Early | None) -> tuple[Source, str]:
    """What the source is read through, and the name under which its bytes are kept. The asset has a source key."""
    assert asset.source_key is not None
    if early is None:
        return storage, asset.source_key
    # Another attempt may send other bytes: they must not meet those that a machine has kept.
    return _EarlySource(storage, early, asset.source_key), f"{asset.source_key}#{early.generation}"


@dataclass(frozen=True, slots=True)
class _EarlySource:
    """`kit.scratch.Source` of one source, whatever it is asked for."""

    storage: Storage
    early: Early
    source_key: str

    def stat(self, key: str) -> ObjectInfo:
        return ObjectInfo(key, self.early.size_bytes, "", datetime.min.replace(tzinfo=UTC))

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterable[bytes]:
        del key
        return self._pieces(start, self.early.size_bytes if end is None else end)

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            stop = min(end, start - start % self.early.part_bytes + self.early.part_bytes)
            if stop <= self.early.arrived_bytes:
                yield from self._copied(start, stop)
                start = stop
            else:
                yield from self._whole(start, end)
                return

    def _copied(self, start: int, stop: int) -> Iterable[bytes]:
        """Bytes of one part."""
        number, offset = divmod(start, self.early.part_bytes)
        try:
            return self.storage.stream(self.early.key(number + 1), start=offset, end=offset + stop - start)
        except MissingObject:  # the upload is complete, and its copies are gone
            return self._whole(start, stop)

    def _whole(self, start: int, end: int) -> Iterable[bytes]:
        try:
            return self.storage.stream(self.source_key, start=start, end=end)
        except MissingObject as missing:
            raise NotArrived(f"Of the source, the bytes from {start} to {end} have not arrived yet.") from missing
