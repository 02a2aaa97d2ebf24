"""Whatever an address can name, somebody looks for."""

from __future__ import annotations

from typing import get_args

from origin import api, paths


def test_every_kind_of_object_is_looked_for() -> None:
    assert sorted(api._LOOKS) == sorted(get_args(paths.Kind))
