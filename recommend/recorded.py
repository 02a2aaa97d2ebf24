"""What the recommender keeps in the object store, with the size and SHA-256 that its own manifests record.

Neither manifest names itself: what is written over again has no digest to be held to. A damaged day of history is gone; a damaged model
is replaced by the next training, or by going back to the one before.
"""

from __future__ import annotations

import json
from typing import Any

from kit.errors import HeadwaterError
from kit.storage import MissingObject, Storage
from kit.storage.verify import Recorded

OWNER = "~recommend"  # behind every asset
_LAKE, _MODELS = "lake/", "models/"


def recorded(storage: Storage) -> list[Recorded]:
    """Days of history and files of models, ascending by key. Raises Unavailable, and HeadwaterError for a manifest that cannot be read."""
    return sorted([*_history(storage), *_models(storage)], key=lambda item: item.key)


def keys_of(storage: Storage) -> list[str]:
    """Every object, the manifests included."""
    return [item.key for prefix in (_LAKE, _MODELS) for item in storage.list(prefix)]


def _history(storage: Storage) -> list[Recorded]:
    try:
        files = _json(storage, f"{_LAKE}manifest.json")["files"]
        return [Recorded(str(item["key"]), int(item["size_bytes"]), str(item["sha256"]), OWNER, "history") for item in files]
    except MissingObject:
        return []
    except (KeyError, TypeError) as error:
        raise _broken(f"{_LAKE}manifest.json") from error


def _models(storage: Storage) -> list[Recorded]:
    found = []
    for item in list(storage.list(_MODELS)):
        folder, _, name = item.key.rpartition("/")
        if name == "manifest.json":
            try:
                files = _json(storage, item.key)["files"].items()
                found += [Recorded(f"{folder}/{file}", int(of["size_bytes"]), str(of["sha256"]), OWNER, "model") for file, of in files]
            except (KeyError, TypeError, AttributeError) as error:
                raise _broken(item.key) from error
    return found


def _json(storage: Storage, key: str) -> dict[str, Any]:
    try:
        found = json.loads(storage.get(key))
    except ValueError as error:
        raise _broken(key) from error
    if not isinstance(found, dict):
        raise _broken(key)
    return found


def _broken(key: str) -> HeadwaterError:
    return HeadwaterError(f"{key} in the object store cannot be read.", code="broken_manifest")
