"""What goes to Spark, and what is said where it is missing. The fit itself: tests/integration/test_spark.py."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from kit.errors import Unavailable
from recommend import als, spark
from recommend.fold_in import AlsSettings
from stack.cli_output import exit_for
from stack.exits import Exit


def test_what_nobody_wanted_is_not_sent() -> None:
    values = als.check_matrix(sparse.csr_array(np.array([[1.0, -1.5, 0.0], [-2.0, 0.0, 0.0], [0.5, 0.0, 2.0]])), 3, 3)
    assert spark.pairs(values).to_pydict() == {"viewer": [0, 2, 2], "item": [0, 0, 2], "value": [1.0, 0.5, 2.0]}


def test_regularization_by_count_is_that_of_spark() -> None:
    """n r with r = l (1 + a)/a, and n the number of values above 0 whatever they are."""
    settings = AlsSettings(regularization=0.1, unobserved_weight=0.5, by_count=True)
    observed = settings.observed(np.array([0.2, 3.0, -2.0])).sum(keepdims=True)
    np.testing.assert_allclose(settings.row_regularization(observed, 40), [0.3 * 2])


@pytest.mark.parametrize(("pyspark", "java", "sentence"), [(False, True, "pip install 'headwater[spark]'"), (True, False, "Java 17")])
def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pyspark: bool, java: bool, sentence: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object() if pyspark else None)
    monkeypatch.setattr(shutil, "which", lambda _name, path=None: "/somewhere/java" if java else None)
    with pytest.raises(Unavailable) as said, spark.opened(tmp_path, "local[1]"):
        pass
    assert sentence in said.value.detail
    assert exit_for(said.value) == Exit.CANNOT_START
    assert not list(tmp_path.iterdir())


def test_spark_is_there_where_both_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    monkeypatch.setattr(shutil, "which", lambda _name, path=None: "/somewhere/java")
    assert spark.missing() == ""
