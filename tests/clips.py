"""Tiny video clips for tests, made by FFmpeg when a test first asks for them.

    def test_something(clips: Clips) -> None:
        source = clips("rotated-90")

Recipes: `tests/clip_recipes.py` (ordinary), `tests/clip_hazards.py` (good but awkward), `tests/clip_fragments.py` and others (of one
container), `tests/clip_wrecks.py` (to be refused). A clip is made once and kept in a folder of the system's temporary directory
that is named after the recipes and the FFmpeg program, so that several test runs share it, and a changed recipe never
meets an old clip. A clip appears under its name only when it is complete (written aside, then renamed), so processes that
make the same one at the same time do no harm. Nothing here knows what a test wants to prove.

The pictures say which frame they are; `tests/readback.py` reads that back.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg
import pytest

import tests.boxes
import tests.clip_captions
import tests.clip_fragments
import tests.clip_hazards
import tests.clip_matroska
import tests.clip_recipes as recipes
import tests.clip_texts
import tests.clip_wrecks

SOURCES = (
    tests.boxes, recipes, tests.clip_captions, tests.clip_fragments, tests.clip_hazards, tests.clip_matroska, tests.clip_texts,
    tests.clip_wrecks,
)  # fmt: skip


class Clips:
    """Clips by name. Calling it gives the path of a complete clip, which the caller must not change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __call__(self, name: str) -> Path:
        recipe = recipes.RECIPES[name]
        path = self.folder / f"{name}{recipe.suffix}"
        if not path.exists():
            aside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.folder))
            try:
                made = aside / path.name
                recipe.make(recipes.Workshop(out=made, of=self, ffmpeg=_ffmpeg))
                made.rename(path)
            finally:
                shutil.rmtree(aside)
        return path

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(recipes.RECIPES)


def _ffmpeg(*arguments: str) -> None:
    """Run FFmpeg; its error output is the failure's message."""
    argv = (imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *arguments)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"FFmpeg ended with {done.returncode} making a clip: {done.stderr.strip()}")


def shared_folder() -> Path:
    """Where clips are kept between runs of the same recipes on the same FFmpeg."""
    program = Path(imageio_ffmpeg.get_ffmpeg_exe())
    words = [Path(str(module.__file__)).read_bytes() for module in SOURCES]
    digest = hashlib.sha256(b"".join([*words, f"{program.name} {program.stat().st_size}".encode()])).hexdigest()
    return Path(tempfile.gettempdir()) / f"headwater-test-clips-{os.getuid()}" / digest[:16]


@pytest.fixture(scope="session")
def clips() -> Clips:
    return Clips(shared_folder())
