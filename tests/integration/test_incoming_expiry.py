"""Uploads that nobody looks after: given up, closed or freed by the sweeper, and never while somebody is sending."""

from __future__ import annotations

import os

import pytest

import catalog.store
from ingest import sessions, store
from ingest.expiry import expire
from ingest.upload import PART_BYTES, Offer
from kit.storage import MissingUpload
from media import keys
from tests.upload_server import Site, site

__all__ = ["site"]


def age(site: Site, path: str) -> None:
    """Nothing arrived for too long, and nobody is sending."""
    site.sql("UPDATE uploads SET expires_at = now() - interval '1 second', lease_until = NULL WHERE id = :id", id=site.session(path).id)


def asset_of(site: Site, path: str) -> tuple[object, ...]:
    return site.sql("SELECT status, error_code FROM assets WHERE id = :id", id=site.session(path).asset_id)[0]


def is_freed(site: Site, path: str) -> bool:
    session = site.session(path)
    rows = site.sql("SELECT freed_at IS NOT NULL FROM uploads WHERE id = :id", id=session.id)
    parts = site.sql("SELECT count(*) FROM upload_parts WHERE upload_id = :id", id=session.id)
    return rows == [(True,)] and parts == [(0,)] and site.leftovers(path) == []


def test_an_idle_upload_expires_and_frees_its_parts_and_tails(site: Site) -> None:
    path = site.create(3 * PART_BYTES)
    assert site.patch(path, 0, os.urandom(PART_BYTES + 5)).status_code == 204
    session = site.session(path)
    assert session.multipart_id is not None
    expire(site.world)
    assert site.session(path).state == "receiving"
    age(site, path)
    expire(site.world)
    assert site.session(path).state == "expired"
    assert asset_of(site, path) == ("errored", "upload_expired")
    assert is_freed(site, path)
    with pytest.raises(MissingUpload):
        site.world.storage.put_part(keys.source(session.asset_id), session.multipart_id, 2, b"x")
    site.head(path, status=410)


def test_an_upload_that_was_never_begun_expires_too(site: Site) -> None:
    path = site.create()
    age(site, path)
    expire(site.world)
    assert (site.session(path).state, asset_of(site, path)) == ("expired", ("errored", "upload_expired"))


def test_an_upload_that_somebody_is_sending_to_never_expires(site: Site) -> None:
    path = site.create(10)
    sessions.begin(site.world, site.session(path).id, Offer(0, 10))
    site.sql("UPDATE uploads SET expires_at = now() - interval '1 second' WHERE id = :id", id=site.session(path).id)
    expire(site.world)
    assert site.session(path).state == "receiving"


def test_a_server_killed_before_it_closed_an_upload_is_finished_for(site: Site) -> None:
    data = os.urandom(PART_BYTES + 9)
    path = site.create(len(data))
    assert site.patch(path, 0, data[:PART_BYTES]).status_code == 204
    held = sessions.begin(site.world, site.session(path).id, Offer(PART_BYTES, 9))
    assert held.multipart_id is not None
    part = site.world.storage.put_part(keys.source(held.asset_id), held.multipart_id, 2, data[PART_BYTES:])
    sessions.release(site.world, sessions.commit(site.world, held, offset=len(data), tails=(), parts=(part,), size_bytes=len(data)))
    assert site.offset(path) == len(data)  # what a client sees that comes back now
    assert expire(site.world).completed == 1
    assert site.session(path).state == "complete"
    assert site.source(path) == data
    assert asset_of(site, path) == ("processing", None)
    assert expire(site.world).completed == 0


def test_the_next_request_closes_it_just_as_well(site: Site) -> None:
    path = site.create(5)
    held = sessions.begin(site.world, site.session(path).id, Offer(0, 5))
    multipart_id = sessions.open_multipart(site.world, held)
    part = site.world.storage.put_part(keys.source(held.asset_id), multipart_id, 1, b"bytes")
    sessions.release(site.world, sessions.commit(site.world, held, offset=5, tails=(), parts=(part,), size_bytes=5))
    assert site.patch(path, 5, b"").status_code == 204
    assert site.source(path) == b"bytes"


def test_closing_twice_is_closing_once(site: Site) -> None:
    path = site.create(5)
    site.patch(path, 0, b"bytes")
    first = site.session(path)
    assert sessions.close(site.world, first.id) == first


def test_an_upload_of_a_deleted_asset_is_cancelled_and_freed(site: Site) -> None:
    path = site.create(3 * PART_BYTES)
    site.patch(path, 0, os.urandom(PART_BYTES + 1))
    with site.world.db.begin() as conn:
        catalog.store.delete_asset(conn, site.session(path).asset_id)
    expire(site.world)
    assert site.session(path).state == "cancelled"
    assert is_freed(site, path)


def test_what_a_cancellation_could_not_free_is_freed_later(site: Site) -> None:
    path = site.create(3 * PART_BYTES)
    site.patch(path, 0, os.urandom(PART_BYTES + 1))
    site.sql("UPDATE uploads SET state = 'cancelled' WHERE id = :id", id=site.session(path).id)  # killed right after its transaction
    assert site.leftovers(path) != []
    assert expire(site.world).freed >= 1
    assert is_freed(site, path)
    with site.world.db.begin() as conn:
        assert store.unfreed_uploads(conn, 100) == ()


def test_a_source_that_is_not_as_long_as_the_upload_is_never_handed_over(site: Site) -> None:
    path = site.create(5)
    held = sessions.begin(site.world, site.session(path).id, Offer(0, 5))
    multipart_id = sessions.open_multipart(site.world, held)
    part = site.world.storage.put_part(keys.source(held.asset_id), multipart_id, 1, b"byte")
    sessions.release(site.world, sessions.commit(site.world, held, offset=5, tails=(), parts=(part,), size_bytes=5))
    expire(site.world)
    assert (site.session(path).state, asset_of(site, path)) == ("errored", ("errored", "upload_lost"))
