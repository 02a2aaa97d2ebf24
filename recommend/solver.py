"""The compiled solver of the `implicit` package, on any machine: loaded when something is fitted, and not before.

The package's wheels need GNU's OpenMP library and do not bring it, unlike those of other packages, and a bare machine has none. Where
the system has no `libgomp.so.1`, the copy that comes with scikit-learn is lent to it. A loader finds a library that is loaded already
by the name it says it has, and that copy was given another one when its wheel was made; so a temporary copy with the right name
is loaded, and removed at once (a mapped file stays mapped).
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import re
import tempfile
from importlib import metadata
from pathlib import Path
from types import ModuleType

from kit.errors import Unavailable

_NAME = b"libgomp.so.1"
_REMEDY = "The solver cannot be loaded, because this machine has no OpenMP library: install one (Debian and Ubuntu: apt install libgomp1)."


@functools.cache
def kernel() -> ModuleType:
    """`implicit.cpu._als`, which is pinned, because it is no public interface. Raises Unavailable with the remedy."""
    if not _loads(_NAME.decode()):
        _lend()
    try:
        return importlib.import_module("implicit.cpu._als")
    except ImportError as error:
        raise Unavailable(_REMEDY, code="solver_missing") from error


def _loads(path: str) -> bool:
    try:
        ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def _lend() -> None:
    """Loads scikit-learn's copy under the name that is asked for. Raises Unavailable when there is none."""
    found = next((file for file in metadata.files("scikit-learn") or () if re.match(r"libgomp-\w+\.so", file.name)), None)
    if found is None:
        raise Unavailable(_REMEDY, code="solver_missing")
    data = Path(str(found.locate())).read_bytes()
    with tempfile.TemporaryDirectory(prefix="headwater-openmp-") as folder:
        copy = Path(folder) / _NAME.decode()
        copy.write_bytes(renamed(data, found.name.encode()))
        if not _loads(str(copy)):
            raise Unavailable(_REMEDY, code="solver_missing")


def renamed(library: bytes, old: bytes) -> bytes:
    """The library with another name of its own (DT_SONAME, a string that ends with a zero byte), at the same size."""
    return library.replace(old + b"\0", _NAME.ljust(len(old), b"\0") + b"\0")
