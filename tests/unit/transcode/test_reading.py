"""What FFmpeg says and writes: progress, and complaints at the end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import Rejected, StepFailed, Unavailable
from kit.process import Completed
from transcode.failures import explain, technical
from transcode.progress import Piece, ProgressReader, Reach, Report, Strides, fragments, written

BLOCK = """frame=48
fps=24.50
stream_0_0_q=23.0
bitrate= 466.2kbits/s
total_size=117248
out_time_us=2000000
out_time_ms=2000000
out_time=00:00:02.000000
dup_frames=0
drop_frames=0
speed=1.02x
progress=continue"""


def reports(text: str) -> list[Report]:
    reader = ProgressReader()
    return [report for line in text.splitlines() if (report := reader.line(line)) is not None]


def test_a_block_is_a_report() -> None:
    assert reports(BLOCK) == [Report(frames=48, media_s=2.0, fps=24.5, speed=1.02, ended=False)]


def test_each_block_stands_for_itself() -> None:
    first, last = reports(BLOCK + "\nframe=96\nprogress=end\n")
    assert (first.ended, last.ended, last.frames, last.speed) == (False, True, 96, 0.0)


def test_nothing_known_yet() -> None:
    (report,) = reports("frame=0\nfps=0.00\nout_time_us=N/A\nspeed=N/A\nprogress=continue")
    assert report == Report(0, 0.0, 0.0, 0.0, ended=False)


def box(name: bytes, size: int) -> bytes:
    return size.to_bytes(4, "big") + name + bytes(size - 8)


def a_segment(fragments: int) -> bytes:
    return box(b"ftyp", 24) + box(b"moov", 600) + (box(b"moof", 100) + box(b"mdat", 5000)) * fragments


def test_what_is_written_is_counted_by_its_fragments(tmp_path: Path) -> None:
    path = tmp_path / "segment.mp4"
    assert fragments(path) == 0
    for size, found in ((0, 0), (20, 0), (624, 0), (630, 0), (700, 1), (5724, 1), (5732, 2), (100_000, 3)):
        path.write_bytes(a_segment(3)[:size])
        assert fragments(path) == found, size
    path.write_bytes(b"\0" * 100)
    assert fragments(path) == 0


def test_how_far_a_run_is(tmp_path: Path) -> None:
    """Two rungs of three segments from frame 1000 on, in groups of two seconds; the last segment is shorter."""
    bounds = [(1000, 1144), (1144, 1288), (1288, 1348)]
    low, high = ([Piece(tmp_path / f"{name}-{first}", first, end) for first, end in bounds] for name in ("low", "high"))
    everything = [*low, *high]

    def seen() -> tuple[float, float]:
        reach = written(everything, 48)
        return round(348 * reach.done, 6), round(348 * reach.until, 6)

    assert seen() == (0, 72)
    high[0].path.write_bytes(a_segment(1))
    assert seen() == (72, 120)  # the other rung's is still in a buffer
    high[0].path.write_bytes(a_segment(2))
    assert seen() == (120, 144 + 72)  # its third fragment comes when all is over
    low[1].path.write_bytes(a_segment(1))
    assert seen() == (144 + 72, 144 + 120)
    high[2].path.write_bytes(a_segment(1))
    assert seen() == (348, 348)  # half a group after the first fragment of the last segment is beyond its end
    for piece in everything:
        piece.path.write_bytes(a_segment(-(-(piece.end - piece.first) // 48)))
    assert seen() == (348, 348)


def test_a_run_goes_on_between_two_fragments() -> None:
    strides = Strides(100.0)
    assert strides.at(105.0, Reach(0.0, 0.2)) == 0.0  # nothing tells how fast it is
    assert strides.at(110.0, Reach(0.2, 0.4)) == pytest.approx(0.2)
    assert strides.at(115.0, Reach(0.2, 0.4)) == pytest.approx(0.3)
    assert strides.at(130.0, Reach(0.2, 0.4)) == pytest.approx(0.4)  # it has become slower
    assert strides.at(140.0, Reach(0.4, 0.5)) == pytest.approx(0.4)
    assert strides.at(144.0, Reach(0.4, 0.5)) == pytest.approx(0.44)
    assert strides.at(150.0, Reach(1.0, 1.0)) == 1.0


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 2)), max_size=40), st.lists(st.floats(0.01, 1), min_size=1, max_size=20))
def test_what_is_said_between_fragments_never_falls(moves: list[tuple[float, int]], parts: list[float]) -> None:
    """However the time between two looks and the fragments of each come about."""
    marks = [0.0, *(sum(parts[: count + 1]) / sum(parts) for count in range(len(parts)))]
    strides, now_s, shown, said = Strides(0.0), 0.0, 0, [0.0]
    for passed_s, more in moves:
        now_s, shown = now_s + passed_s, min(len(marks) - 1, shown + more)
        reach = Reach(marks[shown], marks[min(len(marks) - 1, shown + 1)])
        said.append(strides.at(now_s, reach))
        assert reach.done <= said[-1] <= reach.until
    assert said == sorted(said)


def test_lines_of_another_kind_do_no_harm() -> None:
    assert reports("Press [q] to stop\n\nprogress") == [Report(0, 0.0, 0.0, 0.0, ended=False)]


def ended(code: int, stderr: str = "") -> Completed:
    return Completed(code, b"", stderr.encode(), 1.0, 1.0, 1)


@pytest.mark.parametrize(
    ("completed", "kind", "code"),
    [
        (ended(1, "[in#0 @ 0x55] [error] Error opening input: Invalid data found when processing input"), Rejected, "decode_failed"),
        (ended(1, "[error] Decoding requested, but no decoder found for: h264"), Rejected, "decode_failed"),
        (ended(1, "av_interleaved_write_frame(): No space left on device"), Unavailable, "disk_full"),
        (ended(1, "x264 [error]: malloc of size 12345 failed"), StepFailed, "out_of_memory"),
        (ended(254, "Error opening input: No such file or directory"), StepFailed, "encode_failed"),
        (ended(1, "something new"), StepFailed, "encode_failed"),
        (ended(-signal.SIGKILL, "Invalid data found when processing input"), StepFailed, "killed"),
        (ended(-signal.SIGSEGV), StepFailed, "encode_failed"),
        (ended(-signal.SIGTERM), StepFailed, "killed"),
    ],
)
def test_a_failure_has_a_code(completed: Completed, kind: type[Exception], code: str) -> None:
    error = explain(completed)
    assert isinstance(error, kind)
    assert error.code == code
    assert error.detail.endswith(".") and "/" not in error.detail


def test_the_log_gets_ffmpegs_own_words_once() -> None:
    text = "[h264 @ 0x55aa] co located POCs unavailable\n" * 50 + "[aac @ 0x1] Codec (aac) not on whitelist 'h264'\nlast words\n"
    assert technical(ended(1, text)) == "[h264] co located POCs unavailable | last words"
