"""Which part of the site a path belongs to. Headers, sessions and metrics differ by area, and by nothing else. Pure.

A page that needs a session lies below /studio, or is the library itself; a page anywhere else is public.
"""

from __future__ import annotations

from enum import StrEnum


class Area(StrEnum):
    API = "api"  # /v1: JSON, needs a key or a session
    PLAYBACK = "playback"  # /v, /s: playlists, segments, images; public and cacheable
    WATCH = "watch"  # /watch, /home, /oembed: public pages; /home asks for a session where `browse` says so
    EMBED = "embed"  # /embed: public, and may be framed by any site
    STATIC = "static"  # files of the front end
    HEALTH = "health"  # /healthz, /readyz, /metrics
    SIGN_IN = "sign_in"  # /login, /logout
    STUDIO = "studio"  # the library and whatever lies below /studio: needs a session
    NOWHERE = "nowhere"  # no page of ours begins like this


_BY_FIRST_PART = {
    "": Area.STUDIO,
    "studio": Area.STUDIO,
    "v1": Area.API,
    "v": Area.PLAYBACK,
    "s": Area.PLAYBACK,
    "watch": Area.WATCH,
    "home": Area.WATCH,
    "oembed": Area.WATCH,
    "embed": Area.EMBED,
    "static": Area.STATIC,
    "favicon.ico": Area.STATIC,
    "robots.txt": Area.STATIC,
    "healthz": Area.HEALTH,
    "readyz": Area.HEALTH,
    "metrics": Area.HEALTH,
    "login": Area.SIGN_IN,
    "logout": Area.SIGN_IN,
}

WITH_PAGES = (Area.WATCH, Area.EMBED, Area.SIGN_IN, Area.STUDIO, Area.NOWHERE)


def area_of(path: str) -> Area:
    """The area of an absolute path."""
    return _BY_FIRST_PART.get(path.lstrip("/").partition("/")[0], Area.NOWHERE)
