"""The words of the command line, without any server: usage, sentences, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stack.cli import app
from stack.exits import Exit

RUNNER = CliRunner()


def run(*words: str, **environment: str) -> Result:
    return RUNNER.invoke(app, words, env={"HEADWATER_DATA_DIR": None, "HEADWATER_PORT": None, "HEADWATER_URL": None, **environment})


def test_without_a_command_it_explains_itself() -> None:
    result = run()
    assert result.exit_code == Exit.USAGE
    assert "upload" in result.output


@pytest.mark.parametrize(
    "words", [("nonsense",), ("upload",), ("upload", "/no/such/file"), ("list", "--limit", "-1"), ("up", "--no-such-option")]
)
def test_called_wrongly(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("/no/such/film.mp4",), "There is no file /no/such/film.mp4.\n"),
        (("https://example.com/a.mp4", "/no/such/film.mp4"), "There is no file /no/such/film.mp4.\n"),
        (("/",), "/ is not a file.\n"),
        (
            ("https://example.com/a.mp4", "https://example.com/b.mp4", "--title", "A"),
            "A title is for one video: leave out --title, or send them one by one.\n",
        ),
    ],
)
def test_nothing_is_sent_before_every_source_makes_sense(words: tuple[str, ...], sentence: str) -> None:
    result = run("upload", *words, HEADWATER_URL="http://127.0.0.1:9")
    assert (result.exit_code, result.stderr) == (Exit.USAGE, sentence)


def test_a_port_that_is_none(tmp_path: Path) -> None:
    result = run("up", "--port", "http", "--data-dir", str(tmp_path))
    assert (result.exit_code, result.stderr) == (Exit.USAGE, "The port is 'http', but must be a number from 1 to 65535.\n")


def test_nobody_is_asked_where_there_is_no_terminal() -> None:
    result = run("delete", "ast_1")
    assert (result.exit_code, result.stderr) == (Exit.USAGE, "Nobody can be asked here whether to delete: say --yes.\n")


def test_a_process_without_settings_says_which() -> None:
    result = run("api", HEADWATER_DATABASE_URL="")
    assert result.exit_code == Exit.USAGE
    assert result.stderr.startswith("HEADWATER_")
    assert result.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("up", "--data-dir", str(tmp_path / "file" / "x"))
    assert result.exit_code == Exit.CANNOT_START
    assert "cannot be written" in result.stderr
    assert result.stderr.count("\n") == 1


def test_there_is_a_version() -> None:
    assert run("--version").exit_code == Exit.OK
