"""`headwater scrub`, `backup` and `restore` as an operator types them, on a whole Headwater with its worker."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog import inventory
from catalog.inventory import What
from kit import db
from kit.settings import Settings, to_environment
from kit.storage.s3 import open_storage
from stack.blueprint import DEFAULT_PORT
from stack.doctor import settings_of, subject_of
from stack.exits import Exit
from tests.clips import Clips
from tests.live import LiveServers
from tests.local_stack import LocalStack, command


@pytest.fixture(scope="module")
def sent(local_stack: LocalStack, clips: Clips) -> str:
    """A title that is ready: its asset."""
    ended = local_stack.command("upload", str(clips("plain")), "--wait", "--json", limit_s=300)
    assert ended.returncode == Exit.OK, ended.stderr + local_stack.last_logs()
    return str(json.loads(ended.stdout)["id"])


@pytest.fixture(scope="module")
def inside(local_stack: LocalStack) -> Settings:
    found = settings_of(subject_of({}, local_stack.data, DEFAULT_PORT))
    assert found is not None
    return found


def segment_of(inside: Settings, asset: str) -> inventory.Part:
    engine = db.connect(inside.database_url)
    with engine.connect() as conn:
        found = [part for part in inventory.parts_of(conn, asset) if part.what == What.SEGMENT and part.rendition != "audio"]
    engine.dispose()
    return found[-1]


def damage(inside: Settings, key: str) -> bytes:
    """One bit of it. Returns what it was."""
    storage = open_storage(inside)
    good = storage.get(key)
    storage.put(key, good[:99] + bytes([good[99] ^ 4]) + good[100:])
    return good


def test_a_flipped_bit_is_found_and_repaired_by_the_worker(local_stack: LocalStack, sent: str, inside: Settings) -> None:
    key = segment_of(inside, sent).key
    good = damage(inside, key)
    found = local_stack.command("scrub", "--asset", sent)
    assert found.returncode == Exit.FAILED
    assert "1 damaged" in found.stdout
    assert key in found.stdout
    repaired = local_stack.command("scrub", "--asset", sent, "--repair", "--json", limit_s=300)
    assert repaired.returncode == Exit.OK, repaired.stderr + local_stack.last_logs()
    (told,) = json.loads(repaired.stdout)["damaged"]
    assert (told["key"], told["condition"], told["repaired"], told["said"]) == (key, "changed", True, "Made again, the same bytes.")
    assert open_storage(inside).get(key) == good
    again = local_stack.command("scrub", "--asset", sent, "--rate", "500M")
    assert (again.returncode, again.stderr) == (Exit.OK, "")
    assert "all intact" in again.stdout


def test_everything_is_read_and_strangers_are_listed(local_stack: LocalStack, sent: str) -> None:
    report: dict[str, Any] = json.loads(local_stack.command("scrub", "--json", "--sample", "50%").stdout)
    assert (report["finished"], report["intact"], report["orphans"]) == (True, True, [])
    assert report["objects"] > 0


@pytest.mark.parametrize("words", [("--sample", "0"), ("--sample", "lots"), ("--rate", "fast")])
def test_what_makes_no_sense_is_said(words: tuple[str, str]) -> None:
    ended = command("scrub", *words)
    assert ended.returncode == Exit.USAGE
    assert ended.stderr.startswith(words[0])
    assert ended.stderr.count("\n") == 1


def test_a_backup_comes_back_in_another_place(
    local_stack: LocalStack, sent: str, inside: Settings, servers: LiveServers, tmp_path: Path
) -> None:
    folder = str(tmp_path / "backup")
    made = local_stack.command("backup", folder, "--objects", "--json")
    assert made.returncode == Exit.OK, made.stderr
    listed = json.loads(made.stdout)
    assert (listed["with_objects"], listed["lost"]) == (True, [])
    refused = local_stack.command("restore", folder)
    assert refused.returncode == Exit.REFUSED
    assert "not empty" in refused.stderr
    assert refused.stderr.count("\n") == 1
    with servers.database(empty=True) as address:
        other = replace(inside, database_url=address, s3_bucket=f"restored-{secrets.token_hex(4)}")
        open_storage(other).ensure_bucket()
        done = command("restore", folder, environment=to_environment(other))
        assert done.returncode == Exit.OK, done.stderr
        assert f"{listed['objects']} of {listed['objects']} objects" in done.stdout
        key = segment_of(other, sent).key
        assert open_storage(other).get(key) == open_storage(inside).get(key)


def test_what_is_no_backup_is_said(local_stack: LocalStack, tmp_path: Path) -> None:
    ended = local_stack.command("restore", str(tmp_path))
    assert ended.returncode == Exit.FAILED
    assert ended.stderr == "There is no whole backup here: it has no manifest, which is written last.\n"
