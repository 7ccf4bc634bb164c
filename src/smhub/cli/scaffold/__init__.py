"""`smhub plugin new`: the first files of a plugin, green as they are. The texts lie in `parts` and `files`; nothing in them decides."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

import msgspec

from smhub.cli.scaffold.python import WIDTH, listed, module

NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")
NEEDS = ">=0.1,<2"
CAPS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "fetch": ("FetchesMentions", ("reading", "walking", "fetch"), "reads mentions"),
    "search": ("Searches", ("reading", "walking", "search"), "searches what others say"),
    "webhook": ("ReceivesWebhooks", ("reading", "webhook"), "takes webhooks"),
    "publish": ("Publishes", ("publish",), "publishes"),
    "reply": ("Replies", ("publish", "reply"), "answers mentions"),
    "edit": ("Edits", ("publish", "edit"), "edits what it said"),
    "delete": ("Deletes", ("publish", "delete"), "takes back what it said"),
    "metrics": ("ReportsMetrics", ("publish", "metrics"), "counts reactions"),
    "validate": ("ValidatesContent", ("publish", "validate"), "judges drafts"),
}
"""A word of `--caps`: the class of the contract, the parts that it is made of, and what it does."""

BY_HAND = {"stream": "Streams", "streams_searches": "StreamsSearches", "moderate": "Moderates"}
WITH_PUBLISH = ("reply", "edit", "delete", "metrics", "validate")


class CannotMake(Exception):
    """Nothing was written; the text says why, and what to do."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, `into` what, and which capabilities it has in the end."""

    into: Path
    written: tuple[Path, ...]
    caps: tuple[str, ...]


def make(name: str, *, kind: str, caps: Sequence[str], single: bool, folder: Path) -> Made:
    """Write the files of a plugin below `folder`: a package `smhub-<name>`, or one file. Raises CannotMake before anything is written."""
    _check_name(name, single=single)
    chosen = _chosen(caps) if kind == "connector" else ()
    if kind == "feature" and caps:
        raise CannotMake("--caps are abilities of a connector; a feature has hooks. Leave --caps out, or take --kind connector.")
    into = folder / (f"{name}.py" if single else f"smhub-{name.replace('_', '-')}")
    if into.exists():
        raise CannotMake(f"{into} is there already, and nothing is overwritten. Take another name, or --folder.")
    texts = _feature(name, single=single) if kind == "feature" else _connector(name, chosen, single=single)
    written = []
    for path, text in texts.items():
        file = into / path if path else into
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        written.append(file)
    return Made(into=into, written=tuple(written), caps=chosen)


def _check_name(name: str, *, single: bool) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        better = re.sub(r"[^a-z0-9]+", "_", name.lower().removeprefix("smhub")).strip("_0123456789")
        way = f" Try {better!r}." if NAME.fullmatch(better) and not keyword.iskeyword(better) else ""
        raise CannotMake(
            f"{name!r} is no name of a plugin: 2 to 31 of a-z, 0-9 and _, beginning with a letter, no word of Python.{way}"
        )
    if single and name in sys.stdlib_module_names:
        raise CannotMake(f"{name}.py would hide a module of Python. Try {name + '_network'!r}.")


def _chosen(caps: Sequence[str]) -> tuple[str, ...]:
    words = [word.strip() for word in caps if word.strip()] or ["fetch"]
    for word in words:
        if word in BY_HAND:
            raise CannotMake(
                f"{word} is not scaffolded yet: make the rest, and derive from smhub.sdk.{BY_HAND[word]} (docs/plugins.md)."
            )
        if word not in CAPS:
            raise CannotMake(f"There is no capability {word!r}. Known are: {', '.join(CAPS)}.")
    if any(word in WITH_PUBLISH for word in words):
        words.append("publish")
    return tuple(word for word in CAPS if word in words)


def _connector(name: str, caps: tuple[str, ...], *, single: bool) -> dict[str, str]:
    used = dict.fromkeys(["base", *(part for cap in caps for part in CAPS[cap][1])])
    words = _words(name)
    bases = [CAPS[cap][0] for cap in caps]
    slots: dict[str, list[str]] = {}
    for part in used:
        for slot, text in _sections(_text(f"parts/{part}.txt"), words).items():
            slots.setdefault(slot, []).append(text)
    plain = {slot: "\n".join(found) for slot, found in slots.items()}
    spaced = {slot: "\n\n".join(slots.get(slot, [])) for slot in ("structs", "methods", "helpers")}
    words |= {"settings": "", "config": ""} | plain | spaced
    words |= {
        "structs": Template(spaced["structs"]).substitute(settings=words["settings"]),
        "helpers": Template(spaced["helpers"]).substitute(config=words["config"]),
        "bases": listed(["Connector[Settings]", *bases], f"class {words['Class']}():"),
    }
    title = words["title"]
    connector, plugin, fake = (_filled(f"files/{one}.txt", words) for one in ("connector", "plugin", "fake"))
    if single:
        whole = f"{connector}\n\n{plugin}\n\n{fake}"
        return {"": module(f"{title} for smhub: the connector, its plugin, and a fake of the network.", whole)}
    package = f"smhub_{name}"
    own = {words["Class"]: f"{package}.connector", f"{words['Class']}Plugin": f"{package}.plugin", "Fake": f"{package}.fake"}
    words |= {"words": ", ".join(CAPS[cap][2] for cap in caps), "fake_entry": _FAKE.format(name=name, package=package)}
    return {
        "pyproject.toml": _filled("files/pyproject.txt", words),
        "README.md": _filled("files/readme.txt", words),
        "AGENTS.md": _filled("files/agents.txt", words | {"bases": ", ".join(f"`{one}`" for one in bases)}),
        ".github/workflows/check.yml": _filled("files/workflow.txt", words),
        f"src/{package}/__init__.py": f'"""{title} for smhub."""\n',
        f"src/{package}/py.typed": "",
        f"src/{package}/connector.py": module(f"What smhub can do on {title}.", connector),
        f"src/{package}/plugin.py": module("The door of the package.", plugin, own),
        f"src/{package}/fake.py": module(f"A small {title}, for the conformance kit.", fake),
        f"tests/test_{name}.py": module("The connector against its fake.", _filled("files/test.txt", words), own),
    }


_FAKE = '\n[project.entry-points."smhub.testing.v1"]\n{name} = "{package}.fake:Fake"\n'


def _feature(name: str, *, single: bool) -> dict[str, str]:
    words = _words(name) | {"fake_entry": ""}
    title, package = words["title"], f"smhub_{name}"
    plugin = module(f"{title}: a feature for smhub.", _filled("files/feature.txt", words))
    if single:
        return {"": plugin}
    own = {f"{words['Class']}Plugin": f"{package}.plugin"}
    return {
        "pyproject.toml": _filled("files/pyproject.txt", words),
        "README.md": _filled("files/feature_readme.txt", words),
        ".github/workflows/check.yml": _filled("files/workflow.txt", words),
        f"src/{package}/__init__.py": f'"""{title} for smhub."""\n',
        f"src/{package}/py.typed": "",
        f"src/{package}/plugin.py": plugin,
        f"tests/test_{name}.py": module("The feature, without a hub.", _filled("files/feature_test.txt", words), own),
    }


def _words(name: str) -> dict[str, str]:
    parts = [part for part in name.split("_") if part]
    return {
        "name": name,
        "dashed": name.replace("_", "-"),
        "title": " ".join(part.capitalize() for part in parts),
        "Class": "".join(part.capitalize() for part in parts),
        "needs": NEEDS,
        "width": str(WIDTH),
    }


def _text(path: str) -> str:
    return files("smhub.cli.scaffold").joinpath(path).read_text("utf-8")


def _filled(path: str, words: dict[str, str]) -> str:
    return Template(_text(path)).substitute(words)


def _sections(text: str, words: dict[str, str]) -> dict[str, str]:
    """The slots of a part. What other parts fill in stays for later."""
    found: dict[str, str] = {}
    for chunk in text.split("=== ")[1:]:
        slot, _, body = chunk.partition("\n")
        body = Template(body.rstrip("\n")).safe_substitute(words)
        found[slot] = f"{found[slot]}\n{body}" if slot in found else body
    return found
