"""The one HTTP client for addresses that other people choose.

Such an address may be aimed at us: at services on loopback or the private network, or at a cloud's metadata service (server-side
request forgery). So every hop of a request is resolved once, refused if any address of the host is not a public one, and then
connected to the address that was checked, so that a second answer of the name server changes nothing. TLS still verifies the
name. Redirects are followed here, hop by hop, each checked anew. Proxies and credentials of the environment are not used.

Ports are limited too: below 1024 only the web's own, and none of those that other protocols listen on, so that nobody can make
us speak HTTP to a mail server or a database. Size, silence, slowness and total time are limited.

Errors: `AddressRefused` (never retried), `ResponseTooLarge` (never retried), and `FetchFailed`, whose `retry` says whether trying
again may help. Nothing here knows what is fetched, or keeps it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from kit.errors import BadRequest, Retry, StepFailed, TooLarge

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})
_PORTS = {"http": 80, "https": 443}
_PRIVILEGED = 1024
# The Fetch standard's blocked ports (section 2.9 "Port blocking") above 1023, and those of databases, brokers and orchestrators.
_OTHER_PROTOCOLS = frozenset({
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    1433, 1521, 2375, 2376, 2379, 2380, 3306, 4222, 5432, 5672, 6379, 6443, 7000, 7001, 8500, 9042, 9092, 9200, 9300, 10250, 11211, 27017,
})  # fmt: skip
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.%a-z]*:[0-9a-f:.%a-z]*")  # a name in ASCII or IPv4; or IPv6, perhaps with a zone

# IANA's special-purpose address registries (RFC 6890 and its updates), and two services that clouds keep at public addresses.
_NOT_PUBLIC: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "a cloud's own service"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("::/96", "IPv4-compatible"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discarding"),
    ("2001::/32", "Teredo"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)
_NETWORKS = tuple((ipaddress.ip_network(network), name) for network, name in _NOT_PUBLIC)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class AddressRefused(BadRequest):
    """The address is not one that this client visits."""

    code = "address_refused"


class ResponseTooLarge(TooLarge):
    code = "response_too_large"


class FetchFailed(StepFailed):
    """The other side did not deliver. `retry` is NEVER when its answer was final."""

    code = "fetch_failed"

    def __init__(self, detail: str, retry: Retry = Retry.COUNTED) -> None:
        super().__init__(detail)
        self.retry = retry


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take, redirects included."""

    size_bytes: int
    connect_s: float = 10.0
    silence_s: float = 30.0  # longest wait for the next byte
    total_s: float = 6 * 3600.0
    slowest_bytes_s: float = 0.0  # a body that comes more slowly for `slow_s` seconds of waiting is given up
    slow_s: float = 60.0


def why_not_public(address: str) -> str | None:
    """What kind of address this is, if it is not a public one: "loopback", "private" and so on."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unreadable"  # an IPv6 address with a zone is link-local, and nothing else is expected here
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id is not None:
        return "link-local"
    for network, name in _NETWORKS:
        if parsed in network:
            return name
    if isinstance(parsed, ipaddress.IPv6Address) and parsed not in ipaddress.ip_network("2000::/3"):
        return "not global"
    return None


def check_url(url: str) -> httpx.URL:
    """The address as a value, when it is one that may be visited at all. Raises AddressRefused."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise AddressRefused("This is not an address that can be fetched.") from None
    if parsed.scheme not in _PORTS:
        raise AddressRefused("Only http and https addresses are fetched.")
    port = _PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if not _HOST.fullmatch(parsed.raw_host.decode("ascii")) or not 0 < port < 65536:
        raise AddressRefused("The address names no host, or a port that does not exist.")
    if port in _OTHER_PROTOCOLS or (port < _PRIVILEGED and port not in _PORTS.values()):
        raise AddressRefused(f"Port {port} is not one of the web's.")
    if parsed.userinfo:
        raise AddressRefused("An address with a user name or password in it is not fetched.")
    return parsed


def check_addresses(host: str, addresses: Sequence[str]) -> None:
    """Refuse the host if any of its addresses is not public: which one is connected to must not matter. Raises AddressRefused."""
    for address in addresses:
        reason = why_not_public(address)
        if reason is not None:
            raise AddressRefused(f"{host} is at {address}, which is not a public address ({reason}).")


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host. Raises FetchFailed."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchFailed(f"The host {host} is not known.") from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class Response:
    """An answer whose body has not been read yet."""

    def __init__(self, answer: httpx.Response, url: str, limits: Limits) -> None:
        self._answer, self._limits = answer, limits
        self.url = url  # after redirects
        self.status = answer.status_code
        self.headers = answer.headers
        length = answer.headers.get("content-length", "")
        encoded = answer.headers.get("content-encoding", "identity") != "identity"
        self.size_bytes = int(length) if length.isascii() and length.isdigit() and not encoded else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces. Raises ResponseTooLarge, and FetchFailed when it breaks off or comes too slowly."""
        self._check(self.size_bytes or 0)
        received = 0
        pace = _Pace(self._limits, asyncio.get_running_loop().time)
        try:
            async for data in pace.timed(self._answer.aiter_bytes()):
                received += len(data)
                self._check(received)
                yield data
        except httpx.HTTPError as error:
            raise FetchFailed(f"{self._answer.request.headers['host']} stopped after {received} bytes: {_words(error)}.") from error

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self._limits.size_bytes:
            raise ResponseTooLarge(f"The file is larger than the {self._limits.size_bytes} bytes that are accepted.")


class _Pace:
    """Gives up a body that drips. Only waiting for the other side counts, not what we do with a piece."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock

    async def timed(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        waited_s, received = 0.0, 0
        while True:
            begun_s = self._clock()
            data = await anext(pieces, None)
            if data is None:
                return
            waited_s += self._clock() - begun_s
            received += len(data)
            if waited_s >= self._limits.slow_s:
                if received < self._limits.slowest_bytes_s * waited_s:
                    raise FetchFailed(f"The transfer is too slow: {received} bytes came in {waited_s:.0f} seconds.")
                waited_s, received = 0.0, 0
            yield data


class GuardedClient:
    """Makes requests to addresses that other people choose. Needs closing: use it as an async context manager."""

    def __init__(self, *, private_addresses: bool = False, resolve: Resolve = resolve) -> None:
        """`private_addresses` switches the check of addresses off, not the others. `resolve` is replaced in tests."""
        self._private_addresses = private_addresses
        self._resolve = resolve
        # A connection is never reused: two hosts at one address would share one whose certificate was checked for the other.
        self._client = httpx.AsyncClient(
            trust_env=False, follow_redirects=False, limits=httpx.Limits(max_keepalive_connections=0), headers={"User-Agent": "headwater"}
        )

    async def __aenter__(self) -> GuardedClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def get(self, url: str, limits: Limits) -> AsyncIterator[Response]:
        """The answer with status 200 that `url` leads to, after at most five redirects.

        Raises AddressRefused, ResponseTooLarge and FetchFailed, also while the body is read.
        """
        try:
            async with asyncio.timeout(limits.total_s):
                answer, final = await self._follow(url, limits)
                try:
                    yield Response(answer, final, limits)
                finally:
                    await answer.aclose()
        except TimeoutError:
            raise FetchFailed(f"The whole transfer took longer than {limits.total_s:g} seconds.") from None

    async def post(self, url: str, content: bytes, headers: Mapping[str, str], limits: Limits) -> tuple[int, bytes]:
        """Delivers `content`; the status, whatever it is, and the first `limits.size_bytes` bytes of the answer.

        A redirect is an answer like others: it is not followed, because whoever set the address chose where the bytes go.
        Raises AddressRefused and FetchFailed.
        """
        try:
            async with asyncio.timeout(limits.total_s):
                answer = await self._send(check_url(url), limits, method="POST", content=content, headers=headers)
                try:
                    return answer.status_code, await _beginning(answer, limits.size_bytes)
                except httpx.HTTPError as error:
                    raise FetchFailed(f"{answer.request.headers['host']} broke off its answer: {_words(error)}.") from error
                finally:
                    await answer.aclose()
        except TimeoutError:
            raise FetchFailed(f"The delivery took longer than {limits.total_s:g} seconds.") from None

    async def _follow(self, url: str, limits: Limits) -> tuple[httpx.Response, str]:
        current = check_url(url)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._send(current, limits)
            if answer.status_code not in _REDIRECTS or "location" not in answer.headers:
                await _check_status(answer, current)
                return answer, str(current)
            await answer.aclose()
            target = answer.headers["location"]
            try:
                target = str(current.join(target))
            except (httpx.InvalidURL, ValueError):
                raise AddressRefused(f"{current.host} redirects to something that is not an address.") from None
            current = check_url(target)
        raise FetchFailed(f"{current.host} redirects more than {MAX_REDIRECTS} times.", Retry.NEVER)

    async def _send(
        self, url: httpx.URL, limits: Limits, *, method: str = "GET", content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        port = url.port or _PORTS[url.scheme]
        try:
            async with asyncio.timeout(limits.connect_s):
                addresses = await self._resolve(url.host, port)
        except TimeoutError:
            raise FetchFailed(f"The name server does not say where {url.host} is.") from None
        if not self._private_addresses:
            check_addresses(url.host, addresses)
        timeout = httpx.Timeout(limits.silence_s, connect=limits.connect_s)
        problem = "it has no address"
        for address in addresses:
            request = self._client.build_request(
                method,
                url.copy_with(host=address),
                headers={**(headers or {}), "Host": url.netloc.decode("ascii"), "Accept": "*/*", "Accept-Encoding": "identity"},
                content=content,
                timeout=timeout,
                extensions={"sni_hostname": url.host},
            )
            try:
                return await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                problem = _words(error)
            except httpx.HTTPError as error:
                raise FetchFailed(f"{url.host} does not answer as it should: {_words(error)}.") from error
        raise FetchFailed(f"{url.host} cannot be reached: {problem}.")


async def _beginning(answer: httpx.Response, size_bytes: int) -> bytes:
    found = b""
    async for data in answer.aiter_raw():
        found += data
        if len(found) >= size_bytes:
            break
    return found[:size_bytes]


async def _check_status(answer: httpx.Response, url: httpx.URL) -> None:
    if answer.status_code == 200:
        return
    await answer.aclose()
    final = answer.status_code not in _WORTH_RETRYING
    reason = f" {answer.reason_phrase}" if answer.reason_phrase else ""
    raise FetchFailed(f"{url.host} answered {answer.status_code}{reason}.", Retry.NEVER if final else Retry.COUNTED)


def _words(error: httpx.HTTPError) -> str:
    """An error of the library in a few words, with no address in it."""
    if isinstance(error, httpx.ConnectTimeout):
        return "it did not accept the connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "it fell silent"
    if isinstance(error, httpx.ConnectError):
        return f"the connection failed ({str(error)[:120] or 'refused'})"
    return str(error)[:200].rstrip(".") or type(error).__name__
