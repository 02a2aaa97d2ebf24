"""Content types, spelled out: the tables of operating systems and of Python differ, and several know none of ours.

Sources: draft-pantos-hls-rfc8216bis section 4 (playlists), ISO/IEC 23009-1 annex C (MPD),
ISO/IEC 23000-19 (CMAF), Apple HLS authoring rules section 10.
"""

from __future__ import annotations

from collections.abc import Mapping

CONTENT_TYPES: Mapping[str, str] = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
    "m4s": "video/iso.segment",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "m4a": "audio/mp4",
    "jpg": "image/jpeg",
    "vtt": "text/vtt",
}
KEY = "application/octet-stream"
PROBLEM = "application/problem+json"


def content_type(name: str) -> str:
    """The type of a file called `name`. Raises KeyError for a suffix that we never serve."""
    return CONTENT_TYPES[name.rpartition(".")[2]]
