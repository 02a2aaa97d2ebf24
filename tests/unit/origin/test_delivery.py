"""Answers as values: methods, conditions, codings, caching and CORS (checklist C1 to C14, C20 to C22, C30, C40 to C43)."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from media.ids import PlanDigest
from origin.caching import EDGE_FIELD, POLICIES
from origin.delivery import COMMON_HEADERS, Answer, Ask, Send, StoredObject, decide, decide_text, preflight, problem
from origin.encoding import accepts_gzip
from origin.paths import Wanted, parse

PLAN = PlanDigest("p" * 64)
SEGMENT = Wanted("segment", "00000.m4s", PLAN, "480p", 0)
OBJECT = StoredObject("key", hashlib.sha256(b"bytes").hexdigest(), 1000)
ETAG = f'"{OBJECT.sha256[:40]}"'
PLAYLIST = b"#EXTM3U\n" * 50


def ask(method: str = "GET", **headers: str) -> Ask:
    return Ask(method, SEGMENT, {name.replace("_", "-"): value for name, value in headers.items()})  # type: ignore[arg-type]


def text(method: str = "GET", *, kind: str = "main.m3u8", **headers: str) -> Answer:
    wanted = parse(kind)
    assert wanted is not None
    return decide_text(Ask(method, wanted, {name.replace("_", "-"): value for name, value in headers.items()}), PLAYLIST)  # type: ignore[arg-type]


def carries_cors(answer: Answer) -> bool:
    return COMMON_HEADERS.items() <= dict(answer.headers).items()


def test_an_object() -> None:
    answer = decide(ask(), OBJECT)
    assert (answer.status, answer.send, answer.body) == (200, Send("key", 0, 1000), b"")
    assert answer.headers["ETag"] == ETAG
    assert answer.headers["Content-Length"] == "1000"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Type"] == "video/iso.segment"
    assert "Content-Encoding" not in answer.headers  # C13
    assert carries_cors(answer)


def test_head_is_get_without_the_body_and_ignores_ranges() -> None:  # C1
    whole = decide(ask(), OBJECT)
    for headers in ({}, {"range": "bytes=0-9"}, {"range": "bytes=5000-"}):
        head = decide(ask("HEAD", **headers), OBJECT)
        assert (head.status, head.headers, head.send) == (whole.status, whole.headers, None)


def test_a_part() -> None:  # C2
    answer = decide(ask(range="bytes=0-0"), OBJECT)
    assert (answer.status, answer.send) == (206, Send("key", 0, 1))
    assert answer.headers["Content-Range"] == "bytes 0-0/1000"
    assert answer.headers["Content-Length"] == "1"


def test_no_part() -> None:  # C4
    answer = decide(ask(range="bytes=1000-"), OBJECT)
    assert (answer.status, answer.send) == (416, None)
    assert answer.headers["Content-Range"] == "bytes */1000"
    assert answer.headers["Cache-Control"] == "no-store"
    assert carries_cors(answer)


def test_ranges_are_left_to_the_server_that_carries_the_bytes() -> None:
    assert decide(ask(range="bytes=5-9"), OBJECT, whole=True).send == Send("key", 0, 1000, whole=True)


@pytest.mark.parametrize("header", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', f'"a,b", W/{ETAG}', "*"])
def test_a_known_object_is_not_sent_again(header: str) -> None:  # C7
    answer = decide(ask(if_none_match=header, range="bytes=0-9"), OBJECT)
    assert (answer.status, answer.body, answer.send) == (304, b"", None)
    assert answer.headers["ETag"] == ETAG
    assert answer.headers["Cache-Control"] == POLICIES["segment"].cache_control
    assert carries_cors(answer)


@pytest.mark.parametrize(
    "headers", [{"if_none_match": '"other"'}, {"if_none_match": "garbage"}, {"if_modified_since": "Fri, 01 Jan 2100 00:00:00 GMT"}]
)
def test_an_unknown_object_is_sent(headers: dict[str, str]) -> None:
    assert decide(ask(**headers), OBJECT).status == 200


@pytest.mark.parametrize(("header", "status"), [(ETAG, 200), ("*", 200), ('"other"', 412), (f"W/{ETAG}", 412), (f'"other", {ETAG}', 200)])
def test_if_match(header: str, status: int) -> None:  # C8
    answer = decide(ask(if_match=header), OBJECT)
    assert answer.status == status
    assert carries_cors(answer)


@pytest.mark.parametrize(("header", "status"), [(ETAG, 206), (f"W/{ETAG}", 200), ('"other"', 200), ("Fri, 01 Jan 2100 00:00:00 GMT", 200)])
def test_if_range(header: str, status: int) -> None:  # C9
    assert decide(ask(if_range=header, range="bytes=0-9"), OBJECT).status == status


def test_tags_follow_the_bytes_alone() -> None:  # C10
    other = StoredObject("elsewhere", OBJECT.sha256, 1000)
    assert decide(ask(), other).headers["ETag"] == ETAG
    assert decide(ask(), StoredObject("key", hashlib.sha256(b"bytez").hexdigest(), 1000)).headers["ETag"] != ETAG


def test_texts_come_in_two_codings_with_two_tags() -> None:  # C11, C12
    plain, packed = text(), text(accept_encoding="br, gzip")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["ETag"] != packed.headers["ETag"]
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.body) == plain.body == PLAYLIST
    assert packed.headers["Content-Length"] == str(len(packed.body))
    assert text(accept_encoding="gzip").body == packed.body  # equal texts stay equal
    assert plain.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    known = text(accept_encoding="gzip", if_none_match=packed.headers["ETag"])
    assert (known.status, known.body, known.headers["Vary"]) == (304, b"", "Accept-Encoding")
    assert text(if_none_match=packed.headers["ETag"]).status == 200


@pytest.mark.parametrize(
    ("header", "allowed"),
    [(None, False), ("", False), ("identity", False), ("gzip", True), ("GZIP", True), ("x-gzip", True), ("gzip;q=0", False),
     ("gzip; q=0.000", False), ("gzip;q=0.001", True), ("br;q=1, gzip;q=0.5", True), ("*", True), ("*;q=0", False),
     ("gzip;q=0, *", False), ("notgzip", False), ("gzip;q=x", False)],
)  # fmt: skip
def test_accept_encoding(header: str | None, allowed: bool) -> None:
    assert accepts_gzip(header) is allowed


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("multivariant", "public, max-age=60, stale-while-revalidate=600, stale-if-error=86400"),
        ("poster", "public, max-age=60, stale-while-revalidate=600, stale-if-error=86400"),
        ("playlist", "public, max-age=3600, s-maxage=86400"),
        ("init", "public, max-age=31536000, immutable"),
        ("segment", "public, max-age=31536000, immutable"),
        ("still", "public, max-age=31536000, immutable"),
    ],
)
def test_cache_rules(kind: str, expected: str) -> None:  # C20
    assert POLICIES[kind].cache_control == expected  # type: ignore[index]


@pytest.mark.parametrize("kind", ["multivariant", "poster", "playlist"])
def test_the_edge_notices_a_deletion_within_a_minute(kind: str) -> None:
    numbers = [int(part.partition("=")[2]) for part in POLICIES[kind].edge.split(", ")]  # type: ignore[index]
    assert sum(numbers) <= 45  # fresh, then stale while it asks; the origin itself remembers for two seconds


def test_the_edge_asks_for_the_multivariant_within_five_seconds() -> None:
    assert POLICIES["multivariant"].edge.startswith("max-age=2,")


@pytest.mark.parametrize(
    ("status", "expected"),
    [(404, "public, max-age=2"), (410, "public, max-age=2"), (403, "no-store"), (405, "no-store"), (503, "no-store")],
)
def test_refusals(status: int, expected: str) -> None:  # C21, C41
    answer = problem(status, "A sentence.", code="a_code", request_id="req_1")
    assert answer.status == status
    assert answer.headers["Cache-Control"] == expected
    assert answer.headers[EDGE_FIELD] in ("max-age=2", "no-store")
    assert answer.headers["Content-Type"] == "application/problem+json"
    said = json.loads(answer.body)
    assert (said["status"], said["detail"], said["code"], said["request_id"]) == (status, "A sentence.", "a_code", "req_1")
    assert carries_cors(answer)


def test_preflight() -> None:  # C40
    answer = preflight()
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    for name in ("Range", "CMCD-Object", "CMCD-Request", "CMCD-Session", "CMCD-Status"):
        assert name in answer.headers["Access-Control-Allow-Headers"]
    assert int(answer.headers["Access-Control-Max-Age"]) >= 86400
    assert carries_cors(answer)


def test_nothing_private_and_no_variation_but_the_coding() -> None:  # C22, C42, C43
    for answer in (decide(ask(), OBJECT), text(accept_encoding="gzip"), problem(404, "x"), preflight()):
        names = {name.lower() for name in answer.headers}
        assert "set-cookie" not in names
        assert answer.headers.get("Vary", "Accept-Encoding") == "Accept-Encoding"
        assert answer.headers["Timing-Allow-Origin"] == "*"
        assert "cache-control" in names


def test_a_part_of_an_object_is_served_as_if_it_were_one() -> None:
    part = StoredObject("key", OBJECT.sha256, 100, start=40)
    assert decide(ask(), part).send == Send("key", 40, 140)
    assert decide(ask(range="bytes=5-9"), part).send == Send("key", 45, 50)
    assert decide(ask(range="bytes=5-9"), part).headers["Content-Range"] == "bytes 5-9/100"
    assert decide(ask(range="bytes=100-"), part).status == 416
