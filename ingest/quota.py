"""How much one API key may have begun and not finished: a number of uploads, and the bytes they promise together. Pure.

An upload reserves its length when it is created, and gives it back when it ends: complete, given up, expired or failed. One
that has not said its length reserves the longest it may become (`max_upload_bytes`), so no later word can pass the quota.
`ingest.store.reserved` counts under a lock of the owner's, so creations at the same time cannot pass it together either.
"""

from __future__ import annotations

from dataclasses import dataclass

from kit.errors import TooMany

RETRY_AFTER_S = 60  # uploads end in minutes rather than seconds


class QuotaReached(TooMany):
    """The owner has as much unfinished as the quota allows."""

    code = "upload_quota"


@dataclass(frozen=True, slots=True)
class Quota:
    """What one owner may have unfinished. 0 stands for any number."""

    uploads: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """What one owner has unfinished."""

    uploads: int
    size_bytes: int


def check(held: Reserved, size_bytes: int, quota: Quota) -> None:
    """Raises QuotaReached when an upload that reserves `size_bytes` does not fit beside what is `held`."""
    if quota.uploads and held.uploads >= quota.uploads:
        raise QuotaReached(
            f"{held.uploads} uploads of this key are unfinished, which is as many as may be: finish or delete some.", RETRY_AFTER_S
        )
    if quota.size_bytes and held.size_bytes + size_bytes > quota.size_bytes:
        raise QuotaReached(
            f"The unfinished uploads of this key promise {held.size_bytes} bytes; {size_bytes} more would pass {quota.size_bytes}.",
            RETRY_AFTER_S,
        )
