"""The pictures of a title, made by the real steps from what other steps have stored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import catalog.store
from catalog import pictures
from catalog.asset import Asset, NewPresentation
from kit.errors import StepFailed
from kit.world import World
from media import keys
from media import pictures as names
from media.plan import EncodePlan
from tests.clips import Clips
from tests.integration.test_transcode_steps import chunk_args, described, do, planned
from tests.readback import decode_luma, ffprobe


@dataclass(frozen=True, slots=True)
class Encoded:
    world: World
    asset: Asset
    plan: EncodePlan
    folder: Path

    def fetch(self, name: str) -> Path:
        target = self.folder / name.replace("/", "-")
        self.world.storage.download(keys.picture(self.asset.id, self.plan.digest, name), target)
        return target

    def size(self, name: str) -> tuple[int, int]:
        (stream,) = ffprobe(self.fetch(name))["streams"]
        return stream["width"], stream["height"]


def encoded(world: World, clips: Clips, folder: Path, clip: str) -> Encoded:
    asset = described(world, clips(clip))
    plan = planned(world, asset)
    for chunk in plan.chunks:
        do(world, asset, "transcode.encode", chunk_args(plan, chunk.index))
    return Encoded(world, asset, plan, folder)


def test_storyboard_preview_and_thumbnails_come_from_stored_key_frames(world: World, clips: Clips, tmp_path: Path) -> None:
    title = encoded(world, clips, tmp_path, "plain")
    world.storage.delete(keys.source(title.asset.id))  # nothing of this needs it
    do(world, title.asset, "transcode.storyboard")
    board = names.storyboard(title.plan)
    assert title.size(names.sheet(0)) == (board.tile[0] * board.columns, board.tile[1] * board.rows(len(board.gops)))
    cues = re.findall(r"(\S+) --> (\S+)\n(\S+)", title.fetch(names.STORYBOARD).read_text())
    assert len(cues) == len(board.gops)
    assert cues[0][2] == f"{title.plan.digest}/storyboard-000.jpg#xywh=0,0,{board.tile[0]},{board.tile[1]}"
    do(world, title.asset, "transcode.preview")
    preview = title.fetch(names.PREVIEW)
    (stream,) = ffprobe(preview)["streams"]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("h264", *names.fitted(title.plan.video[0], names.PREVIEW_SIDE))
    assert preview.stat().st_size <= 500_000
    for width in (160, 1280):
        do(world, title.asset, "transcode.thumbnail", {"width": width, "gop": 1})
        top = title.plan.video[-1]
        assert title.size(names.thumbnail(width, 1))[0] == min(width, top.width)


def test_a_tile_shows_what_is_on_show_at_its_time(world: World, clips: Clips, tmp_path: Path) -> None:
    title = encoded(world, clips, tmp_path, "plain")
    do(world, title.asset, "transcode.storyboard")
    board = names.storyboard(title.plan)
    (sheet,) = decode_luma(title.fetch(names.sheet(0)), board.tile[0] * board.columns, board.tile[1] * board.rows(len(board.gops)))
    for tile, gop in enumerate(board.gops):
        do(world, title.asset, "transcode.thumbnail", {"width": 160, "gop": gop})
        _, left, top = board.place(tile)
        shown = sheet[top : top + board.tile[1], left : left + board.tile[0]].astype(float)
        (exact,) = decode_luma(title.fetch(names.thumbnail(160, gop)), *board.tile).astype(float)
        assert np.abs(shown - exact).mean() < 6


def test_nothing_is_made_of_what_is_not_there_yet(world: World, clips: Clips) -> None:
    asset = described(world, clips("plain"))
    planned(world, asset)
    with pytest.raises(StepFailed):
        do(world, asset, "transcode.thumbnail", {"width": 160, "gop": 0})


def test_a_chosen_moment_becomes_the_poster_and_goes_again(world: World, clips: Clips, tmp_path: Path) -> None:
    asset = described(world, clips("plain"))
    plan = planned(world, asset)
    title = Encoded(world, asset, plan, tmp_path)
    with world.db.begin() as conn:
        catalog.store.publish(conn, asset.id, NewPresentation(plan.digest, "planned", {"playlist": ""}, has_poster=False))
    do(world, asset, "transcode.poster")

    def shown() -> str:
        with world.db.connect() as conn:
            row = catalog.store.current_presentation(conn, asset.id)
        assert row is not None and row.has_poster
        return str(row.multivariant["poster"]["name"])

    assert shown() == names.POSTER
    with world.db.begin() as conn:
        pictures.choose_poster(conn, catalog.store.update_details(conn, asset.id, {"poster_time_s": 1.25}))
    assert shown() == names.POSTER  # until the other one is there
    do(world, asset, "transcode.still", {"time_s": 1.25})
    assert shown() == "poster-00001250.jpg"
    assert title.size("poster-00001250.jpg") == title.size(names.POSTER)
    assert plan.grid.duration > Fraction(5, 4)
    with world.db.begin() as conn:
        pictures.choose_poster(conn, catalog.store.update_details(conn, asset.id, {"poster_time_s": None}))
    assert shown() == names.POSTER
