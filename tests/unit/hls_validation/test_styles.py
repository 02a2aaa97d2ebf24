"""Right playlists as others write them break nothing of the grammar, and of Apple's rules only what their service leaves out."""

from __future__ import annotations

import pytest

from hls_validation import Level
from hls_validation.finding import NotSeen
from hls_validation.presentation import load
from hls_validation.run import judge
from tests.hls_titles import Title

BASE = "https://cdn.example/title/"
VIDEO = 'CODECS="avc1.64001f,mp4a.40.2"'


def media(
    *, ext: str, head: str = "", version: int = 3, lengths: tuple[str, ...] = ("6.00600", "6.00600", "2.50250"), query: str = ""
) -> str:
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{version}", "#EXT-X-TARGETDURATION:6", "#EXT-X-PLAYLIST-TYPE:VOD", *([head] if head else [])]
    for index, length in enumerate(lengths):
        lines += [f"#EXTINF:{length},", f"seg-{index}.{ext}{query}"]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def ranges(*, iframes: bool = False) -> str:
    """One file, as Apple's own examples have it: offsets left out where ranges adjoin."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:6", "#EXT-X-MEDIA-SEQUENCE:1", "#EXT-X-PLAYLIST-TYPE:VOD",
             *(["#EXT-X-I-FRAMES-ONLY"] if iframes else ["#EXT-X-INDEPENDENT-SEGMENTS"]), '#EXT-X-MAP:URI="main.mp4",BYTERANGE="719@0"',
             "#EXTINF:6.00000,\t", "#EXT-X-BYTERANGE:1508000@719", "main.mp4", "#EXTINF:6.00000,\t", "#EXT-X-BYTERANGE:1510244", "main.mp4",
             "#EXT-X-ENDLIST", ""]  # fmt: skip
    return "\n".join(lines)


ELSEWHERE = "https://other.example/t.m3u8?signature=a%3D%3D&expires=1"
MARKS = 'CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound"'
STREAM = "#EXT-X-STREAM-INF:"
IFRAMES = '#EXT-X-I-FRAME-STREAM-INF:AVERAGE-BANDWIDTH=30000,BANDWIDTH=40000,CODECS="avc1.64001f",RESOLUTION=960x540,URI="iframes.m3u8"'
CAPTIONS = '#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="cc1",LANGUAGE="en",NAME="English",AUTOSELECT=YES,DEFAULT=YES,INSTREAM-ID="CC1"'

# Style: the files by address, and Apple's MUST rules that such a service is known to leave out.
STYLES: dict[str, tuple[dict[str, str], set[str]]] = {
    "advanced example: byte ranges, captions in the video, several forms of sound": ({
        "main.m3u8": f"""#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS

{STREAM}AVERAGE-BANDWIDTH=2168183,BANDWIDTH=2177116,{VIDEO},RESOLUTION=960x540,FRAME-RATE=60.000,CLOSED-CAPTIONS="cc1",AUDIO="aud1",SUBTITLES="sub1"
v5/prog_index.m3u8
{STREAM}AVERAGE-BANDWIDTH=2390334,BANDWIDTH=2399619,CODECS="avc1.640020,ac-3",RESOLUTION=960x540,FRAME-RATE=60.000,CLOSED-CAPTIONS="cc1",AUDIO="aud2",SUBTITLES="sub1"
v5/prog_index.m3u8

#EXT-X-I-FRAME-STREAM-INF:AVERAGE-BANDWIDTH=183689,BANDWIDTH=187492,CODECS="avc1.64002a",RESOLUTION=1920x1080,URI="v7/iframe_index.m3u8"

#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aud1",LANGUAGE="en",NAME="English",AUTOSELECT=YES,DEFAULT=YES,CHANNELS="2",URI="a1/prog_index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aud2",LANGUAGE="en",NAME="English",AUTOSELECT=YES,DEFAULT=YES,CHANNELS="6",URI="a2/prog_index.m3u8"

{CAPTIONS}

#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="sub1",LANGUAGE="en",NAME="English",AUTOSELECT=YES,DEFAULT=YES,FORCED=NO,URI="s1/en/prog_index.m3u8"
""",
        "v5/prog_index.m3u8": ranges(), "v7/iframe_index.m3u8": ranges(iframes=True), "a1/prog_index.m3u8": ranges(),
        "a2/prog_index.m3u8": ranges(), "s1/en/prog_index.m3u8": media(ext="webvtt", lengths=("6.00000", "6.00000")),
    }, set()),
    "transport streams with signed addresses, no I-frames": ({
        "main.m3u8": f"""#EXTM3U
#EXT-X-VERSION:5
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="sub1",{MARKS},NAME="English CC",AUTOSELECT=YES,LANGUAGE="en-US",URI="{ELSEWHERE}"

{STREAM}BANDWIDTH=2516370,AVERAGE-BANDWIDTH=2516370,{VIDEO},RESOLUTION=1280x720,FRAME-RATE=29.970,CLOSED-CAPTIONS=NONE,SUBTITLES="sub1"
https://cdn.example/title/v.m3u8?signature=a%3D%3D&expires=1
""",
        "v.m3u8?signature=a%3D%3D&expires=1": media(ext="ts", query="?cdn=a&signature=b%2Fc=="),
        ELSEWHERE: media(ext="vtt"),
    }, {"V2"}),
    "fragmented MP4 from an encoder in the cloud, descending order, absolute paths": ({
        "main.m3u8": f"""#EXTM3U
#EXT-X-INDEPENDENT-SEGMENTS

#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="AUDIO",LANGUAGE="deu",NAME="Deutsch",DEFAULT=YES,AUTOSELECT=YES,URI="/title/audio.m3u8"
{STREAM}BANDWIDTH=5133248,AVERAGE-BANDWIDTH=4800000,CODECS="avc1.640028,mp4a.40.2",FRAME-RATE=25,RESOLUTION=1920x1080,AUDIO="AUDIO"
/title/hi.m3u8
{STREAM}BANDWIDTH=1133248,AVERAGE-BANDWIDTH=1000000,CODECS="avc1.4d401f,mp4a.40.2",FRAME-RATE=25,RESOLUTION=960x540,AUDIO="AUDIO"
/title/lo.m3u8
{IFRAMES}
{IFRAMES.replace("30000", "20000")}
""",
        **{name: media(ext="m4s", version=6, head='#EXT-X-MAP:URI="init.mp4"') for name in ("hi.m3u8", "lo.m3u8", "audio.m3u8")},
        "iframes.m3u8": ranges(iframes=True),
    }, set()),
    "a packager on the fly: carriage returns, comments, muxed, audio alone at the end": ({
        "main.m3u8": f"""#EXTM3U
#EXT-X-VERSION:4
## Created by a packager(version=1.11.9)

# variants
{STREAM}BANDWIDTH=493000,AVERAGE-BANDWIDTH=448000,CODECS="mp4a.40.2,avc1.66.30",RESOLUTION=224x100,FRAME-RATE=24
v.m3u8
{STREAM}BANDWIDTH=69000,AVERAGE-BANDWIDTH=63000,CODECS="mp4a.40.2"
a.m3u8

# keyframes
{IFRAMES}
""".replace("\n", "\r\n").replace("avc1.66.30", "avc1.42c01e"),
        "v.m3u8": media(ext="ts", head="#EXT-X-INDEPENDENT-SEGMENTS").replace("\n", "\r\n"),
        "a.m3u8": media(ext="aac", head="## made on the fly"),
        "iframes.m3u8": ranges(iframes=True),
    }, set()),
    "a live stream of low latency": ({
        "main.m3u8": f"#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n{STREAM}BANDWIDTH=900000,AVERAGE-BANDWIDTH=800000,{VIDEO},"
        "RESOLUTION=960x540,FRAME-RATE=30.000\nlive.m3u8?_HLS_msn=273\n" + IFRAMES + "\n",
        "live.m3u8?_HLS_msn=273": """#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-VERSION:9
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0,CAN-SKIP-UNTIL=24.0
#EXT-X-PART-INF:PART-TARGET=0.33334
#EXT-X-MEDIA-SEQUENCE:266
#EXT-X-MAP:URI="init.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-02-14T02:13:36.106Z
#EXTINF:4.00008,
fileSequence266.mp4
#EXTINF:4.00008,
fileSequence267.mp4
#EXT-X-PART:DURATION=0.33334,URI="filePart268.a.mp4",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.33334,URI="filePart268.b.mp4"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="filePart268.c.mp4"
#EXT-X-RENDITION-REPORT:URI="../1M/waitForMSN.php",LAST-MSN=268,LAST-PART=1
""",
        "iframes.m3u8": ranges(iframes=True),
    }, set()),
    "encrypted, with a break for an advertisement": ({
        "main.m3u8": f"#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-INDEPENDENT-SEGMENTS\n{STREAM}BANDWIDTH=900000,AVERAGE-BANDWIDTH=800000,{VIDEO},"
        "RESOLUTION=960x540,FRAME-RATE=30.000\nv.m3u8\n" + IFRAMES + "\n",
        "v.m3u8": """#EXTM3U
#EXT-X-VERSION:5
#EXT-X-TARGETDURATION:6
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example/1?a=b,c",IV=0x0000000000000000000000000000000A,KEYFORMAT="identity"
#EXTINF:6,a title, with a comma
0.ts
#EXT-X-DISCONTINUITY
#EXT-X-KEY:METHOD=NONE
#EXT-X-DATERANGE:ID="ad",CLASS="x",START-DATE="2026-01-01T00:00:00Z",DURATION=6.0,X-SPONSOR="a, b",SCTE35-OUT=0xFC002F
#EXTINF:6.0,
ads/0.ts
#EXT-X-ENDLIST
""",
        "iframes.m3u8": ranges(iframes=True),
    }, set()),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_it_passes(style: str) -> None:
    files, known = STYLES[style]
    title = Title({name: text.encode() for name, text in files.items()})
    look = load(f"{BASE}main.m3u8", title, segments=0)
    assert look.unread == {}
    found = judge(look)
    assert {finding.rule for finding in found.findings if finding.level is Level.MUST} == known, found.findings
    assert {"P1", "M10", "M11"} <= set(found.unchecked)


def test_a_reason_is_a_sentence() -> None:
    look = load(f"{BASE}v.m3u8", Title({"v.m3u8": media(ext="ts").encode()}), segments=0)
    reasons = set(judge(look).unchecked.values())
    assert reasons
    assert all(str(NotSeen(reason)).endswith(".") for reason in reasons)
