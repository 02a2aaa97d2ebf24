"""What the doctor concludes from what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from kit.storage.memory import MemoryStorage
from stack.doctor import missing_words
from stack.doctor_media import huge_pages
from stack.doctor_storage import examine
from stack.findings import Outcome

LISTING = """Encoders:
 V..... = Video
 ------
 V....D libx264              libx264 H.264 / AVC (codec h264)
 A....D aac                  AAC (Advanced Audio Coding)
"""


def test_what_an_ffmpeg_lacks() -> None:
    assert missing_words(LISTING, ("libx264", "aac")) == []
    assert missing_words(LISTING, ("libx265", "aac", "video")) == ["libx265", "video"]
    assert missing_words("", ("aac",)) == ["aac"]


def test_huge_pages_that_are_wanted_and_not_there() -> None:
    there = "HugePages_Total:    1500\nHugePages_Free:     1200\nHugepagesize:       2048 kB\n"
    assert huge_pages(there).said == "1500 of 2 MiB are set aside, 1200 of them free"
    assert "sysctl" in huge_pages(there.replace("1500", "0")).remedy
    assert "default_hugepagesz" in huge_pages(there.replace("2048", "1048576")).remedy
    assert huge_pages("MemTotal: 1 kB\n").outcome is Outcome.FAILED, "a kernel without them"


class Forgetful(MemoryStorage):
    """Shows an upload before it is complete, and ends ranges one byte early."""

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return super().get(key, start=start, end=end)[: None if end is None else max(0, end - start - 1)]

    def create_multipart(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        self.put(key, b"")
        return super().create_multipart(key, content_type=content_type)


def test_a_store_that_is_not_fit_is_found_out() -> None:
    store = Forgetful()
    outcomes = {finding.title: finding for finding in examine(store)}
    assert outcomes["ranges"].outcome is Outcome.FAILED
    assert outcomes["multipart uploads"].said == "An upload was visible before it was complete."
    assert all(finding.remedy for finding in outcomes.values() if finding.outcome is Outcome.FAILED)
    assert outcomes["names"].outcome is Outcome.OK
    assert list(store.list("")) == [], "it cleans up behind itself"


class Careless(MemoryStorage):
    """Keeps the half of what was there, has no empty objects, and completes what was given up."""

    def put(self, key: str, data: bytes | BinaryIO | Path, *, content_type: str = "application/octet-stream") -> None:
        if key.endswith("/raced") and isinstance(data, bytes) and data[0]:
            data = bytes(len(data) // 2) + data[len(data) // 2 :]
        super().put(key, data)

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Not now."""


def test_races_and_uploads_that_were_given_up_are_tried() -> None:
    outcomes = {finding.title: finding for finding in examine(Careless())}
    assert outcomes["writers at once"].outcome is Outcome.FAILED
    assert "mix" in outcomes["writers at once"].said
    assert outcomes["multipart uploads"].said == "An upload that was given up could be completed."


def test_what_need_not_be_is_no_failure() -> None:
    outcomes = {finding.title: finding.outcome for finding in examine(MemoryStorage())}
    assert {title for title, outcome in outcomes.items() if outcome is Outcome.NOT_NOW} == {"wrong checksums", "conditional writes"}
    assert {title for title, outcome in outcomes.items() if outcome is Outcome.FAILED} == {"presigned addresses"}, "nothing listens there"
