"""What is wrong with a request is said in one shape, with a status, a code and the field; and nothing is changed by it."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest
from sqlalchemy import text

from smhub.app.problems import MAX_BODY
from world import Hub

JSON = {"Content-Type": "application/json"}
PACKED = "application/vnd.msgpack"
DEPARTMENT = {"name": "Service", "slug": "service"}
LIST, HERE = "/v1/departments", {"headers": JSON}


def body(data: bytes, **headers: str) -> dict[str, Any]:
    return {"content": data, "headers": {**JSON, **headers}}


def text_in_name(raw: bytes) -> bytes:
    return b'{"slug":"service","name":"' + raw + b'"}'


def deep(depth: int) -> bytes:
    return b'{"slug":"service","name":' + b"[" * depth + b"]" * depth + b"}"


BODIES: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "no body": ({"headers": JSON}, 400, "invalid", None),
    "not JSON": (body(b"{"), 400, "malformed_body", None),
    "a list": (body(b"[]"), 400, "invalid", None),
    "a wrong type": ({"json": {**DEPARTMENT, "name": 7}}, 400, "invalid", "name"),
    "an unknown field": ({"json": {**DEPARTMENT, "colour": "red"}}, 400, "invalid", None),
    "a missing field": ({"json": {"name": "Service"}}, 400, "invalid", None),
    "a line break after a slug": ({"json": {**DEPARTMENT, "slug": "service\n"}}, 400, "invalid", "slug"),
    "a line break after a country": ({"json": {**DEPARTMENT, "country": "D\n"}}, 400, "invalid", "country"),
    "a wrong value deep inside": (
        {"json": {**DEPARTMENT, "opening_hours": [{"weekday": 9, "from": "09:00", "to": "10:00"}]}},
        400,
        "invalid",
        "opening_hours",
    ),
    "one byte too many": (body(b" " * (MAX_BODY + 1)), 413, "too_large", None),
    "65 deep": (body(deep(64)), 400, "malformed_body", None),
    "100,000 deep": (body(deep(100_000)), 400, "malformed_body", None),
    "not UTF-8": (body(text_in_name(b"\xff\xfe")), 400, "malformed_body", None),
    "NUL escaped": (body(text_in_name(b"\\u0000")), 400, "malformed_body", None),
    "NUL raw": (body(text_in_name(b"\x00")), 400, "malformed_body", None),
    "a lone surrogate escaped": (body(text_in_name(b"\\ud800")), 400, "malformed_body", None),
    "a lone surrogate encoded": (body(text_in_name(b"\xed\xa0\x80")), 400, "malformed_body", None),
    "2^63": ({"json": {**DEPARTMENT, "opening_hours": [{"weekday": 2**63, "from": "09:00", "to": "10:00"}]}}, 400, "invalid", "opening_hours"),
    "10^400": (body(b'{"slug":"s","name":"n","opening_hours":[{"weekday":1' + b"0" * 400 + b"}]}"), 400, "invalid", "opening_hours"),
    "no content type": ({"content": b"{}"}, 415, "unsupported_media_type", None),
    "XML": (body(b"<a/>", **{"Content-Type": "application/xml"}), 415, "unsupported_media_type", None),
    "a form": (body(b"name=x", **{"Content-Type": "application/x-www-form-urlencoded"}), 415, "unsupported_media_type", None),
    "unreadable MessagePack": (body(b"\xc1", **{"Content-Type": PACKED}), 400, "malformed_body", None),
    "MessagePack of an endless list": (body(b"\xdd\xff\xff\xff\xff", **{"Content-Type": PACKED}), 400, "malformed_body", None),
    "MessagePack with NUL": (body(msgspec.msgpack.encode({**DEPARTMENT, "name": "a\0"}), **{"Content-Type": PACKED}), 400, "malformed_body", None),
    "a wrong length": (body(b"{}", **{"Content-Length": "many"}), 400, "malformed_body", None),
    "an odd Idempotency-Key": ({"json": DEPARTMENT, "headers": {"Idempotency-Key": "x" * 256}}, 400, "invalid", "Idempotency-Key"),
    "an Idempotency-Key with umlauts": ({"json": DEPARTMENT, "headers": {"Idempotency-Key": "ü".encode()}}, 400, "invalid", "Idempotency-Key"),
    "an unknown parameter": ({"json": DEPARTMENT, "params": {"dry": "1"}}, 400, "invalid", "dry"),
    "an Accept that nobody can serve": ({"json": DEPARTMENT, "headers": {"Accept": "text/csv"}}, 406, "not_acceptable", None),
}  # fmt: skip


async def rows(hub: Hub) -> dict[str, int]:
    """How many rows each table has."""
    async with hub.database.read() as session:
        if hub.database.dialect == "sqlite":
            names = await session.scalars(text("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"))
        else:
            names = await session.scalars(text("select tablename from pg_tables where schemaname = 'public'"))
        return {name: (await session.execute(text(f'select count(*) from "{name}"'))).scalar_one() for name in sorted(names)}


def refused(answer: httpx2.Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == problem["request_id"]
    assert problem["type"] == problem["doc_url"] == f"http://hub.test/v1/docs/errors#{code}"
    if field is not None:
        fields = [one["field"] for one in problem["errors"]]
        assert any(one == field or one.startswith(f"{field}.") or one.startswith(f"{field}[") for one in fields), problem
    return problem


async def test_every_wrong_body_is_refused_by_name_and_changes_nothing(hub: Hub) -> None:
    before = await rows(hub)
    for name, (request, status, code, field) in BODIES.items():
        answer = await hub.admin.post(LIST, **request)
        assert answer.status_code == status, (name, answer.text)
        refused(answer, status, code, field)
    assert await rows(hub) == before


QUERIES: dict[str, tuple[str, str, str | None]] = {
    "/v1/departments?colour=red": ("invalid", "errors", "colour"),
    "/v1/departments?limit=1&limit=2": ("invalid", "errors", "limit"),
    "/v1/departments?limit=0": ("invalid", "errors", "limit"),
    "/v1/departments?limit=-1": ("invalid", "errors", "limit"),
    "/v1/departments?limit=201": ("invalid", "errors", "limit"),
    "/v1/departments?limit=many": ("invalid", "errors", "limit"),
    "/v1/departments?limit=9223372036854775808": ("invalid", "errors", "limit"),
    "/v1/events?after=9223372036854775808": ("invalid", "errors", "after"),
    "/v1/events?after=-1": ("invalid", "errors", "after"),
    "/v1/departments?cursor=nonsense": ("cursor_invalid", "", None),
    "/v1/departments?cursor=" + "x" * 1001: ("invalid", "errors", "cursor"),
    "/v1/grants?member_id=seven": ("invalid", "errors", "member_id"),
    "/v1/grants?member_id=null": ("invalid", "errors", "member_id"),
    "/v1/holidays?country=DE&year=NULL": ("invalid", "errors", "year"),
    "/v1/mentions?order=best": ("invalid", "errors", "order"),
    "/v1/mentions?order=arrival%0A": ("invalid", "errors", "order"),
    "/v1/mentions?deleted=perhaps": ("invalid", "errors", "deleted"),
    "/v1/mentions?time_zone=Mars%2FOlympus": ("invalid", "errors", "time_zone"),
    "/v1/mentions?q=(lieferung": ("query_invalid", "column", None),
    "/v1/mentions?q=colour:red": ("query_invalid", "column", None),
    "/v1/mentions?q=a%00b": ("invalid", "errors", "query"),
    "/v1/mentions?q=%FF": ("invalid", "errors", "query"),
    "/v1/mentions?q=%ED%A0%80": ("invalid", "errors", "query"),
    "/v1/mentions?q=" + "x" * 2001: ("invalid", "errors", "q"),
    "/v1/departments?" + "&".join(f"a{n}=1" for n in range(101)): ("invalid", "errors", "query"),
}


async def test_every_wrong_question_is_refused_by_name(hub: Hub) -> None:
    before = await rows(hub)
    for address, (code, member, field) in QUERIES.items():
        problem = refused(await hub.admin.get(address), 400, code, field)
        assert not member or problem[member], (address, problem)
    assert await rows(hub) == before


async def test_a_wrong_query_is_pointed_at(hub: Hub) -> None:
    problem = refused(await hub.admin.get("/v1/mentions", params={"q": "gut colour:red"}), 400, "query_invalid")
    assert problem["column"] == 5


async def test_ids_that_are_none_lead_nowhere(hub: Hub) -> None:
    refused(await hub.admin.get(f"{LIST}/{uuid4()}"), 404, "not_found")
    for wrong in ("seven", "%00", "..%2F..%2Fme", "01938e5c-7a7a-7b6c-8d9e-0f1a2b3c4d5", "%FF"):
        answer = await hub.admin.get(f"{LIST}/{wrong}")
        assert (answer.status_code, answer.json()["code"]) in ((404, "route_not_found"), (400, "invalid"), (404, "not_found")), wrong


async def test_a_cursor_of_another_list_or_organisation_is_refused(hub: Hub) -> None:
    for slug in ("one", "two"):
        await hub.post(LIST, {"name": slug, "slug": slug})
    cursor = (await hub.get(LIST, params={"limit": 1}))["next_cursor"]
    assert len((await hub.get(LIST, params={"cursor": cursor}))["items"]) == 1
    other = await hub.organisation()
    refused(await other.admin.get(LIST, params={"cursor": cursor}), 400, "cursor_invalid")
    refused(await hub.admin.get("/v1/members", params={"cursor": cursor}), 400, "cursor_invalid")
    refused(await hub.admin.get(LIST, params={"cursor": cursor[:-1] + ("A" if cursor[-1] != "A" else "B")}), 400, "cursor_invalid")


async def test_an_address_that_is_none_and_a_method_that_is_none(hub: Hub) -> None:
    refused(await hub.admin.get("/v1/nothing"), 404, "route_not_found")
    for method in ("DELETE", "PUT", "PATCH", "TRACE", "HEAD"):
        answer = await hub.admin.request(method, LIST)
        assert answer.status_code == 405 and {"GET", "POST"} <= set(answer.headers["allow"].split(", ")), method
    options = await hub.admin.options(LIST)
    assert (options.status_code, options.headers["allow"]) == (204, "GET, OPTIONS, POST")


async def test_without_a_key_nothing_is_told(hub: Hub) -> None:
    answer = await hub.as_key(None).get(LIST)
    refused(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    refused(await hub.as_key("smhub_nonsense").get(LIST), 401, "unauthenticated")


async def test_who_may_not_is_told_what_is_missing(hub: Hub) -> None:
    viewer = hub.as_key(await hub.member("viewer"))
    assert refused(await viewer.post(LIST, json=DEPARTMENT), 403, "not_permitted")["permission"] == "departments:write"


@pytest.mark.parametrize(("accept", "words"), [("de", "gültig"), ("de-CH, en;q=0.5", "gültig"), ("fr", "valid"), ("", "valid")])
async def test_the_detail_speaks_the_language_that_was_asked_for(hub: Hub, accept: str, words: str) -> None:
    answer = await hub.admin.get(LIST, params={"limit": 0}, headers={"Accept-Language": accept})
    problem = refused(answer, 400, "invalid", "limit")
    assert words in problem["detail"] and problem["title"] == "The request is not valid"


async def test_messagepack_says_the_same_as_json(hub: Hub) -> None:
    packed = msgspec.msgpack.encode({"name": "Büro", "slug": "office"})
    made = await hub.admin.post(LIST, content=packed, headers={"Content-Type": PACKED, "Accept": PACKED})
    assert (made.status_code, made.headers["content-type"]) == (201, PACKED)
    plain = (await hub.get(LIST))["items"]
    assert [msgspec.msgpack.decode(made.content)] == plain
    again = await hub.admin.get(LIST, headers={"Accept": PACKED})
    assert msgspec.msgpack.decode(again.content)["items"] == plain
    refused(await hub.admin.get(f"{LIST}/{uuid4()}", headers={"Accept": PACKED}), 404, "not_found")
    again = [
        await hub.admin.post("/v1/members", json={"name": "Eva"}, headers={"Accept": PACKED, "Idempotency-Key": "once"})
        for _ in range(2)
    ]
    assert again[0].content == again[1].content and again[1].headers["idempotency-replayed"] == "true"


async def test_every_code_is_listed_and_explained(hub: Hub) -> None:
    listed = {one["code"]: one for one in (await hub.get("/v1/errors"))["items"]}
    document = (await hub.admin.get("/v1/openapi.json")).json()
    named = {
        code
        for item in document["paths"].values()
        for operation in item.values()
        for status, answer in operation["responses"].items()
        if int(status) >= 400
        for code in answer["content"]["application/problem+json"]["examples"]
    }
    assert named and named <= listed.keys()
    assert {code for _, _, code, _ in BODIES.values()} | {code for code, _, _ in QUERIES.values()} <= listed.keys()
    page = (await hub.admin.get("/v1/docs/errors")).text
    for code, one in listed.items():
        assert f'id="{code}"' in page and one["help"] and one["doc_url"].endswith(f"#{code}")


async def test_the_docs_call_no_foreign_address(hub: Hub) -> None:
    for path in ("/v1/docs", "/v1/docs/errors"):
        page = await hub.admin.get(path)
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "http" not in policy and "*" not in policy
        assert set(re.findall(r"https?://[^/\"' ]+", page.text)) <= {"http://hub.test"}
    files = re.findall(r'(?:src|href)="http://hub\.test([^"]+)"', (await hub.admin.get("/v1/docs")).text)
    assert len(files) == 3
    for file in files:
        assert (await hub.as_key(None).get(file)).status_code == 200, file
    start = (await hub.admin.get("/v1/docs/files/start.js")).text
    assert "http" not in start and "validatorUrl: null" in start
    refused(await hub.admin.get("/v1/docs/files/..%2Fdocs.py"), 404, "route_not_found")
    refused(await hub.admin.get("/v1/docs/files/nothing.js"), 404, "route_not_found")


async def test_even_an_unknown_path_names_a_request_id(hub: Hub) -> None:
    answer = await hub.admin.get("/v1/nothing-here", headers={"X-Request-Id": "mine-1"})
    assert (answer.json()["request_id"], answer.headers["x-request-id"]) == ("mine-1", "mine-1")
    answer = await hub.admin.get("/v1/nothing-here", headers={"X-Request-Id": "not a word"})
    assert len(answer.json()["request_id"]) == 32
