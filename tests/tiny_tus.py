"""A tus server in memory with every extension, and with faults that can be planted: it shows that the conformance suite can fail.

It keeps no bytes, only how many there are: the protocol cannot ask for more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LIMIT = 10_000_000
ALGORITHMS = ("sha1", "sha224", "sha256", "sha384", "sha512", "md5", "crc32")
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination,concatenation"


class Refusal(Exception):
    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(status)
        self.status, self.headers = status, headers


@dataclass
class Upload:
    size: int | None
    metadata: str = ""
    concat: str = ""
    offset: int = 0
    deleted: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Body:
    data: bytes
    whole: bool
    trailers: dict[str, str] = field(default_factory=dict)


def whole_number(text: str | None) -> int:
    if text is None or not re.fullmatch(r"[0-9]{1,18}", text):
        raise Refusal(400)
    return int(text)


def check_metadata(text: str) -> None:
    seen: set[str] = set()
    for pair in text.split(",") if text else []:
        key, _, value = pair.strip().partition(" ")
        try:
            base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise Refusal(400) from None
        if not key or not key.isascii() or key in seen:
            raise Refusal(400)
        seen.add(key)


def digest_of(algorithm: str, data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big") if algorithm == "crc32" else hashlib.new(algorithm, data).digest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: TinyTus

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that is overridden
        pass

    def has(self, fault: str) -> bool:
        return fault in self.server.faults

    def act(self) -> None:
        body = Body(b"", whole=True)
        try:
            method = self.command if self.has("override") else self.headers.get("x-http-method-override", self.command)
            if method == "OPTIONS":
                self.reply(
                    204, tus_version="1.0.0", tus_extension=EXTENSIONS, tus_max_size=str(LIMIT), tus_checksum_algorithm=",".join(ALGORITHMS)
                )
                return
            body = self.read_body()
            self.check_said_once()
            if self.headers.get("tus-resumable") != "1.0.0" and not self.has("version"):
                raise Refusal(412, tus_version="1.0.0")
            if self.path == "/files":
                self.create(method, body)
            else:
                self.on_upload(method, body)
        except Refusal as refusal:
            self.reply(refusal.status, **refusal.headers)
        except ValueError:
            self.reply(500)
        if not body.whole:
            self.close_connection = True

    do_OPTIONS = do_POST = do_HEAD = do_PATCH = do_DELETE = do_GET = act  # noqa: N815 - names of the library

    def check_said_once(self) -> None:
        for name in {name.lower() for name in self.headers}:
            if name.startswith("upload-") and len(self.headers.get_all(name, [])) > 1:
                raise Refusal(400)

    def reply(self, status: int, **headers: str) -> None:
        self.send_response(status)
        if status < 400 or not self.has("silent-refusals"):
            self.send_header("Tus-Resumable", "1.0.0")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def read_body(self) -> Body:
        if "transfer-encoding" in self.headers:
            if "content-length" in self.headers:
                self.refuse_and_close(400)
            return self.read_chunks()
        text = self.headers.get("content-length", "0")
        if not re.fullmatch(r"[0-9]{1,18}", text) or len(self.headers.get_all("content-length", [])) > 1:
            self.refuse_and_close(400)
        length = int(text)
        if length > LIMIT:
            self.refuse_and_close(413)
        data = b""
        try:
            while len(data) < length and (piece := self.rfile.read1(min(65536, length - len(data)))):
                data += piece
        except OSError:
            pass
        if self.has("half-is-whole"):
            return Body(data.ljust(length, b"\0"), whole=True)
        return Body(data, whole=len(data) == length)

    def read_chunks(self) -> Body:
        data = b""
        while True:
            line = self.rfile.readline(100)
            if not line.endswith(b"\r\n"):
                return Body(data, whole=False)
            try:
                size = int(line.strip(), 16)
            except ValueError:
                self.refuse_and_close(400)
            if size == 0:
                break
            piece = self.rfile.read(size + 2)
            data += piece[:size]
            if len(piece) < size + 2:
                return Body(data, whole=False)
        trailers = Message()
        while (line := self.rfile.readline(65536)).strip():
            name, _, value = line.decode("latin-1").partition(":")
            trailers[name.strip()] = value.strip()
        return Body(data, whole=True, trailers={name.lower(): value for name, value in trailers.items()})

    def refuse_and_close(self, status: int) -> None:
        self.close_connection = True
        raise Refusal(status, Connection="close")

    def expires(self) -> dict[str, str]:
        moment = time.gmtime(time.time() + 3600)
        return {"Upload_Expires": time.strftime("%Y-%m-%dT%H:%M:%SZ" if self.has("expires") else "%a, %d %b %Y %H:%M:%S GMT", moment)}

    def create(self, method: str, body: Body) -> None:
        if method != "POST":
            raise Refusal(405)
        metadata, concat = self.headers.get("upload-metadata", ""), self.headers.get("upload-concat", "")
        check_metadata(metadata)
        if concat.startswith("final;"):
            upload = self.joined(concat)
        elif concat not in ("", "partial"):
            raise Refusal(400)
        else:
            upload = Upload(self.said_size(), metadata, concat)
        said = {}
        if body.data:
            if self.headers.get("content-type") != "application/offset+octet-stream":
                raise Refusal(415)
            self.store(upload, body)
            said = {"Upload_Offset": str(upload.offset)}
        name = str(len(self.server.uploads)).rjust(20, "0") if self.has("guessable") else secrets.token_hex(16)
        self.server.uploads[name] = upload
        self.reply(201, Location=f"/files/{name}", **said, **self.expires())

    def said_size(self) -> int | None:
        size, defer = self.headers.get("upload-length"), self.headers.get("upload-defer-length")
        if (size is None) == (defer is None) or defer not in (None, "1"):
            raise Refusal(400)
        if size is None:
            return None
        if whole_number(size) > LIMIT and not self.has("limit"):
            raise Refusal(413)
        return int(size)

    def joined(self, concat: str) -> Upload:
        if "upload-length" in self.headers:
            raise Refusal(400)
        parts = [self.server.uploads.get(url.rsplit("/", 1)[1]) for url in concat.removeprefix("final;").split()]
        if any(part is None or part.concat != "partial" or part.offset != part.size for part in parts):
            raise Refusal(400)
        size = sum(part.offset for part in parts if part)
        return Upload(size, concat=concat, offset=size)

    def on_upload(self, method: str, body: Body) -> None:
        found = self.server.uploads.get(self.path.removeprefix("/files/"))
        if found is None or (found.deleted and not self.has("delete")):
            raise Refusal(404 if found is None else 410)
        if method == "HEAD":
            self.head(found)
        elif method == "PATCH":
            self.patch(found, body)
        elif method == "DELETE":
            found.deleted = True
            self.reply(204)
        else:
            raise Refusal(405)

    def head(self, upload: Upload) -> None:
        size = {"Upload_Defer_Length": "1"} if upload.size is None else {"Upload_Length": str(upload.size)}
        metadata = {"Upload_Metadata": upload.metadata} if upload.metadata and not self.has("metadata") else {}
        concat = {"Upload_Concat": upload.concat} if upload.concat else {}
        cache = {} if self.has("no-store") else {"Cache_Control": "no-store"}
        self.reply(200, Upload_Offset=str(upload.offset), **size, **metadata, **concat, **cache, **self.expires())

    def patch(self, upload: Upload, body: Body) -> None:
        if upload.concat.startswith("final") and not self.has("final"):
            raise Refusal(403)
        if self.headers.get("content-type", "").lower() != "application/offset+octet-stream" and not self.has("type"):
            raise Refusal(415)
        offset = int(self.headers["upload-offset"]) if self.has("numbers") else whole_number(self.headers.get("upload-offset"))
        locked = self.has("race") or upload.lock.acquire(blocking=False)
        if not locked:
            raise Refusal(423)
        try:
            if offset != upload.offset and not self.has("offset"):
                raise Refusal(409)
            if self.has("race"):
                time.sleep(0.1)
            self.note_length(upload)
            self.store(upload, body)
        finally:
            if not self.has("race"):
                upload.lock.release()
        if upload.deleted:
            raise Refusal(410)
        self.reply(204, Upload_Offset=str(upload.offset), **self.expires())

    def note_length(self, upload: Upload) -> None:
        if "upload-length" not in self.headers:
            return
        said = whole_number(self.headers["upload-length"])
        if self.has("length") and said >= upload.offset:
            upload.size = said
        if upload.size not in (None, said) or said < upload.offset:
            raise Refusal(409)
        if said > LIMIT:
            raise Refusal(413)
        upload.size = said

    def store(self, upload: Upload, body: Body) -> None:
        if upload.size is not None and upload.offset + len(body.data) > upload.size and not self.has("too-long"):
            raise Refusal(413)
        said = self.headers.get("upload-checksum")
        if said is None and not self.has("trailer"):
            said = body.trailers.get("upload-checksum")
        if said is not None and not body.whole:
            raise Refusal(400)
        if said is not None and not self.has("checksum"):
            try:
                self.check(said, body.data)
            except Refusal:
                upload.offset += len(body.data) if self.has("checksum-keeps") else 0
                raise
        upload.offset += len(body.data)
        if not body.whole:
            raise Refusal(400)

    def check(self, said: str, data: bytes) -> None:
        algorithm, _, encoded = said.partition(" ")
        try:
            wanted = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise Refusal(400) from None
        if algorithm not in ALGORITHMS or len(wanted) != len(digest_of(algorithm, b"")):
            raise Refusal(400)
        if wanted != digest_of(algorithm, data):
            raise Refusal(460)


class TinyTus(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True

    def __init__(self, faults: frozenset[str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults = faults
        self.uploads: dict[str, Upload] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files"


@contextmanager
def tiny_tus(*faults: str) -> Iterator[TinyTus]:
    server = TinyTus(frozenset(faults))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
