"""`headwater download`: a video as one file, made when it is not there yet, fetched with progress, and gone on with where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stack.cli_output import complain, errors, print_json, say
from stack.cli_target import DataDir, Json, open_api
from stack.exits import Exit

_POLL_S = 1.0
_LIMIT_S = 12 * 3600.0  # for making the file
_PIECE_BYTES = 256 * 1024


def download(
    *,
    asset_id: Annotated[str, typer.Argument(metavar="ASSET_ID", help="The video.")],
    name: Annotated[
        str, typer.Option("--name", help="Such as 720p.mp4, 720p.webm or audio.m4a; without one, the largest MP4, or the sound.")
    ] = "",
    target: Annotated[Path | None, typer.Option("-o", "--output", help="Where to write it; without one, its own name here.")] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Fetch a video as one file. Interrupted, the same command goes on where it stopped."""
    from kit.clock import SystemClock

    with open_api(data_dir) as api:
        path = f"/v1/assets/{asset_id}/downloads"
        wanted = name or _largest(api.call("GET", path).json()["available"])
        made = _made(api, path, wanted, SystemClock())
        if made["status"] != "ready" or not made["url"]:
            why = (made["error"] or {}).get("detail") or "it has no public address"
            complain(f"{wanted} cannot be fetched: {why}")
            raise typer.Exit(Exit.FAILED)
        file = target or Path(wanted)
        resumed = _fetch(api, made, file)
    if as_json:
        print_json({**made, "file": str(file), "resumed_bytes": resumed})
    else:
        say(f"{file}  {made['size_bytes']} bytes")


def _largest(available: list[str]) -> str:
    """The list of films ascends by size, and the main track of sound comes first. The API refuses what is not there with a sentence."""
    films = [name for name in available if name.endswith(".mp4")]
    sounds = [name for name in available if name.endswith(".m4a")]
    return films[-1] if films else sounds[0] if sounds else "1080p.mp4"


def _made(api: Any, path: str, name: str, clock: Any) -> dict[str, Any]:
    """Asks for the file and waits until it is there, or is given up."""
    made: dict[str, Any] = api.call("POST", path, json={"name": name}).json()
    deadline_s = clock.monotonic_s() + _LIMIT_S
    with errors().status("") as shown:
        while made["status"] in ("waiting", "making") and clock.monotonic_s() < deadline_s:
            shown.update(f"{name}: {made['status']}, {made['progress']:.0%}")
            clock.sleep(_POLL_S)
            made = api.call("GET", f"{path}/{name}").json()
    return made


def _fetch(api: Any, made: Mapping[str, Any], target: Path) -> int:
    """Writes to `target`, through a file beside it that an interruption leaves. The number of bytes that were there already."""
    from stack.progress import BytesProgress

    etag = api.call("HEAD", made["url"]).headers["etag"]
    part = target.with_name(f"{target.name}.{etag.strip(chr(34))[:16]}.part")  # of exactly these bytes
    start = part.stat().st_size if part.exists() else 0
    if start < made["size_bytes"]:
        headers = {"Range": f"bytes={start}-", "If-Range": etag} if start else {}
        with (
            BytesProgress(errors(), target.name, made["size_bytes"]) as shown,
            api.http.stream("GET", made["url"], headers=headers) as reply,
        ):
            reply.raise_for_status()
            start = start if reply.status_code == 206 else 0
            with part.open("ab" if start else "wb") as out:
                for piece in reply.iter_bytes(_PIECE_BYTES):
                    out.write(piece)
                    shown.sent(out.tell())
    part.replace(target)
    return start


def add_to(app: typer.Typer) -> None:
    app.command()(download)
