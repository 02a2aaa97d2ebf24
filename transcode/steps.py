"""The background steps of this room: plan, encode a chunk, make one segment at once, encode the audio, make the poster.

Each `run` writes objects under the plan's digest and returns what it measured; each `save` writes that down. Nothing is put into
the store before it has been verified, and what is stored and recorded already is not made again, so a step may run any number of
times, and a segment that was made for somebody who could not wait is left out of the chunk it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

import catalog.store
from catalog import downloads, kinds, pictures, quality, sounds, title_keys
from catalog.asset import Asset
from kit import scratch, tools
from kit.errors import StepFailed
from kit.jobs import Job
from kit.step import Beat, Step
from kit.world import World
from media import keys
from media.plan import EncodePlan
from media.protection import Protection
from transcode.audio_steps import audio, audio_segment, measured_gains
from transcode.download_steps import download, save_download
from transcode.ffmpeg.headers import init_commands
from transcode.init_steps import init_again, save_nothing
from transcode.picture_steps import preview, save_pictures, storyboard, thumbnail
from transcode.plan import PlanOptions, make_plan, with_gains, with_protection
from transcode.poster_steps import poster, save_poster, still
from transcode.profiles import named
from transcode.quality_steps import measure, save_measured
from transcode.running import run
from transcode.title import AUDIO_TYPE, VIDEO_TYPE, lock_of, open_title
from transcode.verify import check_audio_init, check_video_init
from transcode.video_steps import Measured, encode, encode_segments


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and the stored init segment of each of its renditions."""

    plan: EncodePlan
    inits: Mapping[str, bytes]  # as they are stored


def plan(world: World, job: Job, beat: Beat) -> Planned:
    """Decide, and store the headers that every chunk will have."""
    with world.db.connect() as conn:
        asset = catalog.store.get_asset(conn, job.asset_id)
    if asset.source is None or asset.source_digest is None:
        raise StepFailed("The source has not been looked at yet.", code="no_source")
    program = tools.ffmpeg(world.settings)
    options = PlanOptions(world.settings.chunk_s, named(asset.profile, world.settings.default_profile), world.settings.lowest_rung_first)
    made = make_plan(asset.source, asset.source_digest, options, tools.encoder_version(world.runner, program))
    if asset.wants_normal_loudness(operator_does=world.settings.normalize_audio) and made.audio:
        made = with_gains(made, measured_gains(world, asset, made, job))
    made = with_protection(made, _protection(world, asset))
    with scratch.work_dir(world.settings.scratch_dir, job.id) as folder:
        for command in init_commands(made, folder, program):
            run(world, command)
        inits = {rung.name: check_video_init((folder / f"{rung.name}.mp4").read_bytes(), rung, made) for rung in made.video}
        inits |= {track.name: check_audio_init((folder / f"{track.name}.mp4").read_bytes(), track) for track in made.audio}
    beat.progress(0.5)
    with world.db.connect() as conn:
        lock = lock_of(conn, world, asset.id, made)
    if lock is not None:
        inits = {name: lock.init(init, name) for name, init in inits.items()}
    for name, init in inits.items():
        key = keys.init_segment(asset.id, made.digest, name)
        world.storage.put(key, init, content_type=VIDEO_TYPE if made.sound(name) is None else AUDIO_TYPE)
    return Planned(made, inits)


def _protection(world: World, asset: Asset) -> Protection | None:
    """The same whenever it is asked for."""
    with world.db.begin() as conn:
        locked = catalog.store.lock_asset(conn, asset.id)
        return title_keys.decide(conn, locked, world.settings.default_encryption, world.settings.secret_key)


def save_plan(conn: Connection, _world: World, job: Job, result: Planned) -> None:
    catalog.store.save_plan(conn, job.asset_id, result.plan, result.inits)
    sounds.save(conn, job.asset_id, result.plan)


def segment(world: World, job: Job, beat: Beat) -> Measured:
    """One segment of one rendition, now: the opening of a title, or the place that somebody has gone to."""
    name, index = str(job.args["rendition"]), int(job.args["index"])
    title = open_title(world, job.asset_id, [name])
    if (track := title.plan.sound(name)) is not None:
        return audio_segment(title, track, index, job, beat)
    return encode_segments(title, {name: (index,)}, job, beat)


def save_segments(conn: Connection, _world: World, job: Job, result: Measured) -> None:
    plan_digest = catalog.store.load_plan(conn, job.asset_id).digest
    for name, segments in result.items():
        catalog.store.save_segments(conn, job.asset_id, plan_digest, name, segments)


STEPS = (
    Step(kinds.PLAN, plan, save_plan),
    Step(kinds.INIT, init_again, save_nothing),
    Step(kinds.ENCODE, encode, save_segments),
    Step(kinds.SEGMENT, segment, save_segments),
    Step(kinds.AUDIO, audio, save_segments),
    Step(kinds.POSTER, poster, save_poster),
    Step(pictures.STILL, still, save_poster),
    Step(pictures.STORYBOARD, storyboard, save_pictures),
    Step(pictures.PREVIEW, preview, save_pictures),
    Step(pictures.THUMBNAIL, thumbnail, save_pictures),
    Step(quality.MEASURE, measure, save_measured),
    Step(downloads.MAKE, download, save_download),
)
