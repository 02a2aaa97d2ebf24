"""Every rule of the validator finds its breach: one planted fault for each, in a presentation that is right without it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hls_validation import RULES, Level, Report, report, validate_by
from tests.hls_titles import Dolby, Recipe, Title, make

MAIN, LOW, HIGH = "main.m3u8", "360p/index.m3u8", "432p/index.m3u8"
AUDIO_LINE = (
    '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio/index.m3u8"'
)
TEXT_MARK = 'CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog",'


def judged(title: Title, name: str = MAIN, segments: int | None = None) -> Report:
    return validate_by(title, title.base + name, segments=segments)


def _in(name: str, old: str, new: str, count: int = -1) -> Callable[[], Title]:
    return lambda: make().swap(name, old, new, count)


def _made(**knobs: object) -> Callable[[], Title]:
    return lambda: make(Recipe(**knobs))  # type: ignore[arg-type]


def _without(name: str) -> Title:
    title = make()
    del title.files[name]
    return title


def _with_headers(**changes: str) -> Title:
    title = make()
    title.headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return title


def _over_http() -> Title:
    title = make()
    title.base = "http://cdn.example/title/"
    return title


def _redirected() -> Title:
    title = make()
    title.redirected.add("432p/1.m4s")
    return title


def _transport_stream() -> Title:
    title = make().swap(MAIN, "avc1.64001e", "hvc1.1.6.L90.90")
    title.files["432p/1.m4s"] = (b"\x47" + bytes(187)) * 100
    return title


def _mixed() -> Title:
    """A second video without sound in a group of its own, in both ways that Apple forbids."""
    return make().swap(MAIN, AUDIO_LINE, f'{AUDIO_LINE}\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Deutsch",LANGUAGE="de",AUTOSELECT=YES')


def _bursting() -> Title:
    title = make()
    title.files["432p/0.m4s"] += (1 << 20).to_bytes(4) + b"free" + bytes((1 << 20) - 8)
    return title


def _dear_iframes() -> Title:
    title = make()
    line = next(line for line in title.text(MAIN).splitlines() if "360p/iframes" in line)
    return title.swap(MAIN, line, line.replace("AVERAGE-BANDWIDTH=", "AVERAGE-BANDWIDTH=900"))


def _bom() -> Title:
    title = make()
    title.files[MAIN] = b"\xef\xbb\xbf" + title.files[MAIN]
    return title


def _damaged() -> Title:
    title = make()
    title.files["432p/1.m4s"] = title.files["432p/1.m4s"][:-10]
    return title


def _other_members() -> Title:
    other = AUDIO_LINE.replace('GROUP-ID="a"', 'GROUP-ID="b"').replace("English", "Deutsch")
    return make().swap(MAIN, AUDIO_LINE, f"{AUDIO_LINE}\n{other}")


SOUND, MAP, KEY = (
    "audio/index.m3u8",
    '#EXT-X-MAP:URI="init.mp4"',
    '#EXT-X-KEY:METHOD=AES-128,URI="key",IV=0x000102030405060708090A0B0C0D0E0F',
)


def _whole_segments(key: bytes = bytes(16), more: bytes = b"") -> Title:
    """The sound with its segments encrypted: as many zeros are as good as the real thing here."""
    title = make().swap(SOUND, MAP, f"{MAP}\n{KEY}")
    title.files["audio/key"] = key
    for index in range(3):
        data = title.files[f"audio/{index}.m4s"]
        title.files[f"audio/{index}.m4s"] = bytes(len(data) // 16 * 16 + 16) + more
    return title


PLANTED: dict[str, Callable[[], Title]] = {
    "G1": _in(LOW, "#EXTM3U\n", "\n#EXTM3U\n"),
    "G2": _in(MAIN, "FRAME-RATE=24.000,", "FRAME-RATE=24.000, ", 1),
    "G3": _in(LOW, "#EXT-X-TARGETDURATION:6\n", ""),
    "G4": _in(MAIN, "VIDEO-RANGE=SDR", 'VIDEO-RANGE="SDR"'),
    "G5": _in(LOW, "#EXT-X-VERSION:6", "#EXT-X-VERSION:6\n#EXT-X-VERSION:6"),
    "G6": _in(LOW, "#EXTINF:6.000000,\n", "", 1),
    "G7": _in(MAIN, 'AUDIO="a"', 'AUDIO="b"', 1),
    "G8": _in(MAIN, AUDIO_LINE, f"{AUDIO_LINE}\n{AUDIO_LINE}"),
    "G9": _in(MAIN, 'FORCED=NO,URI="text/index.m3u8"', "FORCED=NO"),
    "G10": _in(MAIN, 'LANGUAGE="en"', 'LANGUAGE="English (UK)"'),
    "G11": _in(MAIN, ",CLOSED-CAPTIONS=NONE", "", 1),
    "F1": lambda: _without("360p/2.m4s"),
    "D1": lambda: _with_headers(content_encoding="identity"),
    "D2": lambda: _with_headers(content_type="text/plain"),
    "D3": _over_http,
    "K1": _in(LOW, "#EXT-X-MAP", '#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI="key"\n#EXT-X-MAP'),
    "K2": _made(pattern=(5, 5)),
    "K3": _in(LOW, "#EXT-X-ENDLIST", "#EXT-X-KEY:METHOD=AES-256,URI=\"key\"\n#EXT-X-ENDLIST"),
    "K4": lambda: _whole_segments(key=bytes(17)),
    "K5": lambda: _whole_segments(more=b"-"),
    "K6": lambda: _whole_segments().swap(SOUND, f"{MAP}\n{KEY}", f'#EXT-X-KEY:METHOD=AES-128,URI="key"\n{MAP}'),
    "K7": _made(pattern=(1, 9)),
    "P1": _in(HIGH, "#EXTINF:6.000000,", "#EXTINF:5.900000,"),
    "P2": _in("audio/index.m3u8", "TARGETDURATION:6", "TARGETDURATION:7"),
    "P3": _in(HIGH, "#EXTINF:3.000000,\n2.m4s\n", ""),
    "P4": _in(LOW, "#EXT-X-PLAYLIST-TYPE:VOD\n", ""),
    "P5": _in(LOW, '#EXT-X-MAP:URI="init.mp4"\n', ""),
    "P6": _in(HIGH, "#EXTINF:6.000000,\n0.m4s\n#EXTINF:6.000000", "#EXTINF:5.000000,\n0.m4s\n#EXTINF:7.000000"),
    "P7": _in(LOW, "#EXTINF:6.000000,\n0", "#EXTINF:6.600000,\n0"),
    "P8": _in(LOW, "#EXTINF:6.000000,\n1", "#EXT-X-DISCONTINUITY\n#EXTINF:6.000000,\n1"),
    "P9": lambda: make().swap("text/1.vtt", "X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n", "\n"),
    "P10": _in("360p/iframes.m3u8", "#EXT-X-I-FRAMES-ONLY\n", ""),
    "P11": _in(LOW, "VERSION:6", "VERSION:5"),
    "P12": _redirected,
    "V1": _in(MAIN, "FRAME-RATE=24.000,", "", 1),
    "V2": lambda: make().swap(MAIN, "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-SOMETHING-ELSE"),
    "V3": _in(MAIN, "BANDWIDTH=52574", "BANDWIDTH=45000"),
    "V4": _in(MAIN, "AVERAGE-BANDWIDTH=51207", "AVERAGE-BANDWIDTH=40000"),
    "V5": _bursting,
    "V6": lambda: make().swap(MAIN, "360,VIDEO-RANGE=SDR", "360").swap(MAIN, "432,VIDEO-RANGE=SDR,FRAME", "432,VIDEO-RANGE=PQ,FRAME"),
    "V7": _in(MAIN, "#EXT-X-INDEPENDENT-SEGMENTS\n", ""),
    "V8": _in(MAIN, 'NAME="English",LANGUAGE="en",DEFAULT=NO', 'NAME="English",DEFAULT=NO'),
    "V9": _in(MAIN, 'CHANNELS="2"', 'CHANNELS="6"'),
    "V10": _in(MAIN, "VIDEO-RANGE=SDR", "VIDEO-RANGE=PQ"),
    "V11": _in(MAIN, "768x432", "1280x720"),
    "V12": _in(MAIN, "FRAME-RATE", "SCORE=1.0,FRAME-RATE", 1),
    "V13": lambda: make().swap(MAIN, ":BANDWIDTH=41641", ":BANDWIDTH=241641").swap(MAIN, ":BANDWIDTH=52574", ":BANDWIDTH=252574"),
    "V14": _in(MAIN, "#EXT-X-STREAM-INF", '#EXT-X-STREAM-INF:BANDWIDTH=14000,CODECS="mp4a.40.2"\naudio/index.m3u8\n#EXT-X-STREAM-INF', 1),
    "V15": _in(MAIN, "RESOLUTION=768x432", "RESOLUTION=768x430"),
    "V16": _in(MAIN, "avc1.64001e", "avc1.64001f"),
    "V17": _dear_iframes,
    "V18": _in(MAIN, 'FORCED=NO,URI="text', f'FORCED=NO,{TEXT_MARK}URI="text'),
    "M1": _in(MAIN, "avc1.64001e", "vp09.00.10.08"),
    "M2": _transport_stream,
    "M3": _made(level=62),
    "M4": _made(entry="avc3"),
    "M5": _made(level=51),
    "M6": _made(key_interval=72),
    "M7": _made(interlaced=True),
    "M8": lambda: make(Recipe(colours=(9, 1, 9))).swap("360p/index.m3u8", "init.mp4", "coloured.mp4"),
    "M9": _made(sizes=((640, 480), (768, 432))),
    "M10": _made(first_nal=0x41),
    "M11": _made(second_start=144_001),
    "M12": _made(second_ticks=1120),
    "M13": _made(audio_tracks=2),
    "M14": _made(loud=False),
    "M15": _made(moof_in_iframes=False),
    "M16": _made(audio_start=4800),
    "E1": _made(dolby=Dolby(box="free")),
    "E2": _made(dolby=Dolby(frame_mode=2)),
}  # fmt: skip


def _coloured(title: Title) -> Title:
    """The small size says its colours too, and others than the large one."""
    if "coloured.mp4" in title.files.get(LOW, b"").decode():
        title.files["360p/coloured.mp4"] = make(Recipe(sizes=((768, 432), (640, 360)), colours=(1, 1, 1))).files["360p/init.mp4"]
    return title


def test_a_right_presentation_breaks_nothing() -> None:
    found = judged(make())
    assert found.findings == ()
    assert found.unchecked == {}
    assert report.exit_code(found, strict=True) == 0


def test_a_right_presentation_may_be_encrypted() -> None:
    assert judged(_whole_segments()).findings == ()
    sampled = make(Recipe(pattern=(1, 9)))
    for name in (LOW, HIGH, "360p/iframes.m3u8", "432p/iframes.m3u8"):
        sampled.swap(name, MAP, f'{MAP}\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://one",KEYFORMAT="com.example"')
    assert judged(sampled).findings == ()


@pytest.mark.parametrize("dolby", [Dolby(), Dolby(scheme=b"cbcs", sync=bytes(2)), Dolby(dependent=1)])
def test_a_right_presentation_may_have_surround_in_another_codec(dolby: Dolby) -> None:
    found = judged(make(Recipe(dolby=dolby)))
    assert (found.findings, found.unchecked) == ((), {})


def test_every_rule_has_its_planted_fault() -> None:
    assert set(PLANTED) == {rule.id for rule in RULES}
    apples = [rule.id for rule in RULES if rule.id[0] in "MPV" and rule.id != "M16"]
    assert len(apples) == 45
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_the_fault_is_found(rule: str) -> None:
    found = judged(_coloured(PLANTED[rule]()))
    assert rule in {finding.rule for finding in found.findings}, report.as_text(found)
    level = next(item.level for item in RULES if item.id == rule)
    assert {finding.level for finding in found.findings if finding.rule == rule} <= {level, Level.SHOULD}
    assert report.exit_code(found, strict=True) == 1


@pytest.mark.parametrize(
    ("rule", "title"),
    [
        ("K3", _in(LOW, MAP, f'{MAP}\n#EXT-X-KEY:METHOD=NONE,URI="key"')),
        ("K3", lambda: _whole_segments().swap(SOUND, "0x0001", "0x000001")),
        ("K4", _in(LOW, MAP, f"{MAP}\n{KEY}")), ("K7", _in(LOW, MAP, f'{MAP}\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="key"')),
        ("V8", _mixed), ("G1", _bom), ("G4", _in(LOW, "#EXTINF:3.000000,", "#EXTINF:3.000000")),
        ("G2", _in(MAIN, "SUBTITLES=\"t\"", "SUBTITLES=\"t")), ("G3", _in(MAIN, ":BANDWIDTH=41641,", ":")),
        ("G5", _in(LOW, "#EXT-X-ENDLIST", "#EXT-X-ENDLIST\n#EXT-X-STREAM-INF:BANDWIDTH=1\nx")),
        ("G6", _in(MAIN, "360p/index.m3u8\n#EXT-X-STREAM", "#EXT-X-STREAM")), ("P4", _in(LOW, "#EXT-X-ENDLIST\n", "")),
        ("P8", _made(second_ticks=1120)), ("F1", lambda: _without("432p/index.m3u8")), ("F1", _damaged),
        ("V15", lambda: make(Recipe(colours=(9, 16, 9)))), ("V9", _other_members),
        ("M7", _made(frame_ticks=300, second_start=43_200, second_ticks=300)),
        ("P9", _in("text/index.m3u8", "#EXTINF:3.000000,\n2.vtt\n", "")),
        ("P9", lambda: make().swap("text/1.vtt", "WEBVTT", "<html>")),
        ("E1", _made(dolby=Dolby(mode=2, low=0))), ("E1", _made(dolby=Dolby(rate_code=1))),
        ("E2", _made(dolby=Dolby(sync=b"\x0b\x78"))), ("E2", _made(dolby=Dolby(ticks=1024))),
    ],
)  # fmt: skip
def test_other_forms_of_the_same_faults(rule: str, title: Callable[[], Title]) -> None:
    assert rule in {finding.rule for finding in judged(title()).findings}


def test_what_cannot_be_seen_is_not_said_to_hold() -> None:
    found = judged(make(), segments=1)
    assert {"V3", "V4", "V5"} <= set(found.unchecked)
    assert found.findings == ()
    alone = judged(make(), LOW)
    assert "V1" in alone.unchecked
    assert alone.findings == ()


def test_the_report_tells_where_and_why() -> None:
    found = judged(PLANTED["P7"]())
    text, value = report.as_text(found), report.as_value(found)
    assert "MUST    P7    360p/index.m3u8:8: EXTINF is 6.600 s, the target 6 s  [RFC 8216bis 4.4.3.1]" in text
    assert next(rule for rule in value["rules"] if rule["rule"] == "P7")["outcome"] == "broken"
    assert value["must_failures"] >= 1


def test_rates_follow_the_definition() -> None:
    """The bit rates in the right presentation were computed apart from the validator; one kilobit off in a hundred is held."""
    title = make()
    near = title.swap(MAIN, ":BANDWIDTH=52574,AVERAGE-BANDWIDTH=51207", ":BANDWIDTH=48500,AVERAGE-BANDWIDTH=47000")
    assert judged(near).findings == ()
