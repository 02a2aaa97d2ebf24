"""The API against those who mean it ill: object-level checks on every route of the OpenAPI document, limits of rate and headers,
security headers, who may read figures, and streams that end with their key (checklist A1, A3, A8, N14)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from accounts import store as keys
from kit.world import World
from tests.api_client import Api, is_problem, open_api, served
from tests.assets import an_asset
from tests.integration.test_api_events import listen
from web.areas import Area
from web.session import COOKIE, Sessions

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
TUS = {"Tus-Resumable": "1.0.0"}
SAFE = {"get", "head", "options"}
OF_VIEWERS = {"/v1/events"}  # a browser without an account may say what it watches, from our own pages


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    needs_key: bool

    def address(self, **ids: str) -> str:
        """The path with its parameters filled in."""
        return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "x"), self.path)


def operations(api: Api) -> Iterator[Operation]:
    """Every operation of the published document."""
    document = api.get("/v1/openapi.json", signed=False).json()
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield Operation(method, path, any("HTTPBearer" in one for one in item[method].get("security", ())))


def second_key(world: World) -> tuple[str, str]:
    """Id and secret of another key."""
    with world.db.begin() as conn:
        created = keys.create_key(conn, "another")
    return created.key.id, created.secret


def revoke(world: World, key_id: str) -> None:
    with world.db.begin() as conn:
        keys.revoke_key(conn, key_id)


def cookie_of(api: Api, key_id: str) -> str:
    """The value of a session cookie that was opened with a key."""
    from starlette.responses import Response

    carrier = Response()
    sessions: Sessions = api.app.state.sessions
    sessions.hand_out(carrier, key_id)
    return carrier.headers["set-cookie"].split(";")[0].removeprefix(f"{COOKIE}=")


# -- object-level checks, generated from the document


def test_a_revoked_key_and_its_sessions_open_no_operation(api: Api, world: World) -> None:
    key_id, secret = second_key(world)
    cookie = {"Cookie": f"{COOKIE}={cookie_of(api, key_id)}", "Sec-Fetch-Site": "same-origin"}
    assert api.get("/v1/assets", signed=False, headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    assert api.get("/v1/assets", signed=False, headers=cookie).status_code == 200
    revoke(world, key_id)
    asked = [one for one in operations(api) if one.needs_key and one.path not in OF_VIEWERS]
    assert len(asked) >= 12
    for one in asked:
        for headers in ({"Authorization": f"Bearer {secret}"}, cookie):
            reply = api.send(one.method.upper(), one.address(), signed=False, headers=headers)
            assert reply.status_code == 401, (one, headers)


def test_another_site_changes_nothing_with_a_visitors_session(api: Api, world: World) -> None:
    key_id, _ = second_key(world)
    with world.db.begin() as conn:
        asset_id = an_asset(conn).id
    cookie = {"Cookie": f"{COOKIE}={cookie_of(api, key_id)}"}
    changing = [one for one in operations(api) if one.needs_key and one.method not in SAFE and one.path not in OF_VIEWERS]
    assert len(changing) >= 6
    for one in changing:
        for site in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}):
            reply = api.send(one.method.upper(), one.address(asset_id=asset_id, key_id=key_id), signed=False, headers={**cookie, **site})
            is_problem(reply, 403, "cross_origin")
    assert api.get(f"/v1/assets/{asset_id}").status_code == 200


def test_an_address_opens_its_own_upload_and_no_other(api: Api, world: World) -> None:
    """Two keys, an upload each: every method of the upload address with the other's token finds nothing, key or no key."""
    _, other = second_key(world)
    mine, theirs = (
        api.post("/v1/tus", signed=False, headers={**TUS, "Upload-Length": "3", "Authorization": f"Bearer {key}"}).headers["location"]
        for key in (api.key, other)
    )
    (upload_id, _), (their_id, token) = (path.split("/")[3:5] for path in (mine, theirs))
    body = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    members = [one for one in operations(api) if "{token}" in one.path and one.method != "options"]
    assert {one.method for one in members} == {"head", "patch", "delete", "put", "post"}
    for one in members:
        override = {"X-HTTP-Method-Override": "PATCH"} if one.method == "post" else {}
        for key in ({}, {"Authorization": f"Bearer {other}"}, {"Authorization": f"Bearer {api.key}"}):
            for address in (one.address(upload_id=upload_id, token=token), one.address(upload_id=upload_id), one.address(token=token)):
                reply = api.send(one.method.upper(), address, signed=False, headers={**body, **override, **key}, content=b"abc")
                assert reply.status_code == 404, (one, address)
    assert api.get(f"/v1/uploads/{upload_id}").json()["offset"] == api.get(f"/v1/uploads/{their_id}").json()["offset"] == 0


def test_ids_of_another_kind_find_nothing(api: Api, world: World) -> None:
    key_id, _ = second_key(world)
    upload = api.post("/v1/uploads", json={"size": 3}).json()
    ids = {"asset_id": upload["asset_id"], "upload_id": upload["id"], "key_id": key_id}
    checked = 0
    for one in operations(api):
        for name in set(re.findall(r"\{(\w+)\}", one.path)) & set(ids):
            if not one.needs_key or one.path.endswith("/events"):
                continue
            for wrong in [value for kind, value in ids.items() if kind != name] + ["x", "' OR 1=1 --", "%00", "../" + ids[name]]:
                reply = api.send(one.method.upper(), one.address(**{name: wrong.replace("/", "%2F")}), json={})
                assert reply.status_code in (400, 404, 415, 422), (one, wrong, reply.status_code)  # JSON is no text track
                checked += 1
    assert checked >= 30
    assert api.get(f"/v1/assets/{upload['asset_id']}").status_code == 200
    assert api.get(f"/v1/uploads/{upload['id']}").json()["status"] == "waiting"


def test_what_one_key_asked_for_once_is_not_another_keys_answer(api: Api, world: World) -> None:
    _, other = second_key(world)
    once = {"Idempotency-Key": "one-for-both"}
    mine = api.post("/v1/uploads", json={"size": 3}, headers=once).json()
    theirs = api.post("/v1/uploads", json={"size": 3}, headers={**once, "Authorization": f"Bearer {other}"}, signed=False).json()
    assert mine["id"] != theirs["id"]


# -- streams end with their key


def test_a_revoked_key_ends_its_event_streams_and_no_others(api: Api, world: World) -> None:
    key_id, secret = second_key(world)
    with world.db.begin() as conn:
        asset_id = an_asset(conn).id
    theirs = Api(api.app, secret)
    with served(api.app) as address, listen(api, address, f"/v1/assets/{asset_id}/events") as mine:
        mine.next()
        with listen(theirs, address, f"/v1/assets/{asset_id}/events") as one, listen(theirs, address, "/v1/assets/events") as every:
            one.next()
            revoke(world, key_id)
            assert one.is_over()
            assert any(every.is_over() for _ in range(20))  # after whatever lines were on their way
        api.patch(f"/v1/assets/{asset_id}", json={"title": "Still heard"})
        assert mine.next()[1]["title"] == "Still heard"


# -- limits


def limited(world: World, **changed: Any) -> Api:
    return open_api(replace(world, settings=replace(world.settings, **changed)))


def test_too_many_requests_are_told_when_to_come_back(world: World) -> None:
    api = limited(world, requests_per_minute=3)
    assert [api.get("/v1/assets").status_code for _ in range(3)] == [200] * 3
    refused = api.get("/v1/assets")
    is_problem(refused, 429, "too_many_requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    tus = api.post("/v1/tus", headers={**TUS, "Upload-Length": "3"})
    assert (tus.status_code, tus.headers["tus-resumable"], tus.headers["access-control-allow-origin"]) == (429, "1.0.0", "*")
    assert int(tus.headers["retry-after"]) >= 1
    assert api.get("/healthz", signed=False).status_code == 200  # a supervisor is never refused
    elsewhere = api.get("/v1/problems", signed=False, headers={"X-Forwarded-For": "203.0.113.9"})
    assert elsewhere.status_code == 200


def test_headers_are_limited(api: Api) -> None:
    for headers in ({"X-Padding": "x" * 70_000}, {f"X-{number}": "" for number in range(250)}):
        is_problem(api.get("/v1/assets", headers=headers), 431, "headers_too_large")
        assert api.post("/v1/tus", headers={**TUS, **headers}).status_code == 431


@pytest.mark.parametrize("ranges", ["bytes=" + ",".join(f"{n}-{n}" for n in range(1000)), "bytes=" + "0-," * 2000, "bytes=" + "," * 8000])
def test_a_flood_of_ranges_gets_no_more_than_one_file(api: Api, ranges: str) -> None:
    page = api.get("/login", signed=False).text
    script = next(path for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    whole = api.get(script, signed=False)
    assert whole.status_code == 200
    flooded = api.get(script, signed=False, headers={"Range": ranges})
    assert flooded.status_code in (200, 206, 400, 416)
    assert len(flooded.content) <= len(whole.content) + 1000


# -- figures


@pytest.mark.parametrize("forwarded", ["203.0.113.9", "192.168.1.5", "127.0.0.1, 203.0.113.9", "unknown"])
def test_figures_are_for_those_inside(world: World, forwarded: str) -> None:
    outside = {"X-Forwarded-For": forwarded}
    api = open_api(world)
    is_problem(api.get("/metrics", signed=False, headers=outside), 403, "inside_only")
    is_problem(api.get("/metrics", headers=outside), 403, "inside_only")  # a key is no reason
    assert api.get("/metrics", signed=False).status_code == 200
    assert api.get("/metrics", signed=False, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 200
    opened = limited(world, metrics="open")
    assert opened.get("/metrics", signed=False, headers=outside).status_code == 200


# -- security headers


def test_every_operation_answers_with_the_headers_of_its_area(api: Api) -> None:
    for one in operations(api):
        if one.path.endswith("/events"):
            continue
        headers = api.send(one.method.upper(), one.address(), signed=False).headers
        assert headers["x-content-type-options"] == "nosniff", one
        if one.path.startswith("/v1"):
            assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'", one
            assert headers["referrer-policy"] == "strict-origin-when-cross-origin", one
            assert headers["cache-control"], one


@pytest.mark.parametrize("path", ["/login", "/watch/nothing", "/nothing", "/"])
def test_every_page_has_a_strict_policy_and_no_script_of_its_own(api: Api, path: str) -> None:
    reply = api.get(path, signed=False)
    policy = dict(part.strip().partition(" ")[::2] for part in reply.headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy.get("script-src", "'self'")) == ("'self'", "'self'")
    assert (policy["object-src"], policy["base-uri"], policy["frame-ancestors"]) == ("'none'", "'none'", "'none'")
    assert reply.headers["x-frame-options"] == "DENY"
    assert "camera=()" in reply.headers["permissions-policy"]
    for tag in re.findall(r"<script\b[^>]*>", reply.text):
        assert " src=" in tag or "application/json" in tag or "application/ld+json" in tag, tag
    assert not re.findall(r"\son\w+\s*=", re.sub(r"<script.*?</script>", "", reply.text, flags=re.DOTALL))


def test_areas_have_not_grown_without_a_policy() -> None:
    from web.headers import security_headers

    without = {area for area in Area if "Content-Security-Policy" not in dict(security_headers(area, tls=True))}
    assert without == {Area.PLAYBACK, Area.STATIC}
