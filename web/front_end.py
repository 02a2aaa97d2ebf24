"""The built front end: which file stands for "watch.js", how templates name it, and the files themselves.

web/frontend/build_hook.py fills web/static/dist when the package is built or installed; every name in it but the manifest's
carries a hash of the content, so replies may be cached for ever. Text files have a gzip and a Brotli twin, and the request
chooses. Where nothing was built, `load` returns None and the pages say so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

DIST = Path(__file__).parent / "static" / "dist"
UNBUILT = "The front end is not built: run “make up” in the source folder, or “pip install -e .” there."
IMMUTABLE = "public, max-age=31536000, immutable"

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain", ".map": "application/json"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One logical file: its name in the folder, and the script chunks that it imports."""

    file: str
    imports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StaticFile:
    """What to send for a name and an Accept-Encoding."""

    path: Path
    media_type: str
    encoding: str | None  # "br", "gzip" or none


@dataclass(frozen=True, slots=True)
class FrontEnd:
    folder: Path
    entries: Mapping[str, Entry]
    names: frozenset[str]

    def url(self, name: str) -> str:
        """The address of a logical file. Raises KeyError: a template asks for something that is not built."""
        return f"/static/{self.entries[name].file}"

    def preloads(self, name: str) -> list[str]:
        """Addresses of what a script will import, so that the browser need not find out by itself."""
        return [f"/static/{file}" for file in self.entries[name].imports]

    def find(self, name: str, accept_encoding: str) -> StaticFile | None:
        """The file called `name` in the best encoding that the client takes; None when there is no such file. Pure."""
        media_type = _TYPES.get(Path(name).suffix)
        if media_type is None or name not in self.names:
            return None
        accepted = _codings(accept_encoding)
        for coding, suffix in (("br", ".br"), ("gzip", ".gz")):
            if coding in accepted and name + suffix in self.names:
                return StaticFile(self.folder / (name + suffix), media_type, coding)
        return StaticFile(self.folder / name, media_type, None)


def _codings(accept_encoding: str) -> frozenset[str]:
    """The codings that are accepted with any weight above zero (RFC 9110 section 12.5.3)."""
    accepted = set()
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";q=")
        if weight == "" or weight.strip("0.") != "":
            accepted.add(coding)
    return frozenset(accepted)


def load(folder: Path = DIST) -> FrontEnd | None:
    """The front end in `folder`; None when it was not built."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    entries = {name: Entry(item["file"], tuple(item["imports"])) for name, item in manifest.items()}
    return FrontEnd(folder, entries, frozenset(path.name for path in folder.iterdir()))


def templates(front_end: FrontEnd | None) -> Callable[..., str]:
    """`render(name, **values)` for the templates of web/templates. A value that is missing is an error, not an empty text."""
    environment = Environment(
        loader=PackageLoader("web"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    if front_end is not None:
        environment.globals |= {"static": front_end.url, "preloads": front_end.preloads}

    def render(name: str, **values: Any) -> str:
        return environment.get_template(name).render(values)

    return render
