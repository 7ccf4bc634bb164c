"""Reports as files: pictures, and the one page on stage 1, looked at as people get it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pypdfium2 import PdfDocument

from hearing import monitoring, said
from world import Hub

FILES = "/v1/monitoring/reports/files"
LONG = "Nordwind Versandhandelsgesellschaft für Größenübermaßsendungen und Rücksendungsabwicklung mbH & Co. KG"


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    async with monitoring(database_url) as started:
        yield started


async def made(hub: Hub, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What the operation left, and its bytes."""
    started = await hub.post(f"/v1/monitoring/reports/{path}", body)
    await hub.work()
    operation = await hub.get(f"/v1/operations/{started['operation_id']}")
    assert operation["state"] == "done", operation
    file = await hub.get(f"{FILES}/{operation['result']['file_id']}")
    content = await hub.admin.get(f"{FILES}/{file['id']}/content")
    assert content.headers["content-disposition"] == "attachment" and len(content.content) == file["size"]
    return file, content.content


async def lived(hub: Hub) -> None:
    """A company that began to listen a month ago: hundreds of mentions, some of them answered."""
    await hub.ok("PATCH", "/v1/organisation", json={"name": LONG})
    texts = (
        "Wo ist mein Paket? Die Lieferung fehlt",
        "Danke, super schnell!",
        "Furchtbar, kaputt und zu spät",
        "Könnten Sie mir bitte helfen?",
    )
    ago = [timedelta(days=60 - day, minutes=number * 50) for day in range(60) for number in range(1 if day < 30 else 3)]
    items = [said(hub, f"{texts[n % 4]} Nr{n}", ago=at, author=f"a{n % 9}", followers=(n % 9) * 40) for n, at in enumerate(ago)]
    for start in range(0, len(items), 50):
        hub.echo.says(*items[start : start + 50])
    await hub.work(minutes=5)
    for mention in (await hub.mentions("intent:question"))[:20]:
        await hub.post(f"/v1/mentions/{mention['id']}/replies", {"text": "Gern!"})
    await hub.work(minutes=5)
    await hub.work(seconds=31)


def looked_at(content: bytes, picture: Path) -> str:
    """The text of the one page of a PDF; what it looks like lies beside the test's other files."""
    with closing(PdfDocument(content)) as document:
        [page] = list(document)
        page.render(scale=1.25).to_pil().save(picture)
        return page.get_textpage().get_text_range()  # type: ignore[no-any-return]


@pytest.mark.parametrize("language", ["de", "en"])
async def test_the_report_on_stage_1_is_one_page_that_tells_it_all(hub: Hub, tmp_path: Path, language: str) -> None:
    await lived(hub)
    start = (hub.clock.now() - timedelta(days=30)).isoformat()
    asked = {"starts_at": start, "language": language, "goal_minutes": 43_200}
    file, content = await made(hub, "stage-one", asked)
    assert (file["media_type"], content[:5]) == ("application/pdf", b"%PDF-")
    text = looked_at(content, tmp_path / f"stage-1-{language}.png")
    words = {
        "de": ("BEKANNTHEIT", "Größenübermaßsendungen", "Beschwerde", "Abdeckung", "Öffentlich beantwortet", "mal so viele wie davor"),
        "en": ("AWARENESS", "für Größenübermaßsendungen", "complaint", "Coverage", "Answered publicly", "times as many as before"),
    }
    for word in words[language]:
        assert word in text, (word, text)
    assert text.count("SourceSans") == 0 and content.count(b"/FontFile2") == 2


async def test_the_page_is_also_made_for_browsers_and_runs_nothing(hub: Hub) -> None:
    await hub.ok("PATCH", "/v1/organisation", json={"name": "<script>alert(1)</script>"})
    hub.echo.says(said(hub, "Wo ist mein Paket?"))
    await hub.work(minutes=5)
    await hub.work(seconds=31)
    file, content = await made(hub, "stage-one", {"format": "html"})
    html = content.decode()
    assert file["media_type"] == "text/html" and "<script" not in html and "&lt;script&gt;" in html
    assert "Zuhören und antworten" in html and "<svg" in html and "http" not in re.sub(r"http://www\.w3\.org/[^\"']*", "", html)


async def test_no_name_and_no_word_of_people_stands_in_it(hub: Hub) -> None:
    hub.echo.says(said(hub, "Wo ist mein Paket? Ihre Frau Sonnenschein", author="sonnenschein", followers=9))
    await hub.work(minutes=5)
    await hub.work(seconds=31)
    html = (await made(hub, "stage-one", {"format": "html"}))[1].decode()
    assert "Frage" in html and "sonnenschein" not in html.casefold() and "Paket" not in html and "echo.invalid" not in html


async def test_before_anything_was_said_the_page_says_so(hub: Hub, tmp_path: Path) -> None:
    await hub.work(hours=1)
    _, content = await made(hub, "stage-one", {})
    text = looked_at(content, tmp_path / "empty.png")
    assert "nichts gezählt" in text and "Dazu wurde noch nichts gemessen" in text and "100 %" not in text


async def test_without_a_start_or_with_one_ahead_there_is_no_report(hub: Hub) -> None:
    path = "/v1/monitoring/reports/stage-one"
    ahead = await hub.admin.post(path, json={"starts_at": (hub.clock.now() + timedelta(days=1)).isoformat()})
    assert ahead.status_code == 400 and ahead.json()["errors"][0]["field"] == "starts_at"
    other = await hub.organisation()
    assert (await other.admin.post(path, json={})).status_code == 409


@pytest.mark.parametrize(("kind", "begins"), [("svg", b"<svg"), ("png", b"\x89PNG")])
async def test_a_chart_is_drawn_as_a_picture_and_forgotten_when_asked(hub: Hub, kind: str, begins: bytes) -> None:
    hub.echo.says(*(said(hub, f"x {n}") for n in range(3)))
    await hub.work(minutes=5)
    await hub.work(seconds=31)
    now = hub.clock.now()
    question = {"metrics": ["mentions"], "from": (now - timedelta(days=3)).isoformat(), "to": now.isoformat(), "group_by": ["network"]}
    file, content = await made(hub, "pictures", {"question": question, "format": kind, "language": "de"})
    assert content.startswith(begins)
    assert [one["id"] for one in (await hub.get(FILES))["items"]] == [file["id"]]
    await hub.ok("DELETE", f"{FILES}/{file['id']}")
    assert (await hub.get(FILES))["items"] == []
