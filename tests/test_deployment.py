"""Dockerfile and compose.yaml belong to this project: what they name exists, and what they promise they ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from smhub import settings
from smhub.cli import main
from smhub.settings import NAMES

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
OURS = {name: one for name, one in COMPOSE["services"].items() if one["image"] == "smhub"}
Instruction = tuple[str, str]


def stages() -> list[list[Instruction]]:
    """The Dockerfile's instructions, by stage."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    found: list[list[Instruction]] = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            if word == "FROM":
                found.append([])
            found[-1].append((word, rest.strip()))
    return found


def said(stage: list[Instruction], word: str) -> list[str]:
    return [rest for one, rest in stage if one == word]


def is_setting(name: str) -> bool:
    return name in NAMES or name.removesuffix("_FILE") in NAMES


def command(*words: str) -> click.Command | None:
    context = click.Context(main)
    return main.get_command(context, words[0]) if isinstance(main, click.Group) else None


def test_the_image_is_built_from_the_lock_and_from_what_is_there() -> None:
    builder, _ = stages()
    installs = [json.loads(one) for one in said(builder, "RUN")]
    locked = next(one for one in installs if "-r" in one)
    assert "--require-hashes" in locked
    assert (ROOT / locked[locked.index("-r") + 1]).is_file()
    copied = [source for one in said(builder, "COPY") for source in one.split()[:-1]]
    assert [one for one in copied if not (ROOT / one).exists()] == []
    built = next(one for one in installs if "wheel" in one)
    plugins = {f"./{one.parent.relative_to(ROOT)}" for one in (ROOT / "plugins").glob("*/pyproject.toml")}
    assert {one for one in built if one.startswith("./")} == plugins
    assert {one.removeprefix("./plugins/") for one in plugins} | {"smhub"} <= set(installs[-1])
    let_in = [one[1:] for one in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if one.startswith("!")]
    assert [one for one in copied if one not in let_in] == []


def test_the_image_runs_as_nobody_in_particular_and_without_a_shell() -> None:
    _, final = stages()
    user = said(final, "USER")
    assert len(user) == 1
    uid = user[0].partition(":")[0]
    assert int(uid) > 0
    created = next(json.loads(one) for one in said(final, "RUN") if "useradd" in one)
    assert created[created.index("--uid") + 1] == uid
    assert said(final, "VOLUME") == [created[created.index("--home-dir") + 1]] == said(final, "WORKDIR")
    for stage in stages():
        for word in ("RUN", "ENTRYPOINT", "CMD"):
            assert all(isinstance(json.loads(one), list) for one in said(stage, word))
    health = json.loads(said(final, "HEALTHCHECK")[0].partition("CMD ")[2])
    entry, default = json.loads(said(final, "ENTRYPOINT")[0]), json.loads(said(final, "CMD")[0])
    assert health[0] == entry[0] == "smhub"
    assert command(health[1]) and command(default[0])


def test_every_setting_that_is_named_exists_and_is_valid(tmp_path: Path) -> None:
    _, final = stages()
    in_image = dict(one.split("=", 1) for one in said(final, "ENV")[0].split())
    ours = {name: value for name, value in in_image.items() if name.startswith("SMHUB_")}
    assert settings.read(ours, flags={}).host == "0.0.0.0"
    for service in OURS.values():
        named = [name for name in service["environment"] if name.startswith("SMHUB_")]
        assert named
        assert [name for name in named if not is_setting(name)] == []


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_service_is_closed_up_waits_for_the_schema_and_says_a_real_command(name: str) -> None:
    service = OURS[name]
    assert command(*service["command"]), service["command"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["depends_on"]["database"] == {"condition": "service_healthy"}
    if name != "migrate":
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    for secret in service["secrets"]:
        assert COMPOSE["secrets"][secret]["file"].startswith("./secrets/")
        assert f"/run/secrets/{secret}" in service["environment"].values()


def test_two_serve_three_work_one_migrates() -> None:
    commands = {name: one["command"][0] for name, one in OURS.items()}
    assert sorted(commands.values()) == ["migrate", "serve", "serve", "work"]
    assert OURS["worker"]["deploy"]["replicas"] == 3
    ports = [port for one in OURS.values() for port in one.get("ports", [])]
    assert len(set(ports)) == 2 and all(port.endswith(":8000") for port in ports)
    database = COMPOSE["services"]["database"]
    assert re.fullmatch(r"postgres:1[78]", database["image"])
    assert database["volumes"][0].partition(":")[0] in COMPOSE["volumes"]
    assert database["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/postgres-password"
    assert "password" not in json.dumps([one["environment"] for one in OURS.values()]).lower()


def test_how_the_secrets_are_made_is_told() -> None:
    told = (ROOT / "docs/operating.md").read_text("utf-8")
    assert [one["file"] for one in COMPOSE["secrets"].values() if one["file"].removeprefix("./") not in told] == []
    assert "/secrets/" in (ROOT / ".gitignore").read_text("utf-8")
