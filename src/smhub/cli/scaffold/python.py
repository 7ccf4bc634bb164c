"""Makes a Python module of a body: the imports are found by the names that stand in it."""

from __future__ import annotations

import ast
import re

from smhub import sdk, testing

WIDTH = 120
STANDARD = {
    "AsyncIterator": "collections.abc",
    "Sequence": "collections.abc",
    "UTC": "datetime",
    "datetime": "datetime",
    "Annotated": "typing",
    "Any": "typing",
    "ClassVar": "typing",
    "UUID": "uuid",
}
MODULES = ("asyncio", "hashlib", "hmac")
FOREIGN = {"Meta": "msgspec", **dict.fromkeys(testing.__all__, "smhub.testing"), **dict.fromkeys(sdk.__all__, "smhub.sdk")}


def module(docstring: str, body: str, own: dict[str, str] | None = None) -> str:
    """A module with a docstring, its imports in the usual order, and the body. `own` says where the package's own names stand."""
    tree = ast.parse(body)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used -= {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    blocks = [
        _block([one for one in MODULES if one in used], STANDARD, used),
        _block([one for one in ("msgspec",) if one in used], FOREIGN, used),
        _block([], own or {}, used),
    ]
    head = "\n\n".join([f'"""{docstring}"""', "from __future__ import annotations", *filter(None, blocks)])
    gap = "\n\n\n" if isinstance(tree.body[0], ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else "\n\n"
    return f"{head}{gap}{_spaced(body)}\n"


def _spaced(body: str) -> str:
    """Two empty lines around what stands at the margin, as a formatter has it."""
    body = re.sub(r"\n{3,}", "\n\n", body).strip()
    body = re.sub(r"\n{2,}(?=(?:class|def|async def)\b|@)", "\n\n\n", body)
    return re.sub(r"(\n    .*)\n{2,}(?=[A-Z])", r"\1\n\n\n", body)


def listed(names: list[str], around: str) -> str:
    """Names with commas: in the line of `around` when they fit, else one a line."""
    line = ", ".join(names)
    return line if len(line) + len(around) <= WIDTH else "\n" + "".join(f"    {name},\n" for name in names)


def _block(plain: list[str], known: dict[str, str], used: set[str]) -> str:
    wanted: dict[str, list[str]] = {}
    for name in sorted(used & known.keys(), key=_rank):
        wanted.setdefault(known[name], []).append(name)
    lines = [f"import {one}" for one in sorted(plain)]
    for source in sorted(wanted):
        begin = f"from {source} import "
        names = listed(wanted[source], begin)
        lines.append(f"{begin}({names})" if "\n" in names else f"{begin}{names}")
    return "\n".join(lines)


def _rank(name: str) -> tuple[int, str]:
    """Constants, classes, the rest: as isort has it."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)
