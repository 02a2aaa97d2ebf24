"""The arithmetic of parts and tails, for any sizes."""

from __future__ import annotations

import base64
import math

from hypothesis import given
from hypothesis import strategies as st

from ingest import tus, upload
from ingest.upload import MAX_PARTS, MIB, Tail


@given(st.integers(0, 5 * 2**40))
def test_parts_are_large_enough_and_few_enough_for_any_file_s3_can_hold(limit_bytes: int) -> None:
    size = upload.part_bytes(limit_bytes)
    assert size >= 5 * MIB
    assert size % MIB == 0
    assert math.ceil(limit_bytes / size) <= MAX_PARTS
    assert size == 8 * MIB or (size - MIB) * MAX_PARTS < limit_bytes, "no larger than it must be"


@given(st.lists(st.integers(1, 5000), max_size=300))
def test_tails_stay_few_and_bytes_are_seldom_rewritten(sizes: list[int]) -> None:
    tails: tuple[Tail, ...] = ()
    offset = written = 0
    for size in sizes:
        kept = upload.kept_tails(tails, size)
        merged = tails[kept:]
        tail = Tail(merged[0].start if merged else offset, offset + size, 1)
        tails, offset = (*tails[:kept], tail), offset + size
        written += tail.end - tail.start
        assert [before.end for before in tails] == [*(after.start for after in tails[1:]), offset], "without a hole"
        lengths = [found.end - found.start for found in tails]
        assert all(longer > sum(lengths[place + 1 :]) for place, longer in enumerate(lengths)), "each outweighs all that follow"
    if sizes:
        assert len(tails) <= 1 + math.log2(sum(sizes))
        assert written <= sum(sizes) * (2 + math.log2(sum(sizes)))


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=("L", "N", "P"), exclude_characters=","), min_size=1), st.binary(max_size=50)
    )
)
def test_metadata_comes_back_as_it_was(values: dict[str, bytes]) -> None:
    header = ",".join(f"{key} {base64.b64encode(value).decode()}".rstrip(" ") for key, value in values.items())
    assert tus.parse_metadata(header) == values
