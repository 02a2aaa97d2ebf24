"""Files as other people write them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from recommend import loaders
from recommend.interactions import Signal
from recommend.loaders import BadFile

ROWS = [("7", "10", 4.0, 100.0), ("7", "2", 1.5, 50.0), ("01", "10", 5.0, 70.0)]


def written(path: Path, separator: str, header: str = "", *, pack: bool = False) -> Path:
    text = header + "".join(separator.join((user, item, f"{rating:g}", f"{at:g}")) + "\n" for user, item, rating, at in ROWS)
    path.write_bytes(gzip.compress(text.encode()) if pack else text.encode())
    return path


def read(path: Path) -> list[tuple[str, str, float]]:
    found = loaders.ratings(path)
    return [(found.viewer_ids[v], found.item_ids[i], at) for v, i, at in zip(found.viewers, found.items, found.at_s, strict=True)]


@pytest.mark.parametrize("separator", ["\t", ",", "::", " ", ";"])
@pytest.mark.parametrize("pack", [False, True])
def test_ratings_tables(tmp_path: Path, separator: str, pack: bool) -> None:
    assert read(written(tmp_path / "r", separator, pack=pack)) == [(user, item, at) for user, item, _, at in ROWS]


@pytest.mark.parametrize(
    "header", ["userId,movieId,rating,timestamp\n", "user_id,item_id,rating,timestamp\n", "\ufeffuser,item,rating,ts\n"]
)
def test_headers_are_known(tmp_path: Path, header: str) -> None:
    assert read(written(tmp_path / "r.csv", ",", header)) == [(user, item, at) for user, item, _, at in ROWS]


def test_columns_may_be_in_another_order_and_superfluous(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("comment,item,user,watched_fraction\n-,x,a,0.25\n-,y,a,1\n")
    found = loaders.ratings(tmp_path / "r.csv")
    assert (found.viewer_ids, found.item_ids, list(found.watched_fraction), list(found.at_s)) == (("a",), ("x", "y"), [0.25, 1.0], [0, 1])


def test_parquet(tmp_path: Path) -> None:
    users, items, ratings, times = (list(column) for column in zip(*ROWS, strict=True))
    parquet.write_table(
        pa.table({"user": users, "item": [int(item) for item in items], "rating": ratings, "timestamp": times}), tmp_path / "r"
    )
    assert read(tmp_path / "r") == [(user, item, at) for user, item, _, at in ROWS]


def test_dates_and_milliseconds_are_times(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("user,item,timestamp\na,x,2026-01-01T00:00:00\n")
    (tmp_path / "m.csv").write_text("user,item,timestamp\na,x,1767225600000\n")
    assert read(tmp_path / "d.csv")[0][2] == read(tmp_path / "m.csv")[0][2] == 1_767_225_600.0


def test_low_ratings_can_be_dislikes(tmp_path: Path) -> None:
    found = loaders.ratings(written(tmp_path / "r", ","), positive_from=2.0)
    assert list(found.signal) == [Signal.WATCHED, Signal.DISLIKED, Signal.WATCHED]


def test_lines_of_users(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 5 6 7\n1\n2 5 \n")
    assert loaders.adjacency(tmp_path / "a.txt") == {"0": ["5", "6", "7"], "1": [], "2": ["5"]}


def test_negatives_drop_the_title_itself(tmp_path: Path) -> None:
    (tmp_path / "n").write_text("(0,25)\t1\t25\t3\n(1, 7)\t4\n")
    found = loaders.negatives(tmp_path / "n")
    assert (found.of, found.dropped) == ({("0", "25"): ["1", "3"], ("1", "7"): ["4"]}, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no table"),
        ("abc\n", "is no table"),
        ("user,rating\na,1\n", "has no item"),
        ("a,x,1,2\nb,y\n", "is not an even table"),
        ("a,x,1,soon\n", "neither a number nor a date"),
        ("a,x,1,nan\n", "neither a number nor a date"),
    ],
)
def test_what_is_malformed_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(BadFile, match=said) as found:
        loaders.ratings(tmp_path / "r.csv")
    assert "r.csv" in found.value.detail


def test_malformed_protocol_files_name_the_line(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("0 1\n0 2\n")
    with pytest.raises(BadFile, match="line 2"):
        loaders.adjacency(tmp_path / "bad")
    (tmp_path / "bad").write_text("(0,1)\t2\n0 1 2\n")
    with pytest.raises(BadFile, match="line 2"):
        loaders.negatives(tmp_path / "bad")
    (tmp_path / "bad").write_text("0 1\n5\n")
    with pytest.raises(BadFile, match="line 2"):
        loaders.held_out(tmp_path / "bad")


def test_a_broken_archive_is_said(tmp_path: Path) -> None:
    (tmp_path / "r.gz").write_bytes(gzip.compress(b"a,x,1,2\n" * 99)[:-9])
    with pytest.raises(BadFile, match="cannot be read"):
        loaders.ratings(tmp_path / "r.gz")


def test_ids_are_text(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("1,1,5,1\n01,1,5,2\n")
    assert loaders.ratings(tmp_path / "r.csv").viewer_ids == ("01", "1")
    assert np.array_equal(loaders.ratings(tmp_path / "r.csv").viewers, [1, 0])
