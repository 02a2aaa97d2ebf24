"""The playback API by itself, in both ways of delivery, on a live database and a live object store."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import httpx
import pytest

from catalog import store
from kit.storage.s3 import open_storage
from kit.world import World
from media import keys
from tests.contract.breaking_proxy import BreakingProxy
from tests.edge_rig import CountingOrigin
from tests.published import POSTER, Published, publish, published
from tests.titles import names_of, new_asset, plan_of, put_objects, save_tables, title_of

CORS = {"access-control-allow-origin": "*", "timing-allow-origin": "*", "x-content-type-options": "nosniff"}


@contextmanager
def client_of(world: World, delivery: Literal["stream", "accel"] = "stream") -> Iterator[httpx.Client]:
    """A process of the API, and somebody who talks to it."""
    origin = CountingOrigin(dataclasses.replace(world, settings=dataclasses.replace(world.settings, delivery=delivery)))
    origin.start()
    try:
        with httpx.Client(base_url=origin.address, headers={"Accept-Encoding": "identity"}, timeout=30) as client:
            yield client
    finally:
        origin.stop()


@pytest.fixture
def title(world: World) -> Published:
    return published(world)


@pytest.fixture
def http(world: World) -> Iterator[httpx.Client]:
    with client_of(world) as client:
        yield client


def test_everything_that_the_playlists_name_can_be_fetched(http: httpx.Client, title: Published) -> None:
    multivariant = http.get(f"{title.base}main.m3u8")
    assert multivariant.text == title.multivariant
    playlists = [line for line in multivariant.text.splitlines() if line and not line.startswith("#")]
    playlists += [part.split('"')[0] for part in multivariant.text.split('URI="')[1:]]
    assert len(playlists) == 5
    for playlist in playlists:
        answer = http.get(title.base + playlist)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.apple.mpegurl")
        folder = playlist.rpartition("/")[0]
        for line in answer.text.splitlines():
            name = line if not line.startswith("#") else "init.mp4" if "EXT-X-MAP" in line else ""
            if name:
                assert http.head(f"{title.base}{folder}/{name}").status_code == 200


def test_streamed_bytes_are_the_stored_ones(http: httpx.Client, title: Published) -> None:
    data = title.title.bodies["480p"][1]
    whole = http.get(title.segment(1))
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["content-type"] == "video/iso.segment"
    assert whole.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()[:40]}"'
    part = http.get(title.segment(1), headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, data[10:20], f"bytes 10-19/{len(data)}")
    assert http.get(title.segment(1), headers={"Range": "bytes=-5"}).content == data[-5:]
    beyond = http.get(title.segment(1), headers={"Range": f"bytes={len(data)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(data)}")
    head = http.head(title.segment(1), headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(data)))
    assert http.get(title.segment(1), headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert http.get(title.of_plan("480p/init.mp4")).content == title.title.inits["480p"]
    assert http.get(f"{title.base}poster.jpg").content == http.get(title.of_plan("poster.jpg")).content == POSTER


def test_playlists_come_packed_to_those_who_ask(http: httpx.Client, title: Published) -> None:
    address = title.of_plan("480p/index.m3u8")
    with http.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
        assert (answer.headers["content-encoding"], answer.headers["content-length"]) == ("gzip", str(len(packed)))
    assert gzip.decompress(packed) == http.get(address).content
    for ignored in ("?_HLS_msn=3&_HLS_part=1", "?_HLS_skip=YES", "?CMCD=bl%3D1"):  # C33
        assert http.get(address + ignored).content == http.get(address).content


def test_with_the_edge_in_front_no_bytes_pass_here(world: World, title: Published) -> None:
    with client_of(world, "accel") as http:
        answer = http.get(title.segment(0), headers={"Range": "bytes=0-9"})
        assert (answer.status_code, answer.content) == (200, b"")
        target = answer.headers["x-accel-redirect"]
        key = keys.media_segment(title.asset, title.title.plan.digest, "480p", 0)
        assert target.startswith(f"/_store/{world.settings.s3_bucket}/{key}?")
        assert "X-Amz-Signature=" in target
        assert http.get(f"{title.base}main.m3u8").text == title.multivariant
        known = http.get(title.segment(0), headers={"If-None-Match": answer.headers["etag"]})
        assert (known.status_code, "x-accel-redirect" in known.headers) == (304, False)


def test_what_is_not_there_looks_the_same_whatever_it_is(http: httpx.Client, world: World, title: Published) -> None:  # C16
    unpublished = title_of(plan_of(source="another"), seed=77)
    _, waiting = new_asset(world, unpublished)
    addresses = [
        "/v/nosuchplayback/main.m3u8", f"/v/{waiting}/main.m3u8", title.segment(999), title.segment(0, "9999p"),
        f"{title.base}other.mpd",
        f"{title.base}{'0' * 64}/480p/00000.m4s", f"{title.base}{'0' * 64}/480p/index.m3u8", f"{title.base}{'0' * 64}/poster.jpg",
        f"{title.base}..%2f..%2fv1%2fassets", f"{title.base}%6dain.m3u8", f"{title.base}main.m3u8%00", title.base, f"/v/{title.playback}",
        f"{title.base}sources/{title.asset}/source", f"/v/{'x' * 80}/main.m3u8", title.of_plan("480p/0.m4s"),
    ]  # fmt: skip
    bodies = set()
    for address in addresses:
        answer = http.get(address)
        assert answer.status_code == 404, address
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "public, max-age=2"
        assert answer.headers["access-control-allow-origin"] == "*"
        bodies.add(answer.content)
    assert len(bodies) == 1


def test_an_object_that_was_lost_is_not_there(http: httpx.Client, world: World, title: Published) -> None:
    world.storage.delete(keys.media_segment(title.asset, title.title.plan.digest, "480p", 2))
    assert http.get(title.segment(2)).status_code == 404


def test_only_reading(http: httpx.Client, title: Published) -> None:  # C14, C40
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = http.request(method, f"{title.base}main.m3u8")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert answer.headers["access-control-allow-origin"] == "*"
    preflight = http.options(title.segment(0), headers={"Origin": "https://a.example", "Access-Control-Request-Method": "GET"})
    assert (preflight.status_code, preflight.content) == (204, b"")


def test_every_answer_may_be_read_by_other_sites_and_sets_nothing(http: httpx.Client, title: Published) -> None:  # C22, C41 to C43
    known = http.get(title.segment(0)).headers["etag"]
    answers = [
        http.get(f"{title.base}main.m3u8"), http.get(title.segment(0)), http.get(title.segment(0), headers={"If-None-Match": known}),
        http.get(title.segment(0), headers={"Range": "bytes=99999999-"}), http.get(title.segment(0), headers={"If-Match": '"x"'}),
        http.get(title.segment(77)), http.post(title.segment(0)), http.options(title.segment(0)),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [200, 200, 304, 416, 412, 404, 405, 204]
    for answer in answers:
        assert CORS.items() <= answer.headers.items()
        assert "cache-control" in answer.headers
        assert "set-cookie" not in answer.headers
        assert answer.headers.get("vary", "Accept-Encoding") == "Accept-Encoding"


def test_two_processes_agree_on_every_tag(world: World, title: Published) -> None:  # C10
    addresses = [f"{title.base}main.m3u8", title.of_plan("480p/index.m3u8"), title.segment(0), f"{title.base}poster.jpg"]
    with client_of(world) as one, client_of(world, "accel") as other:
        assert [one.get(address).headers["etag"] for address in addresses] == [other.get(address).headers["etag"] for address in addresses]


def test_a_deleted_title_is_gone_from_a_fresh_process_at_once(world: World, title: Published) -> None:
    with world.db.begin() as conn:
        store.delete_asset(conn, title.asset)
    with client_of(world) as http:
        for address in (f"{title.base}main.m3u8", title.of_plan("480p/index.m3u8"), title.segment(0), f"{title.base}poster.jpg"):
            assert http.get(address).status_code == 404


def test_a_viewer_sees_one_presentation_or_the_next(world: World) -> None:  # C23
    title = title_of(plan_of(rungs=("480p", "720p")), seed=31)
    asset, playback = new_asset(world, title)
    seen = []
    with client_of(world) as http:
        assert http.get(f"/v/{playback}/main.m3u8").status_code == 404
    seen.append(publish(world, asset, title, "planned"))
    put_objects(world, asset, title, names_of(title.plan))
    with client_of(world) as http:
        assert http.get(f"/v/{playback}/main.m3u8").text == seen[0]
        assert http.get(f"/v/{playback}/{title.plan.digest}/720p/index.m3u8").status_code == 200
    save_tables(world, asset, title, names_of(title.plan))
    seen.append(publish(world, asset, title, "ready"))
    with client_of(world) as http:
        assert http.get(f"/v/{playback}/main.m3u8").text == seen[1]


def test_a_store_that_is_away_is_said_before_the_first_byte(world: World, title: Published) -> None:  # C15
    with BreakingProxy(world.settings.s3_endpoint) as proxy:
        proxy.cut_before_answer = lambda _connection: True
        away = dataclasses.replace(world.settings, s3_endpoint=proxy.address)
        with client_of(dataclasses.replace(world, storage=open_storage(away))) as http:
            for address in (title.segment(0), title.of_plan("480p/index.m3u8")):
                answer = http.get(address)
                assert (answer.status_code, answer.headers["cache-control"], answer.headers["retry-after"]) == (503, "no-store", "1")
                assert answer.headers["access-control-allow-origin"] == "*"


def test_an_answer_that_breaks_is_never_a_short_200(world: World, caplog: pytest.LogCaptureFixture) -> None:  # C15
    title = published(world, seed=12, least=3_000_000, most=3_000_000)
    streaming = dataclasses.replace(world.settings, delivery="stream")
    with BreakingProxy(world.settings.s3_endpoint) as proxy:
        proxy.cut_answer_after_bytes = 1_000_000
        storage = open_storage(dataclasses.replace(streaming, s3_endpoint=proxy.address))
        origin = CountingOrigin(dataclasses.replace(world, settings=streaming, storage=storage))
        origin.start()
        try:
            with caplog.at_level(logging.WARNING):
                received = _read_until_it_breaks(f"{origin.address}{title.segment(0)}")
        finally:
            origin.stop()
    assert received < 3_000_000
    assert "broke off in the middle of an object" in caplog.text
    assert "Traceback" not in caplog.text


def _read_until_it_breaks(address: str) -> int:
    received = 0
    with pytest.raises(httpx.RemoteProtocolError), httpx.stream("GET", address, timeout=60) as answer:
        assert (answer.status_code, answer.headers["content-length"]) == (200, "3000000")
        for piece in answer.iter_raw():
            received += len(piece)
    return received
