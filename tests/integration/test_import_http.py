"""The guarded HTTP client on real sockets: which hosts it talks to, and how it ends when the other side misbehaves (A4).

Loopback stands for the public network here: where a test needs a first hop that is allowed, 127.0.0.1 is taken out of the
list of special networks, and 127.0.0.2 stays in it.
"""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from kit import http
from kit.errors import HeadwaterError, Retry
from kit.http import AddressRefused, FetchFailed, GuardedClient, Limits, ResponseTooLarge
from tests.web_host import WebHost, body, pausing, redirect

LIMITS = Limits(size_bytes=1_000_000, connect_s=5, silence_s=5, total_s=30)


@pytest.fixture
def host() -> Iterator[WebHost]:
    with WebHost() as running:
        yield running


@pytest.fixture
def first_loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tuple(entry for entry in http._NETWORKS if entry[1] != "loopback")
    monkeypatch.setattr(http, "_NETWORKS", (*kept, (ipaddress.ip_network("127.0.0.2/32"), "loopback")))


def names(**known: Sequence[str]) -> http.Resolve:
    async def resolve(name: str, port: int) -> Sequence[str]:
        return known.get(name.replace(".", "_"), (name,))

    return resolve


def get(url: str, limits: Limits = LIMITS, *, private: bool = True, resolve: http.Resolve = http.resolve) -> tuple[bytes, str]:
    async def fetch() -> tuple[bytes, str]:
        async with GuardedClient(private_addresses=private, resolve=resolve) as client, client.get(url, limits) as response:
            return b"".join([data async for data in response.chunks()]), response.url

    return asyncio.run(fetch())


def refusal(url: str, limits: Limits = LIMITS, *, private: bool = True, resolve: http.Resolve = http.resolve) -> HeadwaterError:
    with pytest.raises(HeadwaterError) as raised:
        get(url, limits, private=private, resolve=resolve)
    return raised.value


def test_a_file(host: WebHost) -> None:
    host.answers["/film?a=b"] = body(b"x" * 300_000)
    assert get(host.url("/film?a=b")) == (b"x" * 300_000, host.url("/film?a=b"))
    assert host.asked == [(f"127.0.0.1:{host.port}", "/film?a=b")]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "017700000001", "127.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_loopback_is_refused_however_it_is_spelled_and_never_asked(host: WebHost, name: str) -> None:
    assert isinstance(refusal(host.url("/", name), private=False), AddressRefused)
    assert host.asked == []


def test_redirects_are_followed_and_relative_ones_too(host: WebHost) -> None:
    host.answers |= {"/a": redirect("/b", 301), "/b": redirect("c", 307), "/c": redirect(host.url("/d"), 308), "/d": body(b"here")}
    assert get(host.url("/a")) == (b"here", host.url("/d"))


def test_the_sixth_redirect_is_one_too_many(host: WebHost) -> None:
    host.answers |= {f"/{number}": redirect(f"/{number + 1}") for number in range(9)}
    assert refusal(host.url("/0")).retry is Retry.NEVER
    assert len(host.asked) == 6


@pytest.mark.usefixtures("first_loopback_is_public")
@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.2:{port}/", "http://[::1]:{port}/", "http://169.254.169.254/latest/", "file:///etc/passwd", "http://u:p@127.0.0.1/"],
)
def test_every_redirect_is_checked_anew(host: WebHost, target: str) -> None:
    host.answers["/"] = redirect(target.format(port=host.port))
    assert isinstance(refusal(host.url("/"), private=False), AddressRefused)
    assert len(host.asked) == 1


@pytest.mark.usefixtures("first_loopback_is_public")
def test_a_name_is_resolved_once_and_connected_to_where_it_was_checked(host: WebHost) -> None:
    host.answers["/"] = body(b"right")
    answers = iter([("127.0.0.1",), ("127.0.0.2",)])

    async def rebinding(name: str, port: int) -> Sequence[str]:
        return next(answers)

    url = host.url("/", "rebind.example")
    assert get(url, private=False, resolve=rebinding) == (b"right", url)
    assert host.asked == [(f"rebind.example:{host.port}", "/")]
    assert isinstance(refusal(url, private=False, resolve=rebinding), AddressRefused)
    assert len(host.asked) == 1


@pytest.mark.usefixtures("first_loopback_is_public")
def test_one_bad_address_of_several_is_enough(host: WebHost) -> None:
    both = names(both_example=("127.0.0.1", "10.0.0.1"))
    assert isinstance(refusal(host.url("/", "both.example"), private=False, resolve=both), AddressRefused)
    assert host.asked == []


def test_the_next_address_is_tried_when_one_does_not_answer(host: WebHost) -> None:
    host.answers["/"] = body(b"second")
    assert get(host.url("/", "two.example"), resolve=names(two_example=("127.0.0.9", "127.0.0.1")))[0] == b"second"


def test_tls_asks_for_the_name_and_not_for_the_address() -> None:
    hello = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            connection, _ = listening.accept()
            with connection:
                hello.extend(connection.recv(65536))

        server = threading.Thread(target=accept)
        server.start()
        url = f"https://named.example:{listening.getsockname()[1]}/"
        assert isinstance(refusal(url, resolve=names(named_example=("127.0.0.1",))), FetchFailed)
        server.join()
    assert b"named.example" in hello


def test_proxies_of_the_environment_are_not_used(host: WebHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    host.answers["/"] = body(b"direct")
    assert get(host.url("/"))[0] == b"direct"


@pytest.mark.parametrize("length", [-1, None])
def test_too_large_is_refused_before_or_while_it_arrives(host: WebHost, length: int | None) -> None:
    host.answers["/"] = body(b"x" * 1_000_001, length=length)
    assert isinstance(refusal(host.url("/")), ResponseTooLarge)


def test_an_unpacked_body_counts_unpacked(host: WebHost) -> None:
    host.answers["/bomb"] = body(gzip.compress(bytes(2_000_000)), Content_Encoding="gzip")
    host.answers["/fine"] = body(gzip.compress(b"text"), Content_Encoding="gzip")
    assert isinstance(refusal(host.url("/bomb")), ResponseTooLarge)
    assert get(host.url("/fine"))[0] == b"text"


@pytest.mark.parametrize(
    ("status", "retry"),
    [(404, Retry.NEVER), (403, Retry.NEVER), (500, Retry.COUNTED), (503, Retry.COUNTED), (429, Retry.COUNTED), (204, Retry.NEVER)],
)
def test_answers_that_are_not_a_file(host: WebHost, status: int, retry: Retry) -> None:
    host.answers["/"] = body(b"", status=status)
    failed = refusal(host.url("/"))
    assert isinstance(failed, FetchFailed)
    assert failed.retry is retry
    assert str(status) in failed.detail


def test_a_body_that_ends_early_is_never_taken_for_the_whole(host: WebHost) -> None:
    host.answers["/"] = body(b"half", length=8)
    failed = refusal(host.url("/"))
    assert (type(failed), failed.retry) == (FetchFailed, Retry.COUNTED)


@pytest.mark.parametrize("limits", [Limits(1000, silence_s=0.2), Limits(1000, total_s=0.2)])
def test_silence_and_slowness_end(host: WebHost, limits: Limits) -> None:
    done = threading.Event()
    host.answers["/"] = pausing(b"a", done, length=100)
    failed = refusal(host.url("/"), limits)
    done.set()
    assert (type(failed), failed.retry) == (FetchFailed, Retry.COUNTED)


def test_nobody_there(host: WebHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert "cannot be reached" in refusal(f"http://127.0.0.1:{port}/").detail
    impossible = "x" * 64 + ".example"  # longer than a label may be, so no name server is asked
    for private in (True, False):
        unknown = refusal(f"http://{impossible}/", private=private)
        assert (type(unknown), unknown.detail) == (FetchFailed, f"The host {impossible} is not known.")
