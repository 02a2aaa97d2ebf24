"""The library in a browser: uploading by choice and by drop, what a card tells meanwhile, searching, deleting, coming back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Film, Open, Studio, Visit
from tests.clips import Clips
from tests.eventually import eventually

LONG_MS = 240_000
_DROP = """async ({name, data}) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: "video/mp4"}));
  const fire = (kind) => document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true}));
  fire("dragenter");
  window.veiled = !document.querySelector("[data-drop]").hidden;
  fire("dragover");
  fire("drop");
}"""


def card(page: Page, title: str) -> Locator:
    return page.locator(".card", has=page.get_by_role("heading", name=title, exact=True))


def named(path: Path, folder: Path, title: str) -> Path:
    """The same bytes under another name: what a title is made of, and what an upload is known by."""
    made = folder / f"{title}{path.suffix}"
    made.write_bytes(path.read_bytes())
    return made


def hold_back(page: Page) -> list[Route]:
    """Lets uploads begin, and keeps their bytes from leaving."""
    held: list[Route] = []
    page.route("**/v1/tus/*/*", lambda route: held.append(route) if route.request.method == "PATCH" else route.continue_())
    return held


def asset_id(found: Locator) -> str:
    expect(found).to_have_attribute("data-asset", re.compile("^ast_"))
    return str(found.get_attribute("data-asset"))


def test_a_chosen_file_goes_all_the_way_to_being_watched(visit: Open, studio: Studio, clips: Clips, tmp_path: Path) -> None:
    made = visit("/")
    page = made.page
    source = named(clips("plain"), tmp_path, "Chosen film")
    with page.expect_file_chooser() as chooser:
        page.locator("[data-choose]").first.click()
    chooser.value.set_files(source)
    mine = card(page, "Chosen film")
    expect(mine).to_have_attribute("data-state", re.compile("processing|playable|ready"), timeout=LONG_MS)
    expect(page.get_by_text("“Chosen film” can be watched now.")).to_be_visible(timeout=LONG_MS)
    expect(mine).to_have_attribute("data-state", "ready", timeout=LONG_MS)
    expect(mine.locator(".card-length")).to_have_text("0:06")
    expect(mine.locator(".card-meta")).to_contain_text("180p")
    assert mine.locator(".card-poster").evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    found = studio.asset(asset_id(mine))
    assert (found["title"], found["source"]["size_bytes"]) == ("Chosen film", source.stat().st_size)
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('tus::')).length") == 0
    mine.get_by_role("link", name="Chosen film").click()
    expect(page).to_have_url(re.compile("/watch/"))


def test_a_dropped_file_is_uploaded(visit: Open, clips: Clips) -> None:
    import base64

    page = visit("/").page
    page.evaluate(_DROP, {"name": "Dropped film.mp4", "data": base64.b64encode(clips("plain").read_bytes()).decode()})
    assert page.evaluate("window.veiled")
    expect(page.locator("[data-drop]")).to_be_hidden()
    expect(card(page, "Dropped film")).to_have_attribute("data-state", re.compile("processing|playable|ready"), timeout=LONG_MS)


def test_what_cannot_be_a_video_says_why(visit: Open, clips: Clips, tmp_path: Path) -> None:
    page = visit("/").page
    page.set_input_files("[data-file]", named(clips("text"), tmp_path, "Not a film"))
    mine = card(page, "Not a film")
    expect(mine).to_have_attribute("data-state", "failed", timeout=LONG_MS)
    assert len(mine.locator(".card-problem:visible").inner_text()) > 20


def test_uploads_queue_pause_and_are_cancelled(visit: Open, studio: Studio, clips: Clips, tmp_path: Path) -> None:
    made = visit("/")
    page = made.page
    made.expect_problem("ERR_ABORTED")
    made.expect_problem(r"\b423\b")  # resumed before the server was through with what it had: tried again by tus-js-client
    held = hold_back(page)
    titles = one, _, three = [f"{part} of {tmp_path.name}" for part in ("Part one", "Part two", "Part three")]  # another run has others
    page.set_input_files("[data-file]", [named(clips("plain"), tmp_path, title) for title in titles])
    expect(page.locator(".card[data-state=uploading]")).to_have_count(2)
    expect(card(page, three)).to_have_attribute("data-state", "queued")
    expect(page.locator("[data-dock]")).to_contain_text("3 uploads")
    first = asset_id(card(page, one))
    card(page, one).get_by_role("button", name="Pause the upload").click()
    expect(card(page, one)).to_have_attribute("data-state", "paused")
    expect(card(page, three)).to_have_attribute("data-state", "uploading")  # the next one takes the free place
    card(page, one).get_by_role("button", name="Cancel the upload").click()
    expect(card(page, one)).to_have_count(0)
    assert eventually(lambda: studio.client.get(f"/v1/assets/{first}").status_code == 404)
    for _ in range(200):  # the other two: the page hears of them only while it is waited for
        if len(held) >= 2:
            break
        page.wait_for_timeout(100)
    assert len(held) >= 2
    page.get_by_role("button", name="Pause all").click()  # while nothing can end: the button would go away
    page.unroute_all(behavior="ignoreErrors")
    page.get_by_role("button", name="Resume all").click()
    for title in titles[1:]:
        expect(card(page, title)).to_have_attribute("data-state", re.compile("processing|playable|ready"), timeout=LONG_MS)


def test_a_reload_loses_no_upload(visit: Open, studio: Studio, clips: Clips, tmp_path: Path) -> None:
    """U5: the card says that it was interrupted, and choosing the file again goes on with the same asset."""
    made = visit("/")
    page = made.page
    made.expect_problem("ERR_ABORTED")
    source = named(clips("plain"), tmp_path, "Interrupted film")
    hold_back(page)
    page.set_input_files("[data-file]", source)
    before = asset_id(card(page, "Interrupted film"))
    page.reload()
    page.unroute_all(behavior="ignoreErrors")
    mine = card(page, "Interrupted film")
    expect(mine).to_have_attribute("data-state", "interrupted")
    with page.expect_file_chooser() as chooser:
        mine.get_by_role("button", name="Choose the file again").click()
    chooser.value.set_files(source)
    expect(mine).to_have_attribute("data-state", re.compile("processing|playable|ready"), timeout=LONG_MS)
    assert asset_id(mine) == before
    assert studio.asset(before)["status"] in ("processing", "ready")


def test_a_server_that_is_away_is_said_and_tried_again(visit: Open, clips: Clips, tmp_path: Path) -> None:
    made = visit("/")
    page = made.page
    made.expect_problem("ERR_FAILED|Failed to load")
    page.clock.install()
    page.route("**/v1/tus", lambda route: route.abort())
    page.set_input_files("[data-file]", named(clips("plain"), tmp_path, "Patient film"))
    mine = card(page, "Patient film")
    for _ in range(40):  # the pauses between the tries are long, and the page's clock is ours
        if mine.get_attribute("data-state") == "stuck":
            break
        page.clock.run_for(5000)
        page.wait_for_timeout(50)
    expect(mine).to_contain_text("The connection was lost.")
    page.unroute_all(behavior="ignoreErrors")
    page.clock.resume()
    mine.get_by_role("button", name="Resume the upload").click()
    expect(mine).to_have_attribute("data-state", re.compile("processing|playable|ready"), timeout=LONG_MS)


def test_the_same_file_twice_is_one_upload(visit: Open, clips: Clips, tmp_path: Path) -> None:
    made = visit("/")
    made.expect_problem("ERR_ABORTED")
    hold_back(made.page)
    source = named(clips("plain"), tmp_path, "Twice")
    made.page.set_input_files("[data-file]", source)
    expect(card(made.page, "Twice")).to_have_count(1)
    with made.page.expect_file_chooser() as chooser:
        made.page.locator("[data-choose]").first.click()
    chooser.value.set_files(source)
    expect(made.page.get_by_text("is being uploaded already")).to_be_visible()
    expect(card(made.page, "Twice")).to_have_count(1)


def test_deleting_can_be_undone_for_a_while(visit: Open, studio: Studio, clips: Clips) -> None:
    made = studio.send(clips("plain"), "Doomed")
    page = visit("/").page
    mine = card(page, "Doomed")
    mine.get_by_label("Actions").click()
    mine.get_by_role("button", name="Delete").click()
    expect(mine).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(mine).to_be_visible()
    assert studio.client.get(f"/v1/assets/{made}").status_code == 200
    mine.get_by_label("Actions").click()
    mine.get_by_role("button", name="Delete").click()
    page.goto("about:blank")  # leaving the page is no undo
    assert eventually(lambda: studio.client.get(f"/v1/assets/{made}").status_code == 404)


def test_what_happens_elsewhere_appears_here(visit: Open, studio: Studio, clips: Clips) -> None:
    page = visit("/").page
    page.wait_for_timeout(300)
    made = studio.send(clips("plain"), "From a program")
    mine = card(page, "From a program")
    expect(mine).to_be_visible()
    assert asset_id(mine) == made
    studio.client.delete(f"/v1/assets/{made}").raise_for_status()
    expect(mine).to_have_count(0)


def test_searching_narrows_the_list_and_says_when_nothing_is_left(visit: Open, film: Film) -> None:
    page = visit("/").page
    page.get_by_role("searchbox").fill("for> tests")
    expect(page.locator(".card:not(.card--leaving)")).to_have_count(1)
    expect(card(page, film.title)).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?q=for%3E%20tests$"))
    page.get_by_role("searchbox").fill("no such thing")
    expect(page.get_by_text("Nothing matches “no such thing”.")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    expect(page.locator(".card:not(.card--leaving)").first).to_be_visible()  # whatever is newest by now


@pytest.mark.parametrize(
    ("button", "text"), [("Copy watch link", "{home}{watch}"), ("Copy embed code", '<iframe src="{home}{embed}" title="A film')]
)
def test_links_are_copied(visit: Open, film: Film, button: str, text: str) -> None:
    made: Visit = visit("/?q=for%3E%20tests", permissions=["clipboard-read", "clipboard-write"])
    mine = card(made.page, film.title)
    mine.get_by_label("Actions").click()
    mine.get_by_role("button", name=button).click()
    expect(made.page.get_by_text("copied")).to_be_visible()
    copied = made.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(text.format(home=made.home, watch=film.watch, embed=film.embed))
    assert "<for>" not in copied
