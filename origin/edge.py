"""The nginx configuration of the edge, rendered from settings. Pure: `origin.edge_files` writes it down.

One nginx, two servers. The public one keeps what it has sent in a disk cache, so that a warm request never touches Python.
A miss goes to the inner one, on a Unix socket: it asks the API, and where the API answers with X-Accel-Redirect it fetches
the object from the store by the presigned address in it. Concurrent misses of one object wait for a single fetch, also while the
origin waits for a segment that is being made; its "not yet" is never kept, so the next of those who wait asks again. They are
two servers because nginx does not cache an answer that consists of a redirection to itself.

What a client can send never becomes part of a cache key or of an upstream request unless it is spelled in the few characters
that our own addresses use. Query strings (CMCD) are dropped for both, but for time and width of a
thumbnail. The inner server swaps two headers: what the API says
in the edge's own field becomes the Cache-Control that the cache obeys, and the client's Cache-Control travels beside it.

Only modules of a stock nginx (1.23 or later) are used; no slices, because a segment is small enough to be fetched whole.
TLS ends in front of this edge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from origin.caching import EDGE_FIELD, MISSING, NEVER, CachePolicy
from origin.delivery import CLIENT_METHOD_FIELD, COMMON_HEADERS, METHODS, PREFLIGHT_HEADERS, RANGE_FIELD, problem_document
from origin.mime import PROBLEM

_CLIENT_FIELD = "X-Client-Cache-Control"
_SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes
_STORE_PREFIX = "/_store/"
_ERRORS = "/_error/"

# Everything an S3 service says about itself or about the object, beyond what clients of ours should know.
_STORE_HEADERS = (
    "Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "ETag", "Expires",
    "Last-Modified", "Seaweed-X-Amz-Etag", "Seaweed-X-Amz-Owner", "Set-Cookie", "Strict-Transport-Security", "Vary", "Via",
    "x-amz-bucket-region", "x-amz-checksum-type", "x-amz-delete-marker", "x-amz-expiration", "x-amz-id-2", "x-amz-meta-s3cmd-attrs",
    "x-amz-mp-parts-count", "x-amz-replication-status", "x-amz-request-charged", "x-amz-request-id", "x-amz-server-side-encryption",
    "x-amz-storage-class", "x-amz-tagging-count", "x-amz-version-id", "x-rgw-object-type", "X-Minio-Deployment-Id", "X-Ratelimit-Limit",
    "X-Ratelimit-Remaining", "X-Xss-Protection",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Where the edge stands. Sizes in bytes, times in seconds."""

    listen: tuple[str, ...]  # "127.0.0.1:8080", "[::1]:8080"
    api: str  # "127.0.0.1:8000" or "unix:/path"
    store: str  # address of the S3 service, as the presigned addresses spell it: "http://127.0.0.1:8333"
    directory: Path  # everything nginx writes: cache, temporary files, inner socket, pid
    public_scheme: Literal["http", "https"] = "http"  # what viewers use, where TLS ends before the edge
    cache_bytes: int = 10 * 1024**3
    cache_keys_bytes: int = 64 * 1024**2  # about 8,000 objects per MiB
    inactive_s: int = 7 * 24 * 3600  # an object that nobody asked for so long leaves the cache
    workers: int = 0  # 0: one for each core
    open_files: int = 16_384  # of one worker; at most the hard limit of the process
    user: str | None = None  # account of the workers, when started by root
    resolver: str | None = None  # a name server: names of `api` and `store` are then looked up again as their records expire
    store_ca_file: Path | None = None  # certificates that an https store is checked against
    trusted_proxies: tuple[str, ...] = ()  # networks of load balancers whose X-Forwarded-For is believed
    access_log: Path | None = None  # media requests are never logged here
    name: str = "headwater-edge"  # in Cache-Status
    wait_s: float = 8.0  # the longest that the origin lets a request wait for a segment that is being made

    def __post_init__(self) -> None:
        if len(str(self.inner_socket)) > _SOCKET_PATH_LIMIT:
            raise ValueError(f"the path of the edge's directory is too long for a socket in it: {self.directory}")
        if self.store.startswith("https://") and self.store_ca_file is None:
            raise ValueError("an https store needs store_ca_file, or nobody would check who answers")

    @property
    def inner_socket(self) -> Path:
        return self.directory / "inner.sock"

    def patience_s(self, more_s: int) -> int:
        """How long to wait for an answer of the origin, which may itself wait."""
        return ceil(self.wait_s) + more_s


@dataclass(frozen=True, slots=True)
class _Block:
    head: str
    body: tuple[str | _Block, ...]


_Item = str | _Block


def _block(head: str, *items: _Item | Iterable[_Item]) -> _Block:
    """A directive with a body; nested sequences are flattened."""
    flat: list[_Item] = []
    for item in items:
        flat += [item] if isinstance(item, str | _Block) else list(item)
    return _Block(head, tuple(flat))


def _lines(items: Sequence[_Item], depth: int = 0) -> list[str]:
    space = "    " * depth
    found: list[str] = []
    for item in items:
        if isinstance(item, str):
            found.append(f"{space}{item}" if item.startswith("#") else f"{space}{item};")
        else:
            found += [f"{space}{item.head} {{", *_lines(item.body, depth + 1), f"{space}}}"]
    return found


def _quoted(text: str) -> str:
    """`text` as one nginx word."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def render_nginx(edge: EdgeSettings) -> str:
    """The whole configuration file."""
    main: list[_Item] = [
        "# Rendered by Headwater: changes made here are lost.",
        "daemon off",
        *([f"user {edge.user}"] if edge.user else []),
        f"worker_processes {edge.workers or 'auto'}",
        "pcre_jit on",
        f"worker_rlimit_nofile {edge.open_files}",
        f"pid {_quoted(str(edge.directory / 'nginx.pid'))}",
        "error_log stderr error",
        _block("events", f"worker_connections {edge.open_files // 2}"),
        _block(
            "http",
            _basics(edge),
            _maps(edge),
            _upstream("headwater_inner", f"unix:{edge.inner_socket}", resolve=False, idle_s=60),
            _upstream("headwater_api", edge.api, resolve=edge.resolver is not None, idle_s=4),
            _upstream("headwater_store", _store_server(edge), resolve=edge.resolver is not None, idle_s=15),
            _public_server(edge),
            _inner_server(edge),
        ),
    ]
    return "\n".join(_lines(main)) + "\n"


def _basics(edge: EdgeSettings) -> list[_Item]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    cache = f"levels=1:2 keys_zone=headwater:{edge.cache_keys_bytes} max_size={edge.cache_bytes} inactive={edge.inactive_s}s"
    log = [] if edge.access_log is None else [f"log_format headwater escape=json {_quoted(_LOG_LINE)}"]
    return [
        *log,
        "access_log off",
        "server_tokens off",
        "default_type application/octet-stream",
        *(f"{kind}_temp_path {_quoted(str(edge.directory / 'temp' / kind))}" for kind in kinds),
        f"proxy_cache_path {_quoted(str(edge.directory / 'cache'))} {cache} use_temp_path=off",
        "sendfile on",
        "tcp_nopush on",
        "open_file_cache max=10000 inactive=20s",
        "keepalive_timeout 65s",
        "keepalive_requests 100000",
        "client_header_timeout 15s",
        "reset_timedout_connection on",
        "proxy_http_version 1.1",
        "proxy_socket_keepalive on",
        *([f"resolver {edge.resolver} valid=10s"] if edge.resolver else []),
    ]


_LOG_LINE = (
    '{"at":"$time_iso8601","request_id":"$request_id","client":"$remote_addr","method":"$request_method","path":"$uri",'
    '"status":$status,"sent_bytes":$bytes_sent,"duration_s":$request_time}'
)


def _maps(edge: EdgeSettings) -> list[_Item]:
    """What is derived from a request before anything is decided about it."""
    quality = r"\s*(?:;\s*q=(?:1(?:\.0{0,3})?|0\.[0-9]{0,2}[1-9][0-9]?)\s*)?(?:,|$)"
    statuses = {
        "HIT": "hit",
        "STALE": "hit; detail=stale",
        "UPDATING": "hit; detail=updating",
        "MISS": "fwd=miss",
        "EXPIRED": "fwd=stale",
        "REVALIDATED": "fwd=stale; fwd-status=304",
        "BYPASS": "fwd=bypass",
    }
    return [
        "# The path of a playback request as it was sent, if it is spelled as ours are: no escapes, no dots to walk with.",
        _block("map $request_uri $hw_path", 'default ""', r'"~^(?<hw_clean>/v(?:/[0-9A-Za-z_-][0-9A-Za-z._-]*)+)(?:\?|$)" $hw_clean'),
        "# The one query that means anything: a moment of a title. Whatever is not spelled as a number of ours is refused by the origin.",
        _block("map $arg_t $hw_t", "default x", '"" ""', r'"~^(?<hw_time>[0-9]{1,6}(?:\.[0-9]{1,3})?)$" $hw_time'),
        _block("map $arg_width $hw_width", "default x", '"" ""', '"~^(?<hw_number>[1-9][0-9]{1,3})$" $hw_number'),
        _block("map $hw_path $hw_query", 'default ""', r'"~^/v/[^/]+/thumbnail\.jpg$" "?t=$hw_t&width=$hw_width"'),
        "# gzip or nothing; only texts come in both forms.",
        _block(
            "map $http_accept_encoding $hw_coding",
            'default ""',
            r'"~*(?:^|,)\s*(?:x-)?gzip\s*;\s*q=0(?:\.0{0,3})?\s*(?:,|$)" ""',
            rf'"~*(?:^|,)\s*(?:(?:x-)?gzip|\*){quality}" gzip',
        ),
        _block("map $hw_path $hw_variant", 'default ""', r'"~\.(?:m3u8|mpd|vtt)$" $hw_coding'),
        "# A hit reaches nobody who could be asked about it, and making an id costs more than finding the object.",
        _block("map $upstream_cache_status $hw_request_id", "default $request_id", 'HIT ""'),
        _block("map $request_method $hw_refused", "default 1", "GET 0", "HEAD 0", "OPTIONS 0"),
        _block("map $upstream_cache_status $hw_tier", f'default "{edge.name}"', *(f'{k} "{edge.name}; {v}"' for k, v in statuses.items())),
        "# RFC 9211: each tier adds itself behind those nearer to the origin.",
        _block("map $upstream_http_cache_status $hw_cache_status", 'default "$upstream_http_cache_status, $hw_tier"', '"" $hw_tier'),
        _block("map $upstream_http_x_content_type_options $hw_nosniff", 'default ""', '"" nosniff'),
        _block("map $upstream_http_referrer_policy $hw_referrer", 'default ""', '"" strict-origin-when-cross-origin'),
    ]


def _store_server(edge: EdgeSettings) -> str:
    parts = urlsplit(edge.store)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _upstream(name: str, server: str, *, resolve: bool, idle_s: int) -> _Block:
    """Kept-alive connections, given up before the other side does: a request on a connection that is just being closed fails."""
    looked_up = resolve and not server.startswith("unix:")
    return _block(
        f"upstream {name}",
        [f"zone {name} 64k", f"server {server} resolve max_fails=0"] if looked_up else [f"server {server} max_fails=0"],
        "keepalive 64",
        f"keepalive_timeout {idle_s}s",
    )


def _forwarded(edge: EdgeSettings, *, keep: bool = False) -> list[_Item]:
    """Request headers for the API. `keep`: they were set by our own public server."""
    client = "$http_x_forwarded_for" if keep else "$proxy_add_x_forwarded_for" if edge.trusted_proxies else "$remote_addr"
    return [
        "proxy_set_header Host $http_host",
        'proxy_set_header Connection ""',
        f"proxy_set_header X-Forwarded-For {client}",
        f"proxy_set_header X-Forwarded-Proto {edge.public_scheme}",
        "proxy_set_header X-Forwarded-Host $http_host",
        f"proxy_set_header X-Request-Id {'$http_x_request_id' if keep else '$request_id'}",
    ]


def _headers(values: Mapping[str, str]) -> list[_Item]:
    return [f"add_header {name} {_quoted(value)} always" for name, value in values.items()]


def _problem(status: int, *headers: _Item, prefix: str) -> _Block:
    """A location that answers with problem details (RFC 9457). Not a named one: nginx cannot go there when it refuses a
    request before it has read the whole address."""
    says = problem_document(status, _SENTENCES[status], code="not_found" if status == 404 else "", request_id="@")
    # `return` is one nginx word in single quotes; none of our sentences has one.
    request_id = "$http_x_request_id" if prefix == "inner" else "$request_id"
    body = json.dumps(says).replace('"@"', f'"{request_id}"')
    return _block(f"location = {_ERRORS}{prefix}_{status}", "internal", f"default_type {PROBLEM}", headers, f"return {status} '{body}'")


_SENTENCES = {
    400: "The request could not be understood.",
    404: "There is nothing at this address.",
    405: "This address can only be read.",
    408: "The request took too long to arrive.",
    412: "The object has changed.",
    413: "The request is too large.",
    414: "The address is too long.",
    416: "None of the requested bytes exist.",
    431: "The headers of the request are too large.",
    500: "The server failed.",
    502: "The service does not answer now.",
    503: "The service cannot answer now.",
    504: "The service did not answer in time.",
}


def _error_pages(prefix: str, statuses: Iterable[int]) -> list[_Item]:
    return [f"error_page {status} {_ERRORS}{prefix}_{status}" for status in statuses]


def _media_problem(status: int) -> _Block:
    policy = MISSING if status == 404 else NEVER
    extra = {"Allow": METHODS} if status == 405 else {}
    headers = [
        *_headers({**COMMON_HEADERS, "Cache-Control": policy.cache_control, **extra}),
        "add_header X-Request-Id $request_id always",
    ]
    # nginx notices an unsatisfiable range when the headers of the object are already set, and keeps them: once is enough.
    return _problem(status, *([] if status == 416 else headers), prefix="media")


def _public_server(edge: EdgeSettings) -> _Block:
    media_errors = (404, 405, 412, 416, 500, 502, 503, 504)
    plain_errors = [status for status in _SENTENCES if status not in (405, 412, 416)]
    return _block(
        "server",
        (f"listen {address}" for address in edge.listen),
        "server_name _",
        "merge_slashes off",
        "client_max_body_size 0",
        *(f"set_real_ip_from {network}" for network in edge.trusted_proxies),
        *(["real_ip_header X-Forwarded-For", "real_ip_recursive on"] if edge.trusted_proxies else []),
        _error_pages("plain", plain_errors),
        _media_location(edge, media_errors),
        _head_location(edge, media_errors),
        _uncached_location(edge, media_errors),
        _preflight_location(),
        _passed_location(edge),
        (_media_problem(status) for status in media_errors),
        (_problem(status, "add_header X-Request-Id $request_id always", prefix="plain") for status in plain_errors),
    )


def _media_location(edge: EdgeSettings, errors: Sequence[int]) -> _Block:
    """Playback: what may be asked, and by which method."""
    return _block(
        "location /v/",
        _block('if ($hw_path = "")', "return 404"),
        _block("if ($hw_refused)", "return 405"),
        _block("if ($request_method = OPTIONS)", "return 418"),
        _block("if ($request_method = HEAD)", "return 419"),
        f"error_page 418 = {_ERRORS}media_preflight",
        f"error_page 419 = {_ERRORS}media_head",
        "max_ranges 1",
        _cached(edge, errors),
    )


def _head_location(edge: EdgeSettings, errors: Sequence[int]) -> _Block:
    """HEAD, on its own because nginx would apply a Range to it (RFC 9110 section 14.2 knows ranges for GET only)."""
    # A miss asks the origin with GET, so that the answer can be kept; the origin is told, as nothing is to be encoded for it.
    own = ["max_ranges 0", "add_header Accept-Ranges bytes", f"proxy_set_header {CLIENT_METHOD_FIELD} HEAD"]
    return _block(f"location = {_ERRORS}media_head", "internal", own, _cached(edge, errors))


def _uncached_location(edge: EdgeSettings, errors: Sequence[int]) -> _Block:
    """Whole titles as files: as many bytes as all segments of a rung, for one reader, often the second half of them. They pass through
    with their range instead of driving segments out of the cache. And content keys, which no cache may keep: without one there is no
    lock either, at which viewers would stand in line."""
    passed = ("Range", "If-Range", "If-None-Match", "If-Match")
    return _block(
        "location ~ ^/v/[^/]+/(?:download|key)/",
        _block('if ($hw_path = "")', "return 404"),
        _block("if ($hw_refused)", "return 405"),
        _block("if ($request_method = OPTIONS)", "return 418"),
        f"error_page 418 = {_ERRORS}media_preflight",
        *_error_pages("media", errors),
        "proxy_pass http://headwater_inner$hw_path",
        *_forwarded(edge),
        *(f"proxy_set_header {name} $http_{_variable(name)}" for name in passed),
        'proxy_set_header Accept-Encoding ""',
        "proxy_pass_request_headers off",
        "proxy_pass_request_body off",
        "proxy_max_temp_file_size 0",
        "proxy_connect_timeout 3s",
        f"proxy_read_timeout {edge.patience_s(22)}s",
        *(f"proxy_hide_header {name}" for name in (*COMMON_HEADERS, "Cache-Control", _CLIENT_FIELD, "X-Request-Id", "Set-Cookie")),
        f"add_header Cache-Control $upstream_http_{_variable(_CLIENT_FIELD)} always",
        "add_header X-Request-Id $request_id always",
        *_headers(COMMON_HEADERS),
    )


def _cached(edge: EdgeSettings, errors: Sequence[int]) -> list[_Item]:
    """Through the cache: one fetch for each object, and nothing of the client's request passed on but its clean path."""
    own = [*COMMON_HEADERS, "Cache-Control", _CLIENT_FIELD, "Cache-Status", "X-Request-Id", "Set-Cookie"]
    return [
        *_error_pages("media", errors),
        "proxy_pass http://headwater_inner$hw_path$hw_query",
        *_forwarded(edge),
        "proxy_set_header Accept-Encoding $hw_variant",
        "proxy_pass_request_headers off",
        "proxy_pass_request_body off",
        "proxy_cache headwater",
        'proxy_cache_key "$hw_path$hw_query $hw_variant"',
        "proxy_cache_lock on",
        f"proxy_cache_lock_age {edge.patience_s(52)}s",
        f"proxy_cache_lock_timeout {edge.patience_s(52)}s",
        "proxy_cache_revalidate on",
        "proxy_cache_background_update on",
        "proxy_cache_use_stale error timeout invalid_header http_500 http_502 http_503 http_504",
        "proxy_ignore_headers Vary Set-Cookie Expires X-Accel-Expires X-Accel-Redirect",
        "proxy_force_ranges on",
        "proxy_buffers 8 128k",  # written to the cache in large pieces, which are cheaper to write and to send
        "proxy_busy_buffers_size 256k",
        "proxy_temp_file_write_size 512k",
        "proxy_connect_timeout 3s",
        f"proxy_read_timeout {edge.patience_s(22)}s",
        *(f"proxy_hide_header {name}" for name in own),
        f"add_header Cache-Control $upstream_http_{_variable(_CLIENT_FIELD)} always",
        "add_header Cache-Status $hw_cache_status always",
        "add_header X-Request-Id $hw_request_id always",
        *_headers(COMMON_HEADERS),
    ]


def _preflight_location() -> _Block:
    values = {**COMMON_HEADERS, **PREFLIGHT_HEADERS, "Allow": METHODS, "Cache-Control": "public, max-age=86400"}
    return _block(f"location = {_ERRORS}media_preflight", "internal", _headers(values), "return 204")


def _passed_location(edge: EdgeSettings) -> _Block:
    """Everything else goes to the API as it comes: uploads and event streams are not held back anywhere."""
    return _block(
        "location /",
        "proxy_pass http://headwater_api",
        _forwarded(edge),
        "client_body_timeout 120s",
        "proxy_request_buffering off",
        "proxy_buffering off",
        "proxy_connect_timeout 5s",
        "proxy_read_timeout 3600s",
        "proxy_send_timeout 3600s",
        *([] if edge.access_log is None else [f"access_log {_quoted(str(edge.access_log))} headwater"]),
        "add_header X-Content-Type-Options $hw_nosniff always",
        "add_header Referrer-Policy $hw_referrer always",
    )


def _inner_server(edge: EdgeSettings) -> _Block:
    """Between cache and origin: follows the API's redirections into the store, and says who may keep what."""
    return _block(
        "server",
        f"listen {_quoted(f'unix:{edge.inner_socket}')}",
        "server_name _",
        _error_pages("inner", (500, 502, 503, 504)),
        _block(
            "location /",
            "proxy_pass http://headwater_api",
            _forwarded(edge, keep=True),
            "proxy_connect_timeout 3s",
            f"proxy_read_timeout {edge.patience_s(17)}s",
            (f"proxy_hide_header {name}" for name in ("Cache-Control", EDGE_FIELD, "Date", "Server", "X-Request-Id", *COMMON_HEADERS)),
            f"add_header Cache-Control $upstream_http_{_variable(EDGE_FIELD)} always",
            f"add_header {_CLIENT_FIELD} $upstream_http_cache_control always",
        ),
        _store_location(edge),
        (_problem(status, *_both(NEVER), prefix="inner") for status in (500, 502, 503, 504)),
        _problem(404, *_both(MISSING), prefix="inner"),
    )


def _both(policy: CachePolicy) -> list[_Item]:
    return _headers({"Cache-Control": policy.edge, _CLIENT_FIELD: policy.cache_control})


def _store_location(edge: EdgeSettings) -> _Block:
    """The object named by X-Accel-Redirect. The variables are set before the store is asked, while `$upstream_http_…` still
    means the API's answer; of the store's own answer only the bytes are kept."""
    scheme = urlsplit(edge.store).scheme
    tls = [] if scheme != "https" else [
        "proxy_ssl_server_name on", f"proxy_ssl_name {urlsplit(edge.store).hostname}", "proxy_ssl_verify on", "proxy_ssl_verify_depth 4",
        f"proxy_ssl_trusted_certificate {_quoted(str(edge.store_ca_file))}",
    ]  # fmt: skip
    return _block(
        f"location {_STORE_PREFIX}",
        "internal",
        "set $hw_etag $upstream_http_etag",
        f"set $hw_edge $upstream_http_{_variable(EDGE_FIELD)}",
        "set $hw_client $upstream_http_cache_control",
        f"set $hw_range $upstream_http_{_variable(RANGE_FIELD)}",
        f"proxy_pass {scheme}://headwater_store/",
        "proxy_method GET",
        "proxy_pass_request_headers off",
        "proxy_pass_request_body off",
        f"proxy_set_header Host {urlsplit(edge.store).netloc}",
        "proxy_set_header Range $hw_range",
        "proxy_max_temp_file_size 0",
        'proxy_set_header Connection ""',
        tls,
        "proxy_connect_timeout 3s",
        "proxy_read_timeout 20s",
        "proxy_intercept_errors on",
        f"error_page 404 {_ERRORS}inner_404",
        f"error_page 300 301 302 303 307 308 400 401 403 409 416 500 501 502 503 504 =502 {_ERRORS}inner_502",
        (f"proxy_hide_header {name}" for name in _STORE_HEADERS),
        "add_header ETag $hw_etag",
        "add_header Cache-Control $hw_edge",
        f"add_header {_CLIENT_FIELD} $hw_client",
    )


def _variable(header: str) -> str:
    return header.lower().replace("-", "_")
