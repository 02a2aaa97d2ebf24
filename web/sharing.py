"""How a video presents itself to other sites: link previews, search engines, oEmbed. Pure.

Sources: the Open Graph protocol (video.other), X cards ("player"), schema.org VideoObject, oEmbed 1.0.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from web.views import WatchView

PREVIEW_WIDTH = 1280  # a preview is a frame, not the film: its size only has to have the film's shape
_PLAYBACK_PATH = re.compile(r"/(?:watch|embed)/([0-9a-z]{1,40})/?")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The absolute addresses of one video."""

    watch: str
    embed: str
    playlist: str
    poster: str | None
    oembed: str


def addresses(view: WatchView, public_url: str) -> Addresses:
    base = public_url.rstrip("/")
    page = f"{base}/watch/{view.playback_id}"
    return Addresses(
        watch=page,
        embed=f"{base}/embed/{view.playback_id}",
        playlist=f"{base}{view.playlist}",
        poster=f"{base}{view.poster}" if view.poster else None,
        oembed=f"{base}/oembed?url={quote(page, safe='')}",
    )


def frame_size(view: WatchView, max_width: int = PREVIEW_WIDTH, max_height: int | None = None) -> tuple[int, int]:
    """The largest size of the film's shape inside the limits, in pixels."""
    width, height = max_width, max(1, round(max_width * view.height / view.width))
    if max_height is not None and height > max_height:
        width, height = max(1, round(max_height * view.width / view.height)), max_height
    return width, height


def summary(view: WatchView) -> str:
    """One line of the description, or something true."""
    line = " ".join(view.description.split())
    if line:
        return line if len(line) <= 200 else line[:199].rstrip() + "…"
    kind = "Sound" if view.sound else "Video"
    return f"{kind}, {view.length}" if view.length else kind


def duration_iso(seconds: float) -> str:
    """ISO 8601, as schema.org wants it: 83.2 -> "PT1M23S"."""
    minutes, tail = divmod(max(1, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return "PT" + (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + (f"{tail}S" if tail else "")


def meta_tags(view: WatchView, links: Addresses) -> list[tuple[str, str, str]]:
    """(attribute, name, content) of the <meta> elements."""
    width, height = (str(side) for side in frame_size(view))
    tags = [
        ("name", "description", summary(view)),
        ("property", "og:site_name", "Headwater"),
        ("property", "og:type", "video.other"),
        ("property", "og:title", view.title),
        ("property", "og:description", summary(view)),
        ("property", "og:url", links.watch),
        ("property", "og:video", links.embed),
        ("property", "og:video:type", "text/html"),
        ("property", "og:video:width", width),
        ("property", "og:video:height", height),
        ("name", "twitter:card", "player"),
        ("name", "twitter:title", view.title),
        ("name", "twitter:description", summary(view)),
        ("name", "twitter:player", links.embed),
        ("name", "twitter:player:width", width),
        ("name", "twitter:player:height", height),
    ]
    if links.embed.startswith("https://"):
        tags.append(("property", "og:video:secure_url", links.embed))
    if view.duration_s is not None:
        tags.append(("property", "og:video:duration", str(max(1, round(view.duration_s)))))
    if links.poster:
        tags += [("property", "og:image", links.poster), ("property", "og:image:alt", view.title), ("name", "twitter:image", links.poster)]
    return tags


def video_object(view: WatchView, links: Addresses) -> Mapping[str, object]:
    """schema.org VideoObject, or AudioObject, for a JSON-LD block."""
    known: dict[str, object] = {
        "@context": "https://schema.org",
        "@type": "AudioObject" if view.sound else "VideoObject",
        "name": view.title,
        "description": summary(view),
        "uploadDate": view.created_iso,
        "contentUrl": links.playlist,
        "embedUrl": links.embed,
    }
    if links.poster:
        known["thumbnailUrl"] = [links.poster]
    if view.duration_s is not None:
        known["duration"] = duration_iso(view.duration_s)
    return known


def playback_id_of(url: str, public_url: str) -> str | None:
    """The playback id in the address of one of our pages; None for any other address."""
    asked, ours = urlsplit(url), urlsplit(public_url)
    if (asked.scheme, asked.netloc) != (ours.scheme, ours.netloc):
        return None
    found = _PLAYBACK_PATH.fullmatch(asked.path)
    return found[1] if found else None


def oembed(view: WatchView, links: Addresses, max_width: int | None, max_height: int | None) -> Mapping[str, object]:
    """The oEmbed answer of type "video" (oembed.com, section 2.3.4.2), or "rich" (2.3.4.4), which is the one for a player of sound."""
    width, height = frame_size(view, max_width or 640, max_height)
    title = html.escape(view.title, quote=True)
    answer: dict[str, object] = {
        "type": "rich" if view.sound else "video",
        "version": "1.0",
        "title": view.title,
        "provider_name": "Headwater",
        "width": width,
        "height": height,
        "html": f'<iframe src="{links.embed}" width="{width}" height="{height}" title="{title}" style="border:0" '
        'allow="autoplay; fullscreen; picture-in-picture" allowfullscreen loading="lazy"></iframe>',
    }
    if links.poster:
        answer |= {"thumbnail_url": links.poster, "thumbnail_width": width, "thumbnail_height": height}
    return answer
