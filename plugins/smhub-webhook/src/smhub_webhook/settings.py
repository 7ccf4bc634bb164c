"""Where in the other system's JSON things stand, and where our words go."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from smhub.sdk import KINDS, Secret


def path(title: str, description: str, *examples: str) -> Meta:
    """A place in the JSON: names with dots between them, numbers count in lists; `|` between several, of which the first is taken that is there."""
    return Meta(title=title, description=description, max_length=500, examples=list(examples) or None)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one system."""

    secret: Annotated[
        Secret,
        Meta(
            title="Signing secret",
            description="Of Standard Webhooks: whsec_ and base64, the same here and there. `openssl rand -base64 32`.",
        ),
    ]
    items: Annotated[str, path("List", "Where the list of items stands; empty: each delivery is one item.", "data.comments")] = ""
    id: Annotated[str, path("Id", "What identifies an item for ever.", "data.id", "ticket.number")] = "id"
    text: Annotated[str, path("Text", "What was said.", "data.body|data.text")] = "text"
    html: Annotated[str, path("HTML", "What was said, where it is HTML; it then stands for the text.")] = ""
    title: Annotated[str, path("Title", "A subject.", "data.subject")] = "title"
    author: Annotated[str, path("Author", "The name of who said it.", "customer.name")] = "author"
    author_id: Annotated[str, path("Author's id", "What identifies the author for ever; left out there: the name.")] = "author_id"
    time: Annotated[str, path("Time", "When it was said: RFC 3339, or seconds or milliseconds since 1970; without an offset UTC.")] = (
        "time"
    )
    edited: Annotated[str, path("Time of the edit", "When it was last changed, in the same form.", "data.updated_at")] = "edited"
    url: Annotated[str, path("Address", "Where a person sees it.")] = "url"
    kind: Annotated[str, path("Kind", f"One of {', '.join(KINDS)}; anything else is the usual kind.")] = "kind"
    reply_to: Annotated[str, path("Parent", "The id of what it answers.")] = "reply_to"
    deleted: Annotated[str, path("Deleted", "Something other than false, null, 0 or empty stands there: the item was deleted.")] = (
        "deleted"
    )
    usual_kind: Annotated[str, Meta(title="Usual kind", pattern=rf"^({'|'.join(KINDS)})\Z")] = "post"
    post_url: Annotated[
        str,
        Meta(
            title="Where our words go",
            description="https://… of a system that takes signed JSON; empty: nothing is said. Only this machine itself may be named with http://.",
            pattern=r"^((https://[^\s/@?#\\]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?)(/[^\s#]*)?)?\Z",
            max_length=1000,
        ),
    ] = ""
    post_secret: Annotated[
        Secret | None, Meta(title="Secret for our words", description="Left out: the signing secret signs what goes out, too.")
    ] = None
