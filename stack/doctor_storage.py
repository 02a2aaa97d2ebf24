"""What Headwater expects of an object store, tried on a live one. It writes below one prefix of its own and removes that again.

What Headwater depends on is a failure when it does not hold. What it could do without is said, and no more: nothing relies on
conditional writes, which several stores get wrong, and what a store does not check on the way in is found by `headwater scrub`.
"""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kit.clock import SystemClock
from kit.errors import HeadwaterError
from kit.ids import token
from kit.storage import MissingObject, MissingUpload, Storage, StorageRefused
from kit.storage.s3 import S3Storage
from stack.findings import Finding, failed, not_now, ok

_MIB = 1 << 20
_PREFIX = "doctor/"
_WRITERS = 32
_SKEW_LIMIT_S = 300  # S3 refuses requests that are signed 15 minutes away from its own time
_REMEDY = "Use another object store, or report this to the makers of this one: Headwater depends on it."


class _Wrong(HeadwaterError):
    code = "store_unfit"


class _NotOffered(HeadwaterError):
    """The store does not do this, and need not."""

    code = "not_offered"


def _expect(true: bool, sentence: str) -> None:
    if not true:
        raise _Wrong(sentence)


def _read_after_write(store: Storage, prefix: str) -> str:
    for turn in range(10):
        body = f"turn {turn} ".encode() * 100
        store.put(f"{prefix}object", body)
        _expect(store.get(f"{prefix}object") == body, "a write was not seen by the read that followed it.")
        _expect(store.stat(f"{prefix}object").size_bytes == len(body), "a size was not that of the last write.")
    store.delete(f"{prefix}object")
    try:
        store.stat(f"{prefix}object")
    except MissingObject:
        return "10 of 10"
    raise _Wrong("an object was still there after its deletion.")


def _ranges(store: Storage, prefix: str) -> str:
    body = bytes(range(256)) * 4096
    size = len(body)
    store.put(f"{prefix}ranges", body)
    bounds = ((0, 1), (255, 257), (size - 3, None), (size - 3, size + 9), (1000, 900_000), (0, size), (size - 1, size), (size, None))
    for start, end in (*bounds, (size + 7, size + 9)):
        _expect(store.get(f"{prefix}ranges", start=start, end=end) == body[start:end], f"bytes {start} to {end} were not the right ones.")
    store.put(f"{prefix}empty", b"")
    _expect(store.get(f"{prefix}empty") == b"" and store.stat(f"{prefix}empty").size_bytes == 0, "an empty object was not empty.")
    return f"{len(bounds) + 1} ranges, and an empty object"


def _writers(store: Storage, prefix: str) -> str:
    """Many at once under one key: whoever wins, the object is the whole of one of them, and so is everything that is read meanwhile."""
    bodies = [bytes([number]) * (64 << 10) for number in range(_WRITERS)]
    key = f"{prefix}raced"
    store.put(key, bodies[0])
    with ThreadPoolExecutor(_WRITERS) as pool:
        writing = [pool.submit(store.put, key, body) for body in bodies]
        reading = [pool.submit(store.get, key) for _ in range(_WRITERS)]
        for done in writing:
            done.result()
        _expect(all(done.result() in bodies for done in reading), "a reader was given a mixture of two writes.")
    last = store.get(key)
    _expect(last in bodies, "two writes of one key were mixed.")
    _expect(store.get(key) == last and store.stat(key).size_bytes == len(last), "the winner of a race changed afterwards.")
    return f"{_WRITERS} writers and {_WRITERS} readers of one key, no mixture"


def _conditional(store: Storage, prefix: str) -> str:
    """Create-if-absent. Nothing depends on it."""
    from kit.storage import s3_trials

    live = _s3(store)

    def wins(number: int) -> bool:
        try:
            s3_trials.put(live, f"{prefix}claimed", bytes([number]), only_if_absent=True)
        except StorageRefused:
            return False
        return True

    with ThreadPoolExecutor(_WRITERS) as pool:
        winners = sum(pool.map(wins, range(_WRITERS)))
    if winners != 1:
        raise _NotOffered(f"{winners} of {_WRITERS} writers were told that they were first; Headwater does not rely on it.")
    return f"1 of {_WRITERS} writers was first"


def _checksums(store: Storage, prefix: str) -> str:
    """Whether bytes that are not those of the digest are turned away."""
    from kit.storage import s3_trials

    live, checked, ignored = _s3(store), [], []
    right, wrong = b"what was meant", b"what arrived"
    claims: dict[str, dict[str, Any]] = {
        "Content-MD5": {"md5": hashlib.md5(right, usedforsecurity=False).digest()},
        "x-amz-checksum-sha256": {"sha256": hashlib.sha256(right).digest()},
    }
    for name, claim in claims.items():
        key = f"{prefix}checked/{name}"
        s3_trials.put(live, key, right, **claim)
        _expect(store.get(key) == right, f"an object with {name} did not read back as it was sent.")
        try:
            s3_trials.put(live, key, wrong, **claim)
            ignored.append(name)
        except StorageRefused:
            checked.append(name)
            _expect(store.get(key) == right, f"what was refused for its {name} was stored all the same.")
    if not checked:
        raise _NotOffered("The store keeps whatever arrives, whatever its digest: `headwater scrub` finds what was damaged on the way.")
    return f"{' and '.join(checked)} checked" + (f", {' and '.join(ignored)} not" if ignored else "")


def _clock(store: Storage, prefix: str) -> str:
    store.put(f"{prefix}now", b"now")
    skew_s = (store.stat(f"{prefix}now").modified_at - SystemClock().now()).total_seconds()
    _expect(abs(skew_s) < _SKEW_LIMIT_S, f"its clock is {skew_s:.0f} s away from ours, and signed requests depend on it.")
    return f"{abs(skew_s):.0f} s apart"


def _s3(store: Storage) -> S3Storage:
    if not isinstance(store, S3Storage):
        raise _NotOffered("This is no S3 server.")
    return store


def _multipart(store: Storage, prefix: str) -> str:
    key, parts = f"{prefix}multipart", [b"a" * 5 * _MIB, b"b" * 5 * _MIB, b"the end"]
    upload = store.create_multipart(key)
    try:
        sent = [store.put_part(key, upload, number, body) for number, body in enumerate(parts, start=1)]
        try:
            store.stat(key)
            raise _Wrong("an upload was visible before it was complete.")
        except MissingObject:
            pass
        store.complete_multipart(key, upload, sent)
    except HeadwaterError:
        store.abort_multipart(key, upload)
        raise
    whole = b"".join(parts)
    _expect(store.get(key) == whole, "a multipart upload did not read back as it was sent.")
    _given_up(store, f"{prefix}given-up")
    return "visible only when complete, gone when given up"


def _given_up(store: Storage, key: str) -> None:
    upload = store.create_multipart(key)
    part = store.put_part(key, upload, 1, b"never to be seen")
    store.abort_multipart(key, upload)
    try:
        store.complete_multipart(key, upload, [part])
    except (MissingUpload, StorageRefused):
        pass
    else:
        raise _Wrong("an upload that was given up could be completed.")
    try:
        store.stat(key)
    except MissingObject:
        return
    raise _Wrong("an upload that was given up left an object.")


def _presigned(store: Storage, prefix: str) -> str:
    store.put(f"{prefix}presigned", b"0123456789")
    url = store.presign_get(f"{prefix}presigned", expires_s=60)
    status, body = _get(url, "bytes=2-4")
    _expect((status, body) == (206, b"234"), "a presigned address did not honour a range.")
    if not isinstance(store, S3Storage):
        return "with a range"
    forged = (
        url[:-1] + ("0" if url[-1] != "0" else "1")
        if "Signature=" in url.rpartition("&")[2]
        else url.replace("Signature=", "Signature=0", 1)
    )
    _expect(_get(forged)[0] in (400, 401, 403), "a presigned address with another signature was served.")
    bare = urlunsplit(urlsplit(url)._replace(query=""))
    _expect(_get(bare)[0] in (400, 401, 403, 404), "an object could be read without any signature: make the bucket private.")
    return "with a range; not with another signature, and not without one"


def _get(url: str, byte_range: str = "") -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"Range": byte_range} if byte_range else {})  # noqa: S310 - our own store
    try:
        with urllib.request.build_opener().open(request, timeout=10) as answer:
            return int(answer.status), bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def _listing(store: Storage, prefix: str) -> str:
    names = [f"{prefix}list/{number:03}" for number in range(30)]
    for name in names:
        store.put(name, b"x")
    _expect(
        [item.key for item in store.list(f"{prefix}list/")] == names, "a listing lacked what had just been written, or was not in order."
    )
    for name in names:
        store.delete(name)
    _expect(not list(store.list(f"{prefix}list/")), "a listing still had what had just been deleted.")
    return f"{len(names)} objects"


def _names(store: Storage, prefix: str) -> str:
    names = [
        "with space", "two  spaces", "plus+sign", "per%cent", "%41", "ümlaut", "u\u0308mlaut", "日本語", "🎬", "quote'", 'double"quote',
        "a=b&c;d", "star*", "question?", "hash#", "tilde~", "colon:", "comma,", "(bracket)", "[square]", "{curly}", "at@sign", "dollar$",
        ".hidden", "end.", "l" * 200,
    ]  # fmt: skip
    for name in names:
        store.put(f"{prefix}names/{name}", name.encode())
    for name in names:
        _expect(store.get(f"{prefix}names/{name}") == name.encode(), f"the name {name!r} did not lead back to its object.")
    listed = sorted(item.key.removeprefix(f"{prefix}names/") for item in store.list(f"{prefix}names/"))
    _expect(listed == sorted(names), "a listing spelled a name differently.")
    return f"{len(names)} unusual names"


_CHECKS: tuple[tuple[str, Callable[[Storage, str], str]], ...] = (
    ("read after write", _read_after_write),
    ("ranges", _ranges),
    ("writers at once", _writers),
    ("multipart uploads", _multipart),
    ("presigned addresses", _presigned),
    ("list after write and delete", _listing),
    ("names", _names),
    ("clock", _clock),
    ("wrong checksums", _checksums),
    ("conditional writes", _conditional),
)


def examine(store: Storage) -> Iterator[Finding]:
    """One finding for each expectation."""
    prefix = f"{_PREFIX}{token(9)}/"
    try:
        for title, check in _CHECKS:
            try:
                yield ok(title, check(store, prefix))
            except _NotOffered as error:
                yield not_now(title, error.detail)
            except _Wrong as error:
                yield failed(title, error.detail[:1].upper() + error.detail[1:], _REMEDY)
            except (HeadwaterError, OSError) as error:
                yield failed(
                    title, f"The store did not answer as expected: {error}", "Check the HEADWATER_S3_ settings, and that the store runs."
                )
    finally:
        _clean(store, prefix)


def _clean(store: Storage, prefix: str) -> None:
    try:
        for item in list(store.list(prefix)):
            store.delete(item.key)
    except HeadwaterError:
        return  # the findings say already that the store is not well
