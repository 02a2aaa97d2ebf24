"""How the pages look and whom they are open to (checklist X1, X2, X4): both themes, narrow windows, contrast, names, focus."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import screening
from tests.browser.conftest import Film, Open

PAGES = ("/", "/?q=nothing-of-this-name", "/home", "/studio/suggestions", "watch", "embed", "/no/such/page")
THEMES = ("light", "dark")

# Every text that is seen, with its own colour and the first opaque colour behind it (WCAG 1.4.3). Texts over pictures and over
# gradients are left to the eye; so is what is switched off.
_CONTRAST = """() => {
  const parse = (text) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const part = (value) => value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const words = walker.currentNode.textContent.trim();
    if (!words || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (element.closest(".unseen, .skip, template, noscript, script, .card-frame, .tile-frame, media-controller")) continue;
    const style = getComputedStyle(element);
    if (style.fontSize === "0px") continue;
    let behind = element, ground = [0, 0, 0, 0];
    while (behind && ground[3] < 255) { ground = parse(getComputedStyle(behind).backgroundColor); behind = behind.parentElement; }
    const [a, b] = [light(parse(style.color)), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: ${words.slice(0, 40)}`);
  }
  return found;
}"""

# What a screen reader would have no name for, ids that are used twice, and controls too small to hit (WCAG 2.5.8).
_NAMES = """() => {
  const shown = (element) => element.checkVisibility({visibilityProperty: true});
  const name = (element) => (element.getAttribute("aria-label") ?? "") + (element.textContent ?? "").trim() + (element.title ?? "")
    + [...(element.labels ?? [])].map((label) => label.textContent).join("") + (element.alt ?? "")
    + (document.getElementById(element.getAttribute("aria-labelledby"))?.textContent ?? "");
  const found = [];
  for (const element of document.querySelectorAll("a[href], button, input, select, textarea, summary, progress, iframe, dialog")) {
    const heard = shown(element) && !element.closest("[aria-hidden=true]");
    if (heard && !name(element).trim()) found.push("no name: " + element.outerHTML.slice(0, 90));
  }
  for (const image of document.querySelectorAll("img")) if (!image.hasAttribute("alt")) found.push("no alt: " + image.src);
  for (const element of document.querySelectorAll("button, summary, input:not([type=checkbox])")) {
    const {width, height} = element.getBoundingClientRect();
    const inline = getComputedStyle(element).display === "inline";
    const apart = !inline && shown(element) && !element.closest("[aria-hidden=true]") && element.type !== "file";
    if (apart && (width < 24 || height < 24)) found.push(`too small (${width}x${height}): ` + element.outerHTML.slice(0, 90));
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push("id twice: " + id);
  const levels = [...document.querySelectorAll("h1, h2, h3")].filter(shown).map((heading) => Number(heading.tagName[1]));
  if (!document.querySelector("headwater-player") && levels[0] !== 1) found.push("the first heading is not an h1");
  if (!document.documentElement.lang || !document.title) found.push("no language or title");
  if (document.querySelectorAll("main").length !== 1) found.push("not one main");
  return found;
}"""


@pytest.fixture
def opened(visit: Open, film: Film, request: pytest.FixtureRequest) -> Page:
    place, theme, width = request.param
    path = {"watch": film.watch, "embed": film.embed}.get(place, place)
    made = visit("/login", width=width, height=700, theme=theme)
    if place == "/no/such/page":
        made.expect_problem("404")
    made.page.goto(path)
    if place in ("watch", "embed"):
        screening.wait_until(made.page, "video")
    else:
        made.page.wait_for_timeout(200)
    return made.page


def _each(widths: tuple[int, ...]) -> list[tuple[str, str, int]]:
    return [(place, theme, width) for place in PAGES for theme in THEMES for width in widths]


@pytest.mark.parametrize("opened", _each((320,)), indirect=True, ids=str)
def test_nothing_is_wider_than_a_narrow_window(opened: Page) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth") <= 320
    assert screening.beyond(opened) == []


@pytest.mark.parametrize("opened", _each((1280,)), indirect=True, ids=str)
def test_texts_stand_out_and_everything_has_a_name(opened: Page) -> None:
    assert opened.evaluate(_CONTRAST) == []
    assert opened.evaluate(_NAMES) == []


def test_the_check_of_contrast_sees_a_faint_text(visit: Open) -> None:
    page = visit("/").page
    page.evaluate("document.querySelector('h1').setAttribute('class', 'faint'); document.querySelector('h1').style.color = '#c0c0c0'")
    assert [line for line in page.evaluate(_CONTRAST) if "Library" in line]


@pytest.mark.parametrize("theme", THEMES)
def test_the_theme_follows_the_system_until_it_is_switched(visit: Open, theme: str) -> None:
    page = visit("/", theme=theme).page
    paper = "getComputedStyle(document.body).backgroundColor"
    first = page.evaluate(paper)
    switch = page.locator("[data-theme-switch]")
    expect(switch).to_have_attribute("data-now", "system")
    for now in ("light", "dark"):
        switch.click()
        expect(switch).to_have_attribute("data-now", now)
        assert (page.evaluate(paper) == first) == (now == theme)
    page.reload()
    expect(page.locator("[data-theme-switch]")).to_have_attribute("data-now", "dark")
    page.locator("[data-theme-switch]").click()
    assert page.evaluate(paper) == first


def test_nothing_moves_for_those_who_asked_for_calm(visit: Open) -> None:
    page = visit("/", reduced_motion="reduce").page
    moving = page.evaluate("document.getAnimations().filter((animation) => animation.playState === 'running').length")
    assert moving == 0


def test_the_focus_is_always_seen(visit: Open, film: Film) -> None:
    """Tabbing through the library: each stop has an outline, or lies in something that shows it."""
    page = visit("/").page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        seen = page.evaluate("""(() => {
          const element = document.activeElement;
          if (element === document.body) return true;
          const outlines = [getComputedStyle(element), getComputedStyle(element, "::after")];
          return outlines.some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
        })()""")
        assert seen, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")


def test_the_whole_way_works_by_keyboard(visit: Open, film: Film) -> None:
    page = visit("/?q=for%3E%20tests").page
    page.get_by_role("link", name=film.title).focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/watch/"))
    screening.wait_until(page, "video.readyState >= 1")
    page.keyboard.press(" ")
    screening.wait_until(page, "!video.paused && video.currentTime > 0.2")
