"""Find out what a source is. The only module of the probe that runs programs and reads files; decisions are in `ingest.checks`.

Two runs of ffprobe at most: what the headers claim, then every packet. Both are held to the accepted formats and run in the sandbox
(`kit.sandbox`) with this one file, so that no upload can make them open another file, or keep them busy or growing for ever.

The step "ingest.probe" does this to an asset's source object, and takes its SHA-256, which names the source in every plan.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

import catalog.store
from ingest import checks, container, ffprobe
from ingest.checks import Accepted, Limits
from ingest.ffprobe import Found
from ingest.packets import PacketScan, Scan
from ingest.received import PROBE
from kit import scratch, tools
from kit.errors import Rejected, StepFailed
from kit.jobs import Job
from kit.process import Command, Completed, ProcessCancelled, ProcessOutOfCpu, ProcessOutOfMemory, ProcessTimeout
from kit.step import Beat, Step
from kit.world import World
from media.info import MediaInfo

REPORT_EVERY = 4096  # packets
HASH_BYTES = 4 << 20  # read at a time

Progress = Callable[[float], None]


def probe(world: World, path: Path, progress: Progress | None = None) -> MediaInfo:
    """What the file at `path` is. `progress` hears the share of it that was read.

    Raises Rejected with a code of `checks.REASONS`, and what `Runner.run` raises when the machine is the reason.
    """
    limits = Limits.of(world.settings)
    size_bytes = path.stat().st_size
    _refuse(checks.check_size(size_bytes, limits))
    with path.open("rb") as file:

        def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        shape = container.look(read, size_bytes)
    prober = _Prober(world, path, limits, size_bytes)
    found, complaint = prober.streams(shape)
    _refuse(checks.check_streams(found, complaint, limits))
    verdict = checks.accept(found, prober.packets(found, progress), shape, size_bytes, limits)
    if isinstance(verdict, Accepted):
        return verdict.info
    raise verdict


def _refuse(reason: Rejected | None) -> None:
    if reason is not None:
        raise reason


class _Prober:
    """Both runs of ffprobe over one file."""

    def __init__(self, world: World, path: Path, limits: Limits, size_bytes: int) -> None:
        self._world = world
        self._program = tools.ffprobe(world.settings)
        self._path = path
        self._limits = limits
        self._size_bytes = size_bytes

    def streams(self, shape: container.Shape) -> tuple[Found, str]:
        """The streams, and what ffprobe complained of on the way."""
        lines: list[str] = []
        held = 0

        def keep(line: str) -> None:
            nonlocal held
            held += len(line)
            if held > ffprobe.ANSWER_LIMIT_CHARS:
                raise Rejected("The file describes itself at a length that makes no sense.", code="unreadable")
            lines.append(line)

        done = self._run(ffprobe.streams_command(self._program, self._path, self._limits.pixels, self._size_bytes), keep)
        complaint = done.stderr.decode(errors="replace")
        if done.exit_code != 0:
            raise checks.explain_failure(shape, complaint, self._limits)
        # Nothing goes between the lines: the runner hands over a very long one in pieces.
        return ffprobe.parse_streams("".join(lines)), complaint

    def packets(self, found: Found, progress: Progress | None) -> Scan:
        """Every packet of the file, summed up. A damaged end is no error here: the sums show it."""
        assert found.video is not None
        scan = PacketScan(found.video.index, found.video.reorder_depth, found.ticks)
        claimed = found.video.claimed_end or found.claimed_end
        seen = 0

        def count(line: str) -> None:
            nonlocal seen
            scan.line(line)
            seen += 1
            if seen % REPORT_EVERY == 0:
                _refuse(checks.check_count(scan.pictures, seen, self._size_bytes))
                if progress is not None and claimed:
                    progress(min(1.0, float(scan.position / claimed)))

        self._run(ffprobe.packets_command(self._program, self._path, self._limits.pixels, self._size_bytes), count)
        return scan.result()

    def _run(self, command: Command, on_line: Callable[[str], None]) -> Completed:
        """Run ffprobe. Too slow, too hungry or crashed is the file's doing; killed from outside is not."""
        try:
            done = self._world.runner.run(command, on_line=on_line)
        except ProcessTimeout as slow:
            seconds = f"{command.timeout_s:.0f} seconds"
            raise Rejected(
                f"The file could not be read within {seconds}: it is damaged or far too complicated.", code="unreadable"
            ) from slow
        except (ProcessOutOfCpu, ProcessOutOfMemory) as hungry:
            raise Rejected("Reading the file takes far more work than any good file does: it is damaged.", code="unreadable") from hungry
        if done.exit_code == -9:
            raise StepFailed("ffprobe was killed, most likely because the machine ran out of memory.", code="killed")
        if done.exit_code < 0:
            raise Rejected("The file is so damaged that the program that reads it crashed.", code="unreadable")
        return done


@dataclass(frozen=True, slots=True)
class Probed:
    """What the step found out."""

    info: MediaInfo
    sha256: str  # of the whole file, hex


def _run(world: World, job: Job, beat: Beat) -> Probed:
    with world.db.begin() as conn:
        asset = catalog.store.get_asset(conn, job.asset_id)
    if asset.source_key is None or asset.source_size_bytes is None:
        raise StepFailed("The asset has no source to look at.", code="no_source")
    with scratch.fetch(world.storage, asset.source_key, asset.source_size_bytes, world.settings.scratch_dir) as path:
        return look_at(world, path, beat)


def look_at(world: World, path: Path, beat: Beat) -> Probed:
    """Probe and hash at the same time: the file is read from the disk once, and most of the waiting is ffprobe's."""
    stop = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="sha256") as pool:
        digest = pool.submit(_sha256, path, lambda: stop.is_set() or beat.cancelled.is_set())
        try:
            return Probed(probe(world, path, beat.progress), digest.result())
        finally:
            stop.set()


def _sha256(path: Path, unwanted: Callable[[], bool]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(HASH_BYTES):
            if unwanted():
                raise ProcessCancelled("The file was not read to its end because its digest is no longer wanted.")
            digest.update(piece)
    return digest.hexdigest()


def _save(conn: Connection, world: World, job: Job, result: Probed) -> None:  # noqa: ARG001
    catalog.store.set_source_info(conn, job.asset_id, result.info, result.sha256)


PROBE_STEPS = (Step(PROBE, _run, _save),)
