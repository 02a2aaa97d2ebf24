"""The simulation of many workers, against cases that can be worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scaling import Task, Title, reason, scale, simulate, stops_at

ENCODE, AUDIO = "transcode.encode", "transcode.audio"


def a_title(*chunks_s: float, before_s: float = 0.0, audio_s: float = 0.0) -> Title:
    work = [Task(ENCODE, seconds) for seconds in chunks_s]
    if audio_s:
        work.append(Task(AUDIO, audio_s, priority=10))
    return Title(((Task("ingest.probe", before_s),), tuple(work)))


def test_one_worker_does_one_thing_after_the_other() -> None:
    done = simulate([a_title(3.0, 1.0, 2.0, before_s=1.0)], 1)
    assert [(item.began_s, item.ended_s) for item in done] == [(0.0, 1.0), (1.0, 4.0), (4.0, 5.0), (5.0, 7.0)]


def test_nothing_begins_before_the_stage_it_belongs_to() -> None:
    title = Title(((Task("opening", 2.0), Task("sound", 5.0, gate=False)), (Task(ENCODE, 1.0),)))
    begun = {item.task.kind: item.began_s for item in simulate([title], 3)}
    assert begun == {"opening": 0.0, "sound": 0.0, ENCODE: 2.0}


def test_the_urgent_is_first_and_equals_are_in_the_order_in_which_they_were_made() -> None:
    done = simulate([a_title(1.0, 2.0, 3.0, audio_s=4.0)], 1)
    assert [item.task.seconds for item in done] == [0.0, 4.0, 1.0, 2.0, 3.0]


def test_titles_share_the_workers() -> None:
    long = a_title(*[10.0] * 10)
    short = Title(a_title(10.0, 10.0).stages, arrives_s=5.0)
    done = simulate([long, short], 2)
    assert max(item.ended_s for item in done if item.title == 1) == 30.0  # one worker of two, from when one is free


def test_tasks_that_take_the_machine_from_each_other() -> None:
    done = simulate([a_title(6.0, 3.0)], 2, speed=lambda running: 1.0 if running == 2 else 1.5)
    assert [item.ended_s for item in done] == [0.0, 3.0, 5.0]  # 3 s together, and then 3 s of work at 1.5


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=40), st.integers(1, 12))
def test_never_faster_than_the_work_or_the_longest_chunk_and_within_grahams_bound(chunks: list[float], workers: int) -> None:
    wall_s = max(item.ended_s for item in simulate([a_title(*chunks)], workers))
    longest = max(chunks)
    least = max(sum(chunks) / workers, longest)
    assert least - 1e-6 <= wall_s <= sum(chunks) / workers + longest * (1 - 1 / workers) + 1e-6  # Graham 1966


@pytest.mark.parametrize(
    ("title", "workers", "why"),
    [
        (a_title(*[1.0] * 64, before_s=30.0), 32, "before the encoding"),
        (a_title(*[1.0] * 64, audio_s=20.0), 16, "the sound"),
        (a_title(*[10.0] * 5), 16, "the tail"),
    ],
)
def test_what_more_workers_run_into(title: Title, workers: int, why: str) -> None:
    (found,) = scale(title, 1, [workers])
    assert found.efficiency < 0.5
    assert why in reason(found)


def test_where_it_stops() -> None:
    scales = scale(a_title(*[1.0] * 8), 1)
    assert [round(item.speed_up, 2) for item in scales] == [1, 2, 4, 8, 8, 8, 8]
    stop = stops_at(scales)
    assert stop is not None
    assert stop.workers == 32
    assert stops_at(scales[:3]) is None
