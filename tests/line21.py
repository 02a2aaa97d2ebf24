"""A small encoder of line 21: captions as pairs of bytes (CEA-608), and these as user data of H.264 pictures (ATSC A/53).

The tests' own, written from the standards beside the reader that it is to try.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Pair = tuple[int, int]  # without parity

RCL, BS, DER, RU2, RU3, RDC, TR, EDM, CR, ENM, EOC = (
    (0x14, code) for code in (0x20, 0x21, 0x24, 0x25, 0x26, 0x29, 0x2A, 0x2C, 0x2D, 0x2E, 0x2F)
)
ITALIC, WHITE, NOTE, TAB_2 = (0x11, 0x2E), (0x11, 0x20), (0x11, 0x37), (0x17, 0x22)
_ROW_CODES = {
    1: (0x11, 0x40), 2: (0x11, 0x60), 3: (0x12, 0x40), 4: (0x12, 0x60), 5: (0x15, 0x40), 6: (0x15, 0x60), 7: (0x16, 0x40), 8: (0x16, 0x60),
    9: (0x17, 0x40), 10: (0x17, 0x60), 11: (0x10, 0x40), 12: (0x13, 0x40), 13: (0x13, 0x60), 14: (0x14, 0x40), 15: (0x14, 0x60),
}  # fmt: skip


def row(number: int, indent: int = 0) -> Pair:
    first, second = _ROW_CODES[number]
    return first, second | 0x10 | indent // 2


def twice(*codes: Pair) -> list[Pair]:
    """Control codes as they are sent."""
    return [code for code in codes for _ in range(2)]


def words(text: str) -> list[Pair]:
    codes = [*text.encode("ascii"), *([0] if len(text) % 2 else [])]
    return list(zip(codes[::2], codes[1::2], strict=True))


def on_channel_2(pairs: Iterable[Pair]) -> list[Pair]:
    return [(first | 8, second) if 0x10 <= first < 0x20 else (first, second) for first, second in pairs]


def odd(byte: int) -> int:
    """With the parity bit."""
    return byte | (0 if byte.bit_count() % 2 else 0x80)


def sent(pair: Pair) -> bytes:
    return bytes(map(odd, pair))


def constructs(first_field: Sequence[Pair] = ((0, 0),), second_field: Sequence[Pair] = ((0, 0),)) -> bytes:
    """cc_data_pkt of both fields, and an empty one of CEA-708."""
    pairs = [*(b"\xfc" + sent(pair) for pair in first_field), *(b"\xfd" + sent(pair) for pair in second_field)]
    return b"".join([*pairs, b"\xfa\x00\x00"])


def user_data(packets: bytes) -> bytes:
    """user_data() of A/53 Part 4, from its identifier on."""
    return b"GA94\x03" + bytes((0xC0 | len(packets) // 3, 0xFF)) + packets + b"\xff"


def sei(packets: bytes) -> bytes:
    """A NAL unit of H.264 with a start code: user_data_registered_itu_t_t35 of ATSC."""
    payload = b"\xb5\x00\x31" + user_data(packets)
    unit, zeros = bytearray(b"\x06\x04" + bytes((len(payload),))), 0
    for byte in payload + b"\x80":
        if zeros >= 2 and byte <= 3:
            unit.append(3)
            zeros = 0
        unit.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return b"\x00\x00\x00\x01" + bytes(unit)


def with_captions(stream: bytes, packets: Mapping[int, bytes]) -> bytes:
    """An H.264 byte stream whose pictures are stored as they are shown and begin with a delimiter each, with cc_data_pkt by picture."""
    delimiter = b"\x00\x00\x00\x01\x09"
    head, *pictures = stream.split(delimiter)
    assert not head
    out = []
    for number, picture in enumerate(pictures):
        slices = min(at for at in (picture.find(b"\x00\x00\x01" + bytes((kind,))) for kind in (0x65, 0x41, 0x01, 0x61, 0x21)) if at >= 0)
        slices -= picture[slices - 1] == 0  # its start code may have a zero more
        message = sei(packets[number]) if number in packets else b""
        out.append(delimiter + picture[:slices] + message + picture[slices:])
    return b"".join(out)


def timed(*runs: tuple[int, Iterable[Pair]]) -> dict[int, Pair]:
    """Pairs by picture: each run begins at a picture and goes on one pair a picture. Runs may not meet."""
    found: dict[int, Pair] = {}
    for start, pairs in runs:
        for number, pair in enumerate(pairs, start):
            assert number not in found, number
            found[number] = pair
    return found


def scc(pairs: Mapping[int, Pair], frames: int) -> str:
    """A Scenarist file with a line for each frame, as many as there are in a second of 30."""
    lines = ["Scenarist_SCC V1.0"]
    for frame in range(frames):
        clock = f"00:00:{frame // 30:02d}:{frame % 30:02d}"
        lines.append(f"{clock}\t{sent(pairs.get(frame, (0, 0))).hex()}")
    return "\n\n".join(lines) + "\n"
