"""A local file of which some byte ranges are there, filled from elsewhere by any number of processes at once.

    <name>          the file, of its full length from the start; what was not fetched yet is a hole
    <name>.filled   its journal: which ranges were fetched, and which were asked for

A range is written first and noted afterwards, so what the journal says is there is there, whenever a process is killed. A range that
is being fetched is locked, range by range: whoever wants the same bytes waits for them, whoever wants others does not. The kernel
lets go of the locks of a process that dies ("open file description locks", fcntl(2)).

A machine that loses its power may keep the journal and lose the bytes, so a journal counts only until the machine is restarted.

Not done here: who may use or remove the file, and how much room there is (`kit.scratch`).
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import islice, pairwise, takewhile
from pathlib import Path

from kit.errors import StepFailed

Range = tuple[int, int]  # [start, end), bytes
Ranges = tuple[Range, ...]  # ascending, apart from each other
Stream = Callable[[int, int], Iterable[bytes]]  # the bytes [start, end), in pieces

PIECE_BYTES = 8 << 20  # fetched by one request
NOTE_BYTES = 1 << 20  # fetched before it is noted; at most this is fetched twice by one thread that is killed
THREADS = 4
SMALL_BYTES = 32 << 10  # the time that such a piece takes is the request's, so more of them are asked for at once
MORE_THREADS = 4  # times as many
GROUP_PIECES = 16
READ_OVER_SHARE = 0.1  # of what is fetched may be gaps, filled to save requests

_FILLED, _WANTED = 0, 1
_RECORD = struct.Struct(">BQQI")  # kind, start, end, check sum
_FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


# -- ranges as values


def united(*groups: Iterable[Range]) -> Ranges:
    """All bytes of all groups."""
    found: list[Range] = []
    for start, end in sorted(piece for group in groups for piece in group):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif end > start:
            found.append((start, end))
    return tuple(found)


def without(wanted: Iterable[Range], there: Iterable[Range]) -> Ranges:
    """The bytes of `wanted` that are not in `there`."""
    taken, found, first = united(there), [], 0
    for start, end in united(wanted):
        at = start
        while first < len(taken) and taken[first][1] <= start:
            first += 1
        for low, high in takewhile(lambda piece, end=end: piece[0] < end, islice(taken, first, None)):  # type: ignore[misc]
            if low > at:
                found.append((at, low))
            at = max(at, high)
        if at < end:
            found.append((at, end))
    return tuple(found)


def joined(ranges: Ranges, share: float = READ_OVER_SHARE) -> Ranges:
    """Fewer ranges, with the smallest gaps filled as long as they are no more than `share` of the bytes wanted."""
    budget = int(size_of(ranges) * share)
    fill: list[Range] = []
    for gap, start in sorted((later[0] - before[1], before[1]) for before, later in pairwise(ranges)):
        budget -= gap
        if budget < 0:
            break
        fill.append((start, start + gap))
    return united(ranges, fill)


def size_of(ranges: Iterable[Range]) -> int:
    """Bytes in ranges that do not overlap."""
    return sum(end - start for start, end in ranges)


def cut(ranges: Iterable[Range], longest: int) -> Iterator[Range]:
    """The same in pieces of at most `longest` bytes."""
    for start, end in ranges:
        for at in range(start, end, longest):
            yield at, min(end, at + longest)


# -- the file


def journal_of(path: Path) -> Path:
    return path.with_name(path.name + ".filled")


def make(path: Path, size_bytes: int) -> None:
    """An empty file of that length. Nobody else may be using it."""
    remove(path)
    with path.open("xb") as file:
        file.truncate(size_bytes)
    aside = path.with_name(f".{path.name}.filled")
    aside.write_bytes(_head(size_bytes))
    aside.replace(journal_of(path))  # from here on the file counts


def is_made(path: Path, size_bytes: int) -> bool:
    """Whether the file is there, with a journal that counts and is sound to its end."""
    try:
        data = journal_of(path).read_bytes()
        return data.startswith(_head(size_bytes)) and path.stat().st_size == size_bytes and None not in _records(data)
    except FileNotFoundError:
        return False


def remove(path: Path) -> None:
    journal_of(path).unlink(missing_ok=True)  # first: a file without a journal counts for nothing
    path.unlink(missing_ok=True)


def taken(path: Path) -> Ranges:
    """What the file has, or will soon have: what was fetched, and what was asked for."""
    return united(*_read(path))


def filled(path: Path) -> Ranges:
    return _read(path)[_FILLED]


def want(path: Path, ranges: Iterable[Range]) -> None:
    """Note that these will be fetched."""
    _note(path, _WANTED, ranges)


def fill(path: Path, ranges: Iterable[Range], stream: Stream) -> None:
    """Fetch what is missing of `ranges`; each byte once, however many processes and threads do this at the same time.

    Raises what `stream` raises, and StepFailed("source_damaged") when it has fewer bytes than it should.
    """
    pieces = list(cut(joined(without(ranges, filled(path))), PIECE_BYTES))
    groups = list(_grouped(pieces)) if len(pieces) > GROUP_PIECES else [[piece] for piece in pieces]
    stop = threading.Event()
    if len(groups) <= 1:
        for group in groups:
            _fill_group(path, group, stream, stop)
        return
    most = THREADS * MORE_THREADS if size_of(pieces) < len(pieces) * SMALL_BYTES else THREADS
    with ThreadPoolExecutor(min(most, len(groups)), thread_name_prefix="fetch") as pool:
        tasks = [pool.submit(_fill_group, path, group, stream, stop) for group in groups]
        done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
        failed = next((task for task in done if task.exception() is not None), None)
        if failed is not None:
            stop.set()
            failed.result()


def _grouped(pieces: Iterable[Range]) -> Iterator[list[Range]]:
    """Neighbours that are fetched by one thread under one lock: small ones by the dozen, because for each the journal is read anew."""
    group: list[Range] = []
    for piece in pieces:
        if group and (len(group) == GROUP_PIECES or size_of(group) + size_of([piece]) > GROUP_PIECES * SMALL_BYTES):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _fill_group(path: Path, group: list[Range], stream: Stream, stop: threading.Event) -> None:
    if stop.is_set():
        return
    with _locked(path, (group[0][0], group[-1][1])) as descriptor:
        for start, end in without(group, filled(path)):  # others may have fetched it while we waited
            _copy(path, descriptor, (start, end), stream(start, end), stop)


def _copy(path: Path, descriptor: int, wanted: Range, pieces: Iterable[bytes], stop: threading.Event) -> None:
    noted = at = wanted[0]
    for data in pieces:
        if stop.is_set():
            return
        rest = memoryview(data)[: wanted[1] - at]
        while rest:
            written = os.pwrite(descriptor, rest, at)
            at, rest = at + written, rest[written:]
        if at - noted >= NOTE_BYTES or at == wanted[1]:
            _note(path, _FILLED, [(noted, at)])
            noted = at
    if at < wanted[1]:
        raise StepFailed(f"The source has no bytes from {at} to {wanted[1]}.", code="source_damaged")


@contextmanager
def _locked(path: Path, piece: Range) -> Iterator[int]:
    """The open file, with these bytes of it locked against everybody who locks them too, in whatever thread or process."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        lock = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, piece[0], piece[1] - piece[0], 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, lock)
        yield descriptor
    finally:
        os.close(descriptor)


# -- the journal


def _head(size_bytes: int) -> bytes:
    return f"{_boot():40} {size_bytes:20}\n".encode()


@cache
def _boot() -> str:
    """Changes with every start of the machine."""
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else "unknown"


def _note(path: Path, kind: int, ranges: Iterable[Range]) -> None:
    """One write for each call, so that two processes never mix theirs."""
    records = b"".join(_RECORD.pack(kind, start, end, zlib.crc32(b"%d %d %d" % (kind, start, end))) for start, end in ranges)
    descriptor = os.open(journal_of(path), os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, records)
    finally:
        os.close(descriptor)


def _records(data: bytes) -> Iterator[tuple[int, int, int] | None]:
    """Kind, start and end of each record; None for one that was cut short (by a full disk), behind which nothing can be read."""
    for at in range(len(_head(0)), len(data), _RECORD.size):
        record = data[at : at + _RECORD.size]
        kind, start, end, check = _RECORD.unpack(record) if len(record) == _RECORD.size else (0, 0, 0, 0)
        if kind not in (_FILLED, _WANTED) or check != zlib.crc32(b"%d %d %d" % (kind, start, end)):
            yield None
            return
        yield kind, start, end


def _read(path: Path) -> tuple[Ranges, Ranges]:
    """What was fetched, and what was asked for. A journal that is not there says nothing."""
    found: tuple[list[Range], list[Range]] = ([], [])
    try:
        data = journal_of(path).read_bytes()
    except FileNotFoundError:
        data = b""
    for record in _records(data):
        if record is not None:
            found[record[0]].append(record[1:])
    return united(found[_FILLED]), united(found[_WANTED])
