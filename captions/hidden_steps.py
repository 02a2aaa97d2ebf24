"""The step "captions.hidden": captions inside the pictures of a source, or beside them in an MXF, become tracks, one for each channel that
says something.

It comes behind everything that a title needs to be ready, reads the source once and decodes no picture. Where captions are there and cannot
be had, a track that cannot be shown says why; where the carrier is there and empty, as broadcasters send it all day, there is no track.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from captions import extract, line21
from captions.fetching import fetched
from captions.line21 import Captions
from captions.storing import Refresh, stored
from catalog import early, embedded, store, track_store
from catalog.embedded import HIDDEN
from catalog.track import Content, NewTrack
from kit import log, tools
from kit.errors import StepFailed
from kit.jobs import Job
from kit.process import ProcessFlooded, ProcessOutOfCpu, ProcessOutOfMemory, ProcessTimeout
from kit.step import Beat, Step
from kit.world import World

_log = log.logger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """The content of each channel by its name, or why there is none."""

    channels: tuple[tuple[str, Content], ...]
    detail: str = ""


def run(world: World, job: Job, beat: Beat) -> Taken:
    """Raises StepFailed when the asset has no source, and what `Runner.run` raises when the machine is the reason."""
    with world.db.connect() as conn:
        asset = store.get_asset(conn, job.asset_id)
        arriving = early.load(conn, job.asset_id)
        plan = store.load_plan(conn, asset.id)
    info = asset.source
    if info is None or info.video is None:
        raise StepFailed("The asset has no source with pictures.", code="no_source")
    with fetched(world, asset, arriving, job) as (source, folder):
        beat.progress(0.5)
        program = tools.ffmpeg(world.settings)
        try:
            done = world.runner.run(extract.hidden_command(info, info.video, program, source, folder))
        except (ProcessTimeout, ProcessOutOfCpu, ProcessOutOfMemory, ProcessFlooded) as error:
            _log.warning("captions inside pictures could not be taken out", asset=asset.id, code=error.code)
            return Taken((), line21.FAILED)
        if done.exit_code == -9 and job.attempt < job.max_attempts:
            raise StepFailed("FFmpeg was killed, most likely because the machine ran out of memory.", code="killed")
        found = line21.read_hidden(info, folder, plan.origin, plan.grid.duration)
        if info.closed_captions and not found.channels and not found.detail and done.exit_code != 0:
            found = Captions({}, line21.FAILED)
    contents = ((name, stored(world, asset.id, extract.LINE_21, *cues)) for name, cues in found.channels.items())
    return Taken(tuple(contents), found.detail)


def saver(refresh: Refresh) -> Callable[[Connection, World, Job, Taken], None]:
    def save(conn: Connection, world: World, job: Job, result: Taken) -> None:
        for name, content in result.channels:
            new = NewTrack("captions", "und", name, origin="source", stream_index=embedded.CHANNELS[name], format=content.format)
            track = track_store.get_track(conn, job.asset_id, track_store.add_track(conn, job.asset_id, new))
            if track.status == "waiting" and track.cues_sha256 is None:  # else it is of an earlier plan, and may have been edited
                track_store.set_content(conn, track, content)
        if result.detail:
            track_store.add_track(conn, job.asset_id, embedded.not_taken_out(result.detail))
        refresh(conn, world, job.asset_id)

    return save


def step(refresh: Refresh) -> Step:
    return Step(HIDDEN, run, saver(refresh))
