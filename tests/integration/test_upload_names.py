"""Hostile names and metadata: kept as data, returned as they came, and never a path, a header or a page (checklist U6)."""

from __future__ import annotations

import base64

import pytest

from ingest.expiry import expire
from tests.upload_server import Site, site

__all__ = ["site"]

NAMES = {
    "traversal": "../../../../etc/passwd",
    "windows traversal": "..\\..\\windows\\system32\\config",
    "absolute": "/etc/shadow",
    "drive": "C:\\boot.ini",
    "home": "~root/.ssh/authorized_keys",
    "dot": ".",
    "dots": "..",
    "hidden": ".bashrc",
    "device": "CON.mp4",
    "stream": "film.mp4::$DATA",
    "line breaks": "a.mp4\r\nSet-Cookie: admin=1\r\n\r\n<html>",
    "lone line feed": "a\nLocation: https://evil.example",
    "line separator": "a\u2028b\u2029c",
    "zero byte": "film.mp4\x00.exe",
    "escape sequence": "\x1b[2J\x1b]0;owned\x07film.mp4",
    "bell": "\x07\x07",
    "direction": "film\u202e4pm.exe",
    "zero width": "fi\u200blm\ufeff.mp4",
    "combining": "z" + "\u0301" * 200 + ".mp4",
    "emoji": "🎬👩‍👩‍👧‍👦🏳️‍🌈.mp4",
    "fullwidth": "．．／．．／ｅｔｃ",
    "script": "<script>alert(1)</script>.mp4",
    "attribute": "\"onerror=alert(1) x=\".mp4",
    "shell": "$(reboot);`reboot`|reboot&.mp4",
    "option": "-vf drawtext=textfile=/etc/passwd",
    "protocol": "concat:/etc/passwd|/etc/hosts",
    "playlist": "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd",
    "sql": "'; DROP TABLE uploads; --",
    "template": "{{ 7*7 }}{% include '/etc/passwd' %}${7*7}",
    "format": "%s%n%x{0.__class__}",
    "percent": "%2e%2e%2f%00",
    "log": "a.mp4\n{\"level\":\"info\",\"message\":\"forged\"}",
    "spaces": "   ",
    "long": "n" * 3000 + ".mp4",
    "many dots": "." * 300,
    "extensions": "film.mp4.m3u8.sh.php",
}  # fmt: skip
RAW = {
    "latin-1": "é.mp4".encode("latin-1"),
    "broken utf-8": b"\xff\xfe\xc0\x80.mp4",
    "surrogate": b"\xed\xa0\x80.mp4",
    "binary": bytes(range(256)),
}
EVERY = {**{name: text.encode() for name, text in NAMES.items()}, **RAW}


def test_every_hostile_name_round_trips_and_stays_a_name(site: Site) -> None:
    keys_before = {found.key for found in site.world.storage.list("")}
    created = []
    for name, value in EVERY.items():
        said = ",".join(f"{key} {base64.b64encode(value).decode()}" for key in ("filename", "x-note"))
        answer = site.http.post("/v1/tus", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "4", "Upload-Metadata": said})
        assert answer.status_code == 201, (name, answer.text)
        path = answer.headers["location"]
        head = site.head(path)
        assert head.headers["upload-metadata"] == said, name
        assert not {"set-cookie", "location", "refresh"} & set(head.headers), name
        assert site.patch(path, 0, b"film").status_code == 204, name
        created.append((name, site.session(path)))
    for name, session in created:
        ((title, source),) = site.sql("SELECT title, source_key FROM assets WHERE id = :id", id=session.asset_id)
        assert isinstance(title, str)
        assert not any(ord(letter) < 32 or letter in "\u2028\u2029\u202e\x7f" for letter in title), (name, title)
        assert len(title) <= 300
        assert source == f"sources/{session.asset_id}/source"
    expire(site.world)
    new = {found.key for found in site.world.storage.list("")} - keys_before
    assert new == {f"sources/{session.asset_id}/source" for _, session in created}  # keys are made of ids and of nothing else
    assert [path.name for path in site.world.settings.scratch_dir.rglob("*")] == []


@pytest.mark.parametrize("key", ["title", "description", "tags", "external_id"])
def test_every_field_takes_them_or_refuses_them(site: Site, key: str) -> None:
    for name, value in EVERY.items():
        said = f"{key} {base64.b64encode(value).decode()}"
        answer = site.http.post("/v1/tus", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "4", "Upload-Metadata": said})
        assert answer.status_code in (201, 400), (name, answer.text)
        if answer.status_code == 201:
            assert site.head(answer.headers["location"]).headers["upload-metadata"] == said
