"""What a quota allows (checklist U7); that it holds when many ask at once is shown in tests/integration/test_upload_quota.py."""

from __future__ import annotations

import pytest

from ingest.quota import Quota, QuotaReached, Reserved, check


@pytest.mark.parametrize(
    ("held", "size_bytes", "quota"),
    [
        (Reserved(0, 0), 100, Quota(1, 100)),
        (Reserved(4, 99), 1, Quota(5, 100)),
        (Reserved(1000, 10**15), 10**15, Quota(0, 0)),
        (Reserved(3, 100), 0, Quota(5, 100)),
    ],
)
def test_what_fits(held: Reserved, size_bytes: int, quota: Quota) -> None:
    check(held, size_bytes, quota)


@pytest.mark.parametrize(
    ("held", "size_bytes", "quota"),
    [
        (Reserved(5, 0), 0, Quota(5, 0)),
        (Reserved(6, 0), 1, Quota(5, 100)),
        (Reserved(1, 99), 2, Quota(0, 100)),
        (Reserved(0, 0), 101, Quota(0, 100)),
    ],
)
def test_what_does_not(held: Reserved, size_bytes: int, quota: Quota) -> None:
    with pytest.raises(QuotaReached) as refused:
        check(held, size_bytes, quota)
    assert (refused.value.status, refused.value.code) == (429, "upload_quota")
    assert refused.value.retry_after_s
