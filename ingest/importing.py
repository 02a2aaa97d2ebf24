"""Import by URL: a file that somebody else serves becomes a source object, without ever lying on local disk as a whole.

`request_import` queues the work, `run_import` is the step. The address is fetched by the guarded client (`kit.http`) and
streamed into a multipart upload on the source key. A step may be killed at any time and writes no SQL, so the id of the
multipart upload is kept in a small object (`media.keys.import_note`): the next attempt frees what the one before left behind.
A source object that is there is whole, so an attempt that finds one has nothing left to do.

Codes: `import_refused` (an address that is not fetched; final), `import_failed` (the other side; retried unless its answer was
final), `too_large`, `empty` (both final), `cancelled`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import anyio.to_thread
from sqlalchemy import Connection

import catalog.store
from catalog.asset import AssetEvent
from ingest import strays, upload
from ingest.received import received
from ingest.writer import Target, part_writer
from kit import http, job_store
from kit.errors import BadRequest, HeadwaterError, Rejected, StepFailed, TooLarge, Unavailable
from kit.http import AddressRefused, FetchFailed, GuardedClient, Limits, Response, ResponseTooLarge
from kit.jobs import Job, NewJob
from kit.step import Beat
from kit.storage import MissingObject, Storage, StoredPart
from kit.world import World
from media import keys
from media.ids import AssetId, UploadId

IMPORT = "ingest.import_url"
_CANCEL_POLL_S = 0.5
_SLOWEST_BYTES_S = 10_000  # for a minute; a server that drips would keep a worker for hours


class ImportFailed(StepFailed):
    """The other side did not deliver. `retry` says whether another attempt may help."""

    code = "import_failed"


@dataclass(frozen=True, slots=True)
class SourceObject:
    """A whole source in the store."""

    key: str
    size_bytes: int


def request_import(conn: Connection, asset_id: AssetId, url: str) -> Job:
    """Queue the import of `url` as the source of an asset. Raises BadRequest (`import_refused`) for what is never fetched."""
    try:
        http.check_url(url)
    except AddressRefused as refused:
        raise BadRequest(refused.detail, code="import_refused") from None
    catalog.store.advance(conn, asset_id, AssetEvent.RECEIVING)
    return job_store.enqueue(conn, NewJob(IMPORT, asset_id, asset_id, {"url": url}, max_attempts=5))


def run_import(world: World, job: Job, beat: Beat) -> SourceObject:
    """The step. Raises HeadwaterError with one of the codes above."""
    asset_id = AssetId(job.asset_id)
    with suppress(MissingObject):
        found = world.storage.stat(keys.source(asset_id))
        _forget(world.storage, asset_id)  # what an attempt left that was killed after its last part
        return SourceObject(found.key, found.size_bytes)
    try:
        return asyncio.run(_cancellable(world, asset_id, str(job.args["url"]), beat))
    except AddressRefused as refused:
        raise BadRequest(refused.detail, code="import_refused") from refused
    except ResponseTooLarge as refused:
        raise TooLarge(refused.detail) from refused
    except FetchFailed as failed:
        said = ImportFailed(failed.detail)
        said.retry = failed.retry
        raise said from failed


def save_import(conn: Connection, world: World, job: Job, source: SourceObject) -> None:  # noqa: ARG001 - the shape of a step
    received(conn, AssetId(job.asset_id), source.key, source.size_bytes)


async def _cancellable(world: World, asset_id: AssetId, url: str, beat: Beat) -> SourceObject:
    """The transfer, broken off within a second of the step being cancelled."""
    transfer = asyncio.create_task(_transfer(world, asset_id, url, beat))
    while not transfer.done() and not beat.cancelled.is_set():
        await asyncio.wait({transfer}, timeout=_CANCEL_POLL_S)
    transfer.cancel()
    await asyncio.wait({transfer})
    try:
        return transfer.result()
    except asyncio.CancelledError:
        raise StepFailed("The import was cancelled.", code="cancelled") from None


async def _transfer(world: World, asset_id: AssetId, url: str, beat: Beat) -> SourceObject:
    settings = world.settings
    limits = Limits(size_bytes=settings.max_upload_bytes, slowest_bytes_s=_SLOWEST_BYTES_S)
    async with GuardedClient(private_addresses=settings.import_private_addresses) as client, client.get(url, limits) as response:
        multipart_id = _open(world.storage, asset_id)
        try:
            size_bytes = await _store(world, asset_id, multipart_id, response, beat)
        except (HeadwaterError, asyncio.CancelledError):
            with suppress(Unavailable):  # the note is still there for the next attempt
                _forget(world.storage, asset_id)
            raise
        world.storage.delete(keys.import_note(asset_id))
    return SourceObject(keys.source(asset_id), size_bytes)


async def _store(world: World, asset_id: AssetId, multipart_id: str, response: Response, beat: Beat) -> int:
    parts: list[StoredPart] = []

    async def opened() -> str:
        return multipart_id

    async def stored(part: StoredPart) -> None:
        parts.append(part)

    key, expected = keys.source(asset_id), response.size_bytes
    part_bytes = upload.part_bytes(expected or world.settings.max_upload_bytes)
    target = Target(key, part_bytes, opened, stored, lambda tail: keys.upload_tail(UploadId(asset_id), tail.epoch, tail.end))
    async with part_writer(world.storage, world.settings.scratch_dir, target) as writer:
        async for data in response.chunks():
            await writer.write(data)
            beat.progress(writer.position / expected if expected else 0.0, received_bytes=writer.position)
        if writer.position == 0:
            raise Rejected("The address gave an empty file.", code="empty")
        await writer.finish()
        await anyio.to_thread.run_sync(world.storage.complete_multipart, key, multipart_id, parts)
        return writer.position


def _open(storage: Storage, asset_id: AssetId) -> str:
    """A new multipart upload, noted, after freeing those of attempts that were killed."""
    _forget(storage, asset_id)
    multipart_id = storage.create_multipart(keys.source(asset_id))
    storage.put(keys.import_note(asset_id), multipart_id.encode())
    return multipart_id


def _forget(storage: Storage, asset_id: AssetId) -> None:
    """Frees the multipart upload that is noted, and any whose maker was killed before it could note it."""
    key, note = keys.source(asset_id), keys.import_note(asset_id)
    with suppress(MissingObject):
        storage.abort_multipart(key, storage.get(note).decode())
    strays.abort(storage, key)
    storage.delete(note)
