"""Uploads go on after the API was killed in the middle of them (checklist U3, N11): the short form of `make bench-resume`."""

from __future__ import annotations

from pathlib import Path

from bench import resume
from tests.live import LiveServers


def test_uploads_go_on_after_the_api_was_killed(servers: LiveServers, tmp_path: Path) -> None:
    figures = resume.measure(servers, tmp_path, count=10, uploads=8, seed=1)
    assert figures.passed, figures
    assert figures.kills >= 1
    assert figures.files >= 8
