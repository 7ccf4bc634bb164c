"""The process that draws: `python -m smhub_monitoring.reports.renderer`. It takes a task as JSON and answers with files as MessagePack.

A drawing engine needs 80 MB and more; here they are gone when it is done, and one that runs wild is ended. It has no settings, no database
and no network: what it draws is in the task.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import msgspec

FONTS = Path(__file__).with_name("fonts")
PAGE = Path(__file__).with_name("page.typ")
LOCALES = {"de": "de-DE", "en": "en-US"}
VERSION = "5.20"
CPU_SECONDS = 60


class Task(msgspec.Struct, kw_only=True):
    """Charts to draw, as `svg` or `png`; with a page they are put on it, as `pdf`."""

    charts: dict[str, dict[str, Any]]
    language: str
    format: str
    page: dict[str, Any] | None = None


def drawn(task: Task) -> dict[str, bytes]:
    """The files by name."""
    import vl_convert

    vl_convert.register_font_directory(str(FONTS))
    locale = LOCALES[task.language]
    more: dict[str, Any] = {
        "vl_version": VERSION,
        "format_locale": locale,
        "time_format_locale": locale,
        "allowed_base_urls": [],
    }
    if task.format == "png":
        return {name: vl_convert.vegalite_to_png(spec, scale=2, **more) for name, spec in task.charts.items()}
    charts = {name: vl_convert.vegalite_to_svg(spec, **more) for name, spec in task.charts.items()}
    if task.page is None:
        return {name: svg.encode() for name, svg in charts.items()}
    import typst

    given = {"page": json.dumps(task.page), "charts": json.dumps(charts)}
    made = typst.compile(str(PAGE), font_paths=[str(FONTS)], ignore_system_fonts=True, sys_inputs=given, pdf_standards=["a-2b"])
    return {"page": made}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    sys.stdout.buffer.write(msgspec.msgpack.encode(drawn(task)))


if __name__ == "__main__":
    main()
