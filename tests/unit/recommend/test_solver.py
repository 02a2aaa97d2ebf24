"""The solver loads where the system has no OpenMP library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_WITHOUT_A_SYSTEM_LIBRARY = """
import recommend.solver as solver
loads = solver._loads
solver._loads = lambda path: False if path == "libgomp.so.1" else loads(path)
assert callable(solver.kernel()._least_squares_cg)
print({line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if "gomp" in line})
"""


def test_the_library_of_another_package_is_lent_to_it() -> None:
    top = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_A_SYSTEM_LIBRARY], capture_output=True, text=True, check=False, timeout=120, cwd=top
    )
    assert done.stderr == ""
    assert done.stdout.count("libgomp") == 1  # and not the system's beside it
    assert "headwater-openmp" in done.stdout and "(deleted)" in done.stdout
