"""Parameter sets: as much of H.264 and HEVC sequence parameter sets, and of AV1 headers, as tells size, frame type and colours; and what
E-AC-3 says of its channels. Pure.

Sources: ITU-T H.264 7.3.2.1 and E.1.1; ITU-T H.265 7.3.2.2 and 7.3.1.2; AV1 5.5 and 5.9; ETSI TS 102 366 E.1.2 and F.6.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_CHROMA_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_EXTENDED_SAR = 255


class Truncated(ValueError):
    """The bits end before they should, or are no such thing."""


class Bits:
    """Reads a raw byte sequence payload; emulation prevention bytes are taken out."""

    def __init__(self, unit: bytes) -> None:
        data = bytearray()
        zeros = 0
        for byte in unit[:4096]:
            if zeros >= 2 and byte == 3:
                zeros = 0
                continue
            zeros = zeros + 1 if byte == 0 else 0
            data.append(byte)
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise Truncated("the parameter set is cut off")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def ue(self) -> int:
        """An unsigned Exp-Golomb number (H.264 9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise Truncated("a number in the parameter set is absurd")
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        value = self.ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a parameter set says of the pictures."""

    width: int
    height: int
    progressive: bool
    references: int  # most reference frames
    colours: tuple[int, int, int] | None  # primaries, transfer, matrix


def h264(unit: bytes) -> Pictures:
    """Of a sequence parameter set with its NAL header. Raises Truncated."""
    bits = Bits(unit[1:])
    profile = bits.take(8)
    bits.take(16)
    bits.ue()
    chroma = 1
    if profile in _CHROMA_PROFILES:
        chroma = bits.ue()
        if chroma == 3:
            bits.take(1)
        bits.ue(), bits.ue(), bits.take(1)
        if bits.take(1):
            _pass_scaling(bits, 12 if chroma == 3 else 8)
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.take(1), bits.se(), bits.se()
        for _ in range(bits.ue()):
            bits.se()
    references = bits.ue()
    bits.take(1)
    across, down = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.take(1)
    if not frames_only:
        bits.take(1)
    bits.take(1)
    left = right = top = bottom = 0
    if bits.take(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
    x_unit = 2 if chroma in (1, 2) else 1
    y_unit = (2 if chroma == 1 else 1) * (2 - frames_only)
    width, height = 16 * across - x_unit * (left + right), 16 * down * (2 - frames_only) - y_unit * (top + bottom)
    return Pictures(width, height, bool(frames_only), references, _h264_colours(bits) if bits.take(1) else None)


def _pass_scaling(bits: Bits, lists: int) -> None:
    for index in range(lists):
        if bits.take(1):
            last = following = 8
            for _ in range(16 if index < 6 else 64):
                if following:
                    following = (last + bits.se()) % 256
                last = following or last


def _h264_colours(bits: Bits) -> tuple[int, int, int] | None:
    if bits.take(1) and bits.take(8) == _EXTENDED_SAR:
        bits.take(32)
    if bits.take(1):
        bits.take(1)
    if bits.take(1):
        bits.take(4)
        if bits.take(1):
            return bits.take(8), bits.take(8), bits.take(8)
    return None


def hevc(unit: bytes) -> Pictures:
    """Of a sequence parameter set with its NAL header: size only. Raises Truncated."""
    bits = Bits(unit[2:])
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    _pass_profile(bits, layers)
    bits.ue()
    chroma = bits.ue()
    if chroma == 3:
        bits.take(1)
    width, height = bits.ue(), bits.ue()
    if bits.take(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (2 if chroma in (1, 2) else 1) * (left + right)
        height -= (2 if chroma == 1 else 1) * (top + bottom)
    return Pictures(width, height, True, 0, None)


def _pass_profile(bits: Bits, layers: int) -> None:
    bits.take(96)  # profile, compatibility, constraints and level of the whole
    flags = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in flags:
        bits.take(88 * profile + 8 * level)


def av1_starts_with_key(sample: bytes) -> bool:
    """Whether the first frame of a temporal unit is a key frame that is shown. Raises Truncated."""
    at = 0
    while at < len(sample):
        head = sample[at]
        kind, extended, sized = head >> 3 & 15, head >> 2 & 1, head >> 1 & 1
        at += 1 + extended
        size, used = _leb128(sample, at) if sized else (len(sample) - at, 0)
        at += used
        if kind in (3, 6):  # frame header, frame
            if at >= len(sample):
                raise Truncated("the frame header is cut off")
            return sample[at] & 0b1110_0000 == 0  # show_existing_frame 0, KEY_FRAME
        at += size
    raise Truncated("there is no frame")


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        if at + index >= len(data):
            break
        value |= (data[at + index] & 127) << 7 * index
        if not data[at + index] & 128:
            return value, index + 1
    raise Truncated("a size is cut off")


_EAC3_RATES = (48_000, 44_100, 32_000, None)  # fscod; the last has another field
_EAC3_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)  # acmod
_EAC3_BSIDS = range(11, 17)


@dataclass(frozen=True, slots=True)
class Eac3:
    """The first independent substream of E-AC-3. `channels`: None where others add to them."""

    rate_hz: int | None
    mode: int
    low_frequencies: bool
    channels: int | None = field(compare=False)


def eac3_configuration(dec3: bytes) -> Eac3:
    """Of the payload of a `dec3` box. Raises Truncated."""
    if len(dec3) < 5:
        raise Truncated("it is cut off")
    value = int.from_bytes(dec3[:5])
    if value >> 17 & 31 not in _EAC3_BSIDS:
        raise Truncated("it is not that of E-AC-3")
    mode, low = value >> 9 & 7, value >> 8 & 1
    alone = not value >> 24 & 7 and not value >> 1 & 15
    return Eac3(_EAC3_RATES[value >> 22 & 3], mode, bool(low), _EAC3_CHANNELS[mode] + low if alone else None)


def eac3_frame(sample: bytes) -> Eac3:
    """Of the frame that a sample begins with. Raises Truncated."""
    if len(sample) < 6 or sample[:2] != b"\x0b\x77":
        raise Truncated("a sample does not begin with a frame of E-AC-3")
    if sample[5] >> 3 not in _EAC3_BSIDS or sample[2] >> 6 == 1:  # a dependent substream
        raise Truncated("a sample does not begin with an independent frame of E-AC-3")
    return Eac3(_EAC3_RATES[sample[4] >> 6], sample[4] >> 1 & 7, bool(sample[4] & 1), None)
