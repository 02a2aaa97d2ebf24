"""Addresses that aim at us, in every spelling: the guarded client refuses them all, and nobody is ever asked (checklist A4, N16).

A web server listens on every loopback address, on IPv4 and IPv6, at the port that the addresses name; where names are resolved,
a name server of the test answers. Each vector ends in a refusal, and the server's list of requests stays empty.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing

import pytest

from kit import http
from kit.errors import HeadwaterError
from kit.http import AddressRefused, FetchFailed, GuardedClient, Limits
from tests.web_host import WebHost, body, pausing, redirect

LIMITS = Limits(size_bytes=1000, connect_s=5, silence_s=5, total_s=30)

SPELLINGS = (  # of 127.0.0.1, ::1 and the unspecified address, which reaches them
    "127.0.0.1", "127.1", "127.0.1", "127.127.127.127", "127.0.0.2", "127.255.255.254", "2130706433", "0x7f000001", "0x7F000001",
    "0x7f.0.0.1", "0x7f.1", "0x7f.0x0.0x0.0x1", "0177.0.0.1", "0177.1", "0177.0.1", "017700000001", "127.000.000.001", "127.0.0.1.",
    "0", "0.0.0.0", "0.0", "00000000", "0x0", "localhost", "LOCALHOST", "LocalHost", "localhost.", "foo.localhost", "[::1]",
    "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::]", "[::0.0.0.1]", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:7f00:0001::1]", "[2001:0:7f00:1::]", "[2001::7f00:1]", "[::1%lo]", "[::1%25lo]",
    "[fe80::1%lo]", "[fe80::1%25lo]", "①②⑦.⓪.⓪.①", "127。0。0。1", "127｡0｡0｡1", "127．0．0．1", "１２７.0.0.1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "ｌｏｃａｌｈｏｓｔ", "127.0.0.1%00", "127.0.0.1%2f", "127.0.0.1%0a", "127.0.0.1%20", "loc\u00adalhost", "127.0.0.1\u200b",
)  # fmt: skip
PRIVATE = (  # networks of ours, of clouds, and of nobody
    "10.0.0.1", "10.1", "0xa.1", "167772161", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.257", "0xc0a80001", "169.254.169.254",
    "169.254.43518", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "0xa9.0xfe.0xa9.0xfe", "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "[fd00:ec2::254]", "100.100.100.200", "100.64.0.1",
    "168.63.129.16", "192.0.0.192", "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "[fc00::1]", "[fd12:3456::1]", "[fe80::1]", "[fec0::1]", "[ff02::1]", "[ff05::1:3]", "[100::1]",
    "[5f00::1]",
    "[2001:db8::1]", "[3fff::1]", "[4000::1]", "[1::1]",
)  # fmt: skip
TRICKS = (  # whole addresses; {port} is where the server listens
    "http://user@127.0.0.1:{port}/", "http://public.example@127.0.0.1:{port}/", "http://public.example:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@public.example/", "http://public.example\\@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@public.example/",
    "http://public.example%40127.0.0.1:{port}/", "http:127.0.0.1:{port}/", "http:/127.0.0.1:{port}/", "http:///127.0.0.1:{port}/",
    "http:////127.0.0.1:{port}/", "http:\\\\127.0.0.1:{port}/", "//127.0.0.1:{port}/", " http://127.0.0.1:{port}/", "\thttp://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/\r\nX: y", "ht\ntp://127.0.0.1:{port}/", "HTTP://127.0.0.1:{port}/", "http://127.0.0.1:{port}#@public.example/",
    "http://127.0.0.1:{port}?@public.example/", "http://127.0.0.1:80:{port}/", "http://[::1]:{port}:80/", "http://[::1]public.example:{port}/",
    "http://[127.0.0.1]:{port}/", "http://::1:{port}/", "http://[::1:{port}/", "http://0:{port}/", "http://①:{port}/",
)  # fmt: skip
SCHEMES = (
    "file:///etc/passwd", "file://127.0.0.1/etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:{port}/_GET", "dict://127.0.0.1:{port}/",
    "ldap://127.0.0.1:{port}/", "tftp://127.0.0.1/", "sftp://127.0.0.1/", "smb://127.0.0.1/a", "data:text/plain,a", "javascript:alert(1)",
    "jar:http://127.0.0.1:{port}/a!/b", "unix:/run/docker.sock", "http+unix://%2Frun%2Fdocker.sock/", "ws://127.0.0.1:{port}/",
    "view-source:http://127.0.0.1:{port}/", "blob:http://127.0.0.1:{port}/a", "concat:http://127.0.0.1:{port}/", "rtmp://127.0.0.1/", "",
)  # fmt: skip
PORTS = (0, 1, 22, 23, 25, 53, 110, 143, 445, 587, 993, 2049, 2375, 3306, 5060, 5432, 6379, 6667, 9200, 11211, 27017, 65536, 99999)
ANSWERS: dict[str, tuple[str, ...]] = {  # what a name server may say about a name
    "loopback": ("127.0.0.1",),
    "six": ("::1",),
    "mapped": ("::ffff:127.0.0.1",),
    "zone": ("fe80::1%1",),
    "private": ("10.0.0.7",),
    "metadata": ("169.254.169.254",),
    "mixed four": ("93.184.216.34", "127.0.0.1"),
    "mixed four, the other way round": ("127.0.0.1", "93.184.216.34"),
    "mixed six": ("2606:4700::1111", "::1"),
    "public four and private six": ("93.184.216.34", "fd00::1"),
    "twenty and one": (*("93.184.216.34",) * 20, "192.168.1.1"),
    "no address at all": ("not an address",),
    "old notation": ("0177.0.0.1",),
    "a number": ("2130706433",),
}
REDIRECTS = (
    "http://127.0.0.2:{port}/", "http://[::1]:{port}/", "//127.0.0.2:{port}/", "http://2130706434:{port}/", "http://0x7f.2:{port}/",
    "http://[::ffff:127.0.0.2]:{port}/", "http://169.254.169.254/latest/meta-data/", "http://user@127.0.0.2:{port}/", "file:///etc/passwd",
    "gopher://127.0.0.2:{port}/", "http://10.0.0.1/", "http://127.0.0.1:22/", "http://127.0.0.1:6379/",
    "https://0:{port}/",
)  # fmt: skip


@pytest.fixture(scope="module")
def listening() -> Iterator[tuple[WebHost, ...]]:
    """Servers on all of 127.0.0.0/8 and on ::1, at one port."""
    with ExitStack() as stack:
        four = stack.enter_context(WebHost("0.0.0.0"))
        hosts = [four]
        if socket.has_dualstack_ipv6():
            hosts.append(stack.enter_context(_SixHost(four.port)))
        yield tuple(hosts)


class _SixHost:
    """Notes connections to ::1; whoever connects has lost already."""

    def __init__(self, port: int) -> None:
        self.port, self.asked = port, list[tuple[str, str]]()
        self._socket = socket.create_server(("::1", port), family=socket.AF_INET6)
        self._thread = threading.Thread(target=self._accept)

    def _accept(self) -> None:
        while True:
            connection, peer = self._socket.accept()
            with closing(connection):
                if connection.recv(4) == b"stop":
                    return
                self.asked.append((str(peer), ""))

    def __enter__(self) -> _SixHost:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.create_connection(("::1", self.port)) as last:
            last.sendall(b"stop")
        self._thread.join()
        self._socket.close()


def resolver(*answers: str) -> http.Resolve:
    """Numbers are themselves, as every system's resolver reads them; every name is at `answers`."""

    async def resolve(name: str, port: int) -> Sequence[str]:
        if answers:
            return answers
        if not name.isascii() or not any(letter.isdigit() or letter == ":" for letter in name):
            return ("127.0.0.1",)
        try:
            return await http.resolve(name, port)
        except FetchFailed:
            return ("127.0.0.1",)  # the worst that a name server could make of it

    return resolve


def refusals(urls: Sequence[str], resolve: http.Resolve | None = None) -> dict[str, type[Exception] | None]:
    """How each fetch ended, in order; None for one that was answered."""

    async def fetch(client: GuardedClient, url: str) -> type[Exception] | None:
        try:
            async with client.get(url, LIMITS):
                return None
        except HeadwaterError as refused:
            return type(refused)

    async def fetch_all() -> dict[str, type[Exception] | None]:
        async with GuardedClient(resolve=resolve or resolver()) as client:
            return {url: await fetch(client, url) for url in urls}

    return asyncio.run(fetch_all())


def refusal(url: str, resolve: http.Resolve | None = None) -> type[Exception] | None:
    return refusals([url], resolve)[url]


def all_refused(listening: tuple[WebHost, ...], urls: Sequence[str], resolve: http.Resolve | None = None) -> None:
    found = refusals(urls, resolve)
    assert {url: end for url, end in found.items() if end is not AddressRefused} == {}
    assert [host.asked for host in listening] == [[]] * len(listening)


def test_there_are_more_than_sixty_vectors() -> None:
    assert sum(map(len, (SPELLINGS, PRIVATE, TRICKS, SCHEMES, PORTS, ANSWERS, REDIRECTS))) >= 200


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_spelling_of_an_address_that_is_not_public(listening: tuple[WebHost, ...], scheme: str) -> None:
    all_refused(listening, [f"{scheme}://{name}:{listening[0].port}/" for name in (*SPELLINGS, *PRIVATE)])


def test_tricks_with_the_address_itself(listening: tuple[WebHost, ...]) -> None:
    all_refused(listening, [url.format(port=listening[0].port) for url in (*TRICKS, *SCHEMES)])


def test_ports_of_other_protocols(listening: tuple[WebHost, ...]) -> None:
    all_refused(listening, [f"http://public.example:{port}/" for port in PORTS], resolver("93.184.216.34"))


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)
def test_whatever_a_name_server_says(listening: tuple[WebHost, ...], answers: tuple[str, ...]) -> None:
    all_refused(listening, [f"http://public.example:{listening[0].port}/"], resolver(*answers))


@pytest.fixture
def first_hop(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebHost]:
    """A server that counts as public: of loopback only 127.0.0.1 is allowed."""
    kept = tuple(entry for entry in http._NETWORKS if entry[1] != "loopback")
    others = list(ipaddress.ip_network("127.0.0.0/8").address_exclude(ipaddress.ip_network("127.0.0.1/32")))
    monkeypatch.setattr(http, "_NETWORKS", (*kept, *((network, "loopback") for network in others)))
    with WebHost("0.0.0.0") as running:
        yield running


@pytest.mark.parametrize("target", REDIRECTS)
@pytest.mark.parametrize("status", [301, 307])
def test_a_public_server_cannot_send_us_anywhere(first_hop: WebHost, target: str, status: int) -> None:
    first_hop.answers["/"] = redirect(target.format(port=first_hop.port), status)
    assert refusal(first_hop.url("/"), http.resolve) is AddressRefused
    assert first_hop.asked == [(f"127.0.0.1:{first_hop.port}", "/")]


@pytest.mark.parametrize("later", [("127.0.0.2",), ("127.0.0.1", "127.0.0.2"), ("::1",), ("10.0.0.1",)])
def test_a_name_that_moves_between_two_hops(first_hop: WebHost, later: tuple[str, ...]) -> None:
    first_hop.answers |= {"/": redirect("/again"), "/again": body(b"secret")}
    answers = iter([("127.0.0.1",), later])

    async def rebinding(name: str, port: int) -> Sequence[str]:
        return next(answers)

    assert refusal(first_hop.url("/", "rebind.example"), rebinding) is AddressRefused
    assert len(first_hop.asked) == 1


def test_deliveries_are_guarded_alike_and_follow_no_redirect(first_hop: WebHost) -> None:
    async def post(url: str) -> tuple[int, bytes]:
        async with GuardedClient(resolve=http.resolve) as client:
            return await client.post(url, b"{}", {"Webhook-Id": "msg_1"}, LIMITS)

    first_hop.posted["/hook"] = redirect("/elsewhere", 308)
    assert asyncio.run(post(first_hop.url("/hook")))[0] == 308
    first_hop.posted["/long"] = body(b"x" * 5000)
    assert asyncio.run(post(first_hop.url("/long"))) == (200, b"x" * 1000)
    for url in ("http://127.0.0.2/", "file:///a", f"http://[::1]:{first_hop.port}/hook"):
        with pytest.raises(AddressRefused):
            asyncio.run(post(url))
    assert [path for _, path in first_hop.asked] == ["/hook", "/long"]


def test_a_body_that_drips_is_given_up(first_hop: WebHost) -> None:
    done = threading.Event()
    first_hop.answers["/"] = pausing(b"x" * 10, done, length=1000)
    slow = Limits(1000, silence_s=5, slowest_bytes_s=1e12, slow_s=0.0)

    async def fetch() -> None:
        async with GuardedClient(resolve=http.resolve) as client, client.get(first_hop.url("/"), slow) as response:
            async for _ in response.chunks():
                pass

    with pytest.raises(FetchFailed, match="too slow"):
        asyncio.run(fetch())
    done.set()
