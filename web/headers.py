"""The security headers of every reply, as a function of where it comes from. Pure.

Pages may run scripts from this site only (no inline script), show images and play media from this site and from `blob:`
(Media Source Extensions), and start workers from `blob:` (hls.js does). Styles may be inline, because the player's custom
elements carry theirs in their shadow roots. Only /embed may be framed, and by anyone: that is what it is for.
"""

from __future__ import annotations

from web.areas import WITH_PAGES, Area

_PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob: data:",  # hls.js makes an empty caption track of "data:,WEBVTT"
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)
# What no page of ours ever asks a browser for; an embedding page cannot grant it to our frame either.
_PERMISSIONS = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), midi=(), display-capture=()"
_NO_PAGE_POLICY = "default-src 'none'; frame-ancestors 'none'"


def security_headers(area: Area, *, tls: bool) -> tuple[tuple[str, str], ...]:
    """Name and value of each header. They are defaults: a reply that sets one itself keeps its own."""
    headers = [("X-Content-Type-Options", "nosniff")]
    if tls:
        headers.append(("Strict-Transport-Security", "max-age=31536000"))
    if area is Area.PLAYBACK:  # its caching and sharing rules are the origin's
        return tuple(headers)
    headers.append(("Referrer-Policy", "strict-origin-when-cross-origin"))
    if area in WITH_PAGES:
        headers.append(("Permissions-Policy", _PERMISSIONS))
    if area is Area.EMBED:
        headers.append(("Content-Security-Policy", f"{_PAGE_POLICY}; frame-ancestors *"))
    elif area in WITH_PAGES:
        headers.append(("Content-Security-Policy", f"{_PAGE_POLICY}; frame-ancestors 'none'"))
        headers.append(("X-Frame-Options", "DENY"))
        headers.append(("Cross-Origin-Opener-Policy", "same-origin"))
        headers.append(("Cross-Origin-Resource-Policy", "same-origin"))
    elif area in (Area.API, Area.HEALTH):
        headers.append(("Content-Security-Policy", _NO_PAGE_POLICY))
        headers.append(("Cache-Control", "no-store"))
    return tuple(headers)
