"""Faults planted on purpose, to see that the suite finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Engine

from kit.storage import OpenMultipart, Storage


def late_objects(storage: Storage, engine: Engine) -> Storage:
    """Segments are stored only after the commit that records them."""
    waiting: list[Callable[[], None]] = []
    really_put, really_commit = storage.put, engine.dialect.do_commit

    def put(key: str, data: Any, **more: Any) -> None:
        if key.endswith(".m4s"):
            waiting.append(lambda: really_put(key, data, **more))
        else:
            really_put(key, data, **more)

    def do_commit(connection: Any) -> None:
        really_commit(connection)
        while waiting:
            waiting.pop()()

    storage.put = put  # type: ignore[method-assign]
    engine.dialect.do_commit = do_commit  # type: ignore[assignment, method-assign]
    return storage


def unseen_strays(storage: Storage, _engine: Engine) -> Storage:
    """Nobody asks the store for multipart uploads that no row names."""

    def open_multiparts(_prefix: str) -> Iterator[OpenMultipart]:
        return iter(())

    storage.open_multiparts = open_multiparts  # type: ignore[assignment, method-assign]
    return storage


FAULTS: Mapping[str, Callable[[Storage, Engine], Storage]] = {
    "late-objects": late_objects,
    "unseen-strays": unseen_strays,
}
