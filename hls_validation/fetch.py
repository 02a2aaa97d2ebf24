"""Getting playlists and segments: over HTTP, or from files where the presentation itself is one. The only effects of this package.

Everything is bounded: the size of one resource, of all of them, the time of one wait and of one answer, and redirects. A presentation
on the web never makes this read a local file.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import httpx

MAX_PLAYLIST_BYTES = 16 << 20
MAX_SEGMENT_BYTES = 256 << 20
MAX_TOTAL_BYTES = 64 << 30
MAX_REDIRECTS = 5


class NotFetched(Exception):
    """Why something could not be read, as a sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came."""

    url: str  # where it came from in the end
    body: bytes = field(repr=False)
    redirects: int = 0
    headers: Mapping[str, str] | None = None  # lower case; None where the resource is a file


class Fetch(Protocol):
    def __call__(self, url: str, part: tuple[int, int] | None, most: int) -> Answer:
        """`part` is length and offset. Raises NotFetched."""


class Fetcher:
    """Reads from the web, and from files when `files` is set. Safe to call from several threads. Use it as a context manager."""

    def __init__(self, *, files: bool, patience_s: float = 20.0, headers: Mapping[str, str] | None = None) -> None:
        self._files, self._patience_s, self._left = files, patience_s, MAX_TOTAL_BYTES
        self._lock = threading.Lock()
        timeout = httpx.Timeout(patience_s)
        self._client = httpx.Client(follow_redirects=True, max_redirects=MAX_REDIRECTS, timeout=timeout, headers=headers)

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(self, url: str, part: tuple[int, int] | None, most: int) -> Answer:
        scheme = urlsplit(url).scheme
        if part is not None and part[0] > most:
            raise NotFetched(f"{url} is asked for {part[0]} bytes, more than the {most} that are read of one resource")
        if scheme in {"http", "https"}:
            answer = self._from_web(url, part, most)
        elif scheme == "file" and self._files:
            answer = _from_file(url, part, most)
        else:
            raise NotFetched(f"{url} is not an address on the web")
        with self._lock:
            self._left -= len(answer.body)
            if self._left < 0:
                raise NotFetched(f"the presentation has more than {MAX_TOTAL_BYTES >> 30} GiB; choose fewer segments")
        return answer

    def _from_web(self, url: str, part: tuple[int, int] | None, most: int) -> Answer:
        headers = {} if part is None else {"Range": f"bytes={part[1]}-{part[1] + part[0] - 1}", "Accept-Encoding": "identity"}
        until = time.monotonic() + 30 * self._patience_s
        try:
            with self._client.stream("GET", url, headers=headers) as response:
                if response.status_code not in {200, 206}:
                    raise NotFetched(f"{url} answers {response.status_code} {response.reason_phrase}".rstrip())
                body = bytearray()
                skip = part[1] if part is not None and response.status_code == 200 else 0
                wanted = None if part is None else part[0] + skip
                for piece in response.iter_bytes():
                    body += piece
                    if wanted is not None and len(body) >= wanted:
                        break
                    if len(body) > most + skip:
                        raise NotFetched(f"{url} has more than {most} bytes")
                    if time.monotonic() > until:
                        raise NotFetched(f"{url} did not end within {30 * self._patience_s:g} s")
                return Answer(str(response.url), bytes(body[skip:wanted]), len(response.history), dict(response.headers))
        except httpx.TooManyRedirects:
            raise NotFetched(f"{url} is redirected more than {MAX_REDIRECTS} times") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotFetched(_sentence(url, error)) from error


def _sentence(url: str, error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"{url} does not answer in time"
    if isinstance(error.__cause__, ssl.SSLError) or "SSL" in str(error) or "certificate" in str(error).lower():
        return f"{url} cannot be reached over TLS: {error}"
    if isinstance(error, httpx.ConnectError):
        return f"{url} cannot be reached: {error}"
    return f"{url} cannot be read: {error}"


def _from_file(url: str, part: tuple[int, int] | None, most: int) -> Answer:
    path = Path(unquote(urlsplit(url).path))
    try:
        with path.open("rb") as file:
            if part is not None:
                file.seek(part[1])
            body = file.read(part[0] if part is not None else most + 1)
    except OSError as error:
        raise NotFetched(f"{path} cannot be read: {error.strerror}") from error
    if len(body) > most:
        raise NotFetched(f"{path} has more than {most} bytes")
    return Answer(url, body)
