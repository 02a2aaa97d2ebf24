"""The `headwater` command against a whole Headwater: videos sent, watched over, listed and deleted, also when something is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack import leftovers, tus_client
from stack.client import Server
from stack.exits import Exit
from tests.clips import Clips
from tests.eventually import eventually
from tests.local_stack import TOP, LocalStack, plain_environment


def run(stack: LocalStack, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return stack.command(*(str(word) for word in words), limit_s=300)


@pytest.fixture(scope="module")
def sent(local_stack: LocalStack, clips: Clips) -> dict[str, Any]:
    """A video that was sent with --wait --json: what was printed."""
    ended = run(local_stack, "upload", clips("plain"), "--title", "A plain one", "--wait", "--json")
    assert ended.returncode == Exit.OK, ended.stderr + local_stack.last_logs()
    assert ended.stderr == "", "progress is for terminals"
    return dict(json.loads(ended.stdout))


def test_a_video_is_sent_and_can_be_watched(local_stack: LocalStack, sent: dict[str, Any]) -> None:
    assert (sent["status"], sent["title"], sent["resumed"], sent["error"]) == ("ready", "A plain one", False, None)
    assert {rendition["status"] for rendition in sent["renditions"]} == {"ready"}
    assert sent["watch_url"].startswith(f"{local_stack.url}/watch/")
    playback = sent["playback_ids"][0]["id"]
    with httpx.Client(base_url=local_stack.url, trust_env=False, timeout=60) as viewer:
        assert viewer.get(f"/v/{playback}/main.m3u8").text.startswith("#EXTM3U")
        assert viewer.get(f"/watch/{playback}").status_code == 200


def test_people_get_a_table_and_a_watch_address(local_stack: LocalStack, sent: dict[str, Any]) -> None:
    shown = run(local_stack, "status", sent["id"])
    assert shown.returncode == Exit.OK
    for words in (sent["id"], "A plain one", "ready", sent["watch_url"], "100%"):
        assert words in shown.stdout
    listed = run(local_stack, "list")
    assert sent["id"] in listed.stdout
    assert "A plain one" in listed.stdout


def test_programs_get_json(local_stack: LocalStack, sent: dict[str, Any]) -> None:
    assert json.loads(run(local_stack, "status", sent["id"], "--json").stdout)["watch_url"] == sent["watch_url"]
    assert sent["id"] in [row["id"] for row in json.loads(run(local_stack, "list", "--json", "--limit", "0").stdout)]
    assert [row["id"] for row in json.loads(run(local_stack, "list", "--json", "--search", "A plain one").stdout)] == [sent["id"]]
    assert json.loads(run(local_stack, "list", "--json", "--search", "no such title").stdout) == []
    whole = json.loads(run(local_stack, "status", "--json").stdout)
    assert (whole["url"], whole["ready"]) == (local_stack.url, True)


@pytest.mark.parametrize("content", ["this is no video", ""])
def test_a_video_that_cannot_be_published_says_why(local_stack: LocalStack, tmp_path: Path, content: str) -> None:
    text = tmp_path / "text.mp4"
    text.write_text(content)
    ended = run(local_stack, "upload", text, "--wait")
    assert ended.returncode == Exit.FAILED
    assert ended.stderr.startswith("text.mp4 cannot be published: ")
    assert ended.stderr.count("\n") == 1
    assert "Watch" not in ended.stdout


def test_several_are_sent_by_one_command(local_stack: LocalStack, clips: Clips, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is no video")
    ended = run(local_stack, "upload", clips("plain"), text, "ftp:" + "x", "--json")
    assert (ended.returncode, ended.stderr) == (Exit.USAGE, "There is no file ftp:x.\n")
    ended = run(local_stack, "upload", text, clips("plain"), "http://127.0.0.1:9/film.mp4", "--wait", "--json")
    assert ended.returncode == Exit.REFUSED  # the address, which may not be one of our own network
    unplayable, plain, refused = json.loads(ended.stdout)
    assert (unplayable["status"], plain["status"], refused["file"]) == ("errored", "ready", "http://127.0.0.1:9/film.mp4")
    assert refused["error"]["code"]
    run(local_stack, "delete", unplayable["id"], plain["id"], "--yes")


def test_deleting(local_stack: LocalStack, clips: Clips) -> None:
    made = json.loads(run(local_stack, "upload", clips("plain"), "--json").stdout)
    ended = run(local_stack, "delete", made["id"], "ast_00000000000000000000000000", "--yes", "--json")
    outcome = {item["id"]: item["outcome"] for item in json.loads(ended.stdout)}
    assert outcome.pop(made["id"]) == "deleted"
    assert len(outcome) == 1
    assert ended.returncode == Exit.REFUSED
    assert run(local_stack, "status", made["id"]).returncode == Exit.REFUSED


def test_tracks_are_added_listed_replaced_and_deleted(local_stack: LocalStack, sent: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "words.srt"
    file.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:0x --> 1\nbad\n")
    added = run(local_stack, "tracks", "add", sent["id"], file, "--language", "fr", "--name", "Français", "--json")
    assert (added.returncode, added.stderr) == (Exit.OK, "words.srt:6: The times of the cue cannot be read.\n")
    track = json.loads(added.stdout)
    assert (track["name"], track["status"], track["cue_count"]) == ("Français", "ready", 1)
    assert track["id"] in run(local_stack, "tracks", "list", sent["id"]).stdout
    assert run(local_stack, "tracks", "replace", sent["id"], track["id"], file).returncode == Exit.OK
    file.write_text("no subtitles")
    refused = run(local_stack, "tracks", "add", sent["id"], file, "--language", "fr")
    assert (refused.returncode, refused.stdout) == (Exit.REFUSED, "")
    assert "no SRT" in refused.stderr
    assert run(local_stack, "tracks", "delete", sent["id"], track["id"]).returncode == Exit.OK
    assert json.loads(run(local_stack, "tracks", "list", sent["id"], "--json").stdout) == []


def test_quality_is_measured_shown_and_drawn(local_stack: LocalStack, sent: dict[str, Any], tmp_path: Path) -> None:
    drawn = tmp_path / "quality.png"
    shown = run(local_stack, "quality", sent["id"], "--png", drawn)
    assert shown.returncode == 0, shown.stderr
    video = [item["name"] for item in sent["renditions"] if item["kind"] == "video"]
    assert all(name in shown.stdout for name in video)
    assert "vmaf_v0.6.1" in shown.stderr
    assert drawn.read_bytes().startswith(b"\x89PNG")
    found = json.loads(run(local_stack, "quality", sent["id"], "--json").stdout)
    assert [item["name"] for item in found["renditions"]] == video
    assert found["pending"] == found["failed"] == 0


def test_a_wrong_key_is_one_sentence(local_stack: LocalStack) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "stack.cli", "list"], cwd=TOP, capture_output=True, text=True, check=False,
        env=plain_environment() | {"HEADWATER_URL": local_stack.url, "HEADWATER_API_KEY": "hw_wrong"},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr.count("\n")) == (Exit.REFUSED, 1)
    assert ended.stderr.startswith(f"The API key for {local_stack.url} is wrong: ")


def test_no_server_is_one_sentence(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "stack.cli", "list", "--data-dir", str(tmp_path)], cwd=TOP, capture_output=True, text=True, check=False,
        env=plain_environment() | {"HEADWATER_URL": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert ended.returncode == Exit.UNREACHABLE
    assert ended.stderr == "No Headwater answers at http://127.0.0.1:9: start one with `headwater up`, or set HEADWATER_URL.\n"


@pytest.fixture
def large(clips: Clips, tmp_path: Path) -> Path:
    """A good video with a box of 600 MB of nothing at its end: enough to be interrupted in."""
    path, padding = tmp_path / "large.mp4", 600_000_000
    with path.open("wb") as file:
        file.write(clips("plain").read_bytes())
        file.write(padding.to_bytes(4, "big") + b"free")
        file.truncate(file.tell() + padding - 8)
    return path


def test_an_upload_that_was_killed_goes_on_where_it_was(local_stack: LocalStack, large: Path) -> None:
    state = {"XDG_STATE_HOME": str(local_stack.data.with_name(local_stack.data.name + ".state"))}
    note = tus_client.note_path(tus_client.state_dir(state, Path.home()), Server(local_stack.url, ""), large)
    argv = [sys.executable, "-m", "stack.cli", "upload", str(large)]
    environment = plain_environment() | state | {"HEADWATER_DATA_DIR": str(local_stack.data)}
    with (
        subprocess.Popen(argv, cwd=TOP, env=environment, stdout=subprocess.DEVNULL) as first,
        httpx.Client(trust_env=False, timeout=60) as http,
    ):
        assert eventually(note.exists)
        ticket = tus_client.read_ticket(note)
        assert ticket is not None

        def offset() -> int:
            return int(http.head(ticket.url, headers={"Tus-Resumable": "1.0.0"}).headers.get("Upload-Offset", "0"))

        assert eventually(lambda: offset() > 0)
        first.send_signal(signal.SIGKILL)
    ended = run(local_stack, "upload", large, "--json")
    assert ended.returncode == Exit.OK, ended.stderr
    done = json.loads(ended.stdout)
    assert (done["resumed"], done["id"]) == (True, ticket.asset_id)
    assert not note.exists()
    assert run(local_stack, "delete", done["id"], "--yes").returncode == Exit.OK


def _descendants(pid: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                yield int(folder.name)
                yield from _descendants(int(folder.name))


def _encodes(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"ffmpeg" in Path(f"/proc/{pid}/cmdline").read_bytes() and b"libx264" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def test_a_worker_killed_while_it_encodes_costs_nobody_anything(local_stack: LocalStack, clips: Clips) -> None:
    """Checklist P3: the same final result without anyone acting. The lease of the killed job has to run out first."""
    made = json.loads(run(local_stack, "upload", clips("sync"), "--json").stdout)
    worker = next(pid for pid in leftovers.find(local_stack.data) if b"stack.cli\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes())
    caught: list[int] = []

    def caught_encoding() -> bool:
        caught[:] = [pid for pid in _descendants(worker) if _encodes(pid)]
        return bool(caught)

    assert eventually(caught_encoding), "the encode was over before it was seen"
    os.kill(worker, signal.SIGKILL)
    key = {"Authorization": f"Bearer {local_stack.api_key}"}
    with httpx.Client(base_url=local_stack.url, headers=key, trust_env=False, timeout=60) as api:
        assert eventually(lambda: api.get(f"/v1/assets/{made['id']}").json()["status"] in ("ready", "errored"), limit_s=240)
        asset = api.get(f"/v1/assets/{made['id']}").json()
    assert (asset["status"], asset["error"]) == ("ready", None)
    assert "worker was ended by SIGKILL and is started again." in local_stack.said()
