"""Requests at the same time: at most one of them may write, and the offset is never a lie."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx

from tus_conformance.chapter import Chapter, Severity
from tus_conformance.target import BYTES, VERSION, Target, expect, expect_refused, expect_status, number

cases = Chapter("races", "Core protocol, PATCH", {"creation"})

_SIZE = 100_000


def _at_once(tus: Target, count: int, ask: Callable[[httpx.Client, int], httpx.Response]) -> list[httpx.Response]:
    """`count` requests, each on a connection of its own that is open before any is sent."""
    barrier = threading.Barrier(count)
    with ExitStack() as stack:
        clients = [stack.enter_context(tus.client()) for _ in range(count)]

        def one(index: int) -> httpx.Response:
            clients[index].options(tus.url)
            barrier.wait(tus.patience_s)
            return ask(clients[index], index)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))


def _headers(offset: int) -> dict[str, str]:
    return {"Tus-Resumable": VERSION, "Upload-Offset": str(offset), "Content-Type": BYTES}


def _race(tus: Target, url: str, count: int, offset: int, size: int) -> list[int]:
    answers = _at_once(tus, count, lambda http, index: http.patch(url, content=bytes([index]) * size, headers=_headers(offset)))
    for answer in answers:
        expect(answer.status_code < 500, f"a PATCH was answered {answer.status_code}")
    return [answer.status_code for answer in answers]


_COUNTS = {"2": 2, "8": 8, "32": 32}


@cases.each(Severity.MUST, "patches-at-one-offset", _COUNTS)
def _(tus: Target, count: int) -> None:
    """Of several PATCHes at one offset at most one is acknowledged, and no byte counts twice"""
    url = tus.create(2 * _SIZE)
    statuses = _race(tus, url, count, 0, _SIZE)
    expect(statuses.count(204) <= 1, f"{statuses.count(204)} of {count} were acknowledged")
    found = tus.offset(url)
    expect(found == _SIZE or (found <= _SIZE and 204 not in statuses), f"the upload stands at {found} after one PATCH of {_SIZE}")


@cases.each(Severity.SHOULD, "one-patch-wins", _COUNTS)
def _(tus: Target, count: int) -> None:
    """Exactly one of them is acknowledged; the others are told 409 or 423"""
    statuses = _race(tus, tus.create(2 * _SIZE), count, 0, _SIZE)
    expect(statuses.count(204) == 1, f"{statuses.count(204)} of {count} were acknowledged")
    expect(set(statuses) <= {204, 409, 423}, f"the answers are {sorted(set(statuses))}")


@cases.must("last-patches")
def _(tus: Target) -> None:
    """Of eight PATCHes that would each finish the upload at most one does, and the upload is whole and readable afterwards."""
    url = tus.create(_SIZE)
    statuses = _race(tus, url, 8, 0, _SIZE)
    expect(statuses.count(204) <= 1, f"{statuses.count(204)} of 8 were acknowledged")
    if 204 in statuses:
        tus.unchanged(url, _SIZE)


@cases.must("goes-on-after-a-race")
def _(tus: Target) -> None:
    """After the race the upload goes on at the offset that HEAD tells."""
    url = tus.create(2 * _SIZE)
    _race(tus, url, 8, 0, _SIZE)

    def rest() -> httpx.Response:
        offset = tus.offset(url)
        return tus.patch(url, offset, os.urandom(2 * _SIZE - offset))

    expect_status(tus.await_answer(rest, lambda found: found.status_code == 204), 204)
    tus.unchanged(url, 2 * _SIZE)


@cases.must("empty-patches")
def _(tus: Target) -> None:
    """Sixteen empty PATCHes at once move nothing and fail nothing."""
    url = tus.create(10)
    _race(tus, url, 16, 0, 0)
    tus.unchanged(url, 0)


@cases.must("different-offsets")
def _(tus: Target) -> None:
    """PATCHes at different offsets at once: only bytes without a gap are ever acknowledged."""
    url = tus.create(8 * 1000)
    answers = _at_once(tus, 8, lambda http, index: http.patch(url, content=b"x" * 1000, headers=_headers(index * 1000)))
    acknowledged = [number(answer.headers.get("upload-offset"), "Upload-Offset") for answer in answers if answer.status_code == 204]
    found = tus.offset(url)
    expect(found == max(acknowledged, default=0), f"the upload stands at {found}, but {sorted(acknowledged)} were acknowledged")
    expect(len(set(acknowledged)) == len(acknowledged) == found // 1000, "more was acknowledged than is stored")


@cases.must("heads-during-a-patch")
def _(tus: Target) -> None:
    """HEAD while a PATCH is under way tells an offset that is not beyond what was sent, or 423; it never goes back."""
    url = tus.create(_SIZE)
    with tus.wire(url) as wire:
        wire.begin("PATCH", *(f"{name}: {value}" for name, value in _headers(0).items()), f"Content-Length: {_SIZE}")
        seen = 0
        for piece in range(5):
            wire.send(b"x" * (_SIZE // 5))
            answer = tus.head(url)
            expect(answer.status_code in (200, 204, 423), f"HEAD is answered {answer.status_code}")
            if answer.status_code != 423:
                offset = number(answer.headers.get("upload-offset"), "Upload-Offset")
                expect(seen <= offset <= (piece + 1) * (_SIZE // 5), f"HEAD tells {offset} after {(piece + 1) * (_SIZE // 5)} bytes")
                seen = offset
        final = wire.answer("PATCH")
    # A server may end a request in favour of whoever asks for the offset; then the offset says so.
    found = tus.offset(url)
    expect(found == _SIZE if final is not None and final[0] == 204 else found <= _SIZE, f"the upload stands at {found}")


@cases.must("delete-during-a-patch", needs={"termination"}, clause="Termination, DELETE")
def _(tus: Target) -> None:
    """DELETE while a PATCH is under way: once it is acknowledged, the PATCH is not, and the upload is gone for good."""
    url = tus.create(_SIZE)
    with tus.wire(url) as wire:
        wire.begin("PATCH", *(f"{name}: {value}" for name, value in _headers(0).items()), f"Content-Length: {_SIZE}")
        wire.send(b"x" * (_SIZE // 2))
        time.sleep(0.3)
        deleted = tus.send("DELETE", url)
        expect(deleted.status_code in (204, 409, 423), f"DELETE is answered {deleted.status_code}")
        wire.send(b"x" * (_SIZE - _SIZE // 2))
        final = wire.answer("PATCH")
    if deleted.status_code == 204:
        expect(final is None or final[0] >= 400, "the PATCH was acknowledged after the DELETE")
        expect_refused(tus.head(url))


@cases.must("deletes-at-once", needs={"termination"}, clause="Termination, DELETE")
def _(tus: Target) -> None:
    """Eight DELETEs at once: none fails the server, and the upload is gone."""
    url = tus.create(100)
    tus.sent(url, 0, b"x" * 50)
    answers = _at_once(tus, 8, lambda http, _index: http.delete(url, headers={"Tus-Resumable": VERSION}))
    statuses = sorted({answer.status_code for answer in answers})
    expect(204 in statuses and all(status < 500 for status in statuses), f"the answers are {statuses}")
    expect_refused(tus.head(url))


@cases.must("creations-at-once", clause="Creation, POST")
def _(tus: Target) -> None:
    """Sixteen creations at once make sixteen uploads."""
    answers = _at_once(tus, 16, lambda http, _index: http.post(tus.url, headers={"Tus-Resumable": VERSION, "Upload-Length": "3"}))
    expect(len({tus.location(answer) for answer in answers}) == 16, "two of them share an address")


@cases.must("lengths-at-once", needs={"creation-defer-length"}, clause="Creation, Upload-Defer-Length")
def _(tus: Target) -> None:
    """Eight PATCHes that each say another length: one length is set, and the one that was acknowledged."""
    url = tus.create(None)
    answers = _at_once(tus, 8, lambda http, index: http.patch(url, headers={**_headers(0), "Upload-Length": str(100 + index)}))
    accepted = [100 + index for index, answer in enumerate(answers) if answer.status_code == 204]
    said = tus.head(url).headers.get("upload-length")
    expect(len(accepted) <= 1, f"{len(accepted)} lengths were acknowledged")
    expect(not accepted or said == str(accepted[0]), f"{accepted} was acknowledged, but the length is {said}")


@cases.must("old-request-writes-no-more")
def _(tus: Target) -> None:
    """A request that fell silent and was overtaken by another adds nothing when it wakes up."""
    url = tus.create(_SIZE)
    with tus.wire(url) as wire:
        wire.begin("PATCH", *(f"{name}: {value}" for name, value in _headers(0).items()), f"Content-Length: {_SIZE}")
        wire.send(b"a" * 1000)
        offset = 0

        def overtake() -> httpx.Response:
            nonlocal offset
            offset = tus.offset(url)
            return tus.patch(url, offset, b"b" * 2000)

        answer = tus.await_answer(overtake, lambda found: found.status_code == 204)
        if answer.status_code != 204:
            expect(answer.status_code in (409, 423), f"the second PATCH is answered {answer.status_code}")
            return  # the server waits for the silent one, which it may
        wire.send(b"a" * (_SIZE - 1000))
        late = wire.answer("PATCH")
    expect(late is None or late[0] != 204, "the old request was acknowledged")
    tus.unchanged(url, offset + 2000)
