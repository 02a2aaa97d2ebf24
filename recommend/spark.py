"""The factor model fitted by Apache Spark's MLlib, for histories whose fit outgrows one machine. An extra: `pip install headwater[spark]`.

The matrix is the one that `recommend.dataset` builds for every engine. It goes to Spark as a Parquet file of pairs (viewer, item,
value) and the factors come back as Parquet; choosing settings, the item-item walk, the bundle and serving are those of the local trainer.
The loss is the same but for the regularization (ALS.scala, `computeFactors`): with alpha = 1/a and rating = v each row solves

    (Y'Y + sum |v|/a y y' + n r I) x  =  sum over v > 0 of (1 + v/a) y,      n = number of v > 0

so settings for it say `by_count` (`recommend.fold_in`), and both trainers and folding in then solve the same equation. A viewer or a
title without a value above 0 has the factor 0 in it, and is not sent.

Where workers of Spark run on other machines, the scratch folder must be one that they all see. Spark starts its own Java, which ends
with `opened`; what Java says goes into a file and not to the terminal.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from kit import scratch
from kit.errors import StepFailed, Unavailable
from kit.settings import environment
from recommend.als import Factors, FitFailed, Matrix, check_matrix
from recommend.fold_in import AlsSettings
from recommend.interactions import Floats

_NO_PYSPARK = "The Spark engine is not installed: pip install 'headwater[spark]', or use --engine implicit."
_NO_JAVA = "Spark needs Java 17 or newer, in JAVA_HOME or on the path (Debian and Ubuntu: apt install openjdk-17-jre-headless)."
_SPARK_END_S = 60.0


def missing() -> str:
    """What this machine lacks, in a sentence; empty when Spark can be tried."""
    if importlib.util.find_spec("pyspark") is None:
        return _NO_PYSPARK
    home = environment().get("JAVA_HOME", "")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    return "" if java else _NO_JAVA


@dataclass(frozen=True, slots=True, eq=False)
class SparkFit:
    """Fits as `recommend.als.fit` does (`recommend.als.Fit`), on an open session."""

    session: Any
    folder: Path

    def __call__(
        self,
        values: Matrix,
        settings: AlsSettings,
        *,
        seed: int,
        threads: int = 0,  # noqa: ARG002 - the master says how many
        progress: Callable[[float], None] = lambda _: None,
    ) -> Factors:
        """Raises BadMatrix, FitFailed."""
        from pyspark.errors import PySparkException
        from pyspark.ml.recommendation import ALS

        values = check_matrix(values, *values.shape)
        place = self.folder / f"fit-{len(list(self.folder.glob('fit-*')))}"
        place.mkdir()
        pq.write_table(pairs(values), place / "pairs.parquet", row_group_size=1 << 18)
        blocks = max(2, int(self.session.sparkContext.defaultParallelism))
        learner = ALS(
            rank=settings.factors, maxIter=settings.epochs, implicitPrefs=True, alpha=1.0 / settings.unobserved_weight,
            regParam=settings.scale, numUserBlocks=blocks, numItemBlocks=blocks, seed=seed, coldStartStrategy="drop",
            userCol="viewer", itemCol="item", ratingCol="value",
        )  # fmt: skip
        progress(0.0)
        try:
            model = learner.fit(self.session.read.parquet(_url(place / "pairs.parquet")))
            model.userFactors.write.parquet(_url(place / "viewers"))
            model.itemFactors.write.parquet(_url(place / "items"))
        except PySparkException as error:
            raise FitFailed(f"Spark could not fit the factors: {_first_line(error)}") from error
        found = Factors(
            *(_factors(place / name, count, settings.factors) for name, count in zip(("viewers", "items"), values.shape, strict=True))
        )
        shutil.rmtree(place)
        if not (np.isfinite(found.viewers).all() and np.isfinite(found.items).all()):
            raise FitFailed("The factors grew beyond all bounds: the data or the settings make no sense.")
        progress(1.0)
        return found


def pairs(values: Matrix) -> pa.Table:
    """The matrix as Spark reads it, without rows and columns in which nothing is above 0: their factors are 0."""
    rows = np.repeat(np.arange(values.shape[0], dtype=np.int32), np.diff(values.indptr))
    wanted = values.data > 0
    viewers, items = np.zeros(values.shape[0], np.bool_), np.zeros(values.shape[1], np.bool_)
    viewers[rows[wanted]], items[values.indices[wanted]] = True, True
    kept = viewers[rows] & items[values.indices] & (values.data != 0)
    return pa.table({"viewer": rows[kept], "item": values.indices[kept], "value": values.data[kept]})


def _factors(folder: Path, count: int, width: int) -> Floats:
    """The table (id, features) as an array; zeros where a row has no factor."""
    table = pads.dataset(folder, format="parquet").to_table()
    found = np.zeros((count, width), np.float32)
    features: Any = table.column("features").combine_chunks()
    found[table.column("id").to_numpy()] = features.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return found


def _url(path: Path) -> str:
    return path.absolute().as_uri()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


@contextmanager
def opened(scratch_dir: Path, master: str) -> Iterator[SparkFit]:
    """A session of Spark for as long as the block lasts. Raises Unavailable with what is missing, StepFailed when Spark does not start."""
    if lacking := missing():
        raise Unavailable(lacking, code="tool_missing")
    with scratch.work_dir(scratch_dir, "spark") as folder:
        session = _started(folder, master)
        try:
            yield SparkFit(session, folder)
        finally:
            _ended(session)


def _started(folder: Path, master: str) -> Any:
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    said = folder / "spark.log"
    settings = {
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.sql.shuffle.partitions": "8",
        "spark.local.dir": str(folder), "spark.sql.warehouse.dir": str(folder / "warehouse"), "spark.log.level": "ERROR",
    }  # fmt: skip
    if master.startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    builder = SparkSession.builder.master(master).appName("headwater")
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        with _errors_into(said):
            session = builder.getOrCreate()
    except (PySparkException, OSError, TypeError) as error:  # TypeError: how a Java that ends while it is asked shows
        raise StepFailed(
            f"Spark did not start with master {master}: {_last_said(said) or _first_line(error)}", code="spark_failed"
        ) from error
    session.sparkContext.setCheckpointDir(_url(folder / "checkpoints"))
    return session


@contextmanager
def _errors_into(path: Path) -> Iterator[None]:
    """Standard error of the processes that are started meanwhile: Java writes warnings of its own, which are no news to anybody."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with path.open("wb") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _last_said(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()] if path.exists() else []
    return lines[-1][:300] if lines else ""


def _ended(session: Any) -> None:
    """Stops Spark and the Java that it started, which would otherwise stay until this process ends."""
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway
    with suppress(Exception):  # nothing that a fit left depends on a tidy end
        session.stop()
    if gateway is not None:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(_SPARK_END_S)
        SparkContext._gateway = SparkContext._jvm = None
