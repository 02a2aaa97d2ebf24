"""Which servers `headwater up` starts is decided by the environment alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.settings import BadSetting, load, to_environment
from stack.blueprint import Blueprint, draw, parse_port
from stack.data_dir import Secrets
from stack.servers import WEED_PORTS, Places

WHERE = Places(Path("/d"), Path("/d/logs"), Path("/d/run"))
SECRETS = Secrets("password", "access", "secret", "s" * 48)
PORTS = tuple(range(20_000, 20_000 + len(WEED_PORTS)))


def plan(**environment: str) -> Blueprint:
    return draw({f"HEADWATER_{name}": value for name, value in environment.items()}, WHERE, SECRETS, PORTS, 8080)


def test_with_nothing_set_everything_is_ours() -> None:
    drawn = plan()
    assert (drawn.starts_database, drawn.starts_broker, drawn.starts_store) == (True, True, True)
    assert drawn.settings.database_url == "postgresql+psycopg://headwater:password@/headwater?host=/d/run/postgres"
    assert drawn.settings.broker_url == "redis+socket:///d/run/valkey.sock"
    assert (drawn.settings.s3_endpoint, drawn.settings.s3_access_key) == ("http://127.0.0.1:20000", "access")
    assert (drawn.settings.studio, drawn.settings.delivery) == ("open", "accel")
    assert drawn.settings.public_url == drawn.url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("given", "started"),
    [
        ({"DATABASE_URL": "postgresql+psycopg://u@h/n"}, (False, True, True)),
        ({"BROKER_URL": "redis://h:6379/0"}, (True, False, True)),
        ({"S3_ENDPOINT": "https://s3.example", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "s"}, (True, True, False)),
    ],
)
def test_a_server_that_is_given_is_not_started(given: dict[str, str], started: tuple[bool, bool, bool]) -> None:
    drawn = plan(**given)
    assert (drawn.starts_database, drawn.starts_broker, drawn.starts_store) == started
    for name, value in given.items():
        assert getattr(drawn.settings, name.lower()) == value


def test_a_store_without_its_keys_is_said_in_one_sentence() -> None:
    with pytest.raises(BadSetting, match=r"^HEADWATER_S3_ACCESS_KEY is not set: S3 access key\.$"):
        plan(S3_ENDPOINT="https://s3.example")


def test_other_settings_reach_the_parts_and_empty_ones_count_as_unset() -> None:
    drawn = plan(CHUNK_S="6", DATABASE_URL="", PUBLIC_URL="http://localhost:9000")
    assert drawn.settings.chunk_s == 6
    assert drawn.starts_database
    assert drawn.settings.public_url == "http://localhost:9000"
    assert load(to_environment(drawn.settings)) == drawn.settings


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "80 80", "http", "٨٠"])
def test_ports_that_are_none(text: str) -> None:
    with pytest.raises(BadSetting, match="must be a number from 1 to 65535"):
        parse_port(text)


def test_ports_that_are_some() -> None:
    assert (parse_port("1"), parse_port("8080"), parse_port("65535")) == (1, 8080, 65_535)
