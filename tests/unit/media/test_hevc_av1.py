"""Levels, codec strings and bitstreams of HEVC and AV1."""

from __future__ import annotations

from fractions import Fraction

import pytest

from media.av1 import av01, av01_of_configuration, av1_level, has_key, is_key, obus, spelled_level
from media.hevc import hevc_level, hvc1, hvc1_of_configuration, nal_types

FILM = Fraction(24)


@pytest.mark.parametrize(
    ("width", "height", "rate", "kbps", "hevc", "av1"),
    [
        (854, 480, 24, 1_120, 90, 4),  # 3.0
        (1280, 720, 24, 3_350, 93, 5),  # 3.1
        (1280, 720, 60, 5_000, 120, 8),  # 4.0
        (1920, 1080, 30, 5_800, 120, 8),
        (1920, 1080, 60, 8_700, 123, 9),  # 4.1
        (3840, 2160, 30, 16_000, 150, 12),  # 5.0
        (3840, 2160, 60, 25_000, 153, 13),  # 5.1
        (2160, 3840, 30, 16_000, 150, 12),  # tall is no higher
        (1920, 1080, 30, 11_000, 123, 8),  # HEVC: for the sake of its buffer
    ],
)
def test_the_lowest_level_that_holds_it(width: int, height: int, rate: int, kbps: int, hevc: int, av1: int) -> None:
    assert hevc_level(width, height, Fraction(rate), maxrate_bps=kbps * 1000, bufsize_bits=kbps * 1500) == hevc
    assert av1_level(width, height, Fraction(rate), maxrate_bps=kbps * 1000) == av1


def test_no_level_holds_everything() -> None:
    assert hevc_level(20_000, 20_000, FILM, maxrate_bps=1, bufsize_bits=1) is None
    assert av1_level(1920, 1080, FILM, maxrate_bps=200_000_000) is None


def test_codec_strings() -> None:
    assert (hvc1(93, 8), hvc1(153, 10)) == ("hvc1.1.6.L93.90", "hvc1.2.4.L153.90")
    assert (av01(4, 8), av01(13, 10)) == ("av01.0.04M.08", "av01.0.13M.10")
    assert (spelled_level(4), spelled_level(13)) == ("3.0", "5.1")


def test_codec_strings_of_configurations() -> None:
    """As x265 and SVT-AV1 wrote them; and the example of ISO/IEC 14496-15 E.3."""
    assert hvc1_of_configuration(bytes.fromhex("0101600000009000000000005df000fcfdf8f800000f03")) == "hvc1.1.6.L93.90"
    assert hvc1_of_configuration(bytes.fromhex("0102200000009000000000005df000fcfdfafa00000f04")) == "hvc1.2.4.L93.90"
    assert hvc1_of_configuration(bytes.fromhex("010160000000b000000000005df000fcfdf8f800000f03")) == "hvc1.1.6.L93.b0"
    assert av01_of_configuration(bytes.fromhex("81050d00")) == "av01.0.05M.08"
    assert av01_of_configuration(bytes.fromhex("81084d00")) == "av01.0.08M.10"
    for damaged in (b"", b"\0" * 30):
        with pytest.raises(ValueError, match="not an HEVC"):
            hvc1_of_configuration(damaged)
        with pytest.raises(ValueError, match="not an AV1"):
            av01_of_configuration(damaged)


def test_nal_unit_types_are_in_six_bits() -> None:
    units = [bytes([kind << 1, 1, 0]) for kind in (32, 33, 34, 19)]
    assert list(nal_types(b"".join(len(unit).to_bytes(4) + unit for unit in units))) == [32, 33, 34, 19]
    with pytest.raises(ValueError, match="longer than its sample"):
        list(nal_types(b"\0\0\0\x09\x26"))


def obu(kind: int, payload: bytes) -> bytes:
    return bytes([kind << 3 | 0b10, len(payload)]) + payload


HEADER, KEY, INTER, HIDDEN_KEY, SHOWN_AGAIN = obu(1, b"\0\0"), obu(6, b"\x10\0"), obu(6, b"\x30\0"), obu(6, b"\0\0"), obu(3, b"\x80")


def test_key_frames_by_the_bitstream() -> None:
    assert is_key(obu(2, b"") + HEADER + KEY)
    assert not is_key(KEY), "without a sequence header nothing can be decoded"
    assert not is_key(HEADER + INTER)
    assert not is_key(HEADER + HIDDEN_KEY), "a forward key frame: what follows may refer to what came before"
    assert not is_key(HEADER + SHOWN_AGAIN)
    assert has_key(INTER + HIDDEN_KEY) and has_key(KEY)
    assert not has_key(INTER + SHOWN_AGAIN)


@pytest.mark.parametrize("damaged", [b"\x32", b"\x32\x05\0", b"\x32\xff\xff", b"\x32" + b"\xff" * 9, b"\xb2\0", b"\x0a\x00", b"\x32\x00"])
def test_damaged_samples(damaged: bytes) -> None:
    with pytest.raises(ValueError):
        is_key(damaged)


def test_the_last_obu_may_lack_its_size() -> None:
    assert [kind for kind, _ in obus(HEADER + b"\x30\x10\0")] == [1, 6]
