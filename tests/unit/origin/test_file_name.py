"""What a saved file is called, whatever the title is."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from origin.file_name import MAX_BYTES, attachment, file_stem


@pytest.mark.parametrize(
    ("title", "stem"),
    [
        ("Été à la mer", "Été à la mer"),
        ("../../etc/passwd", "etc-passwd"),
        ('a"b\r\nSet-Cookie: x', "a-b Set-Cookie- x"),
        ("gpj\u202eexe", "gpj exe"),
        ("  .. ", "video"),
        ("", "video"),
        ("\U0001f600" * 100, "\U0001f600" * (MAX_BYTES // 4)),
    ],
)
def test_a_title_makes_a_safe_name(title: str, stem: str) -> None:
    assert file_stem(title) == stem
    said = attachment(title, "720p.mp4")
    assert said.isascii()
    assert said.isprintable()
    assert unquote(said.rpartition("''")[2]) == f"{stem} 720p.mp4"
