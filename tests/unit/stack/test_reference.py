"""The reference pages say what the code does (ecosystem checklist D2)."""

from __future__ import annotations

from pathlib import Path

from stack import reference
from stack.exits import MEANING, Exit

DOCS = Path(__file__).parent.parent.parent.parent / "docs"


def test_the_settings_page_is_up_to_date() -> None:
    assert (DOCS / "settings.md").read_text() == reference.settings_page(), "run: python -m stack.reference"


def test_the_command_line_page_is_up_to_date() -> None:
    assert (DOCS / "cli.md").read_text() == reference.cli_page(), "run: python -m stack.reference"


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANING) == set(Exit)
    assert all(meaning.endswith(".") for meaning in MEANING.values())


def test_every_command_and_option_is_described() -> None:
    page = reference.cli_page()
    assert "|  |\n" not in page.replace("|  |  |", "")
    for command in ("up", "upload", "status", "list", "delete", "doctor", "doctor storage", "api", "worker", "sweeper", "edge", "migrate"):
        assert f"\n## `headwater {command}`\n" in page
