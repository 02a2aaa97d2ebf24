"""The suite in two processes (`tests.shares`): every test is run, and once, and a failure anywhere is the failure of all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from tests import shares
from tests.local_stack import TOP

FILE = """
import os, pathlib, pytest

NOTE = pathlib.Path(__file__).with_name("note")

@pytest.fixture(scope="module")
def opened():
    yield
    with NOTE.open("a") as note:
        note.write(f"closed {__name__}\\n")

@pytest.mark.parametrize("number", range(3))
def test_it(number, opened):
    with NOTE.open("a") as note:
        note.write(f"ran {__name__} {number}\\n")
    assert (__name__, number) != ("test_wrong", 1)
"""


def test_every_test_is_run_once_and_a_failure_in_either_process_is_told(tmp_path: Path) -> None:
    names = ["test_right", "test_wrong", *(f"test_{number}" for number in range(4))]
    for name in names:
        (tmp_path / f"{name}.py").write_text(FILE)
    environment = os.environ | {shares.PROCESSES: "2", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    argv = [sys.executable, "-m", "tests.shares", str(tmp_path), "-p", "no:cacheprovider"]
    done = subprocess.run(argv, cwd=TOP, env=environment, capture_output=True, text=True, timeout=300, check=False)
    expected = [f"closed {name}" for name in names] + [f"ran {name} {number}" for name in names for number in range(3)]
    assert sorted((tmp_path / "note").read_text().splitlines()) == sorted(expected)
    assert "test_wrong.py::test_it[1]" in done.stdout
    assert "Process 2 of 2:" in done.stdout
    assert done.stdout.endswith("18 tests were run in 2 processes.\n")
    assert done.returncode == 1, done.stdout + done.stderr


def test_what_nobody_ran_is_found(tmp_path: Path) -> None:
    for number, ran in enumerate((["a::b"], ["c::d"])):
        (tmp_path / f"ran-{number}.json").write_text(json.dumps({"ran": ran, "collected": ["a::b", "c::d", "e::f"]}))
    assert shares.told(tmp_path) == ({"a::b", "c::d"}, {"e::f"})


def test_what_needs_the_running_headwater_is_one_share() -> None:
    def item(name: str, *fixtures: str) -> SimpleNamespace:
        return SimpleNamespace(nodeid=name, fixturenames=fixtures)

    items = [
        item("tests/unit/test_a.py::test_1"), item("tests/integration/test_b.py::test_1"), item("tests/integration/test_c.py::test_1"),
        item("tests/browser/test_d.py::test_1", "page", "local_stack"), item("tests/integration/test_c.py::test_2", "local_stack"),
    ]  # fmt: skip
    found = shares.shares(items)
    assert [[one.nodeid[-10:] for one in share] for share in found.values()] == [
        ["py::test_1"] * 2 + ["py::test_2"], ["py::test_1"], ["py::test_1"],
    ]  # fmt: skip
    assert list(found) == [shares.STACK, "tests/integration/test_b.py", "tests/unit/test_a.py"]
