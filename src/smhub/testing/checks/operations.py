"""Operations: what an operator needs to know."""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions
from pathlib import Path

from smhub.testing.checks.contract import is_single_file
from smhub.testing.registry import NotApplicable, check
from smhub.testing.trial import Trial

GROUP = "Operations"
WORDS = ("scopes", "limits", "removal")
ABOVE = 4


@check(73, "gold", "The README tells of scopes, limits and removal")
async def readme(t: Trial) -> None:
    if is_single_file(t.kind.__module__):
        raise NotApplicable("it was loaded from a single file")
    text = _readme(t.kind.__module__)
    missing = [word for word in WORDS if word not in text.lower()]
    t.expect(
        not missing, done="read the package's README", expected=f"{', '.join(WORDS)} (as headings or in bold)", came=f"no {missing}"
    )


def _readme(module: str) -> str:
    """Beside the sources, else in the metadata of the installed package."""
    top = module.partition(".")[0]
    spec = importlib.util.find_spec(module)
    file = Path(spec.origin) if spec and spec.origin else None
    for folder in file.parents[:ABOVE] if file else ():
        if (folder / "README.md").is_file():
            return (folder / "README.md").read_text("utf-8")
    for name in packages_distributions().get(top, ()):
        try:
            if text := metadata(name).get_payload():  # type: ignore[attr-defined]
                return str(text)
        except PackageNotFoundError:
            continue
    return ""
