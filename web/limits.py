"""How fast anyone may ask: a token bucket for each address and each API key, in the memory of one API process.

A bucket holds a minute's worth of requests and refills evenly, so a burst is fine and a flood is not. A request takes from the
bucket of its address and from that of its key, whichever is emptier decides; so neither many keys from one address nor one key
from many addresses gets around it. Several API processes have buckets of their own: the limit is one process's. Only the most
recently used buckets are kept, so that a flood of made-up keys costs no memory.

It also knows who is inside: requests from this machine or its private network that no proxy passed on for somebody else.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from kit.clock import Clock
from kit.errors import TooMany

MOST_BUCKETS = 20_000
_LOCAL = "local"  # whoever reaches a Unix socket


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left, and when that was so."""

    left: float
    at_s: float


def take(bucket: Bucket, now_s: float, per_minute: int) -> tuple[Bucket, int | None]:
    """The bucket after one request, and None; or the bucket as it is and the whole seconds until a request fits. Pure."""
    left = min(float(per_minute), bucket.left + (now_s - bucket.at_s) * per_minute / 60)
    if left > 1 - 1e-6:  # sums of fractions end a little short
        return Bucket(max(0.0, left - 1), now_s), None
    return Bucket(left, now_s), math.ceil((1 - left) * 60 / per_minute)


def _is_inside(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_loopback or parsed.is_private


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _forwarded(request: HTTPConnection) -> list[str]:
    return [part.strip() for line in request.headers.getlist("x-forwarded-for") for part in line.split(",") if part.strip()]


def is_inside(request: HTTPConnection) -> bool:
    """Whether this comes from the machine or its private network, and was not passed on for anybody who is not on this machine.

    The edge says for whom it asks, so what comes through it counts as inside only for loopback.
    """
    peer = request.client.host if request.client is not None else ""
    forwarded = _forwarded(request)
    if forwarded:
        return all(_is_loopback(address) for address in forwarded)
    return not peer or _is_inside(peer)


def address_of(request: HTTPConnection) -> str:
    """Whom a request is counted for: what the nearest proxy says, if the proxy is inside, else the peer itself."""
    peer = request.client.host if request.client is not None else _LOCAL
    forwarded = _forwarded(request)
    return forwarded[-1] if forwarded and (peer == _LOCAL or _is_inside(peer)) else peer


def _names(request: HTTPConnection) -> list[str]:
    header = request.headers.get("authorization")
    key = [] if header is None else ["key " + hashlib.sha256(header.encode("utf-8", "surrogateescape")).hexdigest()]
    return ["address " + address_of(request), *key]


class RateLimit:
    """The buckets of one process. Lives in one event loop."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def dependency(self) -> Callable[[HTTPConnection], object]:
        """For whole routers; refuses before anything else is asked."""

        async def within_rate(request: HTTPConnection) -> None:
            self.check(request)

        return within_rate

    def check(self, request: HTTPConnection) -> None:
        """Counts one request. Raises TooMany."""
        if not self._per_minute:
            return
        now_s = self._clock.monotonic_s()
        waits_s = [wait_s for name in _names(request) if (wait_s := self._take(name, now_s)) is not None]
        if waits_s:
            raise TooMany(f"At most {self._per_minute} requests a minute are answered here; go on in {max(waits_s)} s.", max(waits_s))

    def _take(self, name: str, now_s: float) -> int | None:
        found = self._buckets.pop(name, Bucket(float(self._per_minute), now_s))
        self._buckets[name], wait_s = take(found, now_s, self._per_minute)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return wait_s
