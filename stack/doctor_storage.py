"""What Headwater expects of an object store, tried on a live one. It writes below one prefix of its own and removes that again."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator

from kit.errors import HeadwaterError
from kit.ids import token
from kit.storage import MissingObject, Storage
from stack.findings import Finding, failed, ok

_MIB = 1 << 20
_PREFIX = "doctor/"
_REMEDY = "Use another object store, or report this to the makers of this one: Headwater depends on it."


class _Wrong(HeadwaterError):
    code = "store_unfit"


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
    store.put(f"{prefix}ranges", body)
    for start, end in ((0, 1), (255, 257), (len(body) - 3, None), (len(body) - 3, len(body) + 9), (1000, 900_000)):
        _expect(store.get(f"{prefix}ranges", start=start, end=end) == body[start:end], f"bytes {start} to {end} were not the right ones.")
    return "5 ranges"


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
    return "visible only when complete"


def _presigned(store: Storage, prefix: str) -> str:
    store.put(f"{prefix}presigned", b"0123456789")
    url = store.presign_get(f"{prefix}presigned", expires_s=60)
    opener = urllib.request.build_opener()
    with opener.open(urllib.request.Request(url, headers={"Range": "bytes=2-4"}), timeout=10) as answer:  # noqa: S310 - our own store
        _expect(answer.status == 206 and answer.read() == b"234", "a presigned address did not honour a range.")
    return "with a range"


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
    names = ["with space", "plus+sign", "per%cent", "ümlaut", "日本語", "quote'", "a=b&c;d"]
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
    ("multipart uploads", _multipart),
    ("presigned addresses", _presigned),
    ("list after write", _listing),
    ("names", _names),
)


def examine(store: Storage) -> Iterator[Finding]:
    """One finding for each expectation."""
    prefix = f"{_PREFIX}{token(9)}/"
    try:
        for title, check in _CHECKS:
            try:
                yield ok(title, check(store, prefix))
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
