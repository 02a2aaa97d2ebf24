"""Who counts as inside, for whom a request counts, and what a bucket gives; without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from kit.clock import SystemClock
from kit.errors import TooMany
from web import limits
from web.body_limit import MAX_HEADER_BYTES, MAX_HEADERS, HeadersTooLarge, check_headers
from web.limits import Bucket, RateLimit, address_of, is_inside, take


class ManualClock(SystemClock):
    """Moves when it is told to."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic_s(self) -> float:
        return self._now_s

    def sleep(self, seconds: float) -> None:
        self._now_s += seconds


def request(peer: str | None, forwarded: str | None = None, key: str | None = None) -> HTTPConnection:
    given_headers = {"x-forwarded-for": forwarded, "authorization": key}
    headers = [(name.encode(), value.encode()) for name, value in given_headers.items() if value is not None]
    return HTTPConnection({"type": "http", "headers": headers, "client": (peer, 1) if peer is not None else None})


@pytest.mark.parametrize(
    ("peer", "forwarded", "inside"),
    [
        (None, None, True),  # straight to the Unix socket
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("172.18.0.5", None, True),  # Prometheus in the same compose network
        ("10.0.0.9", None, True),
        ("93.184.216.34", None, False),
        ("127.0.0.1", "127.0.0.1", True),  # the local edge, asked from this machine
        ("93.184.216.34", "93.184.216.34", False),  # the edge's answer is believed by the server, which then names the client
        ("172.18.0.9", "93.184.216.34", False),  # the edge of a deployment
        ("172.18.0.9", "192.168.0.7", False),  # somebody of the private network, but through the edge
        ("172.18.0.9", "127.0.0.1, 93.184.216.34", False),  # a client that lies, and an edge that adds the truth
        ("172.18.0.9", "nonsense", False),
        ("", None, True),
        ("testclient", None, False),
    ],
)
def test_inside(peer: str | None, forwarded: str | None, inside: bool) -> None:
    assert is_inside(request(peer, forwarded)) is inside


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("93.184.216.34", None, "93.184.216.34"),
        ("93.184.216.34", "1.2.3.4", "93.184.216.34"),  # a stranger's word counts for nothing
        ("172.18.0.9", "93.184.216.34", "93.184.216.34"),
        ("172.18.0.9", "1.2.3.4, 93.184.216.34", "93.184.216.34"),
        (None, None, "local"),
        (None, "93.184.216.34", "93.184.216.34"),
    ],
)
def test_for_whom_a_request_counts(peer: str | None, forwarded: str | None, counted: str) -> None:
    assert address_of(request(peer, forwarded)) == counted


@given(st.lists(st.floats(0, 30), max_size=200), st.integers(1, 50))
def test_no_more_pass_in_any_time_than_a_bucket_and_its_refill(pauses_s: list[float], per_minute: int) -> None:
    bucket, now_s, passed = Bucket(float(per_minute), 0.0), 0.0, 0
    for pause_s in pauses_s:
        now_s += pause_s
        bucket, wait_s = take(bucket, now_s, per_minute)
        passed += wait_s is None
        assert passed <= per_minute + now_s * per_minute / 60 + 1e-6
        assert wait_s is None or (wait_s >= 1 and take(bucket, now_s + wait_s, per_minute)[1] is None)


def refused_s(rate: RateLimit, asked: HTTPConnection) -> int | None:
    try:
        rate.check(asked)
    except TooMany as refused:
        return refused.retry_after_s
    return None


def test_a_burst_passes_a_flood_does_not_and_time_heals() -> None:
    clock = ManualClock()
    rate = RateLimit(60, clock)
    assert [refused_s(rate, request("1.2.3.4")) for _ in range(60)] == [None] * 60
    assert refused_s(rate, request("1.2.3.4")) == 1
    assert refused_s(rate, request("1.2.3.5")) is None
    clock.sleep(2.0)
    assert [refused_s(rate, request("1.2.3.4")) for _ in range(3)] == [None, None, 1]


def test_neither_many_keys_nor_many_addresses_get_around_it() -> None:
    rate = RateLimit(5, ManualClock())
    assert [refused_s(rate, request("1.2.3.4", key=f"Bearer {number}")) is None for number in range(8)] == [True] * 5 + [False] * 3
    assert [refused_s(rate, request(f"1.2.4.{number}", key="Bearer x")) is None for number in range(8)] == [True] * 5 + [False] * 3


def test_buckets_are_few_and_a_limit_of_zero_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BUCKETS", 10)
    rate = RateLimit(5, ManualClock())
    for number in range(50):
        rate.check(request(f"1.2.3.{number}"))
    assert len(rate._buckets) == 10
    unlimited = RateLimit(0, ManualClock())
    for _ in range(1000):
        unlimited.check(request("1.2.3.4"))


def test_headers_are_limited_in_number_and_in_bytes() -> None:
    check_headers([(b"x", b"")] * MAX_HEADERS)
    check_headers([(b"x", b"y" * (MAX_HEADER_BYTES - 1))])
    for headers in ([(b"x", b"")] * (MAX_HEADERS + 1), [(b"x", b"y" * MAX_HEADER_BYTES)]):
        with pytest.raises(HeadersTooLarge):
            check_headers(headers)
