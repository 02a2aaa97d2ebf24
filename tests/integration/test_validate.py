"""`headwater validate` over HTTP and on files: what is not there, what is no playlist, redirects, ranges, and the exit codes."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hls_validation import Fetcher, NotFetched, validate
from hls_validation.__main__ import main
from tests.hls_titles import Title, make
from tests.local_stack import command


class _Handler(BaseHTTPRequestHandler):
    title: Title
    ranges = True

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        if name.startswith("moved/") or name == "round":
            self.send_response(302)
            self.send_header("Location", "/round" if name == "round" else "/" + name.removeprefix("moved/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = {"page": b"<!doctype html>", **self.title.files}.get(name)
        self._answer(404 if body is None else 200, body or b"", playlist=name.endswith(".m3u8"))

    def _answer(self, status: int, body: bytes, *, playlist: bool) -> None:
        asked = self.headers.get("Range")
        headers = {"Content-Type": "text/html"}
        if playlist:
            body = gzip.compress(body)
            headers = {"Content-Type": "application/vnd.apple.mpegurl", "Content-Encoding": "gzip"}
        elif asked and self.ranges and status == 200:
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            status, body = 206, body[first : last + 1]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def site() -> Iterator[tuple[str, type[_Handler]]]:
    handler = type("Handler", (_Handler,), {"title": make()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    thread.join()
    server.server_close()


def _rules(url: str) -> set[str]:
    return {finding.rule for finding in validate(url).findings}


def test_over_http_only_tls_is_missing(site: tuple[str, type[_Handler]]) -> None:
    assert _rules(f"{site[0]}/main.m3u8") == {"D3"}


def test_a_server_that_ignores_ranges_is_understood(site: tuple[str, type[_Handler]]) -> None:
    site[1].ranges = False
    assert _rules(f"{site[0]}/main.m3u8") == {"D3"}


def test_a_playlist_may_be_redirected_and_media_may_not(site: tuple[str, type[_Handler]]) -> None:
    assert _rules(f"{site[0]}/moved/main.m3u8") == {"D3"}
    site[1].title.swap("360p/index.m3u8", "1.m4s", "/moved/360p/1.m4s")
    assert "P12" in _rules(f"{site[0]}/main.m3u8")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("/nothing.m3u8", "answers 404 Not Found"), ("/page", "is not a playlist"), ("/round", "is redirected more than 5 times")],
)
def test_what_is_no_playlist_is_said_in_a_sentence(site: tuple[str, type[_Handler]], path: str, sentence: str) -> None:
    with pytest.raises(NotFetched, match=sentence):
        validate(site[0] + path)


def test_tls_that_is_none_and_a_closed_port(site: tuple[str, type[_Handler]]) -> None:
    with pytest.raises(NotFetched, match="cannot be reached over TLS"):
        validate(site[0].replace("http:", "https:") + "/main.m3u8")
    with pytest.raises(NotFetched, match="cannot be reached"):
        validate("http://127.0.0.1:1/main.m3u8")


def test_sizes_are_bounded_and_the_web_names_no_files(site: tuple[str, type[_Handler]], tmp_path: Path) -> None:
    with Fetcher(files=False) as fetcher:
        with pytest.raises(NotFetched, match="more than 100 bytes"):
            fetcher(f"{site[0]}/360p/0.m4s", None, 100)
        with pytest.raises(NotFetched, match="not an address on the web"):
            fetcher(tmp_path.as_uri(), None, 100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in make().files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_the_commands_judge_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder / "main.m3u8"), "--strict"]) == 0
    assert main([str(folder / "none.m3u8")]) == 4
    assert "cannot be read: No such file" in capsys.readouterr().err
    (folder / "360p" / "1.m4s").unlink()
    assert main([str(folder / "main.m3u8"), "--segments", "first"]) == 0
    done = command("validate", str(folder / "main.m3u8"), "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, {finding["rule"] for finding in said["findings"]}) == (1, {"F1"})
    done = command("validate", str(folder / "main.m3u8"), "--segments", "few")
    assert (done.returncode, done.stdout) == (2, "")
    assert "few" in done.stderr
