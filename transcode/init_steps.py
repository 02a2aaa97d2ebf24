"""The step "transcode.init": the init segment of one rendition once more, for a title whose stored one is damaged.

It is made from the plan that the title has, and not planned anew: a newer FFmpeg would plan something else. What comes out must be
what every segment of the title was made for; if this FFmpeg makes another one, nothing is replaced.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection

import catalog.store
from kit import scratch, tools
from kit.errors import StepFailed
from kit.jobs import Job
from kit.step import Beat
from kit.world import World
from media import keys
from transcode.ffmpeg.headers import init_commands
from transcode.running import run
from transcode.title import AUDIO_TYPE, VIDEO_TYPE, lock_of
from transcode.verify import check_audio_init, check_video_init


def init_again(world: World, job: Job, _beat: Beat) -> None:
    """Raises StepFailed("init_mismatch") when it is another one than was recorded."""
    name = str(job.args["rendition"])
    with world.db.connect() as conn:
        asset = catalog.store.get_asset(conn, job.asset_id)
        plan = catalog.store.load_plan(conn, asset.id)
        recorded = catalog.store.load_init(conn, asset.id, plan.digest, name)
        lock = lock_of(conn, world, asset.id, plan)
    track = plan.sound(name)
    with scratch.work_dir(world.settings.scratch_dir, job.id) as folder:
        for command in init_commands(plan, folder, tools.ffmpeg(world.settings), only=name):
            run(world, command)
        written = (folder / f"{name}.mp4").read_bytes()
    data = check_video_init(written, plan.rendition(name), plan) if track is None else check_audio_init(written, track)
    data = data if lock is None else lock.init(data, name)
    if hashlib.sha256(data).hexdigest() != recorded.sha256:
        raise StepFailed(f"This FFmpeg makes another init segment of {name} than the title was made with.", code="init_mismatch")
    world.storage.put(keys.init_segment(asset.id, plan.digest, name), data, content_type=VIDEO_TYPE if track is None else AUDIO_TYPE)


def save_nothing(_conn: Connection, _world: World, _job: Job, _result: None) -> None:
    """What it is has been recorded since the title was planned."""
