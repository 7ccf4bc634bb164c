"""Errors that the hub raises on purpose: a sentence, a code, and the HTTP status that it means.

Each class is one code of the contract, listed by `GET /v1/errors` and on the page `/v1/docs/errors`. `title` is English and
stable; `detail` is written in English and German and chosen by Accept-Language at the edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One field that is wrong. `field` is a dotted path (`opening_hours.0.from`), or the name of a parameter."""

    field: str
    code: str
    detail: str


class HubError(Exception):
    """The root of all. Sub-classes set code, status, title and the two sentences; the sentences are format strings."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong here"
    en: ClassVar[str] = "The hub made a mistake. It is logged under the request id."
    de: ClassVar[str] = "Der Hub hat einen Fehler gemacht. Er steht unter der Anfragenummer im Protokoll."
    help: ClassVar[str] = "Tell the operator the request_id; trying again later may help."

    def __init__(
        self,
        *,
        fields: Sequence[FieldError] = (),
        retry_after: float | None = None,
        extra: Mapping[str, Any] | None = None,
        **values: object,
    ) -> None:
        self.fields = tuple(fields)
        self.retry_after = retry_after
        self.extra = dict(extra or {})
        self.values = values
        super().__init__(self.detail("en"))

    def detail(self, language: str = "en") -> str:
        """The sentence for a person, in "en" or "de"."""
        return (self.de if language == "de" else self.en).format(**self.values)


class Invalid(HubError):
    code, status, title = "invalid", 400, "The request is not valid"
    en = "Some of what was sent is not valid; each field is listed."
    de = "Einiges an der Anfrage ist nicht gültig; jedes Feld ist aufgeführt."
    help = "Correct the fields listed in `errors` and send the request again."

    @classmethod
    def field(cls, field: str, detail: str, code: str = "invalid") -> Invalid:
        """The short way for a single field."""
        return cls(fields=[FieldError(field=field, code=code, detail=detail)])


class AuthorizationInvalid(HubError):
    code, status, title = "authorization_invalid", 400, "No authorisation waits for this"
    en = (
        "This belongs to no authorisation that is waiting: it was used already, it is older than ten minutes, or whoever began it may not "
        "do it any more. Begin again in the hub."
    )
    de = (
        "Dazu wartet keine Freigabe: Sie wurde schon benutzt, sie ist älter als zehn Minuten, oder wer sie begonnen hat, darf es nicht "
        "mehr. Im Hub neu beginnen."
    )
    help = "POST /v1/channels/{channel_id}/authorize gives a new address, which works once and for ten minutes."


class AuthorizationRefused(HubError):
    code, status, title = "authorization_refused", 400, "The network did not allow it"
    en = "{network} did not let the hub in: {reason}"
    de = "{network} hat den Hub nicht eingelassen: {reason}"
    help = "Look at the reason that the network gave, and at the app's id, secret and redirect address there; then begin again."


class MalformedBody(HubError):
    code, status, title = "malformed_body", 400, "The body cannot be read"
    en = "The body is not valid JSON in UTF-8: {reason}"
    de = "Der Inhalt ist kein gültiges JSON in UTF-8: {reason}"
    help = "Send JSON encoded as UTF-8 without NUL and lone surrogates, nested at most 64 deep."


class QueryInvalid(HubError):
    code, status, title = "query_invalid", 400, "The search query cannot be understood"
    en = "The query is wrong at column {column}: {reason}"
    de = "Die Suchanfrage ist in Spalte {column} falsch: {reason}"
    help = "`column` points at the first wrong character (from 1). The fields are listed by GET /v1/query-fields."


class CursorInvalid(HubError):
    code, status, title = "cursor_invalid", 400, "The cursor is not valid"
    en = "This cursor was not given out for this list. Begin again without one."
    de = "Dieser Cursor gehört nicht zu dieser Liste. Ohne Cursor neu beginnen."
    help = "Use `next_cursor` unchanged, with the same filters and the same key's organisation."


class Unauthenticated(HubError):
    code, status, title = "unauthenticated", 401, "Who are you?"
    en = "Send a valid key: Authorization: Bearer smhub_…"
    de = "Einen gültigen Schlüssel senden: Authorization: Bearer smhub_…"
    help = "The key is missing, mistyped, expired or revoked. GET /v1/me tells who a key belongs to."


class SignatureRefused(HubError):
    code, status, title = "signature_refused", 401, "This delivery is not signed as it should be"
    en = "The signature is missing, wrong or too old. Nothing was kept."
    de = "Die Signatur fehlt, ist falsch oder zu alt. Nichts wurde gespeichert."
    help = "Sign the raw body with the secret in the channel's settings, and send it at once; the clock must be right."


class HandshakeRefused(HubError):
    code, status, title = "handshake_refused", 400, "This handshake is not understood"
    en = "It is not what the network of this address would ask."
    de = "So fragt das Netzwerk dieser Adresse nicht."
    help = "The connector compares the handshake with the channel's settings; look there whether the verification word is the same."


class NotPermitted(HubError):
    code, status, title = "not_permitted", 403, "You may not do this"
    en = "The permission {permission} is missing."
    de = "Die Berechtigung {permission} fehlt."
    help = "`permission` names what is missing: ask an admin for a role that holds it, or use a key whose scopes hold it."


class NotFound(HubError):
    code, status, title = "not_found", 404, "Not found"
    en = "There is no {what} with this id that you may see."
    de = "Es gibt kein Objekt „{what}“ mit dieser Kennung, das du sehen darfst."
    help = "The thing does not exist, or it belongs to another organisation or department."


class RouteNotFound(HubError):
    code, status, title = "route_not_found", 404, "There is nothing at this address"
    en = "The API has no such path."
    de = "Die API hat keinen solchen Pfad."
    help = "GET /v1/openapi.json lists every path; the docs are at /v1/docs."


class MethodNotAllowed(HubError):
    code, status, title = "method_not_allowed", 405, "This path does not know the method"
    en = "Use another method here."
    de = "Hier eine andere Methode verwenden."
    help = "The header Allow lists the methods."


class NotAcceptable(HubError):
    code, status, title = "not_acceptable", 406, "This form cannot be given"
    en = "Ask for application/json or application/vnd.msgpack."
    de = "application/json oder application/vnd.msgpack anfordern."
    help = "Leave Accept out, or name one of the two."


class Conflict(HubError):
    code, status, title = "conflict", 409, "This cannot be done now"
    en = "{reason}"
    de = "{reason_de}"
    help = "The thing is in a state that does not allow this; the detail says what to do first."

    def __init__(self, reason: str, reason_de: str | None = None, **more: Any) -> None:
        super().__init__(reason=reason, reason_de=reason_de or reason, **more)


class AlreadyExists(HubError):
    code, status, title = "already_exists", 409, "It exists already"
    en = "There is already a {what} with this {field}."
    de = "Es gibt bereits ein Objekt „{what}“ mit diesem Wert in {field}."
    help = "Choose another value, or change the existing one."


class StageTooLow(HubError):
    code, status, title = "stage_too_low", 409, "The organisation has not reached this stage"
    en = "This belongs to stage {needed}; the organisation is at stage {stage}."
    de = "Das gehört zu Stufe {needed}; die Organisation ist auf Stufe {stage}."
    help = "An admin raises the stage with PATCH /v1/organisation."


class IdempotencyRunning(HubError):
    code, status, title = "idempotency_running", 409, "The same request is still running"
    en = "A request with this Idempotency-Key is still being worked on."
    de = "Eine Anfrage mit diesem Idempotency-Key wird noch bearbeitet."
    help = "Wait for retry_after seconds and send it again unchanged."


class IdempotencyMismatch(HubError):
    code, status, title = "idempotency_mismatch", 422, "The key was used for something else"
    en = "This Idempotency-Key was used with another request."
    de = "Dieser Idempotency-Key wurde mit einer anderen Anfrage verwendet."
    help = "Use a new key for a new request; a key is kept for 24 hours."


class Stale(HubError):
    code, status, title = "stale", 412, "Somebody was faster"
    en = "It was changed since you read it. Read it again."
    de = "Es wurde geändert, seit du es gelesen hast. Bitte neu laden."
    help = "Read it again, look at the difference, and send the new ETag in If-Match."


class TooLarge(HubError):
    code, status, title = "too_large", 413, "The request is too large"
    en = "The body may have {limit} bytes at most."
    de = "Der Inhalt darf höchstens {limit} Bytes haben."
    help = "Send less at once."


class UnsupportedMediaType(HubError):
    code, status, title = "unsupported_media_type", 415, "This content type is not understood"
    en = "Send application/json."
    de = "application/json senden."
    help = "Set Content-Type: application/json (or application/vnd.msgpack)."


class Unspeakable(HubError):
    code, status, title = "unspeakable", 422, "It cannot go out like this"
    en = "Something stands against saying this on {network}; each reason is listed. Nothing was cut, nothing was saved."
    de = "Etwas spricht dagegen, das auf {network} zu sagen; jeder Grund ist aufgeführt. Nichts wurde gekürzt oder gespeichert."
    help = "Change the text by the reasons in `errors`; the routes that end in /check try it without saving."


class TooManyRequests(HubError):
    code, status, title = "too_many_requests", 429, "Too many requests"
    en = "The limit is used up for now."
    de = "Das Limit ist im Moment ausgeschöpft."
    help = "Wait for retry_after seconds; the RateLimit headers tell how much is left."


class NetworkFailed(HubError):
    code, status, title = "network_failed", 424, "The network answered badly"
    en = "{network} answered badly: {reason}"
    de = "{network} hat fehlerhaft geantwortet: {reason}"
    help = "The fault is outside; the hub tries again by itself where it can."


class Internal(HubError):
    """What an unforeseen exception becomes; its text never leaves the house."""

    code = "internal_error"


class Unavailable(HubError):
    code, status, title = "unavailable", 503, "Not possible at the moment"
    en = "The hub cannot do this at the moment: {reason}"
    de = "Der Hub kann das im Moment nicht: {reason}"
    help = "Wait for retry_after seconds and try again; reads may still work."


def all_errors() -> Iterator[type[HubError]]:
    """Every code of the contract, sorted by status and code."""
    found: set[type[HubError]] = set()
    todo = [HubError]
    while todo:
        for sub in todo.pop().__subclasses__():
            found.add(sub)
            todo.append(sub)
    yield from sorted(found, key=lambda error: (error.status, error.code))
