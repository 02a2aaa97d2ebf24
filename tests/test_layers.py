"""The arrows between the rooms, as import-linter reads them from pyproject.toml, and that the contracts can fail at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parent.parent
ROOMS = ("media", "kit", "catalog", "accounts", "ingest", "transcode", "packager", "captions", "origin", "recommend", "web", "worker",
         "stack", "tus_conformance", "hls_validation")  # fmt: skip


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False)


def test_the_arrows_point_down() -> None:
    result = _lint(TOP)
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_arrow_that_points_up_is_found(tmp_path: Path) -> None:
    shutil.copy(TOP / "pyproject.toml", tmp_path)
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    (tmp_path / "kit" / "wrong.py").write_text("import catalog\n")
    (tmp_path / "ingest" / "wrong.py").write_text("import packager\n")
    (tmp_path / "media" / "wrong.py").write_text("import socket\n")
    result = _lint(tmp_path)
    assert result.returncode != 0
    for arrow in ("kit.wrong -> catalog", "ingest.wrong -> packager", "media.wrong -> socket"):
        assert arrow in result.stdout


def test_every_package_is_installed_and_linted() -> None:
    """The lists of packages in pyproject.toml and the folders in the tree are the same."""
    import tomllib

    project = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]
    assert tuple(project["hatch"]["build"]["targets"]["wheel"]["packages"]) == ROOMS
    assert tuple(project["importlinter"]["root_packages"]) == ROOMS
    assert tuple(project["mypy"]["packages"]) == (*ROOMS, "bench")
    assert {folder.parent.name for folder in TOP.glob("*/__init__.py")} - {"tests", "bench"} == set(ROOMS)
