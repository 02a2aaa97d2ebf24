"""Whether the tests of the Spark engine can run here.

They are a target of their own, `make test-spark`: PySpark is 450 MB, and a session with a few fits takes most of a minute, which is more
than they may cost everybody who runs `make test`.
"""

from __future__ import annotations

import os

import pytest

REMEDY = (
    "Spark is an extra: `make test-spark` installs PySpark and runs these tests. It needs Java 17 or newer (Debian and Ubuntu: "
    "apt install openjdk-17-jre-headless)."
)


def need() -> None:
    """Skips, by name, where Spark is missing; fails where `make test-spark` asked for it."""
    from recommend import spark

    if lacking := spark.missing():
        if os.environ.get("HEADWATER_TEST_SPARK"):
            pytest.fail(lacking)
        pytest.skip(REMEDY)
