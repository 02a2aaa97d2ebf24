"""/v1/assets/{asset_id}/tracks on live servers, and what viewers are sent because of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from captions.reading import MAX_BYTES
from catalog import store, track_store
from catalog.steps import drop_text, save_dropped_text
from kit import job_store
from kit.step import Beat
from kit.world import World
from media import keys
from tests.api_client import Api, is_problem, open_api
from tests.assets import an_asset
from tests.published import Published, publish, published
from tests.titles import names_of, new_asset, plan_of, put_objects, save_tables, title_of

SRT = """1
00:00:01,000 --> 00:00:02,500
Bonjour <i>à tous</i> & bienvenue

2
00:00:0x,000 --> 00:00:03,000
lost

3
00:00:05,500 --> 00:00:07,000
{\\an8}Across two segments

4
00:00:14,000 --> 00:10:00,000
To the end
"""
CHAPTERS = "WEBVTT\n\n00:00.000 --> 00:05.000\nOne\n\n00:05.000 --> 00:15.000\nTwo\n"


@pytest.fixture
def api(world: World) -> Api:
    return open_api(world)


@pytest.fixture
def title(world: World) -> Published:
    return published(world)  # 15 s: segments of 6, 6 and 3 s


def add(api: Api, asset: str, text: str | bytes = SRT, **query: Any) -> dict[str, Any]:
    reply = api.post(f"/v1/assets/{asset}/tracks", params={"language": "fr", **query}, content=text, headers={"Content-Type": "text/plain"})
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def text_of(world: World, title: Published, path: str = "main.m3u8") -> str:
    """What a viewer gets now. From a process of its own: what a playback id stands for is remembered for two seconds."""
    reply = open_api(world).get(title.base + path, signed=False)
    assert reply.status_code == 200, (path, reply.text)
    return reply.text


def test_a_track_is_offered_with_the_good_cues_and_its_problems_are_told_by_line(api: Api, title: Published, world: World) -> None:
    before = text_of(world, title)
    made = add(api, title.asset, default="true", name="Français")
    assert (made["status"], made["cue_count"], made["format"], made["language"]) == ("ready", 3, "srt", "fr")
    lines = [(item["line"], item["detail"]) for item in made["problems"]]
    assert lines == [(6, "The times of the cue cannot be read."), (0, "1 cue lasts longer than the title and is cut at its end.")]
    after = text_of(world, title)
    media = next(line for line in after.splitlines() if "TYPE=SUBTITLES" in line)
    assert 'NAME="Français",LANGUAGE="fr",DEFAULT=YES,AUTOSELECT=YES,FORCED=NO' in media
    assert all('SUBTITLES="text"' in line for line in after.splitlines() if line.startswith("#EXT-X-STREAM-INF"))
    kept = [re.sub(',SUBTITLES="text"', "", line) for line in after.splitlines() if "TYPE=SUBTITLES" not in line]
    assert kept == before.splitlines()

    uri = media.rpartition('URI="')[2].rstrip('"')
    playlist = text_of(world, title, uri)
    assert re.findall(r"#EXTINF:([\d.]+)", playlist) == ["6.000000", "6.000000", "3.000000"]
    segments = [text_of(world, title, uri.replace("index.m3u8", f"{index:05d}.vtt")) for index in range(3)]
    assert all(segment.startswith("WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n") for segment in segments)
    assert [segment.count("-->") for segment in segments] == [2, 1, 1]
    assert "00:00:05.500 --> 00:00:07.000 line:5%\nAcross two segments" in segments[0]
    assert "00:00:05.500 --> 00:00:07.000 line:5%\nAcross two segments" in segments[1]
    assert "00:00:14.000 --> 00:00:15.000\nTo the end" in segments[2]
    whole = open_api(world).get(made["url"], signed=False)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "text/vtt")
    assert "immutable" in whole.headers["cache-control"]
    assert "Bonjour <i>à tous</i> &amp; bienvenue" in whole.text


def test_replacing_gives_a_new_address_and_deleting_takes_it_away(api: Api, title: Published, world: World) -> None:
    bare = text_of(world, title)
    made = add(api, title.asset)
    path = f"/v1/assets/{title.asset}/tracks/{made['id']}"
    changed = api.send("PUT", path, content="WEBVTT\n\n00:01.000 --> 00:02.000\nNew\n").json()
    assert changed["url"] != made["url"]
    assert changed["url"].split("/")[4] in text_of(world, title)
    assert api.get(made["url"], signed=False).status_code == 200, "who is watching may finish"
    renamed = api.patch(path, json={"name": 'Say "hi"', "kind": "captions", "forced": True}).json()
    assert (renamed["name"], renamed["url"]) == ('Say "hi"', changed["url"])
    media = next(line for line in text_of(world, title).splitlines() if "TYPE=SUBTITLES" in line)
    assert "NAME=\"Say 'hi'\"" in media
    assert "FORCED=YES" in media
    assert 'CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog' in media
    assert api.get(f"/v1/assets/{title.asset}").json()["tracks"] == [api.get(path).json()]
    assert api.delete(path).status_code == 204
    assert text_of(world, title) == bare
    is_problem(api.get(path), 404, "track_not_found")
    assert api.get(f"/v1/assets/{title.asset}/tracks").json() == {"data": [], "next_cursor": None}
    _drop_all(world, title.asset)
    left = [item.key for item in world.storage.list(keys.asset_prefix(title.asset)) if "/text/" in item.key or "/cues/" in item.key]
    assert left == []
    assert open_api(world).get(changed["url"], signed=False).status_code == 404


def _drop_all(world: World, asset: str) -> None:
    with world.db.begin() as conn:
        jobs = [job for job in job_store.jobs_of_asset(conn, asset) if job.kind == track_store.DROP_TEXT]
    for job in jobs:
        drop_text(world, job, Beat())
        with world.db.begin() as conn:
            save_dropped_text(conn, world, job, None)


def test_one_default_and_names_that_differ(api: Api, title: Published, world: World) -> None:
    first = add(api, title.asset, default="true", name="Text")
    add(api, title.asset, default="true", name="Text", language="de")
    media = [line for line in text_of(world, title).splitlines() if "TYPE=SUBTITLES" in line]
    assert [("DEFAULT=YES" in line, re.search('NAME="([^"]+)"', line)[1]) for line in media] == [(False, "Text"), (True, "Text (2)")]  # type: ignore[index]
    assert not api.get(f"/v1/assets/{title.asset}/tracks/{first['id']}").json()["default"]


def test_a_track_that_comes_before_its_title_is_shown_with_it(api: Api, world: World) -> None:
    with world.db.begin() as conn:
        asset = an_asset(conn).id
    assert add(api, asset)["status"] == "waiting"
    title = title_of(plan_of(rungs=("480p",)))
    other, _ = new_asset(world, title)
    add(api, other)
    put_objects(world, other, title, names_of(title.plan))
    save_tables(world, other, title, names_of(title.plan))
    for stage in ("planned", "ready"):
        publish(world, other, title, stage)
        with world.db.connect() as conn:
            shown = store.current_presentation(conn, other)
        assert shown is not None
        assert str(shown.multivariant["playlist"]).count("TYPE=SUBTITLES") == 1


def test_chapters_have_an_address_of_their_own_and_are_no_rendition(api: Api, title: Published, world: World) -> None:
    chapters = f"{title.base}chapters.vtt"
    assert open_api(world).get(chapters, signed=False).status_code == 404
    add(api, title.asset, CHAPTERS, kind="chapters")
    assert "00:00:05.000 --> 00:00:15.000\nTwo" in text_of(world, title, "chapters.vtt")
    assert "SUBTITLES" not in text_of(world, title)


def test_refusals(api: Api, title: Published, world: World) -> None:
    path = f"/v1/assets/{title.asset}/tracks"
    is_problem(api.post(path, params={"language": "fr"}, content="hello"), 422, "unreadable_text")
    is_problem(api.post(path, params={"language": "fr"}, content=b""), 400, "bad_request")
    is_problem(api.post(path, params={"language": "en_US!"}, content=SRT), 422, "validation_failed")
    is_problem(api.post(path, content=SRT), 422, "validation_failed")
    is_problem(api.post(path, params={"language": "fr"}, content=b"x" * (MAX_BYTES + 1)), 413, "body_too_large")
    is_problem(api.post(path, params={"language": "fr"}, files={"file": b"x"}), 415, "unsupported_media_type")
    is_problem(api.post("/v1/assets/ast_no/tracks", params={"language": "fr"}, content=SRT), 404, "asset_not_found")
    is_problem(api.get(path, signed=False), 401, "unauthorized")
    bomb = '<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]><tt><body><p begin="0s" end="1s">&b;</p></body></tt>'
    problem = is_problem(api.post(path, params={"language": "fr"}, content=bomb), 422, "unreadable_text")
    assert "document type" in problem["detail"]
    dense = "WEBVTT\n\n" + "".join(f"00:00:00.000 --> 00:00:15.000\n{number} {'x' * 3000}\n\n" for number in range(1600))
    made = add(api, title.asset, dense)
    assert made["status"] in ("ready", "errored")
    mine = add(api, title.asset)
    with world.db.begin() as conn:
        other = an_asset(conn).id
    is_problem(api.get(f"/v1/assets/{other}/tracks/{mine['id']}"), 404, "track_not_found")
    is_problem(api.delete(f"/v1/assets/{other}/tracks/{mine['id']}"), 404, "track_not_found")


def test_deleting_the_asset_takes_its_text(api: Api, title: Published, world: World) -> None:
    made = add(api, title.asset)
    assert api.delete(f"/v1/assets/{title.asset}").status_code == 204
    with world.db.begin() as conn:
        store.purge_rows(conn, title.asset)
        assert track_store.tracks_of(conn, [title.asset])[title.asset] == ()
    is_problem(api.get(f"/v1/assets/{title.asset}/tracks/{made['id']}"), 404, "asset_not_found")
