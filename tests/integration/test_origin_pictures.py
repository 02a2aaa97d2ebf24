"""Pictures at the edge: posters, storyboard, preview, and thumbnails that are made when somebody asks."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import catalog.store
from catalog import pictures
from catalog.pictures import Made, Picture
from kit import job_store
from kit.world import World
from media import keys
from media import pictures as names
from tests.edge_rig import Rig
from tests.published import POSTER, Published, planned, published


@pytest.fixture
def title(world: World) -> Published:
    return published(world)


def put(world: World, title: Published, name: str, data: bytes) -> None:
    """Stores and records a picture, as a step does."""
    digest = title.title.plan.digest
    world.storage.put(keys.picture(title.asset, digest, name), data)
    with world.db.begin() as conn:
        pictures.record(conn, title.asset, Made(digest, (Picture(name, hashlib.sha256(data).hexdigest(), len(data)),)))


def make_thumbnail(world: World, title: Published) -> str | None:
    """Plays the worker: makes a thumbnail that was asked for."""
    with world.db.begin() as conn:
        job = job_store.claim(conn, "worker", kinds=[pictures.THUMBNAIL])
    if job is None:
        return None
    name = names.thumbnail(int(job.args["width"]), int(job.args["gop"]))
    put(world, title, name, name.encode())
    with world.db.begin() as conn:
        job_store.finish(conn, job, {})
    return name


def asked(world: World, title: Published) -> int:
    with world.db.connect() as conn:
        return sum(job.kind == pictures.THUMBNAIL for job in job_store.jobs_of_asset(conn, title.asset))


def test_storyboard_preview_and_sheets(edge: Rig, world: World, title: Published) -> None:
    for name in ("storyboard.vtt", "preview.mp4"):
        assert edge.http.get(title.base + name).status_code == 404
    for name in (names.STORYBOARD, names.PREVIEW, names.sheet(0)):
        put(world, title, name, b"WEBVTT\n" + name.encode())
    seen = {name: edge.http.get(title.of_plan(name)) for name in (names.PREVIEW, names.sheet(0), names.STORYBOARD)}
    for name, answer in seen.items():
        assert (answer.status_code, answer.content) == (200, b"WEBVTT\n" + name.encode())
        assert "immutable" in answer.headers["cache-control"]
    assert [seen[name].headers["content-type"] for name in seen] == ["video/mp4", "image/jpeg", "text/vtt"]
    deadline = time.monotonic() + 30
    while edge.http.get(title.base + "storyboard.vtt").status_code == 404:  # as long as the edge remembers that there was none
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "immutable" not in edge.http.get(title.base + "preview.mp4").headers["cache-control"]


def test_the_poster_changes_at_its_stable_address_only(edge: Rig, world: World, title: Published) -> None:
    assert edge.http.get(title.base + "poster.jpg").content == edge.http.get(title.of_plan("poster.jpg")).content == POSTER
    with world.db.begin() as conn:
        pictures.choose_poster(conn, catalog.store.update_details(conn, title.asset, {"poster_time_s": 1.5}))
    put(world, title, "poster-00001500.jpg", b"another")
    with world.db.begin() as conn:
        pictures.show_poster(conn, title.asset)
    deadline = time.monotonic() + 60
    while edge.http.get(title.base + "poster.jpg").content != b"another":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert edge.http.get(title.of_plan("poster-00001500.jpg")).content == b"another"


def test_a_moment_leads_to_a_thumbnail_that_is_made_once_for_all_who_wait(edge: Rig, world: World, title: Published) -> None:
    moved = edge.http.get(title.base + "thumbnail.jpg?t=5.2&width=640&CMCD=anything", follow_redirects=False)
    assert moved.status_code == 302
    address = title.of_plan(names.thumbnail(640, 2))
    assert moved.headers["location"] == address.removeprefix(title.base)
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            make_thumbnail(world, title)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with ThreadPoolExecutor(20) as crowd:
            answers = list(
                crowd.map(lambda at: edge.http.get(title.base + f"thumbnail.jpg?width=640&t={at}", follow_redirects=True), [4, 5.5] * 20)
            )
    finally:
        stop.set()
        worker.join()
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, names.thumbnail(640, 2).encode())}
    assert asked(world, title) == 1
    assert "immutable" in edge.http.get(address).headers["cache-control"]


def test_sizes_and_times_are_bounded(edge: Rig, world: World, title: Published) -> None:
    for query in ("width=333", "width=99999", "t=abc", "t=-4"):
        answer = edge.http.get(f"{title.base}thumbnail.jpg?{query}")
        assert answer.status_code == 400
        assert answer.json()["code"] in ("bad_width", "bad_time")
    for name in ("t/333/00000.jpg", "t/320/00099.jpg"):
        assert edge.http.get(title.of_plan(name)).status_code == 404
    assert asked(world, title) == 0


def test_a_thumbnail_of_what_is_not_encoded_yet_is_not_waited_for(edge: Rig, world: World) -> None:
    title = planned(world)
    answer = edge.http.get(title.base + "thumbnail.jpg?t=1", follow_redirects=True)
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["code"]) == (503, "1", "not_made_yet")
    assert asked(world, title) == 0


def test_one_title_cannot_fill_the_queue_with_thumbnails(
    edge: Rig, world: World, title: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_WAITING", 2)
    with world.db.begin() as conn:
        for gop in (0, 1):
            pictures.want_thumbnail(conn, title.asset, title.title.plan.digest, 320, gop)
    assert edge.http.get(title.of_plan(names.thumbnail(320, 2))).status_code == 503
    assert asked(world, title) == 2
    assert make_thumbnail(world, title) is not None


def test_nothing_is_left_of_a_deleted_title(world: World, title: Published) -> None:
    put(world, title, names.PREVIEW, b"moving")
    with world.db.begin() as conn:
        catalog.store.delete_asset(conn, title.asset)
        catalog.store.purge_rows(conn, title.asset)
        assert pictures.find(conn, title.asset, title.title.plan.digest, [names.PREVIEW]) == {}
