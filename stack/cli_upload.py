"""The command `upload`: files of this machine, and addresses from which the server fetches by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit import settings
from kit.clock import Clock
from kit.errors import HeadwaterError, Unavailable
from kit.settings import BadSetting
from stack.cli_output import complain, errors, exit_for, print_json, say
from stack.cli_target import DataDir, Json, open_api
from stack.exits import Exit

if TYPE_CHECKING:  # asking for help need not wait for an HTTP client
    from stack.client import Api

Source = Path | str  # a file, or an http(s) address


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one source: its asset, or why the server did not take it."""

    name: str
    asset: dict[str, Any] | None = None
    resumed: bool = False
    refusal: HeadwaterError | None = None

    @property
    def exit(self) -> Exit:
        if self.refusal is not None:
            return exit_for(self.refusal)
        return Exit.FAILED if self.asset is not None and self.asset["status"] == "errored" else Exit.OK


def upload(
    sources: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Video files, or http(s) addresses that the server fetches from.")
    ],
    *,
    title: Annotated[str, typer.Option("--title", help="Title; without one, the file's name.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every rendition is done.")] = False,
    profile: Annotated[str, typer.Option("--profile", help="Codecs of the ladder, for example h264+av1; without one, the server's.")] = "",
    encryption: Annotated[str, typer.Option("--encryption", help="none, aes-128 or cbcs; without one, the server's.")] = "",
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Send videos. Interrupted, the same command goes on where it stopped."""
    from kit.clock import SystemClock
    from stack.progress import AssetProgress

    found = [source_of(text) for text in sources]
    if title and len(found) > 1:
        raise BadSetting("A title is for one video: leave out --title, or send them one by one.")
    options = {name: value for name, value in (("title", title), ("profile", profile), ("encryption", encryption)) if value}
    clock = SystemClock()
    with open_api(data_dir) as api:
        sent = [_send(api, source, options, clock, alone=len(found) == 1) for source in found]
        for number, item in enumerate(sent):
            if wait and item.asset is not None:
                with AssetProgress(errors()) as progress:
                    sent[number] = replace(item, asset=progress.follow(api, item.asset["id"], clock))
        if as_json:
            told = [_as_json(api, item) for item in sent]
            print_json(told if len(told) > 1 else told[0])
        else:
            _print(api, sent)
    if worst := max(item.exit for item in sent):
        raise typer.Exit(worst)


def source_of(text: str) -> Source:
    """Raises BadSetting for what is neither an address nor a file that can be read."""
    if text.startswith(("http://", "https://")):
        return text
    path = Path(text)
    if not path.exists():
        raise BadSetting(f"There is no file {text}.")
    if not path.is_file():
        raise BadSetting(f"{text} is not a file.")
    return path


def _send(api: Api, source: Source, options: Mapping[str, str], clock: Clock, *, alone: bool) -> Sent:
    """One source on its way. Of several, one that is refused does not keep back the others; a server that is away does."""
    name = source if isinstance(source, str) else source.name
    try:
        if isinstance(source, str):
            return Sent(name, dict(api.call("POST", "/v1/assets", json={"input_url": source, **options}).json()))
        return _send_file(api, source, options, clock)
    except HeadwaterError as error:
        if alone or isinstance(error, Unavailable):
            raise
        return Sent(name, refusal=error)


def _send_file(api: Api, file: Path, options: Mapping[str, str], clock: Clock) -> Sent:
    from stack import tus_client
    from stack.progress import BytesProgress

    try:
        note = tus_client.note_path(tus_client.state_dir(settings.environment(), Path.home()), api.server, file)
        with BytesProgress(errors(), file.name, file.stat().st_size) as shown:
            work = tus_client.Upload(api, file, clock, shown.sent)
            ticket, resumed = tus_client.upload(work, note, {"title": file.stem, **options})
    except PermissionError as error:
        raise BadSetting(f"{file} may not be read.") from error
    return Sent(file.name, api.asset(ticket.asset_id), resumed)


def _as_json(api: Api, sent: Sent) -> dict[str, Any]:
    if sent.asset is None:
        assert sent.refusal is not None
        return {"file": sent.name, "error": {"code": sent.refusal.code, "detail": sent.refusal.detail}}
    return {**sent.asset, "watch_url": api.watch_url(sent.asset), "resumed": sent.resumed}


def _print(api: Api, sent: Sequence[Sent]) -> None:
    """Addresses on standard output, and on standard error what cannot be published."""
    for item in sent:
        if item.asset is None:
            assert item.refusal is not None
            complain(f"{item.name} was not taken: {item.refusal.detail}")
            continue
        lines = [f"File   {item.name}"] if len(sent) > 1 else []
        lines.append(f"Asset  {item.asset['id']}")
        watch = api.watch_url(item.asset)
        if item.asset["status"] == "errored":
            complain(f"{item.name} cannot be published: {item.asset['error']['detail']}")
        elif watch:
            lines.append(f"Watch  {watch}")
        for line in lines:
            say(line)


def add_to(app: typer.Typer) -> None:
    app.command()(upload)
