"""docker-compose.yml says nothing that the rest of the suite does not run: commands and variables exist, no secret has a default."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from kit.settings import PREFIX, load
from stack import servers
from stack.cli import app

TOP = Path(__file__).parent.parent.parent.parent
COMPOSE = yaml.safe_load((TOP / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "api", "worker", "sweeper", "edge")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SECRETS = {"POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "HEADWATER_SECRET_KEY"}
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)]


@pytest.mark.parametrize("name", OURS)
def test_the_commands_and_their_options_exist(name: str) -> None:
    words = SERVICES[name]["command"]
    command = COMMANDS[words[0]]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words[1:] if word.startswith("--")} <= options
    command.make_context("headwater", list(words[1:]), resilient_parsing=False).close()


@pytest.mark.parametrize("name", OURS)
def test_the_variables_are_settings_or_belong_to_the_command(name: str) -> None:
    service = SERVICES[name]
    own = {str(parameter.envvar) for parameter in COMMANDS[service["command"][0]].params if parameter.envvar}
    values = {key: _VARIABLE.sub(lambda found: _example(*found.groups()), str(value)) for key, value in service["environment"].items()}
    settings = load({key: value for key, value in values.items() if key not in own})
    for key in set(values) - own:
        assert hasattr(settings, key.removeprefix(PREFIX).lower()), key
    assert settings.studio == "login"


def _example(name: str, kind: str | None, word: str | None) -> str:
    return (word or "") if kind == "-" else name.lower() * 8


def test_secrets_have_no_default_and_say_what_is_wanted() -> None:
    seen: dict[str, set[str]] = {}
    for text in _texts(COMPOSE):
        for name, kind, word in _VARIABLE.findall(text):
            seen.setdefault(name, set()).add(f"{kind}{word}")
    for name in SECRETS:
        assert all(use.startswith("?set it to ") for use in seen[name]), name
    for name in set(seen) - SECRETS:
        assert all(use.startswith("-") for use in seen[name]), f"{name} would be empty without a sentence"


def test_only_the_edge_can_be_reached_from_outside_and_by_default_from_this_machine_only() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["edge"]
    assert SERVICES["edge"]["ports"] == ["${HEADWATER_BIND:-127.0.0.1}:${HEADWATER_PORT:-8080}:8080"]


def test_every_lasting_service_that_listens_has_a_health_check() -> None:
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == {"migrate", "worker", "sweeper"}


def test_our_containers_have_no_privileges() -> None:
    for name in OURS:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["read_only"] is True
    assert "\nUSER 10001:10001\n" in (TOP / "Dockerfile").read_text()


def test_volumes_and_dependencies_are_declared() -> None:
    for service in SERVICES.values():
        assert {volume.split(":")[0] for volume in service.get("volumes", ())} <= set(COMPOSE["volumes"])
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_the_store_and_the_broker_are_started_as_the_tests_start_them(tmp_path: Path) -> None:
    where = servers.places(tmp_path)
    native = servers.seaweed(where, range(1, len(servers.WEED_PORTS) + 1), "a", "b")
    native_options = {word.split("=")[0] for word in native.argv if word.startswith("-")}
    service = SERVICES["seaweedfs"]
    assert service["command"][0] in native.argv
    assert {word.split("=")[0] for word in service["command"][1:]} <= native_options
    assert set(service["environment"]) <= set(native.env)
    broker = servers.valkey(where).argv
    assert {word for word in SERVICES["valkey"]["command"] if word.startswith("--")} <= set(broker)


def test_minio_runs_only_when_asked_for() -> None:
    assert SERVICES["minio"]["profiles"] == ["minio"]
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["minio"]


def test_the_image_is_built_from_every_package() -> None:
    """hatchling leaves out, without a word, a package that the build context does not have."""
    packages = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    context = (TOP / ".dockerignore").read_text().split("\n")
    assert [name for name in packages if f"!{name}" not in context] == []
