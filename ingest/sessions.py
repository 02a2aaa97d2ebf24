"""What can be done to an upload, each as one short transaction: lock the row, decide (`ingest.upload`), save.

The store is called between transactions, never inside one. An upload is closed in two steps, so that any of them may be
repeated after a kill: first the last part and the final offset are committed, then `close` completes the multipart upload and
hands the source over in the transaction that marks the upload complete. Whoever finds an upload between the two (the next
request, or the sweeper through `ingest.expiry`) closes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

import catalog.store
from catalog import early
from catalog.asset import AssetEvent, AssetStatus, NewAsset, WrongStatus
from catalog.early import Early
from ingest import quota, store, strays, upload
from ingest.received import received, received_early
from ingest.upload import Offer, Tail, UploadEvent, UploadGone, UploadSession, UploadState
from kit import db, ids, once
from kit.errors import Unavailable
from kit.storage import MissingUpload, StorageRefused, StoredPart
from kit.world import World
from media import keys
from media.ids import UploadId

_WRONG_PARTS = frozenset({"invalid_part", "InvalidPart", "InvalidPartOrder", "EntityTooSmall"})


@contextmanager
def transaction(world: World) -> Iterator[Connection]:
    """A transaction; a database that is away is said as Unavailable."""
    try:
        with world.db.begin() as conn:
            yield conn
    except SQLAlchemyError as error:
        if db.is_away(error):
            raise Unavailable("The database does not answer; try again in a moment.", code="database_unavailable") from error
        raise


def create(world: World, new: NewAsset, *, owner: str, size_bytes: int | None, metadata: str = "") -> UploadSession:
    """A new asset and its upload. An empty file is complete at once, and its asset is errored. Raises TooLarge and QuotaReached."""
    limit = world.settings.max_upload_bytes
    upload.check_length(size_bytes or 0, limit)
    allowed = quota.Quota(world.settings.max_open_uploads, world.settings.max_open_upload_bytes)
    promised = limit if size_bytes is None else size_bytes
    with transaction(world) as conn:
        if (made := once.made_before(conn)) is not None:
            return store.get(conn, made)[0]
        quota.check(store.reserved(conn, owner, limit), promised, allowed)
        asset = catalog.store.create_asset(conn, new)
        session = store.create(
            conn,
            store.NewUpload(
                id=UploadId(ids.sortable("upl")),
                asset_id=asset.id,
                size_bytes=size_bytes,
                part_bytes=upload.part_bytes(promised),
                expiry_s=world.settings.upload_expiry_s,
                owner=owner,
                metadata=metadata,
            ),
        )
        once.note(conn, session.id)
        return _complete(conn, session) if size_bytes == 0 else session


def read(world: World, upload_id: str) -> UploadSession:
    """The upload, whatever became of it. Raises NotFound."""
    with transaction(world) as conn:
        return store.get(conn, upload_id)[0]


def read_live(world: World, upload_id: str) -> UploadSession:
    """The upload, if its address is still good. Raises NotFound and UploadGone."""
    with transaction(world) as conn:
        session, now = store.get(conn, upload_id)
    upload.check_open(session, now)
    return session


def begin(world: World, upload_id: str, offer: Offer) -> UploadSession:
    """Takes the lease for a request that makes `offer`. The one PATCH that a complete upload accepts gets the session as it is.

    Raises NotFound and what `ingest.upload.begin` raises.
    """
    settings = world.settings
    with transaction(world) as conn:
        session, now = store.lock(conn, upload_id)
        if upload.empty_patch_at_end(session, offer, now):
            return session
        taken = upload.begin(session, offer, now, expiry_s=settings.upload_expiry_s, limit_bytes=settings.max_upload_bytes)
        if catalog.store.advance(conn, session.asset_id, AssetEvent.RECEIVING).status is AssetStatus.DELETED:
            raise UploadGone("The asset of this upload was deleted.", code="asset_deleted")
        if offer.restart:
            store.forget_parts(conn, upload_id)
            early.drop(conn, session.asset_id)
        return store.save(conn, taken)


def still_held(world: World, session: UploadSession, *, renew: bool) -> bool:
    """Whether the request of `session` still has the lease, which is made fresh if `renew` says so."""
    with transaction(world) as conn:
        found, now = store.lock(conn, session.id)
        try:
            fresh = upload.renew(found, session.epoch, now, expiry_s=world.settings.upload_expiry_s)
        except upload.TakenOver:
            return False
        if renew:
            store.save(conn, fresh)
        return True


def open_multipart(world: World, session: UploadSession) -> str:
    """The multipart upload on the source key, created when there is none yet. Raises TakenOver."""
    if session.multipart_id is not None:
        return session.multipart_id
    key = keys.source(session.asset_id)
    created = world.storage.create_multipart(key)
    try:
        with transaction(world) as conn:
            found = upload.owned(store.lock(conn, session.id)[0], session.epoch)
            store.save(conn, replace(found, multipart_id=created))
    except upload.TakenOver:  # but not when the database is away: then the id may have been saved
        world.storage.abort_multipart(key, created)
        raise
    return created


def commit(
    world: World, session: UploadSession, *, offset: int, tails: tuple[Tail, ...], parts: Sequence[StoredPart], size_bytes: int | None
) -> UploadSession:
    """Moves the offset: from here on these bytes are acknowledged. Raises TakenOver."""
    with transaction(world) as conn:
        found, now = store.lock(conn, session.id)
        fresh = upload.renew(found, session.epoch, now, expiry_s=world.settings.upload_expiry_s)
        moved = upload.store(fresh, session.epoch, expected=session.offset, offset=offset, tails=tails, size_bytes=size_bytes)
        store.add_parts(conn, session.id, parts)
        return store.save(conn, moved)


def early_state(world: World, session: UploadSession) -> Early | None:
    """What earlier requests have copied for those who work on the source while it arrives."""
    with transaction(world) as conn:
        return early.load(conn, session.asset_id)


def tell_early(world: World, session: UploadSession, state: Early, index_end: int | None) -> None:
    """The copies reach as far as `state` says. Work begins as soon as the index, which ends at `index_end`, can be read; none does where
    the sound is made as loud as others, because a plan then needs all of it."""
    with transaction(world) as conn:
        asset = catalog.store.get_asset(conn, session.asset_id)
        if asset.wants_normal_loudness(operator_does=world.settings.normalize_audio):
            return
        found, _ = store.lock(conn, session.id)
        if found.epoch == session.epoch:  # else somebody else may be sending another file by now
            wanted = early.arrived(conn, state)
            if wanted and index_end is not None:
                received_early(conn, state, index_end)


def release(world: World, session: UploadSession) -> UploadSession:
    """Gives the lease back, so that the next request need not wait for it to lapse."""
    with transaction(world) as conn:
        return store.save(conn, upload.release(store.lock(conn, session.id)[0], session.epoch))


def close(world: World, upload_id: str) -> UploadSession:
    """Makes the source object out of an upload whose bytes are all stored, and hands it over.

    Any number of callers may do this, one after the other or at once. Raises UploadGone when the upload has ended otherwise
    or its parts are lost, and Unavailable.
    """
    with transaction(world) as conn:
        session, _ = store.lock(conn, upload_id)
        if session.state is UploadState.COMPLETE:
            return session
        upload.next_state(session.state, UploadEvent.FINISH)
        if session.size_bytes == 0:
            return _complete(conn, session)
        parts = store.parts_of(conn, upload_id)
    _make_source(world, session, parts)
    with transaction(world) as conn:
        session, _ = store.lock(conn, upload_id)
        closed = _complete(conn, session) if session.state in upload.OPEN else session
    if closed.state is UploadState.COMPLETE:
        free(world, closed)
        return closed
    world.storage.delete(keys.source(session.asset_id))  # it was given up while the source was being made
    raise UploadGone("The upload was given up while it was being completed.", code=f"upload_{closed.state}")


def _make_source(world: World, session: UploadSession, parts: Sequence[StoredPart]) -> None:
    key = keys.source(session.asset_id)
    assert session.multipart_id is not None
    try:
        world.storage.complete_multipart(key, session.multipart_id, parts)
        size_bytes = world.storage.stat(key).size_bytes
    except (MissingUpload, StorageRefused) as error:
        if isinstance(error, StorageRefused) and error.code not in _WRONG_PARTS:
            raise
        fail(world, session, "upload_lost", "The object store no longer has all the parts of this upload: send the file again.")
        raise UploadGone("The object store no longer has all the parts of this upload.", code="upload_lost") from error
    if size_bytes != session.size_bytes:
        fail(world, session, "upload_lost", f"The stored file has {size_bytes} bytes instead of {session.size_bytes}: send it again.")
        raise UploadGone("The stored file has the wrong size.", code="upload_lost")


def _complete(conn: Connection, session: UploadSession) -> UploadSession:
    """Marks the upload complete and hands the source over, unless the asset was deleted or given up meanwhile."""
    done = upload.advance(session, UploadEvent.FINISH, completed_at=store.database_clock(conn), lease_until=None)
    if session.size_bytes == 0:
        catalog.store.mark_errored(conn, session.asset_id, "empty", "The uploaded file is empty.")
        return store.save(conn, done)
    assert session.size_bytes is not None
    try:
        asset = received(conn, session.asset_id, keys.source(session.asset_id), session.size_bytes)
    except WrongStatus as refused:
        return store.save(conn, upload.advance(session, UploadEvent.FAIL, error_code=refused.code, error_detail=refused.detail))
    if asset.status is AssetStatus.DELETED:
        return store.save(conn, upload.advance(session, UploadEvent.CANCEL, lease_until=None))
    return store.save(conn, done)


def fail(world: World, session: UploadSession, code: str, detail: str) -> None:
    """Gives the upload and its asset up. Raises TakenOver when the request of `session` does not hold it any more: then it
    misses what its successor has moved on, and nothing is lost."""
    with transaction(world) as conn:
        found = upload.owned(store.lock(conn, session.id)[0], session.epoch)
        store.save(conn, upload.advance(found, UploadEvent.FAIL, error_code=code, error_detail=detail, lease_until=None))
        early.drop(conn, session.asset_id)
        catalog.store.mark_errored(conn, session.asset_id, code, detail)


def cancel(world: World, upload_id: str) -> None:
    """Ends the upload at the client's wish: its asset is deleted, its bytes are freed, a request that is sending is cut off.

    Of a complete upload only the address dies: the asset has its source, and deleting an asset takes an API key.
    Raises NotFound, and UploadGone when it has ended already.
    """
    with transaction(world) as conn:
        session, now = store.lock(conn, upload_id)
        upload.check_open(session, now)
        if session.state is UploadState.COMPLETE:
            store.save(conn, replace(session, expires_at=now))
            return
        ended = upload.advance(session, UploadEvent.CANCEL, epoch=session.epoch + 1, lease_until=None)
        store.save(conn, ended)
        catalog.store.delete_asset(conn, session.asset_id)
    with suppress(Unavailable):  # the sweeper tries again
        free(world, ended)


def expire(world: World, upload_id: str) -> UploadSession:
    """Looks after an open upload that nobody holds: closes it, gives it up, or leaves it alone."""
    with transaction(world) as conn:
        session, now = store.lock(conn, upload_id)
        held = session.lease_until is not None and session.lease_until > now
        if held or session.state not in upload.OPEN:
            return session
        if catalog.store.get_asset(conn, session.asset_id).status is AssetStatus.DELETED:
            return store.save(conn, upload.advance(session, UploadEvent.CANCEL, epoch=session.epoch + 1))
        if not upload.ready_to_finish(session):
            if session.expires_at > now:
                return session
            early.drop(conn, session.asset_id)
            catalog.store.mark_errored(conn, session.asset_id, "upload_expired", "The upload was not continued in time.")
            return store.save(conn, upload.advance(session, UploadEvent.EXPIRE, epoch=session.epoch + 1))
    return close(world, upload_id)


def free(world: World, session: UploadSession) -> None:
    """Removes what an ended upload left in the store; of a complete one all but its source. Repeating it is harmless."""
    key = keys.source(session.asset_id)
    if session.state is not UploadState.COMPLETE:
        if session.multipart_id is not None:
            world.storage.abort_multipart(key, session.multipart_id)
        world.storage.delete(key)
    strays.abort(world.storage, key)  # of a request that was killed before it could save the id
    for leftover in world.storage.list(keys.upload_prefix(session.id)):
        world.storage.delete(leftover.key)
    with transaction(world) as conn:
        store.mark_freed(conn, session.id)
