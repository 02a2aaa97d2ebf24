"""Which addresses the guarded client visits. Every special-purpose network is tried at both of its ends."""

from __future__ import annotations

import ipaddress

import pytest

from kit.http import _NOT_PUBLIC, AddressRefused, check_addresses, check_url, why_not_public


@pytest.mark.parametrize(("network", "kind"), _NOT_PUBLIC)
def test_both_ends_of_every_special_network_are_refused(network: str, kind: str) -> None:
    parsed = ipaddress.ip_network(network)
    assert why_not_public(str(parsed[0])) is not None
    assert why_not_public(str(parsed[-1])) is not None
    with pytest.raises(AddressRefused):
        check_addresses("host", [str(parsed[-1])])


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:93.184.216.34", "64:ff9b::8.8.8.8", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fe80::1%eth0",
        "4000::1", "1::1", "255.255.255.255", "not an address", "", "0.0.0.0", "::", "100.100.100.200", "fd00:ec2::254",
    ],
)  # fmt: skip
def test_disguised_addresses_are_refused(address: str) -> None:
    assert why_not_public(address) is not None


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "100.63.255.255", "2606:4700::1111"]
)
def test_public_addresses_are_visited(address: str) -> None:
    assert why_not_public(address) is None


def test_one_private_address_among_public_ones_is_enough() -> None:
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1.*private"):
        check_addresses("both.example", ["93.184.216.34", "10.0.0.1"])


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a", "file:///etc/passwd", "gopher://example.com", "example.com/a.mp4", "//example.com/a", "", "http://", "http:///a",
        "http://user@example.com/", "http://user:secret@example.com/", "http://:secret@example.com/", "http://[::1", "javascript:alert(1)",
        "http://example.com:99999/", "http://a\nb/",
    ],
)  # fmt: skip
def test_what_is_not_a_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        check_url(url)
    assert "secret" not in refused.value.detail


def test_plain_web_addresses() -> None:
    assert check_url("https://example.com:8443/a%20b?c=d").host == "example.com"
    assert check_url("HTTP://EXAMPLE.com").host == "example.com"
