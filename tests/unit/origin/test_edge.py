"""The rendered nginx configuration: golden, and the properties that must not get lost when it is edited."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from origin.edge import EdgeSettings, render_nginx

GOLDEN = Path(__file__).parents[2] / "golden" / "nginx.conf"
EDGE = EdgeSettings(
    listen=("127.0.0.1:8080",), api="unix:/srv/headwater/run/api.sock", store="http://127.0.0.1:8333", directory=Path("/srv/headwater/edge")
)


def test_golden() -> None:
    assert render_nginx(EDGE) == GOLDEN.read_text()


def test_everything_is_written_below_the_directory() -> None:
    paths = re.findall(r'(?:_temp_path|pid|proxy_cache_path) "([^"]+)"', render_nginx(EDGE))
    assert len(paths) == 7
    assert all(path.startswith("/srv/headwater/edge/") for path in paths)


def test_only_the_inner_server_reaches_the_store() -> None:
    public, inner = render_nginx(EDGE).split('listen "unix:/srv/headwater/edge/inner.sock"')
    assert "location /_store/" not in public
    assert inner.count("location /_store/ {\n            internal;") == 1


def test_media_requests_are_not_logged() -> None:
    text = render_nginx(dataclasses.replace(EDGE, access_log=Path("/var/log/edge.log")))
    assert text.index("access_log off;") < text.index("server {")
    assert text.count("access_log ") == 2
    assert 'access_log "/var/log/edge.log" headwater;' in text[text.index("location / {") :]


def test_a_store_behind_tls_is_checked() -> None:
    with pytest.raises(ValueError, match="store_ca_file"):
        dataclasses.replace(EDGE, store="https://s3.example.org")
    text = render_nginx(dataclasses.replace(EDGE, store="https://s3.example.org", store_ca_file=Path("/ca.pem")))
    for line in (
        "server s3.example.org:443",
        "proxy_ssl_verify on;",
        "proxy_ssl_name s3.example.org;",
        "proxy_set_header Host s3.example.org;",
    ):
        assert line in text


def test_names_are_looked_up_again_where_a_resolver_is_given() -> None:
    text = render_nginx(dataclasses.replace(EDGE, api="api:8000", store="http://s3:8333", resolver="127.0.0.11"))
    assert "resolver 127.0.0.11 valid=10s;" in text
    assert "server api:8000 resolve max_fails=0;" in text
    assert "server s3:8333 resolve max_fails=0;" in text
    assert "inner.sock resolve" not in text


def test_a_load_balancer_is_believed_only_when_named() -> None:
    assert "X-Forwarded-For $remote_addr;" in render_nginx(EDGE)
    text = render_nginx(dataclasses.replace(EDGE, trusted_proxies=("10.0.0.0/8",), public_scheme="https"))
    assert "set_real_ip_from 10.0.0.0/8;" in text
    assert "X-Forwarded-Proto https;" in text


def test_a_path_too_long_for_a_socket_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        dataclasses.replace(EDGE, directory=Path("/x" * 60))
