"""Idempotency-Key: asking twice does it once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from kit.errors import Conflict, Unavailable
from kit.world import World
from tests.api_client import Api, is_problem, open_api

KEY = {"Idempotency-Key": "order-1"}


def upload(api: Api, title: str = "Film", **headers: str) -> Any:
    return api.post("/v1/uploads", json={"title": title}, headers={**KEY, **headers})


def test_the_same_request_gets_the_same_reply_and_makes_one_thing(api: Api) -> None:
    first, second = upload(api), upload(api)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(api.get("/v1/assets").json()["data"]) == 1


def test_a_replay_has_a_request_id_of_its_own_and_the_headers_of_the_first(api: Api) -> None:
    body = {"input_url": "https://example.com/a.mp4"}
    first = api.post("/v1/assets", json=body, headers=KEY)
    second = api.post("/v1/assets", json=body, headers=KEY)
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert second.headers.get_list("content-length") == [str(len(second.content))]


def test_another_request_under_the_key_is_refused(api: Api) -> None:
    upload(api)
    is_problem(upload(api, "Another"), 422, "idempotency_mismatch")
    is_problem(api.post("/v1/assets", json={"title": "Film"}, headers=KEY), 422, "idempotency_mismatch")


def test_keys_belong_to_who_asks(api: Api, world: World) -> None:
    other = Api(api.app, open_api(world).key)
    assert upload(api).json()["id"] != upload(other).json()["id"]


def test_a_refusal_is_kept_too(api: Api) -> None:
    bad = {"json": {"title": 1}, "headers": KEY}
    first, second = api.post("/v1/uploads", **bad), api.post("/v1/uploads", **bad)
    assert first.json()["errors"] == second.json()["errors"]
    assert second.headers["idempotency-replayed"] == "true"


def test_without_a_key_of_the_api_nothing_is_kept(api: Api) -> None:
    is_problem(api.post("/v1/uploads", json={}, headers=KEY, signed=False), 401, "unauthorized")
    assert upload(api).status_code == 201


def test_one_of_many_at_the_same_time_is_carried_out(api: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: upload(api), range(8)))
    codes = sorted(reply.status_code for reply in replies)
    assert set(codes) <= {201, 409}
    assert len({reply.json()["id"] for reply in replies if reply.status_code == 201}) == 1
    assert len(api.get("/v1/assets").json()["data"]) == 1
    assert upload(api).status_code == 201


def test_while_the_first_is_running_the_second_is_told_so(api: Api) -> None:
    inside, go_on = threading.Event(), threading.Event()

    @api.app.post("/v1/slow")
    def slow() -> dict[str, str]:
        inside.set()
        assert go_on.wait(30)
        return {"done": "yes"}

    def ask() -> Any:
        return api.post("/v1/slow", headers=KEY)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask)
        assert inside.wait(30)
        is_problem(ask(), 409, "idempotency_running")
        go_on.set()
        assert first.result().json() == {"done": "yes"}
    assert ask().headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(("trouble", "status"), [(RuntimeError("a bug"), 500), (Unavailable("Away."), 503), (Conflict("Not now."), 409)])
def test_what_did_not_work_may_be_tried_again(api: Api, trouble: Exception, status: int) -> None:
    attempts: list[int] = []

    @api.app.post("/v1/shaky")
    def shaky() -> dict[str, str]:
        attempts.append(1)
        if len(attempts) == 1:
            raise trouble
        return {"done": "yes"}

    assert api.post("/v1/shaky", headers=KEY).status_code == status
    assert api.post("/v1/shaky", headers=KEY).json() == {"done": "yes"}
    assert api.post("/v1/shaky", headers=KEY).headers["idempotency-replayed"] == "true"
    assert len(attempts) == 2


def test_a_process_that_died_does_not_hold_its_key_for_ever(api: Api, world: World) -> None:
    upload(api)
    with world.db.begin() as conn:
        conn.execute(text("UPDATE idempotency_keys SET status = NULL, begun_at = now() - interval '2 minutes'"))
    assert "idempotency-replayed" not in upload(api).headers


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/uploads", {"title": "Film"}), ("/v1/assets", {"input_url": "https://example.com/a.mp4"}), ("/v1/tus", None)]
)
@pytest.mark.parametrize("died", [True, False])
def test_what_was_made_before_the_reply_was_kept_is_not_made_again(
    api: Api, world: World, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, str] | None, *, died: bool
) -> None:
    """A server that dies between the two, and a database that goes away between them."""
    more = {} if body is not None else {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    with monkeypatch.context() as broken:
        gone = Unavailable("The database does not answer.")
        broken.setattr("web.store.finish", lambda *_: (_ for _ in ()).throw(gone))
        if died:
            broken.setattr("web.store.release", lambda *_: None)
        assert api.post(path, json=body, headers=KEY | more).status_code == 503
    if died:
        is_problem(api.post(path, json=body, headers=KEY | more), 409, "idempotency_running")
        with world.db.begin() as conn:
            conn.execute(text("UPDATE idempotency_keys SET begun_at = now() - interval '2 minutes'"))
        is_problem(api.post("/v1/uploads", json={"title": "Another"}, headers=KEY), 422, "idempotency_mismatch")
    assert api.post(path, json=body, headers=KEY | more).status_code == 201
    assert len(api.get("/v1/assets").json()["data"]) == 1


def test_a_key_is_forgotten_after_a_day(api: Api, world: World) -> None:
    first = upload(api)
    with world.db.begin() as conn:
        conn.execute(text("UPDATE idempotency_keys SET begun_at = now() - interval '25 hours'"))
    assert upload(api, "Another").json()["id"] != first.json()["id"]


def test_the_secret_of_a_key_is_not_kept(api: Api, world: World) -> None:
    made = api.post("/v1/api_keys", json={"name": "x"}, headers=KEY)
    again = api.post("/v1/api_keys", json={"name": "x"}, headers=KEY)
    assert again.status_code == 409
    assert again.json()["code"] == "secret_shown_once"
    assert [key["name"] for key in api.get("/v1/api_keys").json()["data"]] == ["x", "test"]
    with world.db.connect() as conn:
        kept = str(conn.execute(text("SELECT convert_from(body, 'UTF8') FROM idempotency_keys")).all())
    assert made.json()["secret"] not in kept


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b"])
def test_what_is_no_key(api: Api, key: str) -> None:
    is_problem(api.post("/v1/uploads", json={}, headers={"Idempotency-Key": key}), 400, "bad_idempotency_key")


def test_a_quoted_key_is_the_same_key(api: Api) -> None:
    assert upload(api).json() == upload(api, **{"Idempotency-Key": '"order-1"'}).json()


def test_creating_by_tus_may_be_repeated_but_bytes_may_not(api: Api) -> None:
    headers = {**KEY, "Tus-Resumable": "1.0.0", "Upload-Length": "10"}
    first, second = (api.post("/v1/tus", headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.headers["location"] == second.headers["location"]
    assert second.headers["tus-resumable"] == "1.0.0"
    is_problem(api.post("/v1/tus", headers={**headers, "Upload-Length": "11"}), 422, "idempotency_mismatch")
    body = {"content": b"0123456789", "headers": {**headers, "Idempotency-Key": "o2", "Content-Type": "application/offset+octet-stream"}}
    is_problem(api.post("/v1/tus", **body), 400, "bad_idempotency_key")
