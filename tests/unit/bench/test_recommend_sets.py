"""The files and the split that published figures are measured on: what is kept, what is held out, and the words of titles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.recommend_published import core, written
from bench.recommend_words import texts_of
from recommend import loaders
from recommend.interactions import from_rows
from tests.histories import tasted


def test_only_viewers_and_titles_with_enough_rows_are_left() -> None:
    """By hand, for 2: w goes, with it d (one row is left), with d z (one row is left), and then everything holds."""
    rows = ["a x", "a y", "b x", "b y", "c x", "c y", "c z", "d z", "d w"]
    found = core(from_rows([(row[0], row[2], 0.0) for row in rows]), 2)
    assert (found.viewer_ids, found.item_ids, len(found)) == (("a", "b", "c"), ("x", "y"), 6)


def test_a_fifth_of_each_viewers_titles_is_held_out_by_seed(tmp_path: Path) -> None:
    history = tasted(viewers=30, items=40, each=14)
    parts: dict[int, dict[str, list[str]]] = {}
    for seed in (1, 1, 2):
        train, test = (loaders.adjacency(path) for path in written(history, tmp_path, seed=seed))
        assert all(len(row) == 3 for row in test.values())  # a fifth of 14 is 2.8
        for viewer in range(30):
            whole = sorted(map(str, history.items[history.viewers == viewer]))
            assert sorted(train[str(viewer)] + test[str(viewer)]) == whole
        assert parts.setdefault(seed, test) == test
    assert parts[1] != parts[2]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("movies.csv", b'movieId,title,genres\n7,"Up, Down (1995)",Comedy|War\n'),
        ("movies.dat", "7::Up, Down (1995)::Comedy|War\n".encode("latin-1")),
        ("ml.item", b"item_id:token\tmovie_title:token_seq\trelease_year:float\tgenre:token_seq\n7\tUp, Down\t1995\tComedy War\n"),
    ],
)
def test_words_of_titles_in_three_forms(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,7,Sad Ending,0\n")
    assert texts_of(tmp_path / name)["7"].strip() == "Up, Down (1995) tag_comedy tag_war"
    assert "tag_sad_ending" in texts_of(tmp_path / name, tmp_path / "tags.csv")["7"]


def test_tables_of_recbole_are_ratings(tmp_path: Path) -> None:
    (tmp_path / "ml.inter").write_text("user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\tUp, Down (1995)\t5\t99\n")
    found = loaders.ratings(tmp_path / "ml.inter")
    assert (found.viewer_ids, found.item_ids) == (("1",), ("Up, Down (1995)",))
    np.testing.assert_array_equal(found.at_s, [99.0])
