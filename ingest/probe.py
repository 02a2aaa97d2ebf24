"""Find out what a source is. The only module of the probe that runs programs and reads files; decisions are in `ingest.checks`.

Two questions are put to a source: what its headers claim, and what its packets are. ffprobe answers the first. An MP4 or Matroska file
whose index can be relied on (`ingest.mp4_index`, `ingest.matroska_index`) answers the second itself, so that of hours of film only
the index and the first seconds are fetched; of any other file ffprobe reads every packet. Both ways lead to the same `MediaInfo`.
Of VVC only the index is believed (`ingest.vvc`).

ffprobe is held to the accepted formats and runs in the sandbox (`kit.sandbox`) with this one file, so that no upload can make it open
another file, or keep it busy or growing for ever.

The step "ingest.probe" does this to an asset's source object. A source that was read whole is known to plans by its SHA-256, one that
was not by its index; "ingest.digest" takes the SHA-256 of the latter when nothing more urgent is to be done. Whoever reads bytes also looks
in them for captions that are hidden in the pictures (`media.closed_captions`): ffprobe would have to decode pictures to see them.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

import catalog.store
from catalog import early, embedded, priority
from catalog.kinds import DIGEST, PROBE
from ingest import checks, container, ffprobe, light, matroska_index, vvc
from ingest.checks import Accepted, Limits
from ingest.ffprobe import Found
from ingest.mp4_fragments import find_fragments
from ingest.mp4_index import Mp4Index, find_index, make_map, streams
from ingest.packets import PacketScan, Scan
from ingest.table_scan import packet_count, scan
from kit import job_store, scratch, tools
from kit.errors import Rejected, StepFailed
from kit.jobs import Job, NewJob
from kit.process import Command, Completed, ProcessCancelled, ProcessOutOfCpu, ProcessOutOfMemory, ProcessTimeout
from kit.scratch import LocalCopy
from kit.step import Beat, Step
from kit.world import World
from media import accepted, closed_captions
from media.info import MediaInfo, VideoStream
from media.source_map import SourceMap

REPORT_EVERY = 4096  # packets
HASH_BYTES = 4 << 20  # read at a time
DIGEST_BYTES = 16 << 20  # asked of the store at a time
DIGEST_DELAY_S = 5.0  # until then the opening of the title has the machine to itself, and then there is other bulk work, which comes first
READ_AHEAD_BYTES = 4096


Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Indexed:
    """A source that was described without being read."""

    info: MediaInfo
    digest: str  # of its index
    source_map: SourceMap


def probe(world: World, path: Path, progress: Progress | None = None) -> MediaInfo:
    """What the file at `path` is, from every packet of it. `progress` hears the share of it that was read.

    Raises Rejected with a code of `checks.REASONS`, and what `Runner.run` raises when the machine is the reason.
    """
    limits = Limits.of(world.settings)
    size_bytes = path.stat().st_size
    _refuse(checks.check_size(size_bytes, limits))
    shape = _shape(path, size_bytes)
    prober = _Prober(world, path, limits, size_bytes)
    found, complaint = prober.streams(shape)
    _refuse(checks.check_streams(found, complaint, limits))
    return prober.light(_verdict(found, prober.packets(found, progress), shape, size_bytes, limits))


def probe_by_index(world: World, copy: LocalCopy, *, arriving: bool = False) -> Indexed | None:
    """The same from the index and the first samples, which are fetched; None when that is not possible.

    Of a source that is still `arriving`, nothing is read at the end. Raises what `probe` raises, and what `copy` raises.
    """
    limits = Limits.of(world.settings)
    _refuse(checks.check_size(copy.size_bytes, limits))
    read = _read_ahead(copy)
    index = find_index(read, copy.size_bytes)
    if index is None and not arriving:  # fragments are known when they are all there
        index = find_fragments(read, copy.read_many, copy.size_bytes)
    if index is None:
        return _probe_by_cues(world, copy, read, limits, arriving=arriving)
    copy.need(index.header)
    shape = _shape(copy.path, copy.size_bytes)
    prober = _Prober(world, copy.path, limits, copy.size_bytes)
    unprobed = _look_at_vvc(world, copy, index, shape, limits) if vvc.is_taken(index) else None
    found = _found(prober, shape, limits, unprobed)
    tracks = None if found is None else streams(index, found)
    if found is None or tracks is None or found.video is None:
        return None
    video = tracks[found.video.index]
    packets = packet_count(tracks.values())
    if packets >= REPORT_EVERY:
        _refuse(checks.check_count(len(video.track), packets, copy.size_bytes))
    info = _verdict(found, scan(video, tracks), shape, copy.size_bytes, limits)
    return _indexed(prober, copy, info, make_map(index, found, tracks), index.digest)


def _probe_by_cues(world: World, copy: LocalCopy, read: container.Read, limits: Limits, *, arriving: bool) -> Indexed | None:
    """`probe_by_index` of Matroska."""
    index = matroska_index.find_index(read, copy.size_bytes)
    if index is None or (not arriving and index.tail[1] - index.tail[0] > matroska_index.MOST_TAIL_BYTES):
        return None
    copy.need(index.header)
    shape = container.look(read, copy.size_bytes)
    prober = _Prober(world, copy.path, limits, copy.size_bytes)
    found = _found(prober, shape, limits)
    if found is None:
        return None
    made = matroska_index.describe(index, found, copy.read(index.clusters, index.head_end - index.clusters))
    if made is None or not (arriving or matroska_index.ends_so(made, found, copy.read(index.tail[0], index.tail[1] - index.tail[0]))):
        return None
    _refuse(checks.check_count(made.pictures, made.pictures, copy.size_bytes))
    info = _verdict(found, matroska_index.scan(made, found), shape, copy.size_bytes, limits)
    return _indexed(prober, copy, info, matroska_index.make_map(made, found), index.digest)


def _found(prober: _Prober, shape: container.Shape, limits: Limits, unprobed: tuple[Found, str] | None = None) -> Found | None:
    """The streams of a file of which only the index is there; None when the whole file has to say why they cannot be told."""
    try:
        found, complaint = unprobed or prober.streams(shape)
    except Rejected:
        return None
    _refuse(checks.check_streams(found, complaint, limits))
    return found


def _indexed(prober: _Prober, copy: LocalCopy, info: MediaInfo, source_map: SourceMap, digest: str) -> Indexed:
    """With what the first picture says of its light, and with a word of the captions that the first seconds carry. The latter are there
    already, because a file is not opened without them."""
    if info.video is not None and _is_dark(info.video):
        copy.need(source_map.video_ranges(info.video.start, info.video.start))
        info = prober.light(info)
    there = info.closed_captions or closed_captions.are_in(copy.read_many(source_map.header_ranges()))
    return Indexed(replace(info, closed_captions=there), digest, source_map)


def _look_at_vvc(world: World, copy: LocalCopy, index: Mp4Index, shape: container.Shape, limits: Limits) -> tuple[Found, str]:
    """What `_Prober.streams` says of other files."""
    program = tools.ffmpeg(world.settings)
    _refuse(checks.check_decoder(vvc.CODEC, tools.version(world.runner, program)))
    with scratch.work_dir(world.settings.scratch_dir, "probe-vvc") as folder:
        header, picture = folder / "header.mp4", folder / "picture.mkv"
        vvc.write_header(copy, index, header)
        found, complaint = _Prober(world, header, limits, copy.size_bytes).streams(shape)
        if found.video is None:
            return found, complaint
        prober = _Prober(world, picture, limits, 0)
        decoded = prober.run(vvc.picture_command(program, copy.path, found, limits.pixels, picture))
        said = decoded.stderr.decode(errors="replace")
        if decoded.exit_code != 0 or not picture.exists():
            raise checks.explain_undecoded(vvc.CODEC, said, limits)
        found = vvc.described(found, prober.streams(shape)[0])
    return found, complaint


def _shape(path: Path, size_bytes: int) -> container.Shape:
    """What a file is by its boxes, whose headers are there."""
    with path.open("rb") as file:
        return container.look(lambda offset, size: os.pread(file.fileno(), size, offset), size_bytes)


def _verdict(found: Found, scanned: Scan, shape: container.Shape, size_bytes: int, limits: Limits) -> MediaInfo:
    verdict = checks.accept(found, scanned, shape, size_bytes, limits)
    if isinstance(verdict, Accepted):
        return verdict.info
    raise verdict


def _read_ahead(copy: LocalCopy) -> container.Read:
    """Reads at least a few kilobytes at a time: the headers of small boxes stand side by side."""

    def read(offset: int, size: int) -> bytes:
        return copy.read(offset, max(size, READ_AHEAD_BYTES))[:size]

    return read


def _refuse(reason: Rejected | None) -> None:
    if reason is not None:
        raise reason


def _is_dark(video: VideoStream) -> bool:
    """Whether nobody has said how bright this HDR10 source is, and ffprobe may look."""
    return video.color_transfer == "smpte2084" and not video.mastering_display and video.codec not in accepted.UNPROBED_CODECS


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

        done = self.run(ffprobe.streams_command(self._program, self._path, self._limits.pixels, self._size_bytes), keep)
        complaint = done.stderr.decode(errors="replace")
        if done.exit_code != 0:
            raise checks.explain_failure(shape, complaint, self._limits)
        # Nothing goes between the lines: the runner hands over a very long one in pieces.
        return ffprobe.parse_streams("".join(lines)), complaint

    def light(self, info: MediaInfo) -> MediaInfo:
        """The same with what the first picture says of its light, where that matters and the container is silent."""
        video = info.video
        if video is None or not _is_dark(video):
            return info
        lines: list[str] = []
        done = self.run(ffprobe.picture_command(self._program, self._path, self._limits.pixels, video.index), lines.append)
        mastering, content = light.of_first_picture("".join(lines)) if done.exit_code == 0 else ("", "")
        return replace(info, video=replace(video, mastering_display=mastering, content_light=content))

    def packets(self, found: Found, progress: Progress | None) -> Scan:
        """Every packet of the file, summed up. A damaged end is no error here: the sums show it."""
        assert found.leading is not None
        depth = 0 if found.video is None else found.video.reorder_depth
        packets = PacketScan(found.leading, depth, found.ticks)
        claimed = (found.video.claimed_end if found.video is not None else None) or found.claimed_end
        seen = 0

        def count(line: str) -> None:
            nonlocal seen
            packets.line(line)
            seen += 1
            if seen % REPORT_EVERY == 0:
                pictures = 0 if found.video is None else packets.pictures
                held_bytes, span = packets.held_bytes, packets.span
                _refuse(checks.check_count(pictures, seen, self._size_bytes, held_bytes=held_bytes, span=span))
                if progress is not None and claimed:
                    progress(min(1.0, float(packets.position / claimed)))

        self.run(ffprobe.packets_command(self._program, self._path, self._limits.pixels, self._size_bytes), count)
        return packets.result()

    def run(self, command: Command, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run ffprobe, or FFmpeg. Too slow, too hungry or crashed is the file's doing; killed from outside is not."""
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
            raise StepFailed("The program was killed, most likely because the machine ran out of memory.", code="killed")
        if done.exit_code < 0:
            raise Rejected("The file is so damaged that the program that reads it crashed.", code="unreadable")
        return done


@dataclass(frozen=True, slots=True)
class Probed:
    """What the step found out. Without a map, the source was read whole."""

    info: MediaInfo
    digest: str  # what plans know the source by
    sha256: str | None = None  # of the whole file, hex
    source_map: SourceMap | None = None


def _run(world: World, job: Job, beat: Beat) -> Probed:
    with world.db.begin() as conn:
        asset = catalog.store.get_asset(conn, job.asset_id)
        # The source itself is looked at even if its copies have been, because it may have turned out another one.
        arriving = early.load(conn, job.asset_id) if job.args.get("early") else None
    if asset.source_key is None or asset.source_size_bytes is None:
        raise StepFailed("The asset has no source to look at.", code="no_source")
    settings = world.settings
    source, name = early.reader(world.storage, asset, arriving)
    with scratch.opened(source, name, asset.source_size_bytes, settings.scratch_dir, limit_bytes=settings.scratch_budget_bytes) as copy:
        indexed = probe_by_index(world, copy, arriving=arriving is not None)
        if indexed is not None:
            return Probed(indexed.info, indexed.digest, source_map=indexed.source_map)
        if job.args.get("early"):
            raise Rejected("The index is one that is not understood, so the file has to be whole first.", code="unsupported_format")
        copy.need()
        return look_at(world, copy.path, beat)


def look_at(world: World, path: Path, beat: Beat) -> Probed:
    """Probe and hash at the same time: the file is read from the disk once, and most of the waiting is ffprobe's."""
    stop = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="sha256") as pool:
        reading = pool.submit(_sha256, path, lambda: stop.is_set() or beat.cancelled.is_set())
        try:
            info = probe(world, path, beat.progress)
            digest, captions = reading.result()
            there = info.closed_captions or (captions and info.video is not None)
            return Probed(replace(info, closed_captions=there), digest, digest)
        finally:
            stop.set()


def _sha256(path: Path, unwanted: Callable[[], bool]) -> tuple[str, bool]:
    """In hex, and whether there are captions in the pictures."""
    digest, finder = hashlib.sha256(), closed_captions.Finder()
    with path.open("rb") as file:
        while piece := file.read(HASH_BYTES):
            if unwanted():
                raise ProcessCancelled("The file was not read to its end because its digest is no longer wanted.")
            digest.update(piece)
            finder.feed(piece)
    return digest.hexdigest(), finder.found


def _save(conn: Connection, _world: World, job: Job, result: Probed) -> None:
    before = catalog.store.lock_asset(conn, job.asset_id)
    if job.args.get("early"):
        # One that lost its worker may come after the whole file was looked at, of which more is known by then: its digest.
        if before.received_at is None or before.source_digest is None:
            catalog.store.set_source_info(conn, job.asset_id, result.info, result.digest, source_map=result.source_map)
        return
    if before.source_digest not in (None, result.digest):
        early.drop(conn, job.asset_id)
    catalog.store.set_source_info(conn, job.asset_id, result.info, result.digest, sha256=result.sha256, source_map=result.source_map)
    if result.sha256 is None:
        digest = NewJob(DIGEST, job.asset_id, job.asset_id, priority=priority.DIGEST, weight=0.0, delay_s=DIGEST_DELAY_S)
        job_store.enqueue(conn, digest)


@dataclass(frozen=True, slots=True)
class Digested:
    """What reading a source to its end told."""

    sha256: str  # hex
    closed_captions: bool


def _run_digest(world: World, job: Job, beat: Beat) -> Digested:
    """The SHA-256 of the source, read from the store once more, with nothing kept."""
    with world.db.begin() as conn:
        asset = catalog.store.get_asset(conn, job.asset_id)
    if asset.source_key is None or asset.source_size_bytes is None:
        raise StepFailed("The asset has no source to look at.", code="no_source")
    digest, finder, position = hashlib.sha256(), closed_captions.Finder(), 0
    while position < asset.source_size_bytes:
        if beat.cancelled.is_set():
            raise ProcessCancelled("The file was not read to its end because its digest is no longer wanted.")
        end = min(position + DIGEST_BYTES, asset.source_size_bytes)
        piece = world.storage.get(asset.source_key, start=position, end=end)
        digest.update(piece)
        finder.feed(piece)
        position = end
        beat.progress(position / asset.source_size_bytes)
    return Digested(digest.hexdigest(), finder.found)


def _save_digest(conn: Connection, _world: World, job: Job, result: Digested) -> None:
    catalog.store.set_source_sha256(conn, job.asset_id, result.sha256)
    if not result.closed_captions:
        return
    asset = catalog.store.note_closed_captions(conn, job.asset_id)
    if asset.plan_digest is not None:
        embedded.note(conn, asset, asset.plan_digest)


PROBE_STEPS = (Step(PROBE, _run, _save), Step(DIGEST, _run_digest, _save_digest))
