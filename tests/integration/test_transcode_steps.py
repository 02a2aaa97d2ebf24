"""The steps of `transcode` on a live database and a live store: what they store and note, and what they do not do twice."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

import catalog.store
from catalog.asset import Asset, NewAsset
from ingest.probe import probe
from kit import job_store, tools
from kit.errors import Rejected, StepFailed
from kit.jobs import Job, NewJob
from kit.process import Command, Completed, Runner
from kit.step import Beat
from kit.world import World
from media import keys
from media.isobmff import split_init
from media.plan import EncodePlan
from media.segments import MeasuredSegment
from tests.clips import Clips
from tests.readback import decode_luma, ffprobe
from transcode.steps import STEPS

BY_KIND = {step.kind: step for step in STEPS}


class CountingRunner:
    """A real runner that remembers what it ran."""

    def __init__(self, inner: Runner) -> None:
        self.inner, self.commands = inner, list[Command]()

    def run(self, command: Command, **options: Any) -> Completed:
        self.commands.append(command)
        return self.inner.run(command, **options)


def described(world: World, path: Path, profile: str = "default") -> Asset:
    """An asset whose source is stored and was looked at."""
    with world.db.begin() as conn:
        asset = catalog.store.create_asset(conn, NewAsset(title=path.name, profile=profile))
    world.storage.put(keys.source(asset.id), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with world.db.begin() as conn:
        catalog.store.mark_received(conn, asset.id, source_key=keys.source(asset.id), size_bytes=path.stat().st_size)
        return catalog.store.set_source_info(conn, asset.id, probe(world, path), digest)


class SlowRunner(CountingRunner):
    """Lets FFmpeg read its source only five times as fast as it plays, and knows whether it is at it."""

    running = False

    def run(self, command: Command, **options: Any) -> Completed:
        at = command.argv.index("-i")
        self.running = True
        done = super().run(replace(command, argv=(*command.argv[:at], "-readrate", "5", *command.argv[at:])), **options)
        self.running = False
        return done


def do(
    world: World,
    asset: Asset,
    kind: str,
    args: Mapping[str, Any] | None = None,
    runner: CountingRunner | None = None,
    beat: Beat | None = None,
) -> tuple[Any, list[Command]]:
    """Runs one step and saves its result; what it returned, and the programs it ran."""
    runner = runner or CountingRunner(world.runner)
    step, world = BY_KIND[kind], replace(world, runner=runner)
    with world.db.begin() as conn:
        job: Job = job_store.enqueue(conn, NewJob(kind, f"{asset.id}/{kind}/{args}", asset.id, args=args or {}))

    def commit(work: Callable[[Connection], Any]) -> Any:
        with world.db.begin() as conn:
            return work(conn)

    result = step.run(world, job, beat or Beat(commit))
    with world.db.begin() as conn:
        step.save(conn, world, job, result)
    return result, runner.commands


def planned(world: World, asset: Asset) -> EncodePlan:
    do(world, asset, "transcode.plan")
    with world.db.connect() as conn:
        return catalog.store.load_plan(conn, asset.id)


def chunk_args(plan: EncodePlan, chunk: int) -> dict[str, Any]:
    return {"group": 0, "chunk": chunk, "renditions": list(plan.groups[0])}


def test_a_title_is_made_step_by_step(world: World, clips: Clips) -> None:
    asset = described(world, clips("sync"))
    plan = planned(world, asset)
    for chunk in plan.chunks:
        do(world, asset, "transcode.encode", chunk_args(plan, chunk.index))
    do(world, asset, "transcode.audio")
    for name in (plan.video[0].name, "audio"):
        with world.db.connect() as conn:
            init = catalog.store.load_init(conn, asset.id, plan.digest, name)
            segments = catalog.store.load_segments(conn, asset.id, plan.digest, name)
        stored_init = world.storage.get(keys.init_segment(asset.id, plan.digest, name))
        assert (hashlib.sha256(stored_init).hexdigest(), len(stored_init)) == (init.sha256, init.size_bytes)
        assert split_init(stored_init) == (stored_init, len(stored_init))
        assert [segment.index for segment in segments] == list(range(plan.grid.segment_count))
        for segment in segments:
            data = world.storage.get(keys.media_segment(asset.id, plan.digest, name, segment.index))
            assert (len(data), hashlib.sha256(data).hexdigest()) == (segment.size_bytes, segment.sha256)


def test_a_chunk_tells_how_far_it_is_by_what_it_has_written(world: World, clips: Clips) -> None:
    asset = described(world, clips("sync"))
    plan = planned(world, asset)
    chunk = max(plan.chunks, key=lambda chunk: chunk.end_segment - chunk.first_segment)
    frames = plan.grid.segment_bounds(chunk.end_segment - 1)[1] - plan.grid.segment_bounds(chunk.first_segment)[0]
    told: list[float] = []

    class Watched(Beat):
        def progress(self, fraction: float, **stats: Any) -> None:
            told.append(fraction)
            super().progress(fraction, **stats)

    beat, over = Watched(), threading.Event()

    def heart() -> None:
        while not over.wait(0.005):
            beat.so_far()

    looking = threading.Thread(target=heart)
    looking.start()
    do(world, asset, "transcode.encode", chunk_args(plan, chunk.index), beat=beat)
    over.set()
    looking.join()
    assert told == sorted(told)
    assert told[-1] == 0.75  # of a job as light as this one; what comes after the last picture is the rest
    assert beat.so_far()[1]["reached"] == told[-1]
    assert beat.so_far()[1]["media_s"] == pytest.approx(float(frames / plan.grid.frame_rate), abs=0.001)


def test_the_poster_is_a_picture_with_something_to_see(world: World, clips: Clips, tmp_path: Path) -> None:
    """Half of this title is black, from its start."""
    dark = tmp_path / "dark.mp4"
    half_black = "drawbox=color=black:t=fill:enable='lt(t,3)',scale=1600:900"
    black = ("-vf", half_black, "-c:v", "libx264", "-preset", "ultrafast", "-g", "24", "-an")
    argv = [tools.ffmpeg(world.settings), "-nostdin", "-v", "error", "-i", str(clips("plain")), *black, str(dark)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=120)
    asset = described(world, dark)
    plan = planned(world, asset)
    assert do(world, asset, "transcode.poster")[0] is not None
    poster = tmp_path / "poster.jpg"
    world.storage.download(keys.poster(asset.id, plan.digest), poster)
    (stream,) = ffprobe(poster)["streams"]
    assert (stream["codec_name"], stream["width"], stream["height"], stream["color_range"]) == ("mjpeg", 1280, 720, "pc")
    assert decode_luma(poster, 32, 18).mean() > 60


def test_a_source_that_says_nothing_of_its_colours_has_a_poster(world: World, clips: Clips) -> None:
    asset = described(world, clips("avi"))
    planned(world, asset)
    assert do(world, asset, "transcode.poster")[0] is not None


def test_what_is_stored_and_recorded_is_not_made_again(world: World, clips: Clips) -> None:
    asset = described(world, clips("plain"))
    plan = planned(world, asset)
    rung = plan.groups[0][0]
    made, ran = do(world, asset, "transcode.encode", chunk_args(plan, 0))
    assert len(ran) == 1
    again, ran = do(world, asset, "transcode.encode", chunk_args(plan, 0))
    assert (again, ran) == (made, [])
    world.storage.delete(keys.media_segment(asset.id, plan.digest, rung, 0))
    repaired, ran = do(world, asset, "transcode.encode", chunk_args(plan, 0))
    assert {name: sorted(segments, key=lambda item: item.index) for name, segments in repaired.items()} == made and len(ran) == 1
    _, ran = do(world, asset, "transcode.audio")
    assert len(ran) == 2  # the track, and how loud it is
    assert do(world, asset, "transcode.audio")[1] == []


def test_what_was_asked_for_is_left_out_of_its_chunk_and_is_the_same(world: World, clips: Clips) -> None:
    asset, other = described(world, clips("sync")), described(world, clips("sync"))
    plan = planned(world, asset)
    planned(world, other)
    rung, chunk = plan.video[0].name, plan.chunks[1]
    alone, _ = do(world, asset, "transcode.segment", {"rendition": rung, "index": chunk.first_segment + 1})
    whole, ran = do(world, asset, "transcode.encode", chunk_args(plan, 1))
    assert sum(f"{rung}-" in word for word in ran[0].argv) == len(chunk.segments) - 1
    batch, _ = do(world, other, "transcode.encode", chunk_args(plan, 1))
    assert sorted(whole[rung], key=lambda item: item.index) == list(batch[rung])
    assert alone[rung] == [batch[rung][1]]


def test_sound_that_was_asked_for_stays_what_it_was(world: World, clips: Clips) -> None:
    """Made alone it may differ from the whole run in its last bits, so what somebody may have been sent is never replaced."""
    asset = described(world, clips("sync"))
    plan = planned(world, asset)
    do(world, asset, "transcode.segment", {"rendition": "audio", "index": 2})
    key = keys.media_segment(asset.id, plan.digest, "audio", 2)
    sent = world.storage.get(key)
    do(world, asset, "transcode.audio")
    assert world.storage.get(key) == sent
    with world.db.connect() as conn:
        segments = catalog.store.load_segments(conn, asset.id, plan.digest, "audio")
    assert [segment.index for segment in segments] == list(range(plan.grid.segment_count))
    assert segments[2].sha256 == hashlib.sha256(sent).hexdigest()


def test_sound_can_be_heard_while_the_rest_of_it_is_encoded(world: World, clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = described(world, clips("sync"))
    plan = planned(world, asset)
    runner, early = SlowRunner(world.runner), list[int]()
    save = catalog.store.save_segments

    def saved(conn: Connection, asset_id: str, digest: str, name: str, made: Sequence[MeasuredSegment]) -> None:
        early.extend(segment.index for segment in made if runner.running)
        save(conn, asset_id, digest, name, made)

    monkeypatch.setattr(catalog.store, "save_segments", saved)
    do(world, asset, "transcode.audio", runner=runner)
    assert early[:2] == [0, 1]
    with world.db.connect() as conn:
        whole = catalog.store.load_segments(conn, asset.id, plan.digest, "audio")
    assert [segment.index for segment in whole] == list(range(plan.grid.segment_count))


def test_equal_sources_share_a_plan_but_each_has_its_objects(world: World, clips: Clips) -> None:
    one, other = described(world, clips("no-audio")), described(world, clips("no-audio"))
    plan = planned(world, one)
    assert planned(world, other).digest == plan.digest
    first, _ = do(world, one, "transcode.encode", chunk_args(plan, 0))
    second, ran = do(world, other, "transcode.encode", chunk_args(plan, 0))
    assert first == second and len(ran) == 1
    rung = plan.groups[0][0]
    assert world.storage.get(keys.media_segment(one.id, plan.digest, rung, 0)) == world.storage.get(
        keys.media_segment(other.id, plan.digest, rung, 0)
    )


def test_a_title_without_sound_has_no_audio_to_make(world: World, clips: Clips) -> None:
    asset = described(world, clips("no-audio"))
    assert planned(world, asset).audio == ()
    assert do(world, asset, "transcode.audio") == ({}, [])


def test_a_source_with_less_than_it_promised_is_given_up(world: World, clips: Clips) -> None:
    """Missing pictures are looked for from further and further back, and then the source is the reason."""
    asset = described(world, clips("no-audio"))
    assert asset.source is not None and asset.source.video is not None
    longer = replace(asset.source, video=replace(asset.source.video, end=asset.source.video.end + 10))
    with world.db.begin() as conn:
        asset = catalog.store.set_source_info(conn, asset.id, longer, "another digest")
    plan = planned(world, asset)
    assert len(plan.chunks) == 2
    with pytest.raises(Rejected, match="cannot all be decoded") as caught:
        do(world, asset, "transcode.encode", chunk_args(plan, 1))
    assert caught.value.code == "decode_failed"
    with world.db.connect() as conn:
        assert catalog.store.load_segments(conn, asset.id, plan.digest, plan.groups[0][0]) == ()


def test_a_step_before_the_probe_says_so(world: World) -> None:
    with world.db.begin() as conn:
        asset = catalog.store.create_asset(conn, NewAsset(title="nothing yet"))
    with pytest.raises(StepFailed) as caught:
        do(world, asset, "transcode.plan")
    assert caught.value.code == "no_source"


def test_the_mobile_profile_reaches_the_plan(world: World, clips: Clips) -> None:
    plan = planned(world, described(world, clips("odd-size"), profile="mobile"))
    assert [rung.name for rung in plan.video] == ["240p", "360p"]
