"""History and published data sets from files: ratings tables, and the text formats of two protocols. `.gz` everywhere, Parquet for tables.

A ratings table has the columns user, item, rating, timestamp in this order, or names them in its first line (MovieLens' own names and the
obvious others are known); the last two may be missing, and a table may have a watched fraction instead of a rating. Fields are separated by
comma, tab, semicolon, `::` or blanks. Ids are text: 1 and 01 are two users. Files are read into memory.

What is malformed is said with the file's name and what was expected (`BadFile`); nothing is skipped silently.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from kit.errors import BadRequest
from recommend.interactions import Interactions, Signal, from_codes

_NAMES = {
    "user": ("user", "userid", "user_id", "uid", "viewer", "viewer_id", "viewerid", "profile_id", "reviewerid"),
    "item": ("item", "itemid", "item_id", "iid", "movieid", "movie_id", "title_id", "asset_id", "assetid", "asin"),
    "rating": ("rating", "value", "score", "overall"),
    "timestamp": ("timestamp", "time", "ts", "at", "at_s", "unixreviewtime", "datetime", "date"),
    "fraction": ("watched_fraction", "fraction", "watch_ratio", "watched_pct"),
}
_KNOWN = {name: column for column, names in _NAMES.items() for name in names}
_SEPARATORS = (b"::", b"\t", b",", b";", b" ")


class BadFile(BadRequest):
    """A file that is not what its name or the protocol says."""

    code = "bad_file"


def read_bytes(path: Path) -> bytes:
    """The file, unpacked when it is gzip (by its first bytes, whatever its name). Raises BadFile."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError) as error:
        raise BadFile(f"{path.name} cannot be read: {error}.") from error


def ratings(path: Path, *, positive_from: float | None = None) -> Interactions:
    """A ratings table. With `positive_from`, a lower rating is a dislike; without, every row is a viewing. Raises BadFile.

    A missing timestamp becomes the number of the line, so that the order of the file is the order in time.
    """
    table = _parquet(path) if _is_parquet(path) else _text_table(path)
    missing = [name for name in ("user", "item") if name not in table.column_names]
    if missing or not table.num_rows:
        raise BadFile(f"{path.name} has no {' and no '.join(missing) or 'rows'}: expected are the columns user, item, rating, timestamp.")
    users, user_ids = _coded(table["user"], path)
    items, item_ids = _coded(table["item"], path)
    times = _times(table["timestamp"], path) if "timestamp" in table.column_names else np.arange(table.num_rows, dtype=np.float64)
    fraction = _numbers(table["fraction"], path).astype(np.float32) if "fraction" in table.column_names else None
    signal = np.zeros(table.num_rows, np.int8)
    if positive_from is not None:
        if "rating" not in table.column_names:
            raise BadFile(f"{path.name} has no ratings that could be compared with {positive_from:g}.")
        signal[_numbers(table["rating"], path) < positive_from] = Signal.DISLIKED
    return from_codes(users, items, times, user_ids, item_ids, watched_fraction=fraction, signal=signal)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _named(columns: list[str]) -> dict[str, str]:
    """Our names of the columns that are known, by theirs."""
    found: dict[str, str] = {}
    for column in columns:
        ours = _KNOWN.get(column.strip().lower().split(":")[0])
        if ours and ours not in found.values():
            found[column] = ours
    return found


def _parquet(path: Path) -> pa.Table:
    try:
        schema = parquet.read_schema(path)
        named = _named(list(schema.names))
        table = parquet.read_table(path, columns=list(named))
    except (pa.ArrowException, OSError) as error:
        raise BadFile(f"{path.name} is not readable as Parquet: {error}.") from error
    return table.rename_columns([named[name] for name in table.column_names])


def _text_table(path: Path) -> pa.Table:
    data = read_bytes(path).removeprefix(b"\xef\xbb\xbf")
    first = data[: data.find(b"\n") + 1 or len(data)].rstrip(b"\r\n")
    separator = next((mark for mark in _SEPARATORS if mark in first.strip()), None)
    if separator is None:
        raise BadFile(f"{path.name} is no table: its first line is {first[:60].decode(errors='replace')!r}.")
    if separator == b"::":
        data, separator = data.replace(b"::", b"\t"), b"\t"
        first = first.replace(b"::", b"\t")
    elif separator == b" ":
        data, first = re.sub(rb"[ \t]+", b" ", data), re.sub(rb"[ \t]+", b" ", first)
    columns = [name.strip().strip('"') for name in first.decode(errors="replace").split(separator.decode())]
    header = bool(_named(columns))
    names = columns if header else ["user", "item", "rating", "timestamp"][: len(columns)] + [f"_{n}" for n in range(4, len(columns))]
    used = _named(names)
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(data),
            read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=int(header)),
            parse_options=arrow_csv.ParseOptions(delimiter=separator.decode()),
            convert_options=arrow_csv.ConvertOptions(include_columns=list(used), column_types=dict.fromkeys(used, pa.string())),
        )
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise BadFile(f"{path.name} is not an even table: {error}.") from error
    return table.rename_columns([used[name] for name in table.column_names])


def _coded(column: Any, path: Path) -> tuple[Any, list[str]]:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if whole.null_count:
        raise BadFile(f"{path.name} has a row without a user or an item.")
    encoded: Any = whole.cast(pa.string()).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def _numbers(column: Any, path: Path) -> Any:
    try:
        numbers = np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
    except pa.ArrowException as error:
        raise BadFile(f"{path.name} has text where a number is expected: {error}.") from error
    if not np.isfinite(numbers).all():
        raise BadFile(f"{path.name} has an empty field or NaN where a number is expected.")
    return numbers


def _times(column: Any, path: Path) -> Any:
    """Seconds since 1970, from numbers (seconds, or milliseconds where they would lie after the year 5000), or ISO dates."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy() / 1e6
    try:
        numbers = _numbers(column, path)
    except BadFile:
        try:
            return np.array([_moment(text) for text in column.to_pylist()])
        except (TypeError, ValueError) as error:
            raise BadFile(f"{path.name} has a timestamp that is neither a number nor a date: {error}.") from error
    return numbers / 1e3 if np.median(numbers) > 1e11 else numbers


def _moment(text: str) -> float:
    """Seconds since 1970; without a zone, UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(read_bytes(path).decode(errors="replace").splitlines(), 1):
        if words := line.replace("::", " ").replace(",", " ").split():
            yield number, words


def adjacency(path: Path) -> dict[str, list[str]]:
    """The LightGCN text format: a line for each user, `user item item …`. A user may have no items. Raises BadFile."""
    found: dict[str, list[str]] = {}
    for number, words in _lines(path):
        if words[0] in found:
            raise BadFile(f"{path.name}, line {number}: the user {words[0]} has a line already; expected is one line for each user.")
        found[words[0]] = words[1:]
    if not found:
        raise BadFile(f"{path.name} is empty.")
    return found


def held_out(path: Path) -> list[tuple[str, str]]:
    """Test lines `user item …` of the leave-one-out protocol. Raises BadFile."""
    found = []
    for number, words in _lines(path):
        if len(words) < 2:
            raise BadFile(f"{path.name}, line {number}: expected are a user and an item.")
        if not (number == 1 and words[0].lower() in _KNOWN):
            found.append((words[0], words[1]))
    if not found:
        raise BadFile(f"{path.name} is empty.")
    return found


@dataclass(frozen=True, slots=True)
class Negatives:
    """For each (user, item) the candidates that are no hits. `dropped` counts those that were the item itself."""

    of: dict[tuple[str, str], list[str]]
    dropped: int


def negatives(path: Path) -> Negatives:
    """Lines `(user,item)⇥n1⇥n2…`. A negative that equals the held-out item is dropped. Raises BadFile."""
    found: dict[tuple[str, str], list[str]] = {}
    dropped = 0
    for number, line in enumerate(read_bytes(path).decode(errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        match = re.match(r"\(\s*([^,\s]+)\s*,\s*([^)\s]+)\s*\)\s*(.*)", line)
        if match is None:
            raise BadFile(f"{path.name}, line {number}: expected is (user,item) and then its negatives.")
        others = [word for word in match[3].split() if word != match[2]]
        dropped += len(match[3].split()) - len(others)
        found[match[1], match[2]] = others
    if not found:
        raise BadFile(f"{path.name} is empty.")
    return Negatives(found, dropped)
