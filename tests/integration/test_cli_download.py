"""`headwater download` against a whole Headwater, through its edge: the file is made, fetched, and gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import httpx

from stack.exits import Exit
from tests.clips import Clips
from tests.local_stack import LocalStack


def test_a_video_is_fetched_as_one_file_and_gone_on_with(local_stack: LocalStack, clips: Clips, tmp_path: Path) -> None:
    sent = json.loads(local_stack.command("upload", str(clips("plain")), "--title", "Ein Käfer", "--wait", "--json", limit_s=300).stdout)
    target = tmp_path / "film.mp4"
    ended = local_stack.command("download", sent["id"], "-o", str(target), "--json", limit_s=300)
    assert ended.returncode == Exit.OK, ended.stderr
    said = json.loads(ended.stdout)
    data = target.read_bytes()
    assert (said["file"], said["size_bytes"], said["resumed_bytes"]) == (str(target), len(data), 0)

    with httpx.Client(base_url=local_stack.url, trust_env=False) as viewer:
        whole, some = viewer.get(said["url"]), viewer.get(said["url"], headers={"Range": "bytes=100-199"})
        head = viewer.head(said["url"])
    assert (whole.content, whole.headers["content-type"], head.headers["content-length"]) == (data, "video/mp4", str(len(data)))
    assert (some.status_code, some.content) == (206, data[100:200])
    assert unquote(whole.headers["content-disposition"].rpartition("''")[2]) == f"Ein Käfer {said['name']}"

    target.unlink()
    tag = head.headers["etag"].strip('"')[:16]
    (tmp_path / f"film.mp4.{tag}.part").write_bytes(data[:1000])  # as an interruption leaves it
    again = json.loads(local_stack.command("download", sent["id"], "-o", str(target), "--json", limit_s=300).stdout)
    assert (again["resumed_bytes"], target.read_bytes()) == (1000, data)
    assert list(tmp_path.iterdir()) == [target]

    refused = local_stack.command("download", sent["id"], "--name", "9p.mp4", limit_s=300)
    assert refused.returncode != Exit.OK
    assert said["name"] in refused.stderr
