"""Which parts a local Headwater starts and which it is given, decided from the environment alone.

Each server has one address setting. Where it is set, the server is somebody else's and is not started; where it is not, ours is
started and the setting filled in. Everything else an operator sets reaches the parts unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kit import settings as kit_settings
from kit.settings import PREFIX, BadSetting, Settings
from stack import servers
from stack.data_dir import Secrets

DEFAULT_PORT = 8080


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What `headwater up` will do. Ports and addresses are loopback."""

    where: servers.Places
    secrets: Secrets
    settings: Settings
    starts_database: bool
    starts_broker: bool
    starts_store: bool
    store_ports: tuple[int, ...]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def parse_port(text: str) -> int:
    """Raises BadSetting."""
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= 65_535:
        return int(text)
    raise BadSetting(f"The port is {text!r}, but must be a number from 1 to 65535.")


def draw(environment: Mapping[str, str], where: servers.Places, secrets: Secrets, store_ports: tuple[int, ...], port: int) -> Blueprint:
    """Raises BadSetting, in one sentence."""
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX) and value}
    starts_database = f"{PREFIX}DATABASE_URL" not in given
    starts_broker = f"{PREFIX}BROKER_URL" not in given
    starts_store = f"{PREFIX}S3_ENDPOINT" not in given
    ours = {
        "SECRET_KEY": secrets.secret_key,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SCRATCH_DIR": str(where.data / "scratch"),
        "STUDIO": "open",
        "DELIVERY": "accel",
        "SANDBOX": "none",  # somebody's own machine and own files: an old kernel is said (doctor, log), and no reason to stop
    }
    if starts_database:
        ours["DATABASE_URL"] = servers.postgres_url(where, secrets.database_password, "headwater")
    if starts_broker:
        ours["BROKER_URL"] = servers.valkey_url(where)
    if starts_store:
        store = servers.s3_settings(store_ports, secrets.s3_access_key, secrets.s3_secret_key)
        ours |= {"S3_ENDPOINT": store.s3_endpoint, "S3_ACCESS_KEY": store.s3_access_key, "S3_SECRET_KEY": store.s3_secret_key}
    settings = kit_settings.load({PREFIX + name: value for name, value in ours.items()} | given)
    return Blueprint(where, secrets, settings, starts_database, starts_broker, starts_store, store_ports, port)
