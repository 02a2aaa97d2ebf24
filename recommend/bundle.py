"""One trained model and everything that answers need, as one value that is published whole or not at all.

In the object store a bundle is a folder of arrays and one manifest that names each file with its SHA-256:

    models/<version>/<array>.npy, facts.json, report.html    written first
    models/<version>/manifest.json                           written when all of these are there
    models/current                                           one small object, replaced last: {"version", "manifest_sha256", "at"}

A reader follows `models/current`, checks the manifest against its hash and every file against the manifest's, and maps the arrays
from a local folder: opening a large model costs reading it once from disk and no parsing. Half a bundle, a bundle with a changed byte
and a bundle of another format are refused (`BrokenBundle`), never used. Publishing and rolling back replace the pointer, so servers
pick a model up by looking at one key; the versions stay until `prune` removes them.

Ids are kept as ascending UTF-8, so a code is found by binary search in the mapped file and no dictionary of a million viewers is built.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kit.clock import Clock
from kit.errors import HeadwaterError, NotFound
from kit.ids import token
from kit.storage import MissingObject, Storage
from recommend.interactions import Codes, Floats

FORMAT = 1
PREFIX = "models/"
CURRENT = f"{PREFIX}current"
REPORT = "report.html"
_MAX_MANIFEST_BYTES = 1 << 20

Ids = npt.NDArray[np.bytes_]
Offsets = npt.NDArray[np.int64]


class BrokenBundle(HeadwaterError):
    """What is stored is not the bundle that was published."""

    code = "broken_bundle"


class NoModel(NotFound):
    """Nothing has been trained yet, or no such version is kept."""

    code = "no_model"


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """`I` titles, `U` viewers, `d` factors. Rows of `walk_*`, `similar_*` and `history_*` are compressed (CSR): row `r` is
    `[indptr[r], indptr[r + 1])` of the other two, best first for the walk and the similar titles, newest first for histories."""

    item_ids: Ids  # I, ascending UTF-8
    viewer_ids: Ids  # U, ascending UTF-8
    item_factors: Floats  # I x d
    viewer_factors: Floats  # U x d
    item_gram: Floats  # d x d: item_factors' item_factors, for folding in
    walk_indptr: Offsets  # I + 1: from a title that was watched
    walk_items: Codes  # to titles,
    walk_scores: Floats  # with this transition score (RP3beta)
    similar_indptr: Offsets  # I + 1
    similar_items: Codes  # the title itself is not among them
    similar_scores: Floats  # cosine of the factors
    similar_support: Codes  # viewers who watched both
    history_indptr: Offsets  # U + 1
    history_items: Codes
    history_weights: Floats  # as the model saw them; below 0: given up or disliked
    popularity: Floats  # I: distinct viewers who watched it
    trending: Floats  # I: the same, halved with age
    popularity_prior: Floats  # I: what the blend adds up: log(1 + popularity), mean 0, deviation 1
    trending_prior: Floats  # I: likewise
    content_map: Floats  # features x d, or 0 x 0 without texts: features of a text times this is a predicted factor
    version: str
    facts: Mapping[str, Any] = field(default_factory=dict)  # settings, weights, metrics, data, fingerprint, trained_at
    report: str = ""  # a page of HTML

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the model was trained and blended with; `recommend.ranking` and `recommend.fold_in` read it."""
        found: Mapping[str, Any] = self.facts["settings"]
        return found

    @property
    def metrics(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.facts.get("metrics", {})
        return found

    @property
    def trained_at(self) -> datetime:
        return datetime.fromisoformat(self.facts["trained_at"])

    @property
    def history_ends_at_s(self) -> float:
        """Unix time of the newest thing that it learnt from; without a word of that, of its training."""
        return float(self.facts.get("history_ends_at_s", self.trained_at.timestamp()))

    @property
    def trending_half_life_s(self) -> float:
        return float(self.settings.get("trending_half_life_days", 7.0)) * 86_400.0

    def item_code(self, item_id: str) -> int | None:
        return _find(self.item_ids, item_id)

    def viewer_code(self, viewer_id: str) -> int | None:
        return _find(self.viewer_ids, viewer_id)

    def item_id(self, code: int) -> str:
        return bytes(self.item_ids[code]).decode()

    def history(self, viewer: int) -> tuple[Codes, Floats]:
        """Titles and weights that this viewer was trained with, the newest first."""
        row = slice(int(self.history_indptr[viewer]), int(self.history_indptr[viewer + 1]))
        return self.history_items[row], self.history_weights[row]

    def similar(self, item: int) -> tuple[Codes, Floats, Codes]:
        """Titles like this one, the best first: codes, cosines, and how many viewers watched both."""
        row = slice(int(self.similar_indptr[item]), int(self.similar_indptr[item + 1]))
        return self.similar_items[row], self.similar_scores[row], self.similar_support[row]


@dataclass(frozen=True, slots=True)
class Published:
    """One kept version."""

    version: str
    published_at: datetime
    current: bool
    facts: Mapping[str, Any]


_ARRAYS = tuple(item.name for item in fields(Bundle) if item.name not in {"version", "facts", "report"})


def encode_ids(ids: Sequence[str]) -> Ids:
    """Ascending ids as a column of bytes. The order of UTF-8 is that of the text."""
    return np.array([text.encode() for text in ids] or [], dtype=np.bytes_)


def _find(ids: Ids, text: str) -> int | None:
    wanted = np.bytes_(text.encode())
    place = int(np.searchsorted(ids, wanted)) if len(ids) else 0
    return place if place < len(ids) and ids[place] == wanted else None


def check(bundle: Bundle) -> None:
    """Raises BrokenBundle when the parts do not fit together: shapes, ascending ids, codes in range, numbers finite."""
    items, viewers = len(bundle.item_ids), len(bundle.viewer_ids)
    width = bundle.item_factors.shape[1] if bundle.item_factors.ndim == 2 else -1
    shapes = {
        "item_factors": (items, width), "viewer_factors": (viewers, width), "item_gram": (width, width),
        "walk_indptr": (items + 1,), "similar_indptr": (items + 1,), "history_indptr": (viewers + 1,),
        "popularity": (items,), "trending": (items,), "popularity_prior": (items,), "trending_prior": (items,),
        "walk_scores": bundle.walk_items.shape, "history_weights": bundle.history_items.shape,
        "similar_scores": bundle.similar_items.shape, "similar_support": bundle.similar_items.shape,
    }  # fmt: skip
    wrong = [name for name, shape in shapes.items() if getattr(bundle, name).shape != shape]
    wrong += [name for name in ("item_ids", "viewer_ids") if not _ascends(getattr(bundle, name))]
    for name in ("walk", "similar", "history"):
        codes, starts = getattr(bundle, f"{name}_items"), getattr(bundle, f"{name}_indptr")
        outside = len(codes) and (codes.min() < 0 or codes.max() >= items)
        if outside or (len(starts) and (starts[0] != 0 or starts[-1] != len(codes) or (np.diff(starts) < 0).any())):
            wrong.append(f"{name}_items")
    wrong += [name for name in _ARRAYS if getattr(bundle, name).dtype.kind == "f" and not np.isfinite(getattr(bundle, name)).all()]
    if wrong:
        raise BrokenBundle(f"The model {bundle.version} does not fit together: {', '.join(sorted(set(wrong)))}.")


def _ascends(ids: Ids) -> bool:
    return len(ids) < 2 or bool((ids[:-1] < ids[1:]).all())


def _files(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    for name in _ARRAYS:
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(getattr(bundle, name)), allow_pickle=False)
        yield f"{name}.npy", buffer.getvalue()
    yield "facts.json", json.dumps(dict(bundle.facts), sort_keys=True).encode()
    yield REPORT, bundle.report.encode()


def publish(storage: Storage, bundle: Bundle, clock: Clock) -> str:
    """Write everything, then the manifest, then the pointer. Returns the version. Raises BrokenBundle before anything is written."""
    check(bundle)
    at = clock.now().isoformat()
    _point(storage, bundle.version, _write(storage, bundle, at), at)
    return bundle.version


def _write(storage: Storage, bundle: Bundle, at: str) -> bytes:
    """Every file, then the manifest. Returns the manifest."""
    folder, listed = f"{PREFIX}{bundle.version}/", {}
    for name, data in _files(bundle):
        storage.put(f"{folder}{name}", data)
        listed[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    brief = {name: bundle.facts[name] for name in sorted(bundle.facts) if name != "choice"}
    manifest = {"format": FORMAT, "version": bundle.version, "published_at": at, "files": listed, "facts": brief}
    data = json.dumps(manifest, sort_keys=True).encode()
    storage.put(f"{folder}manifest.json", data, content_type="application/json")
    return data


def _point(storage: Storage, version: str, manifest: bytes, at: str) -> None:
    pointer = {"version": version, "manifest_sha256": hashlib.sha256(manifest).hexdigest(), "at": at}
    storage.put(CURRENT, json.dumps(pointer, sort_keys=True).encode(), content_type="application/json")


def _pointer(storage: Storage) -> dict[str, str] | None:
    try:
        found = json.loads(storage.get(CURRENT))
    except MissingObject:
        return None
    except ValueError as error:
        raise BrokenBundle("The pointer to the current model is not JSON.") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in ("version", "manifest_sha256")):
        raise BrokenBundle("The pointer to the current model names no version.")
    return found


def current_version(storage: Storage) -> str | None:
    """The version that servers should answer from; None before the first training. One small read."""
    pointer = _pointer(storage)
    return pointer["version"] if pointer else None


def _manifest(storage: Storage, version: str) -> tuple[dict[str, Any], bytes]:
    try:
        data = storage.get(f"{PREFIX}{version}/manifest.json", end=_MAX_MANIFEST_BYTES)
    except MissingObject as error:
        raise NoModel(f"There is no model {version}.") from error
    try:
        found = json.loads(data)
    except ValueError as error:
        raise BrokenBundle(f"The manifest of the model {version} is not JSON.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("version") != version:
        raise BrokenBundle(f"The manifest of the model {version} is of another format or another model.")
    return found, data


def load(storage: Storage, folder: Path, version: str | None = None) -> Bundle:
    """The current bundle, or the one of `version`, mapped from `folder` (a cache that may be lost at any time).

    Raises NoModel, BrokenBundle, and what the store raises. Every byte is checked against the manifest, also of files that were
    fetched earlier.
    """
    pointer = None if version else _pointer(storage)
    if version is None and pointer is None:
        raise NoModel("No model has been trained yet: `headwater train` makes one.")
    name = version or (pointer or {})["version"]
    manifest, data = _manifest(storage, name)
    if pointer and hashlib.sha256(data).hexdigest() != pointer["manifest_sha256"]:
        raise BrokenBundle(f"The manifest of the model {name} is not the one that was published.")
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    if set(manifest["files"]) != {*(f"{array}.npy" for array in _ARRAYS), "facts.json", REPORT}:
        raise BrokenBundle(f"The model {name} does not have the files of this format.")
    for file, expected in manifest["files"].items():
        _fetch(storage, f"{PREFIX}{name}/{file}", home / file, expected["sha256"])
    bundle = _open(home, name)
    check(bundle)
    return bundle


def drop_copies(folder: Path, kept: Collection[str], *, older_than_s: float, now_s: float) -> list[str]:
    """Removes local copies of models that nobody here answers from and that were taken up before `older_than_s` ago: another process
    may share the folder and be a look behind. What is mapped stays readable until it is let go. Returns the versions that went."""
    gone = []
    for home in sorted(folder.iterdir()) if folder.is_dir() else []:
        if home.is_dir() and home.name not in kept and now_s - home.stat().st_mtime > older_than_s:
            shutil.rmtree(home, ignore_errors=True)
            gone.append(home.name)
    return gone


def _fetch(storage: Storage, key: str, path: Path, sha256: str) -> None:
    """The file, right to the byte. It appears whole under its own name, because other processes use the same folder."""
    if path.is_file() and _sha256(path) == sha256:
        return
    partial = path.with_name(f".{path.name}.{token(6)}")
    try:
        storage.download(key, partial)
        if _sha256(partial) != sha256:
            raise BrokenBundle(f"{key} is not what was published.")
        partial.replace(path)
    except MissingObject as error:
        raise BrokenBundle(f"{key} is missing.") from error
    finally:
        partial.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(home: Path, version: str) -> Bundle:
    try:
        arrays = {name: _mapped(home / f"{name}.npy") for name in _ARRAYS}
        return Bundle(**arrays, version=version, facts=json.loads((home / "facts.json").read_bytes()), report=(home / REPORT).read_text())
    except ValueError as error:
        raise BrokenBundle(f"The model {version} cannot be read: {error}.") from error


def _mapped(path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError:  # an array without elements cannot be mapped
        return np.asarray(np.load(path, allow_pickle=False))


def history(storage: Storage) -> list[Published]:
    """All whole versions that are kept, the newest first. A folder without a manifest is an unfinished publication and is not listed."""
    now = current_version(storage)
    found = []
    for item in storage.list(PREFIX):
        if item.key.endswith("/manifest.json"):
            manifest, _ = _manifest(storage, item.key.removeprefix(PREFIX).removesuffix("/manifest.json"))
            at = datetime.fromisoformat(manifest["published_at"])
            found.append(Published(manifest["version"], at, manifest["version"] == now, manifest["facts"]))
    return sorted(found, key=lambda one: (one.published_at, one.version), reverse=True)


def rollback(storage: Storage, clock: Clock, version: str | None = None) -> str:
    """Make `version`, or without one the version published before the current one, the current one. Raises NoModel."""
    if version is None:
        kept = history(storage)
        place = next((place for place, one in enumerate(kept) if one.current), len(kept))
        if place + 1 >= len(kept):
            raise NoModel("There is no earlier model to go back to.")
        version = kept[place + 1].version
    _, data = _manifest(storage, version)
    _point(storage, version, data, clock.now().isoformat())
    return version


def forget_viewers(storage: Storage, viewer_ids: Sequence[str], folder: Path, clock: Clock) -> int:
    """Take these viewers out of every kept version: id, factor and history. Returns how many versions named one of them.

    A version is rewritten in place, so a server that fetches it at the same moment sees a hash that does not fit and fetches again.
    What the titles' factors learnt from a viewer among others stays; it names nobody.
    """
    changed = 0
    for one in history(storage):
        found = load(storage, folder, one.version)
        rows = [row for row in map(found.viewer_code, viewer_ids) if row is not None]
        if rows:
            data = _write(storage, _without(found, rows), one.published_at.isoformat())
            if one.current:
                _point(storage, one.version, data, clock.now().isoformat())
            changed += 1
        shutil.rmtree(folder / one.version, ignore_errors=True)
    return changed


def _without(found: Bundle, rows: Sequence[int]) -> Bundle:
    kept = np.ones(len(found.viewer_ids), np.bool_)
    kept[list(rows)] = False
    lengths = np.diff(found.history_indptr)
    entries = np.repeat(kept, lengths)
    starts = np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int64)
    return replace(
        found, viewer_ids=found.viewer_ids[kept], viewer_factors=found.viewer_factors[kept], history_indptr=starts,
        history_items=found.history_items[entries], history_weights=found.history_weights[entries],
    )  # fmt: skip


def prune(storage: Storage, keep: int = 10) -> list[str]:
    """Delete the oldest versions beyond `keep`; never the current one. Manifests go first: what is left is never taken for whole."""
    gone = [one.version for one in history(storage)[keep:] if not one.current]
    for version in gone:
        storage.delete(f"{PREFIX}{version}/manifest.json")
        for item in list(storage.list(f"{PREFIX}{version}/")):
            storage.delete(item.key)
    return gone
