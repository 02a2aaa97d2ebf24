"""An independent reader of our playlists: npm's hls-parser in strict mode, for titles of many rates and lengths.

It is installed with the front end's development packages (`python web/frontend/build_hook.py --dev`, which `make test` does).
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from media.plan import EncodePlan
from packager import hls
from packager.presentation import build
from tests.node import node
from tests.titles import AUDIO, plan_of, title_of

FRONTEND = Path(__file__).parents[2] / "web" / "frontend"
READER = Path(__file__).with_name("parse_playlists.mjs")


def read(playlists: dict[str, str]) -> dict[str, Any]:
    assert (FRONTEND / "node_modules" / "hls-parser").is_dir(), "hls-parser is missing: run python web/frontend/build_hook.py --dev"
    done = subprocess.run([node(), READER, FRONTEND], input=json.dumps(playlists), capture_output=True, text=True, timeout=60, check=True)
    return dict(json.loads(done.stdout))


PLANS = {
    "film": plan_of(frames=24 * 95 + 7, rungs=("480p", "720p", "1080p")),
    "ntsc": plan_of(frames=30 * 61, rate=Fraction(30000, 1001)),
    "fast": plan_of(frames=60 * 13, rate=Fraction(60000, 1001), rungs=("1080p",)),
    "several tracks": plan_of(audio=(AUDIO, replace(AUDIO, name="audio-2", source_index=2, language="de", label="German", default=False))),
    "surround": plan_of(audio=(AUDIO, replace(AUDIO, name="audio-51", channels=6, group="surround"))),
    "silent": plan_of(frames=25 * 20, rate=Fraction(25), audio=None),
    "one frame": plan_of(frames=1),
    "half a second": plan_of(frames=12),
    "odd rate": plan_of(frames=500, rate=Fraction(1641, 1001)),
}


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    playlists: dict[str, str] = {}
    for name, plan in PLANS.items():
        made = build(plan, title_of(plan, least=500, most=900).tables)
        playlists[f"{name}/main"] = hls.render_multivariant(made, plan.digest)
        playlists |= {f"{name}/{track.spec.name}": hls.render_media(track, made.target_duration_s) for track in made.tracks}
        playlists |= {f"{name}/{track.spec.name}/iframes": hls.render_iframes(track, made.target_duration_s) for track in made.video}
    playlists["broken"] = playlists["film/480p"].replace("#EXT-X-TARGETDURATION:6", "#EXT-X-TARGETDURATION:5")
    return read(playlists)


def test_the_reader_is_strict(said: dict[str, Any]) -> None:
    assert "refused" in said["broken"]


@pytest.mark.parametrize("name", PLANS)
def test_it_accepts_and_reads_what_was_meant(said: dict[str, Any], name: str) -> None:
    plan: EncodePlan = PLANS[name]
    assert {found: about["refused"] for found, about in said.items() if found.startswith(f"{name}/") and "refused" in about} == {}
    variants = [variant for variant in said[f"{name}/main"]["variants"] if not variant["iframe"]]
    assert {(variant["size"]["width"], variant["size"]["height"]) for variant in variants} == {
        (rung.width, rung.height) for rung in plan.video
    }
    for variant in variants:
        assert variant["rate"] == pytest.approx(float(plan.grid.frame_rate), abs=0.0005)
        assert variant["bandwidth"] >= variant["average"] > 0
        assert len(variant["audio"]) == sum(track.group == "audio" for track in plan.audio)
    for track in plan.video:
        media, iframes = said[f"{name}/{track.name}"], said[f"{name}/{track.name}/iframes"]
        assert (media["vod"], media["ended"], media["target"]) == ("VOD", True, plan.target_duration_s)
        assert sum(media["durations"]) == pytest.approx(float(plan.grid.duration), abs=1e-5)
        assert sum(iframes["durations"]) == pytest.approx(float(plan.grid.duration), abs=1e-5)
        assert iframes["iframes"] is True
        assert iframes["uris"] == [f"i/{gop:05d}.m4s" for gop in range(plan.grid.gop_count)]
        assert set(media["maps"]) == set(iframes["maps"]) == {"init.mp4"}
