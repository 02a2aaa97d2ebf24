"""Over random fragments: reading gives back what was written, and damaged bytes are refused or read, never a crash or a hang."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from media.isobmff import BadBoxes, moved, read_fragments, segment_type, split_init, write_fragment

SAMPLES = st.lists(st.binary(max_size=40), min_size=1, max_size=12)
TIMES = st.integers(0, (1 << 63) - 1)
SEQUENCES = st.integers(0, (1 << 32) - 1)


@settings(deadline=None)
@given(st.lists(SAMPLES, min_size=1, max_size=4), TIMES, SEQUENCES, st.integers(1, 1 << 20))
def test_written_is_read(fragments: list[list[bytes]], time: int, sequence: int, duration: int) -> None:
    data = segment_type()
    for samples in fragments:
        data += write_fragment(track_id=1, sequence=sequence, decode_time=time, sample_duration=duration, samples=samples)
    found = list(read_fragments(data))
    assert [[data[item.offset : item.offset + item.size] for item in fragment.samples] for fragment in found] == fragments
    assert all(fragment.decode_time == time and fragment.sequence == sequence for fragment in found)
    assert sum(fragment.size for fragment in found) + len(segment_type()) == len(data)


@settings(deadline=None)
@given(SAMPLES, TIMES, TIMES, SEQUENCES)
def test_moving_there_and_back(samples: list[bytes], time: int, other: int, sequence: int) -> None:
    data = write_fragment(track_id=1, sequence=1, decode_time=time, sample_duration=1024, samples=samples)
    (here,) = read_fragments(data)
    there = moved(data, here, sequence=sequence, decode_time=other)
    (again,) = read_fragments(there)
    assert (again.decode_time, again.sequence, again.samples) == (other, sequence, here.samples)
    assert moved(there, again, sequence=1, decode_time=time) == data


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 200), SAMPLES)
def test_damage_never_does_more_than_be_refused(noise: bytes, at: int, samples: list[bytes]) -> None:
    data = write_fragment(track_id=1, sequence=1, decode_time=5, sample_duration=1024, samples=samples)
    damaged = data[:at] + noise + data[at + len(noise) :]
    for whatever in (damaged, data[:at], noise):
        try:
            for fragment in read_fragments(whatever):
                assert 0 <= fragment.offset < fragment.offset + fragment.size <= len(whatever)
            split_init(whatever)
        except BadBoxes:
            pass
