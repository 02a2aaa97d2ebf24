"""Which file a request for the front end gets, and what small decisions of the pages are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from web import front_end, pages
from web.error_pages import wants_page


@pytest.fixture
def built(tmp_path: Path) -> front_end.FrontEnd:
    for name in ("watch-A1.js", "watch-A1.js.gz", "watch-A1.js.br", "icon-B2.svg", "manifest.json", "stamp.txt"):
        (tmp_path / name).write_text("x")
    manifest = {"watch.js": {"file": "watch-A1.js", "imports": ["chunk-C3.js"]}, "icon.svg": {"file": "icon-B2.svg", "imports": []}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    found = front_end.load(tmp_path)
    assert found is not None
    return found


def test_nothing_built_is_no_front_end(tmp_path: Path) -> None:
    assert front_end.load(tmp_path / "missing") is None


def test_names_become_addresses(built: front_end.FrontEnd) -> None:
    assert built.url("watch.js") == "/static/watch-A1.js"
    assert built.preloads("watch.js") == ["/static/chunk-C3.js"]
    with pytest.raises(KeyError):
        built.url("nothing.js")


@pytest.mark.parametrize(
    ("accept", "file", "encoding"),
    [
        ("gzip, deflate, br", "watch-A1.js.br", "br"),
        ("gzip", "watch-A1.js.gz", "gzip"),
        ("br;q=0, gzip;q=0.5", "watch-A1.js.gz", "gzip"),
        ("br;q=0.0", "watch-A1.js", None),
        ("BR", "watch-A1.js.br", "br"),
        ("identity", "watch-A1.js", None),
        ("", "watch-A1.js", None),
    ],
)
def test_the_best_encoding_that_the_client_takes(built: front_end.FrontEnd, accept: str, file: str, encoding: str | None) -> None:
    found = built.find("watch-A1.js", accept)
    assert found is not None
    assert (found.path.name, found.encoding, found.media_type) == (file, encoding, "text/javascript")


def test_a_file_without_twins_is_sent_as_it_is(built: front_end.FrontEnd) -> None:
    found = built.find("icon-B2.svg", "gzip, br")
    assert found is not None
    assert (found.path.name, found.encoding) == ("icon-B2.svg", None)


@pytest.mark.parametrize("name", ["missing.js", "manifest.json", "watch-A1.js.br", "../secret.js", "..", ""])
def test_nothing_else_is_served(built: front_end.FrontEnd, name: str) -> None:
    assert built.find(name, "br") is None


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ("/?q=a", "/?q=a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("", "/"),
        ("/a\nb", "/"),
        ("/x", "/x"),
    ],
)
def test_signing_in_leads_to_our_own_pages_only(asked: str, where: str) -> None:
    assert pages.safe_next(asked) == where


@pytest.mark.parametrize(
    ("query", "switches"),
    [
        ({}, ""),
        ({"autoplay": "1", "muted": "", "loop": "true"}, "autoplay muted loop"),
        ({"autoplay": "0", "loop": "no"}, ""),
        ({"t": "90"}, "start=90"),
        ({"t": "90s", "start": "12"}, "start=12"),
        ({"t": '1" onload="x'}, ""),
        ({"t": "٣"}, ""),
        ({"t": "-4"}, ""),
    ],
)
def test_switches_of_a_player_address(query: dict[str, str], switches: str) -> None:
    assert pages.switches_of(query) == switches


@pytest.mark.parametrize(
    ("path", "accept", "page"),
    [
        ("/watch/x", b"text/html,*/*", True),
        ("/nothing", b"text/html", True),
        ("/watch/x/state", b"*/*", False),
        ("/v1/assets", b"text/html", False),
        ("/v/x/main.m3u8", b"text/html", False),
        ("/static/x.js", b"text/html", False),
        ("/", b"application/json", False),
    ],
)
def test_people_get_pages_and_programs_problems(path: str, accept: bytes, page: bool) -> None:
    assert wants_page({"type": "http", "path": path, "headers": [(b"accept", accept)]}) is page
