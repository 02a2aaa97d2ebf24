"""Browser sessions: who gets one, and what it is good for."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import httpx
import pytest

from accounts import store
from kit.clock import SystemClock
from kit.world import World
from tests.api_client import BASE, Api, is_problem, open_api
from web.app import create_app
from web.session import COOKIE, LIFETIME

OURS = {"Origin": BASE}
HTML = {"Accept": "text/html"}


class ShiftedClock(SystemClock):
    """The system's clock, ahead by a while."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> Any:
        return super().now() + self._ahead


@pytest.fixture
def open_studio(world: World) -> Api:
    opened = dataclasses.replace(world, settings=dataclasses.replace(world.settings, studio="open"))
    return open_api(opened)


def sign_in(api: Api, key: str | None = None, headers: dict[str, str] | None = None) -> httpx.Response:
    return api.post("/login", signed=False, data={"api_key": key or api.key, "next": "/"}, headers={**OURS, **(headers or {})})


def cookie_of(reply: httpx.Response) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={reply.cookies[COOKIE]}"}


def test_signing_in_opens_the_studio_and_the_api(api: Api) -> None:
    reply = sign_in(api)
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    flags = reply.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    assert "secure" not in flags, "the public address is http"
    assert api.get("/v1/assets", signed=False, headers=cookie_of(reply)).status_code == 200
    assert api.get("/", signed=False, headers={**HTML, **cookie_of(reply)}).status_code == 200


def test_behind_tls_the_cookie_travels_by_tls_only(world: World) -> None:
    address = "https://video.example.com"
    api = open_api(dataclasses.replace(world, settings=dataclasses.replace(world.settings, public_url=address)))
    reply = sign_in(api, headers={"Origin": address})
    assert "secure" in reply.headers["set-cookie"].lower()
    assert reply.headers["strict-transport-security"]


def test_a_wrong_key_signs_nobody_in(api: Api) -> None:
    reply = sign_in(api, "hw_wrong")
    assert reply.status_code == 401
    assert "set-cookie" not in reply.headers


def test_another_sites_form_signs_nobody_in(api: Api) -> None:
    assert sign_in(api, headers={"Origin": "https://evil.example"}).status_code == 403


def test_without_a_session_the_studio_asks_for_a_key(api: Api) -> None:
    reply = api.get("/?q=x", signed=False, headers=HTML)
    assert (reply.status_code, reply.headers["location"]) == (303, "/login?next=/%3Fq%3Dx")
    assert api.get("/login", signed=False, headers=HTML).status_code == 200


def change(api: Api, headers: dict[str, str]) -> httpx.Response:
    return api.post("/v1/api_keys", signed=False, json={"name": "x"}, headers=headers)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"Origin": BASE}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": BASE}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
    ],
)
def test_a_session_changes_things_only_from_our_own_pages(api: Api, said: dict[str, str], status: int) -> None:
    reply = change(api, {**cookie_of(sign_in(api)), **said})
    assert reply.status_code == status, reply.text
    if status == 403:
        is_problem(reply, 403, "cross_origin")


def test_a_session_ends_with_its_key(api: Api, world: World) -> None:
    cookie = cookie_of(sign_in(api))
    with world.db.begin() as conn:
        (key,) = store.list_keys(conn)
        store.revoke_key(conn, key.id)
    is_problem(api.get("/v1/assets", signed=False, headers=cookie), 401, "unauthorized")


def test_a_session_ends_after_its_time(api: Api, world: World) -> None:
    cookie = cookie_of(sign_in(api))
    for ahead, status in ((LIFETIME - timedelta(hours=1), 200), (LIFETIME + timedelta(hours=1), 401)):
        later = Api(create_app(dataclasses.replace(world, clock=ShiftedClock(ahead))), api.key)
        assert later.get("/v1/assets", signed=False, headers=cookie).status_code == status


def test_a_session_in_use_is_renewed_by_pages(api: Api, world: World) -> None:
    cookie = cookie_of(sign_in(api))
    assert "set-cookie" not in api.get("/", signed=False, headers={**HTML, **cookie}).headers
    later = Api(create_app(dataclasses.replace(world, clock=ShiftedClock(timedelta(days=2)))), api.key)
    assert COOKIE in later.get("/", signed=False, headers={**HTML, **cookie}).cookies


def test_a_forged_cookie_is_nobody(api: Api, world: World) -> None:
    genuine = sign_in(api).cookies[COOKIE]
    other_settings = dataclasses.replace(world.settings, secret_key="another secret, of more than 32 characters")
    other = open_api(dataclasses.replace(world, settings=other_settings))
    for forged in (genuine[:-2] + "xx", "x", "", sign_in(other).cookies[COOKIE], "a.b.c", "%C3%A9"):
        reply = api.get("/v1/assets", signed=False, headers={"Cookie": f"{COOKIE}={forged}"})
        is_problem(reply, 401, "unauthorized")


def test_signing_out_takes_the_cookie_away(api: Api) -> None:
    reply = api.post("/logout", signed=False, headers={**OURS, **cookie_of(sign_in(api))})
    assert reply.status_code == 303
    assert 'hw_session=""' in reply.headers["set-cookie"]


# -- the open studio


def test_the_open_studio_hands_out_a_session_with_its_first_page(open_studio: Api) -> None:
    page = open_studio.get("/", signed=False, headers=HTML)
    assert page.status_code == 200
    cookie = cookie_of(page)
    assert open_studio.get("/v1/assets", signed=False, headers=cookie).status_code == 200
    assert change(open_studio, {**cookie, **OURS}).status_code == 201
    assert change(open_studio, cookie).status_code == 403


def test_the_api_of_the_open_studio_still_needs_a_key_or_a_session(open_studio: Api) -> None:
    is_problem(open_studio.get("/v1/assets", signed=False), 401, "unauthorized")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", ""])
def test_the_open_studio_answers_under_no_other_name(open_studio: Api, host: str) -> None:
    cookie = cookie_of(open_studio.get("/", signed=False, headers=HTML))
    is_problem(open_studio.get("/", signed=False, headers={"Host": host}), 403, "wrong_host")
    is_problem(open_studio.get("/v1/assets", signed=False, headers={**cookie, "Host": host}), 403, "wrong_host")
    assert open_studio.get("/v1/assets", headers={"Host": host}).status_code == 200, "a key is a key under any name"


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:3000", "localhost", "[::1]:8080", "app.localhost:8080", "127.5.5.5"])
def test_the_open_studio_answers_under_loopback_names(open_studio: Api, host: str) -> None:
    assert open_studio.get("/", signed=False, headers={**HTML, "Host": host}).status_code == 200


def test_a_session_of_an_open_studio_is_worth_nothing_when_it_asks_for_keys(open_studio: Api, api: Api) -> None:
    cookie = cookie_of(open_studio.get("/", signed=False, headers=HTML))
    is_problem(api.get("/v1/assets", signed=False, headers=cookie), 401, "unauthorized")
