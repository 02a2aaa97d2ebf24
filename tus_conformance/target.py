"""The server under test, as cases see it: requests in, answers out. Nothing here judges, except that a creation which every
case builds on must work.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urljoin

import httpx

from tus_conformance.wire import Wire

VERSION = "1.0.0"
BYTES = "application/offset+octet-stream"
PATIENCE_S = 30.0  # what a case waits for must come within this time

HeaderValue: TypeAlias = str | bytes
Headers: TypeAlias = Mapping[str, HeaderValue] | Sequence[tuple[str, HeaderValue]]


class Failed(Exception):
    """The server did not do what the clause says."""


class Skipped(Exception):
    """The question cannot be put to this server."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the server says about itself in its answer to OPTIONS."""

    versions: tuple[str, ...] = ()
    extensions: frozenset[str] = frozenset()
    max_size_bytes: int | None = None
    algorithms: tuple[str, ...] = ()


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def capabilities_of(headers: Mapping[str, str]) -> Capabilities:
    """The values of an answer's headers; a Tus-Max-Size that is no number is left out."""
    limit = headers.get("tus-max-size", "").strip()
    return Capabilities(
        _listed(headers.get("tus-version", "")),
        frozenset(_listed(headers.get("tus-extension", ""))),
        int(limit) if re.fullmatch(r"[0-9]{1,30}", limit) else None,
        _listed(headers.get("tus-checksum-algorithm", "")),
    )


def expect(truth: object, detail: str) -> None:
    """Raises Failed with `detail` unless `truth`."""
    if not truth:
        raise Failed(detail)


def expect_status(answer: httpx.Response, *allowed: int) -> httpx.Response:
    wanted = " or ".join(str(status) for status in allowed)
    expect(answer.status_code in allowed, f"{answer.request.method} was answered {answer.status_code}, not {wanted}")
    return answer


def expect_refused(answer: httpx.Response) -> httpx.Response:
    """Any 4xx: the protocol leaves the choice."""
    expect(400 <= answer.status_code < 500, f"{answer.request.method} was answered {answer.status_code}, not with a refusal (4xx)")
    return answer


def number(text: str | None, name: str) -> int:
    """A header that must be a non-negative integer."""
    expect(text is not None, f"the header {name} is missing")
    assert text is not None
    expect(re.fullmatch(r"[0-9]+", text), f"{name} is {text!r}, not a non-negative integer")
    return int(text)


class Target:
    """A server at its creation URL. `headers` go with every request (a key, for instance); nothing is cached between cases."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self.url, self.patience_s = url, patience_s
        self.headers = dict(headers or {})
        self.http = self.client()
        self.capabilities = Capabilities()

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def client(self) -> httpx.Client:
        """A client with connections of its own, for requests that must run at once."""
        return httpx.Client(headers=self.headers, timeout=self.patience_s, trust_env=False, follow_redirects=False)

    def discover(self) -> Capabilities:
        """Asks what the server can do; the answer stays in `capabilities`. Raises httpx.HTTPError when nobody answers."""
        self.capabilities = capabilities_of(self.http.options(self.url).headers)
        return self.capabilities

    def send(
        self, method: str, url: str, headers: Headers = (), content: bytes | Iterable[bytes] | None = None, *, version: str | None = VERSION
    ) -> httpx.Response:
        """One request. `version` None leaves Tus-Resumable out."""
        pairs: list[tuple[str, HeaderValue]] = list(headers.items() if isinstance(headers, Mapping) else headers)
        if version is not None:
            pairs.append(("Tus-Resumable", version))
        raw = [(name.encode(), value.encode("latin-1") if isinstance(value, str) else value) for name, value in pairs]
        return self.http.request(method, url, headers=raw, content=content)

    def post(self, headers: Headers = (), content: bytes | Iterable[bytes] | None = None) -> httpx.Response:
        """A creation, as it is."""
        return self.send("POST", self.url, headers, content)

    def location(self, answer: httpx.Response) -> str:
        expect_status(answer, 201)
        expect(answer.headers.get("location"), "the answer to the creation has no Location")
        return urljoin(self.url, answer.headers["location"])

    def create(self, length: int | None, headers: Mapping[str, HeaderValue] | None = None) -> str:
        """The URL of a new upload; `length` None defers it."""
        size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        return self.location(self.post({**size, **(headers or {})}))

    def head(self, url: str) -> httpx.Response:
        return self.send("HEAD", url)

    def offset(self, url: str) -> int:
        """The offset that HEAD tells. A server may answer 423 for a while when a request has just been broken off."""
        answer = self.await_answer(lambda: self.head(url), lambda found: found.status_code != 423)
        expect_status(answer, 200, 204)
        return number(answer.headers.get("upload-offset"), "Upload-Offset")

    def patch(
        self, url: str, offset: int | str, data: bytes | Iterator[bytes], headers: Mapping[str, HeaderValue] | None = None
    ) -> httpx.Response:
        return self.send("PATCH", url, {"Upload-Offset": str(offset), "Content-Type": BYTES, **(headers or {})}, data)

    def sent(self, url: str, offset: int, data: bytes, headers: Mapping[str, HeaderValue] | None = None) -> int:
        """A PATCH that must succeed whole; the new offset."""
        answer = self.patch(url, offset, data, headers)
        expect_status(answer, 204)
        new = number(answer.headers.get("upload-offset"), "Upload-Offset")
        expect(new == offset + len(data), f"after {len(data)} bytes at {offset} the server says {new}")
        return new

    def unchanged(self, url: str, offset: int) -> None:
        """Fails when the upload does not stand at `offset`."""
        found = self.offset(url)
        expect(found == offset, f"the upload stands at {found}, not at {offset} as before")

    def await_answer(self, ask: Callable[[], httpx.Response], enough: Callable[[httpx.Response], bool]) -> httpx.Response:
        """Asks until the answer is `enough`, or patience ends; the last answer."""
        deadline = time.monotonic() + self.patience_s
        while True:
            answer = ask()
            if enough(answer) or time.monotonic() > deadline:
                return answer
            time.sleep(0.1)

    def wire(self, url: str | None = None) -> Wire:
        """A connection to write on by hand."""
        return Wire(url or self.url, self.headers, self.patience_s)
