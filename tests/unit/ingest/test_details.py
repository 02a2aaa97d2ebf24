"""Titles and details out of names and metadata that may hold anything."""

from __future__ import annotations

import pytest

from catalog.asset import NewAsset
from ingest import address, details
from kit.errors import BadRequest, NotFound
from media.ids import UploadId

SECRET = "a secret of thirty-two characters, or more"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("My_trip.mp4", "My trip"),
        ("incoming/2026/A  b.MOV", "A b"),
        ("C:\\films\\x.mkv", "x"),
        ("../../etc/passwd", "passwd"),
        ("no extension", "no extension"),
        ("v1.2 final", "v1.2 final"),
        ("archive.tar.gz", "archive.tar"),
        (".hidden", ".hidden"),
        ("", ""),
        ("..", ".."),
        ("a\x00b\r\nc\u202egnp.mp4", "a b c gnp"),
        ("x" * 400 + ".mp4", "x" * 300),
    ],
)
def test_title_from_name(name: str, title: str) -> None:
    assert details.title_from_name(name) == title


def test_new_asset() -> None:
    said = {
        "filename": b"ignored.mp4", "title": "  Größe\x00 ".encode(), "description": b"two\nlines", "tags": b"a, b ,,c",
        "external_id": b"42", "playback_policy": b"signed", "profile": b"mobile", "relativePath": b"null",
        "normalize_audio": b"false",
    }  # fmt: skip
    assert details.new_asset(said) == NewAsset(
        title="Größe", description="two\nlines", tags=("a", "b", "c"), external_id="42", playback_policy="signed", profile="mobile",
        normalize_audio=False,
    )  # fmt: skip
    assert details.new_asset({"normalize_audio": b"true"}).normalize_audio is True
    assert details.new_asset({"name": b"Clip_1.webm"}) == NewAsset(title="Clip 1")
    assert details.new_asset({"title": b"\xff\xfe"}).title == "\ufffd\ufffd"
    assert details.new_asset({}) == NewAsset()


@pytest.mark.parametrize(
    "said",
    [
        {"profile": b"8k"}, {"playback_policy": b"secret"}, {"title": b"x" * 301}, {"tags": b"x" * 101}, {"tags": b"a," * 51},
        {"external_id": b"x" * 256}, {"normalize_audio": b"yes"}, {"description": b"x" * 10_001},
    ],
)  # fmt: skip
def test_details_that_do_not_fit_are_refused(said: dict[str, bytes]) -> None:
    with pytest.raises(BadRequest):
        details.new_asset(said)


def test_an_address_fits_its_own_upload_only() -> None:
    path = address.path_of(SECRET, UploadId("upl_1"))
    prefix, token = path.rsplit("/", 1)
    assert prefix == "/v1/tus/upl_1"
    assert address.check(SECRET, "upl_1", token) == "upl_1"
    tries = [("upl_2", token, SECRET), ("upl_1", token[:-1], SECRET), ("upl_1", "", SECRET), ("upl_1", "ä", SECRET)]
    for upload_id, wrong, secret in [*tries, ("upl_1", token, SECRET + "x")]:
        with pytest.raises(NotFound):
            address.check(secret, upload_id, wrong)
