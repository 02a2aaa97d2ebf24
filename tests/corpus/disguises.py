"""Files that are something else than they say: scripts that name other files and addresses, documents, archives, two things at once."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator

from tests.corpus import Case, Seeds

ENDINGS = (".mp4", ".m3u8", ".mkv")


def cases(seeds: Seeds) -> Iterator[Case]:
    for name, text in scripts(seeds).items():
        for suffix in ENDINGS:
            yield Case(f"script-{name}-as{suffix}", "scripts", suffix, text.encode())
    for name, data in (*_documents(seeds), *_both(seeds)):
        yield Case(f"disguise-{name}", "disguises", ".mp4", data)


def scripts(seeds: Seeds) -> dict[str, str]:
    """Texts that FFmpeg or another program would follow to another file or host."""
    canary, near, web = str(seeds.canary), seeds.canary.name, f"http://127.0.0.1:{seeds.port}/x"
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n"
    end = "\n#EXT-X-ENDLIST\n"
    targets = {
        "absolute": canary, "file": f"file://{canary}", "near": near, "up": f"../{seeds.canary.parent.name}/{near}", "web": f"{web}.ts",
        "tcp": f"tcp://127.0.0.1:{seeds.port}", "udp": f"udp://127.0.0.1:{seeds.port}", "rtp": f"rtp://127.0.0.1:{seeds.port}",
        "concat": f"concat:{canary}|{canary}", "subfile": f"subfile,,start,0,end,1000,,:{canary}", "cache": f"cache:{canary}",
        "crypto": f"crypto+file://{canary}", "async": f"async:file:{canary}", "gopher": f"gopher://127.0.0.1:{seeds.port}/_x",
        "data": "data:video/mp2t;base64,R0AREABC8CUAAcEAAP8B", "pipe": "pipe:0", "fd": "fd:0", "unix": "unix:/run/x.sock",
        "passwd": "file:///etc/passwd", "environ": "file:///proc/self/environ", "device": "/dev/zero", "fifo": "/dev/stdin",
    }  # fmt: skip
    found = {f"hls-{name}": f"{head}{target}{end}" for name, target in targets.items()}
    found |= {f"ffconcat-{name}": f"ffconcat version 1.0\nfile '{target}'\n" for name, target in targets.items()}
    found |= {
        "hls-live": f"{head}{web}.ts\n",
        "hls-itself": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nscript-hls-itself-as.mp4\n" * 40,
        "hls-key": f'{head}#EXT-X-KEY:METHOD=AES-128,URI="{web}"\n#EXT-X-MAP:URI="{near}"\n{near}{end}',
        "hls-extension-trick": f"{head}{canary}#.ts?.mp4{end}",
        "hls-many": head + f"{near}\n#EXTINF:4,\n" * 20_000,
        "dash": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation id="1"><BaseURL>file://{canary}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>",
        "dash-entity": f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{canary}">]><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">&e;</MPD>',
        "entities": f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "{"&a;" * 9}"><!ENTITY c "{"&b;" * 9}">]><x>&c;</x>',
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {seeds.port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "imf": f'<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM"><Id>{near}</Id></AssetMap>',
        "ffmetadata": f";FFMETADATA1\ntitle={canary}\n[STREAM]\n",
        "asx": f'<asx version="3.0"><entry><ref href="file://{canary}"/></entry></asx>',
        "pls": f"[playlist]\nFile1={canary}\nNumberOfEntries=1\n",
        "smil": f'<smil><body><video src="{web}"/></body></smil>',
        "rtsp": f"RTSPtextRTSP://127.0.0.1:{seeds.port}/x\n",
        "webm-dash": f"WEBM{canary}",
        "avisynth": f'DirectShowSource("{canary}")\n',
        "vapoursynth": f"import os\nopen({canary!r})\n",
        "lavfi": f"movie={canary}[out0]\n",
        "srt": f"1\n00:00:00,000 --> 00:00:05,000\n<img src='{web}'>{canary}\n",
        "ass": f"[Fonts]\nfontname: ../../x.ttf\n[Events]\nDialogue: 0,0:00:00.00,0:00:09.00,D,,,,,,{{\\blur99999\\fn{near}}}x\n",
        "sub-idx": f"# VobSub index file, v7\nsize: 720x480\nlangidx: 0\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 0\n# {near}\n",
        "mpsub": f"FORMAT=TIME\nFILE={canary}\n0 5\nx\n",
        "option": f"-i {canary} -f null -\n",
    }
    return found


def _documents(seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    path, web = str(seeds.canary), f"http://127.0.0.1:{seeds.port}/x"
    yield (
        "svg",
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"><image x:href="file://{path}"/></svg>'.encode(),
    )
    yield "html", f"<!doctype html><script src='{web}'></script><video src='{path}'>".encode() * 30
    yield "pdf", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n" + bytes(4000)
    yield "gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf7\0\0" + bytes(768) + b"," + bytes(8) + b"\0\2" + bytes(300)
    yield "bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0xFFFFFFFF, 0, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0)
    yield "tiff", b"II*\0\x08\0\0\0\xff\xff" + bytes(4000)
    yield "exe", b"MZ" + bytes(58) + b"\x80\0\0\0" + b"PE\0\0" + bytes(4000)
    yield "elf", b"\x7fELF\2\1\1" + bytes(4000)
    yield "shell", f"#!/bin/sh\ncat {path}\n".encode()
    yield "python", f"print(open({path!r}).read())\n".encode()
    yield "midi", b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\xff\xff\xff\xff" + bytes(900)
    yield "font", b"OTTO\0\x0b" + bytes(4000)
    yield "sqlite", b"SQLite format 3\0" + bytes(4000)
    yield "ico", b"\0\0\1\0\xff\xff" + b"\0\0\0\0\1\0\x20\0\xff\xff\xff\x7f\x16\0\0\0" * 200
    yield "gzip", gzip.compress(seeds.clip("plain"), mtime=0)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../../etc/cron.d/x"), "x")
    yield "zip-slip", packed.getvalue()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        link = tarfile.TarInfo("movie.mp4")
        link.type, link.linkname = tarfile.SYMTYPE, path
        tar.addfile(link)
    yield "tar-link", packed.getvalue()
    for letter in ("\0", " ", "A", "\xff", "\n", "{", "<"):
        yield f"only-{ord(letter):02x}", letter.encode("latin-1") * 70_000
    for size in (1, 7, 100, 5000, 300_000):
        yield f"noise-{size}", seeds.random.randbytes(size)


def _both(seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    """Two formats in one file."""
    plain, ts, mkv = seeds.clip("plain"), seeds.clip("ts"), seeds.clip("mkv")
    script = scripts(seeds)["hls-near"].encode()
    yield "script-then-mp4", script + plain
    yield "mp4-then-script", plain + script
    yield "script-in-free", plain[:32] + struct.pack(">I4s", len(script) + 8, b"free") + script + plain[32:]
    yield "script-then-ts", script.ljust(188, b"\n") + ts
    yield "html-then-mp4", b"<!doctype html><script>alert(1)</script>" + plain
    yield "mp4-then-zip", plain + b"PK\3\4" + bytes(400) + b"PK\5\6" + bytes(18)
    yield "mp4-then-mkv", plain + mkv
    yield "mkv-then-mp4", mkv + plain
    yield "ts-then-mp4", ts + plain
    yield "jpeg-then-mp4", b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(200) + plain
    yield "ftyp-of-pictures", plain.replace(b"ftypisom", b"ftypavif", 1)
    yield "ftyp-of-crypt", plain.replace(b"ftypisom", b"ftypodcf", 1)
    yield "bom-then-mp4", b"\xef\xbb\xbf" + plain
    yield "mp4-in-mdat", plain[:40] + plain + plain[40:]
