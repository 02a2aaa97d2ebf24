"""What a tus client or a file name says about a title, as a `NewAsset`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TypeVar

from catalog.asset import (
    DESCRIPTION_LENGTH,
    ENCRYPTIONS,
    EXTERNAL_ID_LENGTH,
    PLAYBACK_POLICIES,
    PROFILES,
    TAG_COUNT,
    TAG_LENGTH,
    TITLE_LENGTH,
    NewAsset,
)
from kit.errors import BadRequest

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")  # line breaks and direction marks too
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}")

Choice = TypeVar("Choice", bound=str)


def title_from_name(name: str) -> str:
    """A title out of a file name, which may come with folders, an extension and anything else: `a/My_trip.mp4` → `My trip`."""
    last = PurePosixPath(name.replace("\\", "/")).name
    path = PurePosixPath(last)
    stem = path.stem if _EXTENSION.fullmatch(path.suffix) else last
    return " ".join(_CONTROL.sub(" ", stem).replace("_", " ").split())[:TITLE_LENGTH].rstrip()


def new_asset(metadata: Mapping[str, bytes]) -> NewAsset:
    """From Upload-Metadata: `title` (or `filename` or `name`, as stock clients send), `description`, `tags` (comma separated),
    `external_id`, `playback_policy`, `profile`, `encryption` and `normalize_audio`. Other keys are left alone. Raises BadRequest."""
    text = {key: value.decode("utf-8", "replace") for key, value in metadata.items()}
    name = text.get("filename") or text.get("name") or ""
    tags = tuple(tag.strip() for tag in _plain(text.get("tags", "")).split(",") if tag.strip())
    if len(tags) > TAG_COUNT:
        raise BadRequest(f"At most {TAG_COUNT} tags are kept, not {len(tags)}.")
    for tag in tags:
        _check("A tag", tag, TAG_LENGTH)
    return NewAsset(
        title=_check("title", _plain(text.get("title", "")), TITLE_LENGTH) or title_from_name(name),
        description=_check("description", text.get("description", "").replace("\x00", ""), DESCRIPTION_LENGTH),
        tags=tags,
        external_id=_check("external_id", _plain(text.get("external_id", "")), EXTERNAL_ID_LENGTH) or None,
        playback_policy=_choice("playback_policy", text, PLAYBACK_POLICIES),
        profile=_choice("profile", text, PROFILES),
        encryption=_choice("encryption", text, ENCRYPTIONS),
        normalize_audio={"true": True, "false": False, "": None}[_choice("normalize_audio", text, ("", "true", "false"))],
    )


def _plain(value: str) -> str:
    return _CONTROL.sub(" ", value).strip()


def _check(name: str, value: str, length: int) -> str:
    if len(value) > length:
        raise BadRequest(f"{name} has {len(value)} characters; at most {length} are kept.")
    return value


def _choice(name: str, text: Mapping[str, str], choices: tuple[Choice, ...]) -> Choice:
    given = text.get(name) or choices[0]
    for choice in choices:
        if choice == given:
            return choice
    raise BadRequest(f"{name} must be one of {', '.join(filter(None, choices))}.")
