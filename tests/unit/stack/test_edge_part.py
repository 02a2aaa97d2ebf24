"""What the edge is told about this machine."""

from __future__ import annotations

import pytest

from stack.edge_part import cache_bytes, name_server

GIB = 1 << 30


@pytest.mark.parametrize(("free", "cache"), [(0, GIB), (5 * GIB, GIB), (40 * GIB, 4 * GIB), (900 * GIB, 10 * GIB)])
def test_the_local_cache_leaves_room_on_the_disk(free: int, cache: int) -> None:
    assert cache_bytes(free) == cache


@pytest.mark.parametrize(
    ("wanted", "resolv_conf", "server"),
    [
        ("", "nameserver 10.0.0.1\n", None),
        ("192.0.2.7", "nameserver 10.0.0.1\n", "192.0.2.7"),
        ("auto", "# comment\nsearch local\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n", "10.0.0.1"),
        ("auto", "nameserver fd00::1\n", "[fd00::1]"),
        ("auto", "nameserver\noptions ndots:0\n", None),
        ("auto", "", None),
    ],
)
def test_who_is_asked_for_addresses(wanted: str, resolv_conf: str, server: str | None) -> None:
    assert name_server(wanted, resolv_conf) == server
