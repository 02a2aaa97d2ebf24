"""Static renditions at the edge: by range from the store, and never in the cache."""

from __future__ import annotations

import hashlib
import random

from catalog import downloads, store
from catalog.downloads import MadeFile
from kit.world import World
from tests.edge_rig import Rig
from tests.published import published


def test_files_are_passed_on_by_range_and_not_kept(edge: Rig, world: World) -> None:
    title, data = published(world), random.Random(5).randbytes(3_000_000)
    with world.db.begin() as conn:
        file = downloads.ask(conn, store.lock_asset(conn, title.asset), "480p.mp4", frozenset())
    path = f"{title.base}download/480p.mp4"
    assert edge.http.get(path).status_code == 404  # not made yet
    world.storage.put(file.key, data)
    with world.db.begin() as conn:
        downloads.record(conn, MadeFile(file.id, hashlib.sha256(data).hexdigest(), len(data)))
    before = edge.cache_entries()

    whole = edge.http.get(path)
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["content-disposition"].startswith("attachment; filename=")
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["access-control-allow-origin"] == "*"
    assert "headwater-store-range" not in whole.headers
    tag = whole.headers["etag"]

    end = edge.http.get(path, headers={"Range": "bytes=2900000-", "If-Range": tag})
    assert (end.status_code, end.content) == (206, data[2_900_000:])
    assert (end.headers["content-range"], end.headers["etag"]) == (f"bytes 2900000-2999999/{len(data)}", tag)
    last = edge.http.get(path, headers={"Range": "bytes=-10"})
    assert (last.status_code, last.content) == (206, data[-10:])
    other = edge.http.get(path, headers={"Range": "bytes=2900000-", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, data)
    assert edge.http.get(path, headers={"Range": "bytes=9999999-"}).status_code == 416
    assert edge.http.get(path, headers={"If-None-Match": tag}).status_code == 304
    head = edge.http.head(path)
    assert (head.status_code, head.headers["content-length"], head.headers["etag"]) == (200, str(len(data)), tag)
    assert edge.http.post(path).status_code == 405
    assert edge.http.options(path).status_code == 204
    assert edge.cache_entries() == before
