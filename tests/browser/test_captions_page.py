"""Captions in the library: seen, added, replaced and deleted from a video's card, with what was wrong with a file."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Film, Open, Studio
from tests.browser.test_looks import _CONTRAST, _NAMES

BAD = (
    "1\n00:00:01,000 --> 00:00:02,000\nGood evening\n\n2\n00:00:03,000 -> yesterday\nLost\n\n3\n00:00:04,000 --> 00:00:05,000\nGood night\n"
)
GOOD = "WEBVTT\n\n00:01.000 --> 00:02.000\nThe only one\n"


@pytest.fixture
def bare(studio: Studio, short_film: Film) -> Iterator[Film]:
    """The short film without text, before and after."""

    def clear() -> None:
        path = f"/v1/assets/{short_film.asset_id}/tracks"
        for track in studio.client.get(path).raise_for_status().json()["data"]:
            studio.client.delete(f"{path}/{track['id']}").raise_for_status()

    clear()
    yield short_film
    clear()


def opened(page: Page, film: Film) -> Locator:
    card = page.locator(f'.card[data-asset="{film.asset_id}"]')
    card.get_by_label("Actions").focus()
    page.keyboard.press("Enter")
    card.get_by_role("button", name="Captions").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Captions")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_label("Reading the file")).to_be_hidden()
    return dialog


def choose(page: Page, button: Locator, name: str, text: str) -> None:
    """By keyboard, as far as the browser's own window, which nobody can see."""
    chooser = page.locator("[data-words-file]")
    chooser.evaluate("(input) => input.addEventListener('click', (event) => { event.preventDefault(); input.dataset.asked = ''; })")
    button.press("Enter")
    expect(chooser).to_have_attribute("data-asked", "")
    chooser.set_input_files({"name": name, "mimeType": "text/plain", "buffer": text.encode()})
    chooser.evaluate("(input) => delete input.dataset.asked")


def test_they_are_added_replaced_and_deleted_by_keyboard(visit: Open, bare: Film, studio: Studio) -> None:
    page = visit("/?q=short%20film").page
    dialog = opened(page, bare)
    expect(dialog.get_by_text("Nothing yet.")).to_be_visible()
    dialog.get_by_label("Language").fill("fr")
    choose(page, dialog.get_by_role("button", name="Choose a file"), "film.srt", BAD)
    row = dialog.get_by_role("listitem").filter(has_text="French")
    expect(row).to_contain_text("Subtitles · 2 cues")
    expect(dialog.get_by_role("status")).to_contain_text("“film.srt” is added. 1 line could not be used as it was")
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(row.get_by_text(re.compile("^Line 5: "))).to_be_visible()
    expect(dialog.get_by_text("Nothing yet.")).to_be_hidden()

    choose(page, row.get_by_role("button", name="Replace French"), "better.vtt", GOOD)
    expect(row).to_contain_text("1 cue")
    expect(row.locator("details")).to_be_hidden()
    (track,) = studio.client.get(f"/v1/assets/{bare.asset_id}/tracks").json()["data"]
    assert (track["language"], track["cue_count"], track["status"]) == ("fr", 1, "ready")

    row.get_by_role("button", name="Delete French").focus()
    page.keyboard.press("Enter")
    expect(row).to_contain_text("Delete?")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Nothing yet.")).to_be_visible()
    assert studio.client.get(f"/v1/assets/{bare.asset_id}/tracks").json()["data"] == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_what_cannot_be_read_is_refused_in_words_and_changes_nothing(visit: Open, bare: Film, studio: Studio) -> None:
    made = visit("/?q=short%20film")
    made.expect_problem("422")
    dialog = opened(made.page, bare)
    choose(made.page, dialog.get_by_role("button", name="Choose a file"), "notes.txt", "Nothing with a time in it.\n")
    expect(dialog.locator(".words-said--wrong")).not_to_be_empty()
    expect(dialog.locator("progress")).to_be_hidden()
    assert studio.client.get(f"/v1/assets/{bare.asset_id}/tracks").json()["data"] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_dialog_fits_and_can_be_read(visit: Open, bare: Film, studio: Studio, theme: str, width: int) -> None:
    path = f"/v1/assets/{bare.asset_id}/tracks"
    studio.client.post(path, params={"language": "pt-BR", "kind": "captions", "default": True}, content=BAD).raise_for_status()
    studio.client.post(path, params={"language": "en", "kind": "chapters"}, content=GOOD).raise_for_status()
    page = visit("/?q=short%20film", width=width, height=720, theme=theme).page
    dialog = opened(page, bare)
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    dialog.locator("summary:visible").click()
    dialog.evaluate("(dialog) => Promise.all(dialog.getAnimations().map((item) => item.finished))")
    assert dialog.evaluate("(dialog) => dialog.scrollWidth <= dialog.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(_CONTRAST) == []
    assert page.evaluate(_NAMES) == []
