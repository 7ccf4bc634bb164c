"""Settings are read once and refused loudly."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from smhub.settings import NAMES, Settings, SettingsError, example, read


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_flag_wins_over_the_environment_that_over_the_file_and_that_over_the_default(tmp_path: Path) -> None:
    (tmp_path / "smhub.toml").write_text('port = 1111\nhost = "10.0.0.1"\nlog = "debug"\n')
    settings = read({"SMHUB_PORT": "2222", "SMHUB_HOST": "10.0.0.2"}, flags={"port": 3333})
    assert (settings.port, settings.host, settings.log, settings.poll_seconds) == (3333, "10.0.0.2", "debug", 60)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SMHUB_PROT": "1"}, ["SMHUB_PROT", "SMHUB_PORT"]),
        ({"SMHUB_PORT": "abc"}, ["SMHUB_PORT", "port"]),
        ({"SMHUB_PORT": "70000"}, ["SMHUB_PORT", "65535"]),
        ({"SMHUB_DATABASE_URL": "mysql://x"}, ["SMHUB_DATABASE_URL", "postgresql://"]),
        ({"SMHUB_PUBLIC_URL": "hub.example.com"}, ["SMHUB_PUBLIC_URL", "https://"]),
        ({"SMHUB_STRICT_PLUGINS": "perhaps"}, ["SMHUB_STRICT_PLUGINS"]),
        ({"SMHUB_BOOTSTRAP_KEY_FILE": "/nowhere/at/all"}, ["SMHUB_BOOTSTRAP_KEY_FILE", "/nowhere/at/all"]),
        ({"SMHUB_LOG": "loud"}, ["SMHUB_LOG", "warning"]),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_expected(environment: dict[str, str], words: list[str]) -> None:
    with pytest.raises(SettingsError) as error:
        read(environment)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("text", ["prot = 1\n", "port = \n", "port = 'x'\n", "\xff"])
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "smhub.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"smhub\.toml"):
        read({})


def test_a_secret_may_lie_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("geheim\n")
    settings = read({"SMHUB_BOOTSTRAP_KEY_FILE": str(tmp_path / "key")})
    assert settings.bootstrap_key is not None
    assert settings.bootstrap_key.reveal() == "geheim"
    assert "geheim" not in repr(settings)
    with pytest.raises(SettingsError, match="not both"):
        read({"SMHUB_BOOTSTRAP_KEY_FILE": "x", "SMHUB_BOOTSTRAP_KEY": "y"})


def test_the_example_names_every_setting_and_can_be_read_when_it_is_switched_on() -> None:
    text = example()
    switched_on = "\n".join(line.removeprefix("# ") for line in text.splitlines() if " = " in line and line.startswith("# "))
    found = tomllib.loads(switched_on)
    assert set(found) == set(Settings.__struct_fields__)
    assert all(variable in text for variable in NAMES)
