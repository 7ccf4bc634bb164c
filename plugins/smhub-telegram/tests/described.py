"""Requests and answers, held against the description of the Bot API (bot_api.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from smhub.testing import Answer, Request
from smhub_telegram.fake import Fake

API = json.loads((Path(__file__).parent / "bot_api.json").read_text("utf-8"))
PLAIN = {"Integer": int, "String": str, "Boolean": bool, "True": bool}
ANSWERS = {
    "getMe": "User",
    "getUpdates": "Array of Update",
    "getWebhookInfo": "WebhookInfo",
    "sendMessage": "Message",
    "editMessageText": "Message",
    "getChat": "Chat",
}


def wrong(value: Any, wanted: str, where: str) -> list[str]:
    """What does not fit; types that are not in the description are taken as they come."""
    if wanted.startswith("Array of "):
        if not isinstance(value, list):
            return [f"{where} is no list"]
        return [one for number, part in enumerate(value) for one in wrong(part, wanted.removeprefix("Array of "), f"{where}[{number}]")]
    if " or " in wanted:
        found = [wrong(value, one, where) for one in wanted.split(" or ")]
        return [] if [] in found else found[0]
    if wanted in PLAIN:
        fits = isinstance(value, PLAIN[wanted]) and (wanted in ("Boolean", "True") or not isinstance(value, bool))
        return [] if fits else [f"{where} is no {wanted}"]
    if wanted not in API["types"]:
        return []
    return of_fields(value, API["types"][wanted], where)


def of_fields(value: Any, fields: dict[str, Any], where: str) -> list[str]:
    """What does not fit of an object: fields that are missing, unknown or of another type."""
    if not isinstance(value, dict):
        return [f"{where} is no object"]
    found = [f"{where}.{name} is missing" for name, (_, required) in fields.items() if required and name not in value]
    found += [f"{where}.{name} is not known" for name in value if name not in fields]
    return found + [one for name in value if name in fields for one in wrong(value[name], fields[name][0], f"{where}.{name}")]


def parameters(request: Request, fields: dict[str, Any]) -> dict[str, Any]:
    """The parameters as the server reads them: JSON, or a query in which everything is text."""
    if request.body:
        return json.loads(request.body)  # type: ignore[no-any-return]
    given = {name: values[0] for name, values in parse_qs(urlsplit(request.target).query, keep_blank_values=True).items()}
    types = {name: fields.get(name, ["String"])[0] for name in given}
    return {name: value if "String" in types[name].split(" or ") else json.loads(value) for name, value in given.items()}


class Described(Fake):
    """The fake, held against the description in both directions."""

    def __call__(self, request: Request) -> Answer:
        method = request.path.rpartition("/")[2]
        fields = API["methods"][method]
        problems = of_fields(parameters(request, fields), fields, method)
        answer = super().__call__(request)
        told = json.loads(answer.body)
        if told.get("ok") and method in ANSWERS and not self.server.odd:
            # getChat answers a ChatFullInfo, which is a Chat and more.
            result = (
                {name: told["result"][name] for name in told["result"] if name in API["types"]["Chat"]} if method == "getChat" else None
            )
            problems += wrong(result or told["result"], ANSWERS[method], f"the answer to {method}")
        elif "parameters" in told:
            problems += wrong(told["parameters"], "ResponseParameters", "parameters")
        assert problems == []
        return answer
