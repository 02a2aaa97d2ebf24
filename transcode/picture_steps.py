"""What is made of key frames that are stored already: the storyboard, the preview, and single thumbnails.

A stored key frame is a part of a segment, and is fetched alone. Together with the rung's init segment it is a film of its own, so
FFmpeg decodes these pictures and no others, and the source is not touched. No title waits for any of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

import catalog.store
from catalog import lost, pictures
from catalog.pictures import Made, Picture
from kit import scratch, tools
from kit.errors import Rejected, StepFailed
from kit.jobs import Job
from kit.step import Beat
from kit.world import World
from media import keys
from media import pictures as names
from media.grid import place_of_gop
from media.isobmff import first_sample, read_fragments, timescale, write_fragment
from media.rendition import VideoRendition
from media.segments import Fragment
from transcode.ffmpeg.picture import Stored, preview_command, sheet_command, thumbnail_command
from transcode.ffmpeg.run import niceness
from transcode.pictures_made import store
from transcode.running import run
from transcode.title import Title, open_title

_TRACK_ID = 1
_VTT, _MP4 = "text/vtt", "video/mp4"


def storyboard(world: World, job: Job, beat: Beat) -> Made:
    """Sheets of small pictures from the whole length, and the file that says which is where."""
    title, rung = _open(world, job, 1)
    board = names.storyboard(title.plan)
    made: list[Picture] = []
    for number, gops in enumerate(board.sheets):
        with _film(title, job, rung, _keyframes(title, rung, gops)) as stored:
            target = stored.out_dir / names.sheet(number)
            run(world, sheet_command(stored, board, len(gops), target))
            made.append(store(title, names.sheet(number), _written(target)))
        beat.progress((number + 1) / (len(board.sheets) + 1))
    text = names.render_storyboard(title.plan)
    made.append(store(title, names.STORYBOARD, text.encode(), _VTT))
    return Made(title.plan.digest, tuple(made))


def preview(world: World, job: Job, _beat: Beat) -> Made:
    """A few moments in motion."""
    title, rung = _open(world, job, 1)
    wanted = names.preview(title.plan)
    with _film(title, job, rung, b"".join(_groups(title, rung, wanted.gops))) as stored:
        target = stored.out_dir / names.PREVIEW
        run(world, preview_command(stored, wanted, title.plan, target))
        return Made(title.plan.digest, (store(title, names.PREVIEW, _written(target), _MP4),))


def thumbnail(world: World, job: Job, _beat: Beat) -> Made:
    """One key frame in one width."""
    width, gop = int(job.args["width"]), int(job.args["gop"])
    title, rung = _open(world, job, width)
    with _film(title, job, rung, _keyframes(title, rung, [gop])) as stored:
        target = stored.out_dir / "thumbnail.jpg"
        run(world, thumbnail_command(stored, width, target))
        return Made(title.plan.digest, (store(title, names.thumbnail(width, gop), _written(target)),))


def save_pictures(conn: Connection, _world: World, job: Job, result: Made) -> None:
    pictures.record(conn, job.asset_id, result)


def _open(world: World, job: Job, width: int) -> tuple[Title, VideoRendition]:
    """The title and its smallest rung that is so wide."""
    with world.db.connect() as conn:
        plan = catalog.store.load_plan(conn, job.asset_id)
        gone = lost.names(conn, job.asset_id, plan.digest)
    try:
        rung = names.rung_for(plan, width, gone)
    except ValueError as error:
        raise Rejected(f"No picture can be made: {error}.", code="no_pictures") from error
    return open_title(world, job.asset_id, [rung.name]), rung


def _written(path: Path) -> bytes:
    """Raises StepFailed when FFmpeg was content without having written anything."""
    data = path.read_bytes() if path.exists() else b""
    if not data:
        raise StepFailed("No picture could be made of the stored key frames.", code="encode_failed")
    return data


@contextmanager
def _film(title: Title, job: Job, rung: VideoRendition, fragments: bytes) -> Iterator[Stored]:
    """The init segment of a rung and these fragments as a file."""
    settings = title.world.settings
    with scratch.work_dir(settings.scratch_dir, job.id) as folder:
        path, out_dir = folder / "film.mp4", folder / "out"
        out_dir.mkdir()
        path.write_bytes(_init(title, rung) + fragments)
        yield Stored(path, rung, out_dir, tools.ffmpeg(settings), nice=niceness(job.priority))


def _init(title: Title, rung: VideoRendition) -> bytes:
    return title.clear_init(rung.name)


def _keyframes(title: Title, rung: VideoRendition, gops: Iterable[int]) -> bytes:
    """The first pictures of these groups as one fragment, one second each."""
    samples = [first_sample(data) for data in _parts(title, rung, gops, whole=False)]
    ticks = timescale(_init(title, rung))
    return write_fragment(track_id=_TRACK_ID, sequence=1, decode_time=0, sample_duration=ticks, samples=samples)


def _groups(title: Title, rung: VideoRendition, gops: Iterable[int]) -> Iterator[bytes]:
    return _parts(title, rung, gops, whole=True)


def _parts(title: Title, rung: VideoRendition, gops: Iterable[int], *, whole: bool) -> Iterator[bytes]:
    """The fragment of each group of pictures, or as much of it as its first picture needs. Of a protected title whole segments are
    fetched: there is no decrypting without what comes before."""
    for gop in gops:
        index, number = place_of_gop(gop, title.plan.grid.segment_count)
        part = _fragment(title, rung, index, number)
        if title.lock is not None:
            yield _clear_part(title, rung, index, number, whole=whole)
            continue
        key = keys.media_segment(title.asset.id, title.plan.digest, rung.name, index)
        end = part.offset + (part.size if whole else part.keyframe_size)
        yield title.world.storage.get(key, start=part.offset, end=end)


def _clear_part(title: Title, rung: VideoRendition, index: int, number: int, *, whole: bool) -> bytes:
    data = title.clear_segment(rung.name, index)
    part = list(read_fragments(data))[number]
    return data[part.offset : part.offset + (part.size if whole else part.keyframe_size)]


def _fragment(title: Title, rung: VideoRendition, index: int, number: int) -> Fragment:
    """Raises StepFailed while the segment has not been made."""
    segment = title.recorded[rung.name].get(index)
    if segment is None or number >= len(segment.fragments):
        raise StepFailed(f"Segment {index} of {rung.name} has not been made yet.", code="not_made_yet")
    return segment.fragments[number]
