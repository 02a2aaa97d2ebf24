"""What every step that makes pictures does with them, and with what FFmpeg could not make."""

from __future__ import annotations

import hashlib

from catalog.pictures import Picture
from kit.errors import HeadwaterError
from media import keys
from transcode.title import Title

JPEG = "image/jpeg"


def store(title: Title, name: str, data: bytes, content_type: str = JPEG) -> Picture:
    """Put a picture under the title's plan, to be recorded when the step is saved."""
    title.world.storage.put(keys.picture(title.asset.id, title.plan.digest, name), data, content_type=content_type)
    return Picture(name, hashlib.sha256(data).hexdigest(), len(data))


def require_wanted(error: HeadwaterError) -> None:
    """What FFmpeg cannot do to a picture is no reason to give up; that the step itself was ended is. Raises `error` then."""
    if error.code not in {"decode_failed", "encode_failed"}:
        raise error
