"""What requests say, decided without a server: areas, cursors, versions, keys, sessions, problems, resume points."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from catalog.asset import AssetStatus
from kit.errors import BadRequest
from kit.settings import BadSetting
from tests.assets import INFO
from web import broker_ping, problems, store
from web.areas import Area, area_of
from web.assets_api import changes_of, cursor_of, expected_version, place_of, title_of
from web.events_api import event
from web.feed import AssetState, ResumePoint, resume_point, state_of
from web.headers import security_headers
from web.idempotency import Mismatch, StillRunning, decide, kept, key_of
from web.resources import ASSET_EXAMPLE, AssetChanges, AssetResource, source_resource
from web.serve import parse_listen
from web.session import is_loopback, is_same_origin

# -- areas and headers


@pytest.mark.parametrize(
    ("path", "area"),
    [
        ("/", Area.STUDIO), ("", Area.STUDIO), ("/studio/settings", Area.STUDIO), ("/v1/assets", Area.API), ("/v1", Area.API),
        ("/v/abc/main.m3u8", Area.PLAYBACK), ("/s/token/v/abc/main.m3u8", Area.PLAYBACK), ("/watch/abc", Area.WATCH),
        ("/embed/abc", Area.EMBED), ("/static/x.js", Area.STATIC), ("/login", Area.SIGN_IN), ("/healthz", Area.HEALTH),
        ("/v2/assets", Area.NOWHERE), ("/watching", Area.NOWHERE), ("//v1/assets", Area.API),
    ],
)  # fmt: skip
def test_areas(path: str, area: Area) -> None:
    assert area_of(path) is area


def policy(area: Area) -> str:
    return dict(security_headers(area, tls=False)).get("Content-Security-Policy", "")


def test_only_the_embed_may_be_framed() -> None:
    framed = {area for area in Area if "frame-ancestors *" in policy(area)}
    assert framed == {Area.EMBED}
    assert all("frame-ancestors 'none'" in policy(area) for area in (Area.STUDIO, Area.WATCH, Area.SIGN_IN, Area.NOWHERE, Area.API))


def test_no_page_runs_scripts_from_elsewhere_or_inline() -> None:
    for area in (Area.STUDIO, Area.WATCH, Area.SIGN_IN, Area.EMBED, Area.NOWHERE):
        assert "script-src 'self';" in policy(area)
        assert "object-src 'none'" in policy(area)


def test_playback_keeps_its_own_rules() -> None:
    assert dict(security_headers(Area.PLAYBACK, tls=False)) == {"X-Content-Type-Options": "nosniff"}


# -- lists and edits


@given(st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=1, max_size=26))
def test_a_cursor_names_its_place(tail: str) -> None:
    assert place_of(cursor_of(f"ast_{tail}")) == f"ast_{tail}"


@given(st.text(max_size=60))
def test_any_other_text_is_no_cursor(text: str) -> None:
    try:
        place = place_of(text)
    except BadRequest:
        return
    assert cursor_of(place) == text.rstrip("=")


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, None), ("*", None), ('"v3"', 3), ('"v1", "v3"', 3), ('"v4"', -1), ('W/"v3"', -1), ('"v1", W/"v3"', -1)],
)
def test_the_version_an_edit_is_based_on(header: str | None, expected: int | None) -> None:
    assert expected_version(header, current=3) == expected


@pytest.mark.parametrize("header", ["", "3", "v3", '"3"', '"v3', '"v0"', '"v3",', '"v9999999999"'])
def test_what_is_no_entity_tag(header: str) -> None:
    with pytest.raises(BadRequest):
        expected_version(header, current=3)


def test_an_edit_replaces_what_it_names() -> None:
    assert changes_of(AssetChanges.model_validate({})) == {}
    assert changes_of(AssetChanges.model_validate({"external_id": None, "tags": ["a", "b", "a"]})) == {
        "external_id": None,
        "tags": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://a/b/My%20film.mp4?x=1", "My film.mp4"),
        ("https://a", ""),
        ("https://a/", ""),
        ("https://a/%00x", "x"),
        ("https://a/" + "x" * 400, "x" * 300),
    ],
)
def test_a_first_title(url: str, title: str) -> None:
    assert title_of(url) == title


def test_a_source_without_video_has_no_picture() -> None:
    from dataclasses import replace

    shown = source_resource(replace(INFO, video=None))
    assert (shown.width, shown.frame_rate, shown.hdr, shown.audio_tracks) == (None, None, None, 1)


# -- idempotency


@pytest.mark.parametrize(("header", "key"), [("a", "a"), ('"a-b"', "a-b"), (" x ", "x"), ('"', '"'), ("~" * 255, "~" * 255)])
def test_an_idempotency_key(header: str, key: str) -> None:
    assert key_of(header) == key


@pytest.mark.parametrize("header", ["", '""', "a b", "x" * 256, "é", "\x7f"])
def test_what_is_no_idempotency_key(header: str) -> None:
    with pytest.raises(BadRequest):
        key_of(header)


def test_what_a_known_key_stands_for() -> None:
    reply = store.Reply(201, (), b"{}")
    assert decide(store.Begun(True, "f", None), "f") is None
    assert decide(store.Begun(False, "f", reply), "f") is reply
    with pytest.raises(StillRunning):
        decide(store.Begun(False, "f", None), "f")
    for found in (None, reply):
        with pytest.raises(Mismatch):
            decide(store.Begun(False, "f", found), "g")


def test_what_is_kept_of_a_reply() -> None:
    headers = (("Content-Type", "x"), ("Set-Cookie", "s"), ("Date", "d"), ("Content-Length", "2"), ("Location", "/l"))
    assert kept(store.Reply(201, headers, b"ab"), "/v1/assets").headers == (("Content-Type", "x"), ("Location", "/l"))
    assert b"hw_secret" not in kept(store.Reply(201, (), b"hw_secret"), "/v1/api_keys").body


# -- sessions


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:80", "x.localhost", "localhost."]
)
def test_names_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "example.com", "127.0.0.1.nip.io", "localhost.evil.com", "10.0.0.1", "[::2]", "0.0.0.0", "xlocalhost", "[::1"]
)
def test_names_of_other_machines(host: str) -> None:
    assert not is_loopback(host)


def said(**headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("request_", "ours"),
    [
        (said(), False),
        (said(origin="https://v.example"), True),
        (said(origin="https://v.example", host="other"), True),
        (said(origin="http://box:8080", host="box:8080"), True),
        (said(origin="http://box:8080", host="box"), False),
        (said(origin="null", host="box"), False),
        (said(origin="null"), False),
        (said(origin="http://[::1", host="box"), False),
        (said(origin="", host=""), False),
        (said(origin="https://v.example.evil"), False),
        (said(sec_fetch_site="same-origin"), True),
        (said(sec_fetch_site="cross-site", origin="https://v.example"), False),
    ],
)
def test_whose_page_sent_it(request_: HTTPConnection, ours: bool) -> None:
    assert is_same_origin(request_, "https://v.example/") is ours


# -- problems


@pytest.mark.parametrize(
    ("path", "pointer"), [((), "#"), (("title",), "#/title"), (("tags", 0), "#/tags/0"), (("a/b", "c~d"), "#/a~1b/c~0d")]
)
def test_json_pointers(path: tuple[str | int, ...], pointer: str) -> None:
    assert problems.pointer(path) == pointer


def test_a_problem_of_an_unknown_code_is_still_whole() -> None:
    body = problems.body_of(problems.Failure(460, "brand_new", "New."), "http://x", "req_1")
    assert body == {"type": "about:blank", "title": "Error", "status": 460, "detail": "New.", "code": "brand_new", "request_id": "req_1"}


# -- events


def a_state(**changed: object) -> AssetState:
    return state_of(AssetResource.model_validate(ASSET_EXAMPLE | changed))


def test_the_forecast_is_no_change() -> None:
    assert a_state(eta_s=5.0).digest == a_state(eta_s=6.0).digest
    assert a_state(eta_s=5.0).body != a_state(eta_s=6.0).body
    assert a_state(progress=0.43).digest != a_state().digest


def test_only_deletion_is_final() -> None:
    assert [status for status in AssetStatus if a_state(status=status).final] == [AssetStatus.DELETED]


def test_an_event_is_one_line_of_data_whatever_the_words() -> None:
    wire = event(a_state(title="a\nb\r\n\ndata: x\u2028"), datetime(2026, 11, 22, tzinfo=UTC)).decode()
    assert wire.endswith("\n\n")
    assert len(wire.replace("\r", "\n").rstrip("\n").split("\n")) == 2


def test_a_resume_point_comes_back() -> None:
    point = ResumePoint("abc", datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC))
    assert resume_point(point.spelled()) == point


@pytest.mark.parametrize("text", [None, "", "abc", "-abc", "zz-abc", "f" * 40 + "-a", "\x00-a"])
def test_any_other_event_id_counts_as_a_first_visit(text: str | None) -> None:
    assert resume_point(text) is None


# -- the broker, and addresses to listen on


def test_what_is_said_to_the_broker() -> None:
    assert broker_ping.encode(("PING",)) == b"*1\r\n$4\r\nPING\r\n"
    assert broker_ping.commands(urlsplit("redis://host/0")) == (("PING",),)
    assert broker_ping.commands(urlsplit("redis://:p%40ss@host/0")) == (("AUTH", "p@ss"), ("PING",))
    assert broker_ping.commands(urlsplit("redis://u:p@host")) == (("AUTH", "u", "p"), ("PING",))
    assert broker_ping.commands(urlsplit("redis+socket:///run/x.sock?password=p")) == (("AUTH", "p"), ("PING",))


def test_where_to_listen() -> None:
    assert parse_listen("127.0.0.1:80") == ("127.0.0.1", 80)
    assert parse_listen("[::1]:80") == ("::1", 80)
    assert parse_listen("unix:/run/api.sock") == Path("/run/api.sock")
    for wrong in ("", "80", "unix:", "host:x", "host:99999", "host:²"):
        with pytest.raises(BadSetting):
            parse_listen(wrong)
