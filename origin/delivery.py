"""What to answer, decided as a value: no storage, no database, no framework.

`decide` is for stored objects and `decide_text` for texts; both take the request as an `Ask`. `problem` is every refusal.
An `Answer` whose `send` is set has an object, or a part of it, as its body; who carries the bytes (nginx, or this process) is
up to `origin.api`.

Every answer, also a refusal and a 304, carries the CORS headers: a player on another site could not read it otherwise.
Sources: RFC 9110 (methods, conditions, ranges), RFC 9457 (problem details), Fetch (CORS), CTA-5004 (CMCD request headers).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal

from origin import conditions, ranges
from origin.caching import POLICIES, error_policy
from origin.encoding import accepts_gzip, compress
from origin.mime import KEY, PROBLEM, content_type
from origin.paths import Wanted

METHODS = "GET, HEAD, OPTIONS"
CLIENT_METHOD_FIELD = "Headwater-Client-Method"  # from our edge: what its client asked with
RANGE_FIELD = "Headwater-Store-Range"  # to our edge: the part of the object that it is to fetch
COMMON_HEADERS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Cache-Status, Content-Length, Content-Range, Date, ETag, X-Request-Id",
    "Timing-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}
PREFLIGHT_HEADERS: Mapping[str, str] = {
    "Access-Control-Allow-Methods": METHODS,
    "Access-Control-Allow-Headers": "Range, CMCD-Object, CMCD-Request, CMCD-Session, CMCD-Status",
    "Access-Control-Max-Age": "86400",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for something that exists. `headers` has lower-case names."""

    method: Literal["GET", "HEAD"]
    wanted: Wanted
    headers: Mapping[str, str]
    query: str = ""  # as it was sent, where it means anything


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of the store, or the part of one that begins at `start`; `sha256` (hex) stands for exactly these bytes."""

    key: str
    sha256: str
    size_bytes: int
    start: int = 0


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes `[start, end)` of an object. `whole`: all of them, so another server can be told to send it."""

    key: str
    start: int
    end: int
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    send: Send | None = None


def decide(ask: Ask, found: StoredObject, *, whole: bool = False) -> Answer:
    """The answer to a request for an object. `whole`: leave ranges to the server that will carry the bytes."""
    etag = conditions.strong_etag(found.sha256)
    headers = {**COMMON_HEADERS, **POLICIES[ask.wanted.kind].headers(), "ETag": etag}
    if refused := _precondition(ask, etag, headers):
        return refused
    headers |= {"Content-Type": content_type(ask.wanted.name), "Accept-Ranges": "bytes"}
    total = found.size_bytes
    span: ranges.Span | Literal["whole", "unsatisfiable"] = "whole"
    if ask.method == "GET" and not whole:  # section 14.2: Range means nothing for any other method
        span = ranges.choose(conditions.range_header(ask.headers, etag), total)
    if span == "unsatisfiable":
        return problem(416, "None of the requested bytes exist.", extra={"Content-Range": f"bytes */{total}"})
    if isinstance(span, ranges.Span):
        headers |= {"Content-Range": span.content_range, "Content-Length": str(span.end - span.start)}
        return Answer(206, headers, send=Send(found.key, found.start + span.start, found.start + span.end))
    headers["Content-Length"] = str(total)
    return Answer(200, headers, send=Send(found.key, found.start, found.start + total, whole) if ask.method == "GET" else None)


def delegated(answer: Answer) -> Answer:
    """The same answer, with its bytes, or the part of an object that they are, fetched by our edge."""
    if answer.send is None:
        return answer
    part = {RANGE_FIELD: f"bytes={answer.send.start}-{answer.send.end - 1}"} if answer.status == 206 else {}
    return replace(answer, headers={**answer.headers, **part}, send=replace(answer.send, whole=True))


def decide_text(ask: Ask, text: bytes) -> Answer:
    """The answer to a request for a playlist. Compressed when the client takes it (Apple authoring rule 10.1)."""
    body = compress(text) if (gzipped := accepts_gzip(ask.headers.get("accept-encoding"))) else text
    etag = conditions.strong_etag(hashlib.sha256(body).hexdigest())
    headers = {**COMMON_HEADERS, **POLICIES[ask.wanted.kind].headers(), "ETag": etag, "Vary": "Accept-Encoding"}
    if refused := _precondition(ask, etag, headers):
        return refused
    headers |= {"Content-Type": content_type(ask.wanted.name), "Content-Length": str(len(body))}
    if gzipped:
        headers["Content-Encoding"] = "gzip"
    return Answer(200, headers, body)


def decide_body(ask: Ask, body: bytes) -> Answer:
    """The answer to a request for bytes that were made here, and are the same whenever they are."""
    etag = conditions.strong_etag(hashlib.sha256(body).hexdigest())
    headers = {**COMMON_HEADERS, **POLICIES[ask.wanted.kind].headers(), "ETag": etag}
    if refused := _precondition(ask, etag, headers):
        return refused
    return Answer(200, {**headers, "Content-Type": content_type(ask.wanted.name), "Content-Length": str(len(body))}, body)


def decide_key(ask: Ask, key: bytes) -> Answer:
    """The answer to a request for a content key: its bytes (RFC 8216 section 5.1), which no cache keeps, so there is nothing to compare
    them with."""
    headers = {**COMMON_HEADERS, **POLICIES[ask.wanted.kind].headers(), "Content-Type": KEY, "Content-Length": str(len(key))}
    return Answer(200, headers, key)


def preflight() -> Answer:
    """The answer to OPTIONS."""
    return Answer(204, {**COMMON_HEADERS, **PREFLIGHT_HEADERS, "Allow": METHODS, "Cache-Control": "public, max-age=86400"})


def problem_document(status: int, detail: str, *, code: str = "", request_id: str = "") -> dict[str, str | int]:
    """RFC 9457. The title is the status's name in RFC 9110, which older Pythons spell as its predecessors did."""
    title = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable"}.get(status) or HTTPStatus(status).phrase
    said: dict[str, str | int] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return said | {name: value for name, value in (("code", code), ("request_id", request_id)) if value}


def problem(status: int, detail: str, *, code: str = "", request_id: str = "", extra: Mapping[str, str] | None = None) -> Answer:
    """A refusal."""
    body = json.dumps(problem_document(status, detail, code=code, request_id=request_id)).encode()
    headers = {**COMMON_HEADERS, **error_policy(status).headers(), "Content-Type": PROBLEM, "Content-Length": str(len(body))}
    return Answer(status, {**headers, **(extra or {})}, body)


def _precondition(ask: Ask, etag: str, headers: Mapping[str, str]) -> Answer | None:
    match conditions.evaluate(ask.headers, etag):
        case "not_modified":
            return Answer(304, headers)
        case "failed":
            return problem(412, "The object has changed.")
        case _:
            return None
