"""The data folder: what is made once, what is refused, and who may use it."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from kit.clock import SystemClock
from stack import data_dir
from stack.data_dir import CannotStart

CLOCK = SystemClock()


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    first = data_dir.load_secrets(tmp_path)
    assert data_dir.load_secrets(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert len(set(asdict(first).values())) == 4
    assert len(first.secret_key) >= 32


def test_damaged_secrets_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"secret_key": "x"}')
    with pytest.raises(CannotStart, match=r"secrets\.json is damaged: restore it from a backup, or move .* away to begin anew\.$"):
        data_dir.load_secrets(tmp_path)


def test_a_private_file_is_private_from_its_first_moment(tmp_path: Path) -> None:
    target = tmp_path / "secret"
    target.write_text("old, and readable by all")
    target.chmod(0o644)
    before = os.umask(0)
    try:
        data_dir.write_private(target, "new")
    finally:
        os.umask(before)
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_two_cannot_use_one_folder(tmp_path: Path) -> None:
    note = {"pid": 4711, "url": "http://127.0.0.1:1234"}
    with data_dir.locked(tmp_path, note, CLOCK):
        assert data_dir.read_note(tmp_path) == note
        with (
            pytest.raises(CannotStart, match=r"already runs on .* as process 4711 at http://127\.0\.0\.1:1234: .* --data-dir\.$"),
            data_dir.locked(tmp_path, {}, CLOCK),
        ):
            raise AssertionError
    assert data_dir.read_note(tmp_path) == {}


def test_the_note_of_one_that_was_killed_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text('{"pid": 1, "url": "http://127.0.0.1:1"}')
    assert data_dir.read_note(tmp_path) == {}
    with data_dir.locked(tmp_path, {"pid": 2}, CLOCK):
        assert data_dir.read_note(tmp_path) == {"pid": 2}


@pytest.mark.parametrize("text", ["", "nonsense", "[1, 2]", "null", '{"pid": 1'])
def test_a_damaged_note_says_nothing(tmp_path: Path, text: str) -> None:
    with data_dir.locked(tmp_path, {}, CLOCK):
        (tmp_path / "lock").write_text(text)
        assert data_dir.read_note(tmp_path) == {}


def test_a_full_disk_is_refused_with_the_remedy(tmp_path: Path) -> None:
    data_dir.enough_space(tmp_path, data_dir.LEAST_FREE_BYTES)
    with pytest.raises(
        CannotStart, match=r"has 1\.5 GiB free and Headwater needs at least 2 GiB: make room, or choose another disk with --data-dir\.$"
    ):
        data_dir.enough_space(tmp_path, 3 * data_dir.GIB // 2)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        CannotStart, match=r"cannot be written \(not a directory\): choose another folder with --data-dir or HEADWATER_DATA_DIR\.$"
    ):
        data_dir.open_places(tmp_path / "file" / "data")


def test_ports_are_kept(tmp_path: Path) -> None:
    first = data_dir.store_ports(tmp_path)
    assert len(set(first)) == len(first)
    assert data_dir.store_ports(tmp_path) == first == data_dir.known_store_ports(tmp_path)


@pytest.mark.parametrize("text", ["", "[1, 2]", '["a"]', "{}"])
def test_damaged_ports_are_chosen_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    assert data_dir.known_store_ports(tmp_path) == ()
    assert json.loads((tmp_path / "ports.json").read_text() or "[]") != list(data_dir.store_ports(tmp_path))


def test_where_the_data_is_when_nobody_says(tmp_path: Path) -> None:
    home = Path("/home/headwater")
    package = tmp_path / "stack"
    package.mkdir()
    assert data_dir.default_data_dir(package, home, None) == home / ".local" / "share" / "headwater"
    assert data_dir.default_data_dir(package, home, "/data") == Path("/data/headwater")
    for name in ("pyproject.toml", "Makefile"):
        (tmp_path / name).touch()
    assert data_dir.default_data_dir(package, home, "/data") == tmp_path / ".headwater"
