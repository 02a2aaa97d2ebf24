"""Whatever ffprobe answers, the probe accepts or refuses: no answer about a stranger's file is a bug of ours."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.codec import info_from_json, info_to_json
from ingest import checks
from ingest.checks import REASONS, Accepted, Limits
from ingest.container import Shape
from ingest.ffprobe import Found, parse_streams
from ingest.packets import PacketScan
from kit.errors import Rejected

FOLDER = Path(__file__).parent.parent / "golden" / "ffprobe"
ANSWERS = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.json"))]
PACKETS = [path.read_text(encoding="utf-8").splitlines() for path in sorted(FOLDER.glob("*.csv"))]
LIMITS = Limits(bytes=10**12, duration_s=43_200, pixels=8192 * 4320)

NUMBERS = st.one_of(
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.sampled_from(
        ["0/0", "1/0", "0/1", "N/A", "1e999999", "-1", "999999999999/1", "1/999999999999", "0", "nan", "inf", "٣", "1:1", "0:1"]
    ),
    st.integers(-(10**25), 10**25).map(str),
)
ANYTHING = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=20), st.just([]), st.just({}), st.just([None, 3, "x"]), st.just({"rotation": "up"})
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A real answer with up to eight of its values replaced, or keys removed."""
    answer = json.loads(draw(st.sampled_from(ANSWERS)))
    for _ in range(draw(st.integers(0, 8))):
        place: Any = answer
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 5)):
                place = place[key]
                continue
            if draw(st.booleans()) or isinstance(place, list):
                place[key] = copy.deepcopy(draw(ANYTHING))
            else:
                del place[key]
            break
    return json.dumps(answer)


def _verdict(found: Found, lines: list[str]) -> Accepted | Rejected:
    assert found.leading is not None
    scan = PacketScan(found.leading, 0 if found.video is None else found.video.reorder_depth, found.ticks)
    for line in lines:
        scan.line(line)
    return checks.accept(found, scan.result(), Shape(None, True, True, None), 1000, LIMITS)


@settings(max_examples=400, deadline=None)
@given(mutated(), st.sampled_from(PACKETS))
def test_a_mutated_answer_is_accepted_or_refused(text: str, lines: list[str]) -> None:
    try:
        found = parse_streams(text)
    except Rejected as refused:
        assert refused.code in REASONS
        return
    verdict = checks.check_streams(found, "", LIMITS) or _verdict(found, lines)
    if isinstance(verdict, Rejected):
        assert verdict.code in REASONS
        assert verdict.detail
        return
    info = verdict.info
    if info.video is None:
        assert info.audio
    else:
        assert min(info.video.width, info.video.height) >= 16
        assert 10 <= info.video.frame_rate <= 60
        assert info.video.start < info.video.end
    assert 0 < info.duration <= LIMITS.duration_s + 1
    assert info_from_json(json.loads(json.dumps(info_to_json(info)))) == info
