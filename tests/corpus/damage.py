"""What accidents do to good files: bits that flip, ends that are missing, blocks that are lost, doubled or put elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from tests.boxes import boxes
from tests.corpus import CLIPS, Case, Seeds

HEAD_BYTES = 4096  # where containers say what they are
FLIPS = (1, 3, 10, 50, 300, 2000)


def cases(seeds: Seeds) -> Iterator[Case]:
    for name, suffix in CLIPS.items():
        whole = seeds.clip(name)
        for kind, made in (("flipped", _flipped), ("cut", _cut), ("blocks", _blocks)):
            for what, data in made(whole, seeds):
                yield Case(f"{kind}-{name}-{what}", kind, suffix, data)


def _flipped(whole: bytes, seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    """Bits anywhere, in the head, and in the last tenth, where indexes are."""
    for count in FLIPS:
        yield f"{count}-anywhere", _with_flips(whole, 0, len(whole), count, seeds)
    for count in (1, 5, 40):
        yield f"{count}-in-head", _with_flips(whole, 0, min(HEAD_BYTES, len(whole)), count, seeds)
        yield f"{count}-in-tail", _with_flips(whole, len(whole) * 9 // 10, len(whole), count, seeds)


def _with_flips(whole: bytes, start: int, end: int, count: int, seeds: Seeds) -> bytes:
    out = bytearray(whole)
    for _ in range(count):
        out[seeds.random.randrange(start, end)] ^= 1 << seeds.random.randrange(8)
    return bytes(out)


def _cut(whole: bytes, seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    """Cut off at box borders, one byte off them, and anywhere."""
    borders = [stop for _, _, stop in boxes(whole, 0, len(whole))][:6] if whole[4:8] == b"ftyp" else []
    places = {max(1, min(len(whole) - 1, border + off)) for border in borders for off in (-1, 0, 1, 8)}
    places |= {1, 4, 8, 12, 32, len(whole) - 1} | {seeds.random.randrange(64, len(whole)) for _ in range(4)}
    for place in sorted(places):
        yield f"at-{place}", whole[:place]
    yield "begins-late", whole[seeds.random.randrange(8, 4000) :]


def _blocks(whole: bytes, seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    """4 KiB of zeros or noise, a missing piece, a doubled piece, two pieces changed round, the file behind itself."""
    random = seeds.random
    at, other = sorted((random.randrange(len(whole) - 5000), random.randrange(len(whole) - 5000)))
    yield "zeros", whole[:at] + bytes(4096) + whole[at + 4096 :]
    yield "noise", whole[:at] + random.randbytes(4096) + whole[at + 4096 :]
    yield "missing", whole[:at] + whole[at + 777 :]
    yield "doubled", whole[: at + 5000] + whole[at:]
    yield "changed-round", whole[:at] + whole[other:] + whole[at:other]
    yield "twice", whole + whole
    yield "backwards", whole[::-1]
    yield "noise-behind-head", whole[:1500] + random.randbytes(60_000)
