"""One thread for linear algebra while a model is fitted or evaluated.

Two pools (OpenBLAS and the solver's OpenMP) that each start one thread for each core get in each other's way, and sums that are divided
among a varying number of threads differ in the last bits. Inside `single_blas` the solver has the cores and BLAS has one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits


def single_blas() -> AbstractContextManager[object]:
    """Usable around any fit; nests."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits
