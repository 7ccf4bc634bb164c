"""The commands about plugins, as operators and authors use them: doctor, enable, disable, try, record."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smhub.cli import main, scaffold
from smhub.sdk import Mention
from smhub.testing import Answer, FakeNetwork, Request, replayed
from smhub.testing.finding import find

HEAD = "from smhub.sdk import Connector, FetchesMentions, Plugin\nimport msgspec\n"
BROKEN = {
    "torn": ("def (:", "SyntaxError"),
    "lacking": ("import nothing_like_that", "Install what it imports"),
    "newer": ("class P(Plugin):\n    id, needs = 'newer', '>=99'", "it needs smhub >=99"),
    "waits": ("class P(Plugin):\n    id = 'waits'\n    async def register_jobs(self, context): return []", "ordinary method"),
    "oddly": ("class P(Plugin):\n    id = 'oddly'\n    def register_jobs(self, context): return 'x'", "must return a list or a tuple"),
    "wrongly": ("class P(Plugin):\n    id = 'wrongly'\n    def register_events(self, context): return [1]", "objects of EventType"),
    "formless": (
        "class C(Connector):\n    network = 'formless'\n    class Config(msgspec.Struct):\n        x: complex\n"
        "    async def verify(self): ...\n"
        "class P(Plugin):\n    id = 'formless'\n    def register_connectors(self, context): return [C]",
        "makes no form",
    ),
    "thief": (
        "class C(Connector):\n    network = 'mastodon'\n    class Config(msgspec.Struct):\n        x: int = 1\n"
        "    async def verify(self): ...\n"
        "class P(Plugin):\n    id = 'thief'\n    def register_connectors(self, context): return [C]",
        "Two plugins speak one network",
    ),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `smhub plugin …` in an empty folder with a folder for plugins."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "smhub.toml").write_text('# ours\nplugin_folder = "plugins"\nport = 8123 # stays\n')
    return lambda *words: CliRunner().invoke(main, ["plugin", *words])


def test_the_doctor_gives_each_broken_plugin_a_reason_and_a_way_out_and_the_others_are_well(run, tmp_path: Path) -> None:
    for name, (body, _) in BROKEN.items():
        (tmp_path / f"plugins/{name}.py").write_text(HEAD + body + "\n")
    (tmp_path / "smhub.toml").write_text('plugin_folder = "plugins"\nplugins = "*"\n')
    answer = run("doctor")
    assert answer.exit_code == 1
    told = {block.partition(":")[0].removeprefix("BAD ").strip(): block for block in _blocks(answer.output)}
    for name, (_, reason) in BROKEN.items():
        assert reason in told[name], told[name]
        assert len(told[name].splitlines()) == 2, told[name]
    assert "ok   mastodon: loaded" in answer.output
    assert "ok   smhub: version" in answer.output
    machine = json.loads(run("doctor", "--json").stdout)
    assert {one["plugin"] for one in machine if one["level"] == "error"} == set(BROKEN)
    assert all(one["way_out"] for one in machine if one["level"] == "error")


def _blocks(output: str) -> list[str]:
    """Each finding with the line below it."""
    blocks: list[str] = []
    for line in output.splitlines():
        if line.startswith("     "):
            blocks[-1] += f"\n{line}"
        else:
            blocks.append(line)
    return blocks


def test_a_dependency_that_is_missing_is_told_before_somebody_switches_the_plugin_on(run, tmp_path: Path, monkeypatch) -> None:
    info = tmp_path / "site/smhub_needy-1.0.dist-info"
    info.mkdir(parents=True)
    needs = "Requires-Dist: nothing-like-that>=2\nRequires-Dist: msgspec>=99\nRequires-Dist: other; python_version < '3'\n"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: smhub-needy\nVersion: 1.0\n{needs}")
    (info / "entry_points.txt").write_text("[smhub.plugins.v1]\nneedy = smhub_needy:P\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    answer = run("doctor")
    assert answer.exit_code == 1
    assert "off  needy: disabled 1.0\n     smhub plugin enable needy\n" in answer.output
    assert "BAD  needy: nothing-like-that>=2 is not installed\n     pip install 'nothing-like-that>=2'\n" in answer.output
    assert "BAD  needy: msgspec>=99 is needed" in answer.output
    assert "other" not in answer.output


def test_switching_changes_one_line_of_the_settings_file_and_every_process_reads_it(run, tmp_path: Path) -> None:
    (tmp_path / "plugins/mine.py").write_text("from smhub.sdk import Plugin\nclass Mine(Plugin):\n    id = 'mine'\n")
    states = lambda: {one["id"]: one["state"] for one in json.loads(run("list", "--json").stdout)}  # noqa: E731
    assert (states()["mine"], states()["feeds"]) == ("disabled", "loaded")
    assert 'plugins = "mine" in smhub.toml' in run("enable", "mine").output
    assert "off" in run("disable", "feeds").output
    assert (states()["mine"], states()["feeds"]) == ("loaded", "disabled")
    text = (tmp_path / "smhub.toml").read_text()
    assert text == 'plugins = "mine,-feeds"\n# ours\nplugin_folder = "plugins"\nport = 8123 # stays\n'
    assert run("enable", "mine").output == "mine is on already.\n"
    run("enable", "feeds")
    run("disable", "mine")
    assert run("disable", "mine").output == "mine is off already.\n"
    assert (states()["mine"], states()["feeds"]) == ("disabled", "loaded")
    assert list(tmp_path.glob("*.new")) == []


@pytest.mark.parametrize(
    ("toml", "words", "told"),
    [
        ('plugins = "*"\n', ["disable", "mastodon"], 'plugins = "*,-mastodon"'),
        ('plugins = "gone"\n', ["disable", "gone"], 'plugins = ""'),
        ("", ["enable", "nobody"], "No plugin called 'nobody' is installed"),
        ('plugins = """*"""\n[x]\n', ["disable", "feeds"], "unknown setting"),
    ],
)
def test_switching_knows_the_words_of_the_setting(run, tmp_path: Path, toml: str, words: list[str], told: str) -> None:
    (tmp_path / "smhub.toml").write_text(toml)
    assert told in run(*words).output


def test_a_variable_overrides_the_file_and_so_nothing_is_written(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMHUB_PLUGINS", "-feeds")
    before = (tmp_path / "smhub.toml").read_bytes()
    answer = run("disable", "mastodon")
    assert (answer.exit_code, "SMHUB_PLUGINS=-feeds,-mastodon" in answer.output) == (1, True)
    assert (tmp_path / "smhub.toml").read_bytes() == before


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[tuple[str, FakeNetwork]]:
    """A scaffolded connector's network behind a real address of this machine."""
    scaffold.make("acme", kind="connector", caps=["fetch"], single=True, folder=tmp_path)
    fake = find(str(tmp_path / "acme.py"))[0].fake()

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer: Any = fake(Request(method="GET", target=self.path, headers=headers))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *given: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", fake
    server.shutdown()
    thread.join()
    server.server_close()


def _allowed(run: Any, base_url: str, monkeypatch: pytest.MonkeyPatch, token: str, *words: str) -> Result:
    monkeypatch.setenv("SMHUB_ALLOW_PRIVATE_HOSTS", base_url.removeprefix("http://"))
    monkeypatch.setenv("ACME_BASE_URL", base_url)
    monkeypatch.setenv("ACME_TOKEN", token)
    return run(*words)  # type: ignore[no-any-return]


def test_try_shows_the_first_page_and_leaves_nothing(run, acme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base_url, fake = acme
    for n in range(50):
        fake.add(f"Frage {n} with good-token in it")
    before = sorted(tmp_path.iterdir())
    answer = _allowed(run, base_url, monkeypatch, "good-token", "try", "acme.py")
    assert answer.exit_code == 0, answer.output
    assert 'acme: firma (id u0)\n40 items, the oldest first; cursor {"after":40}\n' in answer.output
    assert "m1 @kundin: Frage 0 with *** in it" in answer.output and "and 20 more" in answer.output
    assert "good-token" not in answer.output
    assert sorted(one for one in tmp_path.iterdir() if one.name != "__pycache__") == before
    refused = _allowed(run, base_url, monkeypatch, "bad-secret-1", "try", "acme.py")
    assert (refused.exit_code, "AuthExpired" in refused.output, "bad-secret-1" in refused.output) == (1, True, False)


def test_try_takes_settings_from_a_file_and_says_which_are_missing(run, acme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base_url, _ = acme
    answer = run("try", "acme.py")
    assert (answer.exit_code, "ACME_BASE_URL, ACME_TOKEN" in answer.output) == (1, True)
    (tmp_path / "own.toml").write_text(f'base_url = "{base_url}"\ntoken = "good-token"\n')
    monkeypatch.setenv("SMHUB_ALLOW_PRIVATE_HOSTS", base_url.removeprefix("http://"))
    assert "There is no page" in run("try", "acme.py", "--settings", "own.toml").output
    (tmp_path / "own.json").write_text('{"token": "half')
    torn = run("try", "acme.py", "--settings", "own.json")
    assert (torn.exit_code, "cannot be read" in torn.output, "half" in torn.output) == (1, True, False)


def test_what_was_recorded_names_nobody_and_is_replayed(run, acme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base_url, fake = acme
    fake.add("Hallo @firma, ich bin Frau Beispiel, good-token")
    fake.add("kundin")
    answer = _allowed(run, base_url, monkeypatch, "good-token", "record", "acme.py", "real.json")
    assert "wrote real.json: 2 answers" in answer.output, answer.output
    text = (tmp_path / "real.json").read_text()
    assert not [word for word in ("good-token", "kundin", "firma", "Beispiel", "u1", "127.0.0.1") if word in text], text
    connector = find(str(tmp_path / "acme.py"))[0].connector
    again = replayed(connector, tmp_path / "real.json")
    assert again.account.external_id.startswith("person-") or again.account.external_id == "u0"
    (page,) = again.pages
    assert [one.external_id for one in page.items] == ["m1", "m2"]
    first, second = page.items
    assert isinstance(first, Mention) and isinstance(second, Mention)
    assert first.author is not None and first.author == second.author
    assert second.text == first.author.handle


def test_what_is_no_json_is_not_recorded(run, tmp_path: Path, acme, monkeypatch: pytest.MonkeyPatch) -> None:
    base_url, fake = acme
    text = (tmp_path / "acme.py").read_text()
    text = text.replace(
        'me = await self.http.get("/me", Person)', 'await self.http.request("GET", "/html")\n        me = Person("1", "firma")'
    )
    (tmp_path / "acme.py").write_text(text)
    type(fake).__call__ = lambda self, request: Answer(body=b"<html>")  # type: ignore[method-assign]
    answer = _allowed(run, base_url, monkeypatch, "good-token", "record", "acme.py", "real.json")
    assert (answer.exit_code, (tmp_path / "real.json").exists()) == (1, False), answer.output


def test_what_a_session_is_given_for_is_not_recorded(run, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text('{"identifier": "firma.test", "app_password": "abcd-efgh-ijkl-mnop"}')
    refused = run("record", "bluesky", "real.json", "--settings", "own.json")
    assert (refused.exit_code, "must not be written down" in refused.output, "abcd" in refused.output) == (1, True, False), (
        refused.output
    )
    assert not (tmp_path / "real.json").exists()
