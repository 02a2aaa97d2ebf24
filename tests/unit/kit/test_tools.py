"""Which programs are run, and how an encoder's build is named."""

from __future__ import annotations

import dataclasses
import os
import subprocess

import pytest

from kit import tools
from kit.errors import StepFailed
from kit.process import Command, Completed
from kit.settings import Settings

SETTINGS = Settings(database_url="", broker_url="", s3_endpoint="", s3_access_key="", s3_secret_key="", secret_key="")


@dataclasses.dataclass
class SayingRunner:
    """Says what FFmpeg would say."""

    text: str
    exit_code: int = 0

    def run(self, command: Command, **_: object) -> Completed:
        assert command.argv[1:] == ("-hide_banner", "-version")
        return Completed(self.exit_code, self.text.encode(), b"", 0.1, 0.1, 0)


def test_packages_bring_the_programs() -> None:
    for program in (tools.ffmpeg(SETTINGS), tools.ffprobe(SETTINGS)):
        assert os.access(program, os.X_OK)


def test_the_encoder_is_found_without_being_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run might be killed: the package then says for the rest of the process's life that there is no FFmpeg."""

    def killed(*_arguments: object, **_options: object) -> None:
        raise subprocess.CalledProcessError(-9, "ffmpeg")

    monkeypatch.setattr(subprocess, "check_call", killed)
    monkeypatch.setattr(subprocess, "Popen", killed)
    assert os.access(tools.ffmpeg(SETTINGS), os.X_OK)


def test_settings_may_name_others() -> None:
    named = dataclasses.replace(SETTINGS, ffmpeg="/opt/ffmpeg", ffprobe="/opt/ffprobe")
    assert (tools.ffmpeg(named), tools.ffprobe(named)) == ("/opt/ffmpeg", "/opt/ffprobe")


def test_another_build_of_the_same_version_is_another_encoder() -> None:
    one, same, other = (
        tools.encoder_version(SayingRunner(f"ffmpeg version 9.0.2 Copyright (c) 2000-2026\nconfiguration: {build}\n"), "ffmpeg")
        for build in ("--enable-gpl", "--enable-gpl", "--enable-gpl --disable-asm")
    )
    assert one == same != other
    assert one.startswith("ffmpeg 9.0.2 (")


def test_a_program_that_does_not_run_is_said() -> None:
    with pytest.raises(StepFailed) as broken:
        tools.encoder_version(SayingRunner("", exit_code=127), "ffmpeg")
    assert broken.value.code == "tool_missing"


def test_a_program_that_was_killed_is_there_all_the_same() -> None:
    with pytest.raises(StepFailed) as broken:
        tools.encoder_version(SayingRunner("", exit_code=-9), "ffmpeg")
    assert broken.value.code == "killed"
