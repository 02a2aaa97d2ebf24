"""The edge as it really behaves: nginx with the rendered configuration, before the real API and a real object store.

Requests that reach the origin and reads that reach the store are counted. Waiting is bounded by the cache times of
`origin.caching`; nothing here measures speed.
"""

from __future__ import annotations

import concurrent.futures
import gzip
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from catalog import store
from kit.world import World
from media import keys
from origin.edge import EdgeSettings
from origin.edge_files import prepare
from stack import binaries
from tests.edge_rig import Rig
from tests.plain_http import NO_TLS
from tests.published import POSTER, Published, publish, published
from tests.titles import names_of, new_asset, plan_of, put_objects, save_tables, title_of

IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture
def title(world: World) -> Published:
    return published(world)


def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within 30 s")


def raw(rig: Rig, request_line: str, *headers: str) -> bytes:
    """The whole answer to a request that no client library would send."""
    with socket.create_connection(("127.0.0.1", rig.port), timeout=10) as client:
        client.sendall("\r\n".join([request_line, "Host: edge", "Connection: close", *headers, "", ""]).encode("latin-1"))
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_nginx_accepts_the_configuration_silently(tmp_path: Path) -> None:
    variants = [
        EdgeSettings(("127.0.0.1:8080",), "127.0.0.1:8000", "http://127.0.0.1:8333", tmp_path / "a"),
        EdgeSettings(("0.0.0.0:8080", "[::]:8080"), "unix:/tmp/api.sock", "http://s3.localhost:8333", tmp_path / "b", resolver="127.0.0.11",
                     trusted_proxies=("10.0.0.0/8", "::1"), access_log=tmp_path / "access.log", public_scheme="https", workers=2),
    ]  # fmt: skip
    for settings in variants:
        done = subprocess.run([*prepare(settings, binaries.nginx()), "-t"], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        assert "warn" not in done.stderr


def test_a_segment_comes_from_the_store_once_and_then_from_the_cache(edge: Rig, title: Published) -> None:
    cold = edge.http.get(title.segment(0))
    assert (cold.status_code, cold.content) == (200, title.title.bodies["480p"][0])
    assert cold.headers["cache-status"] == "headwater-edge; fwd=miss"
    assert cold.headers["content-type"] == "video/iso.segment"
    assert cold.headers["cache-control"] == IMMUTABLE
    warm = edge.http.get(title.segment(0))
    assert warm.content == cold.content
    assert warm.headers["cache-status"] == "headwater-edge; hit"
    assert warm.headers["etag"] == cold.headers["etag"]
    assert edge.origin.requests == [("GET", title.segment(0))]
    assert edge.relay.reads("480p/00000.m4s") == 1


def test_two_hundred_cold_requests_are_one(edge: Rig, title: Published) -> None:  # C26
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda _: httpx.get(edge.address + title.segment(1), timeout=60, verify=NO_TLS), range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {title.title.bodies["480p"][1]}
    assert len(edge.origin.requests) == 1
    assert edge.relay.reads("480p/00001.m4s") == 1


def test_a_thousand_cmcd_queries_are_one_entry(edge: Rig, title: Published) -> None:  # C28
    for number in range(1000):
        answer = edge.http.get(f"{title.segment(0)}?CMCD=bl%3D{number}%2Csid%3D%22{number}%22")
        assert answer.status_code == 200
    assert len(edge.origin.requests) == 1
    assert edge.relay.reads("480p/00000.m4s") == 1
    assert edge.cache_entries() == 1


def test_head_and_ranges_are_answered_from_the_cache(edge: Rig, title: Published) -> None:  # C1 to C6
    data = title.title.bodies["480p"][0]
    cold = edge.http.get(title.segment(0), headers={"Range": "bytes=100-199"})  # the first request fills the cache with the whole
    assert (cold.status_code, cold.content) == (206, data[100:200])
    whole, head = edge.http.get(title.segment(0)), edge.http.head(title.segment(0), headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.content) == (200, b"")
    changing = ("date", "x-request-id")
    assert [pair for pair in sorted(head.headers.items()) if pair[0] not in changing] == [
        pair for pair in sorted(whole.headers.items()) if pair[0] not in changing
    ]
    for header, status, content in [
        ("bytes=0-0", 206, data[:1]),
        ("bytes=-500", 206, data[-500:]),
        (f"bytes={len(data) - 1}-", 206, data[-1:]),
        (f"bytes=0-9,{len(data) + 5}-", 206, data[:10]),
        ("bytes=0-9,20-29", 200, data),
        ("items=0-9", 200, data),
    ]:
        answer = edge.http.get(title.segment(0), headers={"Range": header})
        assert (header, answer.status_code, answer.content) == (header, status, content)
    beyond = edge.http.get(title.segment(0), headers={"Range": f"bytes={len(data)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(data)}")
    assert len(edge.origin.requests) == 1


def test_conditions_are_answered_from_the_cache(edge: Rig, title: Published) -> None:  # C7 to C9
    data = title.title.bodies["480p"][0]
    tag = edge.http.get(title.segment(0)).headers["etag"]
    for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = edge.http.get(title.segment(0), headers={"If-None-Match": header})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert answer.headers["cache-control"] == IMMUTABLE
    assert edge.http.get(title.segment(0), headers={"If-Match": '"x"'}).status_code == 412
    assert edge.http.get(title.segment(0), headers={"If-Range": tag, "Range": "bytes=0-4"}).content == data[:5]
    assert edge.http.get(title.segment(0), headers={"If-Range": f"W/{tag}", "Range": "bytes=0-4"}).content == data
    assert len(edge.origin.requests) == 1


def test_playlists_are_kept_in_two_forms_and_segments_in_one(edge: Rig, title: Published) -> None:  # C11 to C13
    address = title.of_plan("480p/index.m3u8")
    for header in ("gzip", "br, gzip;q=0.5", "GZIP", "*"):
        with edge.http.stream("GET", address, headers={"Accept-Encoding": header}) as answer:
            packed = b"".join(answer.iter_raw())
            assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "Accept-Encoding")
    for header in ("identity", "br", "gzip;q=0", "gzip;q=0, *", ""):
        plain = edge.http.get(address, headers={"Accept-Encoding": header})
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(packed) == plain.content
    assert (len(edge.origin.requests), edge.cache_entries()) == (2, 2)
    for header in ("gzip", "identity", "br"):
        assert "content-encoding" not in edge.http.get(title.segment(0), headers={"Accept-Encoding": header}).headers
    assert (len(edge.origin.requests), edge.cache_entries()) == (3, 3)


def test_every_answer_may_be_read_by_other_sites(edge: Rig, title: Published) -> None:  # C22, C29, C41, C43
    tag = edge.http.get(title.segment(0)).headers["etag"]
    answers = [
        edge.http.get(title.segment(0)), edge.http.get(title.segment(0), headers={"If-None-Match": tag}),
        edge.http.get(title.segment(0), headers={"Range": "bytes=99999999-"}), edge.http.get(title.segment(0), headers={"If-Match": '"x"'}),
        edge.http.get(title.segment(77)), edge.http.get(f"{title.base}%2e%2e/x"),
        edge.http.post(title.segment(0), content=b"x" * 3_000_000),
        edge.http.options(title.segment(0)), edge.http.head(f"{title.base}main.m3u8"),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [200, 304, 416, 412, 404, 404, 405, 204, 200]
    for answer in answers:
        for name, value in {"access-control-allow-origin": "*", "timing-allow-origin": "*", "x-content-type-options": "nosniff"}.items():
            assert answer.headers.get_list(name) == [value], answer
        assert len(answer.headers.get_list("cache-control")) == 1
        assert "set-cookie" not in answer.headers
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
    preflight = answers[7].headers
    assert preflight["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "CMCD-Session" in preflight["access-control-allow-headers"]
    assert answers[6].headers["allow"] == "GET, HEAD, OPTIONS"


def test_nothing_of_the_store_or_of_the_client_goes_where_it_should_not(edge: Rig, title: Published) -> None:
    edge.http.get(title.segment(0), headers={"Authorization": "Bearer hw_secret", "Cookie": "session=secret", "X-Amz-Meta-A": "b"})
    assert not {"authorization", "cookie", "x-amz-meta-a"} & edge.origin.headers[0].keys()
    assert edge.origin.headers[0]["x-forwarded-for"] == "127.0.0.1"
    missing = published(edge.world, seed=99)
    edge.world.storage.delete(keys.media_segment(missing.asset, missing.title.plan.digest, "480p", 0))
    for address in (title.segment(0), title.base + "poster.jpg", missing.segment(0)):
        answer = edge.http.get(address)
        said = (str(answer.headers) + (answer.text if answer.status_code == 404 else "")).lower()
        for secret in (
            "x-amz",
            "signature",
            "credential",
            "presentations/",
            "last-modified",
            "x-accel",
            "x-client-",
            "headwater-edge-cache",
        ):
            assert secret not in said
    assert edge.http.get(missing.segment(0)).status_code == 404
    assert edge.http.get(f"{title.base}poster.jpg").content == POSTER


def test_request_ids_reach_the_origin_and_are_never_those_of_the_cached_answer(edge: Rig, title: Published) -> None:
    first, second = edge.http.get(title.segment(0)), edge.http.get(title.segment(0))
    assert edge.origin.headers[0]["x-request-id"] == first.headers["x-request-id"]
    assert "x-request-id" not in second.headers  # nobody was asked
    refused = edge.http.get(title.segment(77))
    assert edge.origin.headers[1]["x-request-id"] == refused.headers["x-request-id"] == refused.json()["request_id"]


def test_no_crooked_path_leads_anywhere(edge: Rig, title: Published) -> None:  # C16, C52, C56
    id_ = title.playback
    paths = [
        f"/v/{id_}/../../_store/b/x", f"/v/{id_}/%2e%2e/{id_}/main.m3u8", f"/v/{id_}%2fmain.m3u8", f"/v/{id_}/main.m3u8%00",
        f"/v//{id_}/main.m3u8", f"/v/{id_}/..;/main.m3u8", f"/v/{id_}/%5c..%5cmain.m3u8", f"/v/./{id_}/main.m3u8",
        f"/v/{id_}/main.m3u8%0d%0aX-Accel-Redirect:%20/_store/", "/_store/headwater/x", "/%5fstore/headwater/x",
        "/x/../_store/headwater/x", "/_error/media_404", f"/v/{id_}/%252e%252e/main.m3u8", f"/v/{id_}/main.m3u8/", f"/v/{id_}/%6dain.m3u8",
    ]  # fmt: skip
    for path in paths:
        answer = raw(edge, f"GET {path} HTTP/1.1")
        assert answer.split(b" ", 2)[1] in (b"400", b"404"), path
        assert b"#EXTM3U" not in answer
    assert not edge.relay.requests
    assert edge.cache_entries() <= 1  # the 404 of the one path that is spelled properly


def test_a_client_cannot_choose_the_object(edge: Rig, title: Published) -> None:
    answer = raw(edge, f"GET {title.base}main.m3u8 HTTP/1.1", "X-Accel-Redirect: /_store/secret", "X-Accel-Expires: 99999")
    assert answer.startswith(b"HTTP/1.1 200")
    assert not edge.relay.requests


def test_a_title_appears_soon_after_it_was_asked_for_in_vain(edge: Rig, world: World) -> None:  # C21
    title = title_of(plan_of(source="late"), seed=21)
    asset, playback = new_asset(world, title)
    address = f"/v/{playback}/main.m3u8"
    vain = edge.http.get(address)
    assert (vain.status_code, vain.headers["cache-control"]) == (404, "public, max-age=2")
    planned = publish(world, asset, title, "planned")
    eventually(lambda: edge.http.get(address).status_code == 200)
    assert edge.http.get(address).text == planned
    put_objects(world, asset, title, names_of(title.plan))
    save_tables(world, asset, title, names_of(title.plan))
    ready = publish(world, asset, title, "ready")
    eventually(lambda: edge.http.get(address).text == ready)


def test_the_multivariant_is_asked_for_again_and_not_sent_again(edge: Rig, title: Published) -> None:
    address = f"{title.base}main.m3u8"
    first = edge.http.get(address)
    assert first.headers["cache-control"] == "public, max-age=60, stale-while-revalidate=600, stale-if-error=86400"
    eventually(lambda: edge.http.get(address).headers["cache-status"] != "headwater-edge; hit")
    eventually(lambda: len(edge.origin.requests) >= 2)
    assert edge.origin.headers[1]["if-none-match"] == first.headers["etag"]
    assert edge.http.get(address).content == first.content


def test_a_deleted_title_leaves_the_playlists_of_the_edge(edge: Rig, world: World, title: Published) -> None:
    multivariant, playlist = f"{title.base}main.m3u8", title.of_plan("480p/index.m3u8")
    addresses = [multivariant, playlist, f"{title.base}poster.jpg"]
    assert {edge.http.get(address).status_code for address in addresses} == {200}
    with world.db.begin() as conn:
        store.delete_asset(conn, title.asset)
    eventually(lambda: edge.http.get(playlist).status_code == 404)  # its ten seconds are over by then
    time.sleep(13)  # nobody asked for the others: fresh for 2 s, stale for 8 s more, remembered by the origin for 2 s
    with concurrent.futures.ThreadPoolExecutor(30) as pool:  # together, so that no one is served with what another is renewing
        asked = pool.map(lambda number: httpx.get(edge.address + addresses[number % 3], timeout=30, verify=NO_TLS), range(30))
        answers = [answer.status_code for answer in asked]
    assert set(answers) == {404}


def test_viewers_go_on_while_the_origin_is_down(edge: Rig, title: Published) -> None:  # C25
    addresses = [f"{title.base}main.m3u8", title.of_plan("480p/index.m3u8"), title.segment(0)]
    before = [edge.http.get(address).content for address in addresses]
    edge.origin.stop()
    time.sleep(12)  # the multivariant has expired, and the time in which it may be served while it is renewed is over too
    for _ in range(3):
        answers = [edge.http.get(address) for address in addresses]
        assert [answer.content for answer in answers] == before
    assert answers[0].headers["cache-status"] == "headwater-edge; hit; detail=stale"
    unseen = edge.http.get(title.segment(1))
    assert (unseen.status_code, unseen.headers["cache-control"]) == (502, "no-store")
    assert unseen.headers["content-type"] == "application/problem+json"
    assert unseen.headers.get_list("access-control-allow-origin") == ["*"]


def test_a_store_that_fails_is_not_remembered(edge: Rig, world: World, title: Published) -> None:
    key = keys.media_segment(title.asset, title.title.plan.digest, "480p", 2)
    world.storage.delete(key)
    assert edge.http.get(title.segment(2)).status_code == 404
    world.storage.put(key, title.title.bodies["480p"][2])
    eventually(lambda: edge.http.get(title.segment(2)).status_code == 200)


def test_everything_else_goes_to_the_api(edge: Rig) -> None:
    answer = edge.http.get("/v1/assets?limit=3", headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "gopher"})
    assert answer.status_code == 404  # this API has playback only
    assert edge.origin.requests == [("GET", "/v1/assets")]
    seen = edge.origin.headers[0]
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"], seen["x-forwarded-host"]) == ("127.0.0.1", "http", f"127.0.0.1:{edge.port}")
    assert seen["host"] == f"127.0.0.1:{edge.port}"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_upload_is_not_held_back(edge: Rig) -> None:
    """The first part of a body reaches the API while the client has not sent the rest."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as client:
        client.sendall(b"POST /probe/body HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 1000)
        eventually(lambda: edge.origin.received_bytes == 1000)
        client.sendall(b"x" * 1_999_000)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert edge.origin.received_bytes == 2_000_000


def test_events_are_not_held_back(edge: Rig) -> None:
    with edge.http.stream("GET", "/probe/events") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: 1"  # the second is sent only after this one has arrived
        edge.origin.go_on.set()
        assert [line for line in lines if line] == ["data: 2"]
