"""What `serve` and `demo` print."""

from __future__ import annotations

import asyncio
import sys
import textwrap

import click
from sqlalchemy import select

from smhub import __version__
from smhub.app.starting import Prepared
from smhub.hub.runtime import Runtime
from smhub.mentions.models import Author, Mention
from smhub.settings import Settings


def show_banner(settings: Settings, prepared: Prepared) -> None:
    """Where the hub is, and once the first key with a line that works as it stands."""
    lines = ["", f"smhub {__version__} is ready.", f"  API    {settings.base_url}/v1", f"  Docs   {settings.base_url}/v1/docs"]
    if prepared.first_key is not None:
        key = prepared.first_key.reveal()
        lines += [
            f"  Data   {settings.database_url if settings.sqlite else 'PostgreSQL'}",
            "",
            f"The first admin key of {prepared.organisation!r}, shown this once:",
            f"  {key}",
            "",
            "Try:",
            f"  curl -s '{settings.base_url}/v1/mentions?limit=3' -H 'Authorization: Bearer {key}'",
        ]
    click.echo("\n".join([*lines, ""]))
    sys.stdout.flush()


async def tail(runtime: Runtime) -> None:
    """Print mentions as they come in."""
    last = None
    while True:
        statement = select(Mention, Author.handle).join(
            Author, (Author.organisation_id == Mention.organisation_id) & (Author.id == Mention.author_id)
        )
        statement = statement.order_by(Mention.id).where(Mention.id > last) if last else statement.order_by(Mention.id.desc()).limit(5)
        async with runtime.database.read() as session:
            rows = (await session.execute(statement.where(Mention.content_state != "deleted").limit(20))).all()
        for mention, handle in sorted(rows, key=lambda row: row[0].id):
            last = mention.id
            text = textwrap.shorten(mention.text, 100, placeholder="…")
            click.echo(f"{mention.published_at:%H:%M} {mention.network} @{handle}: {text}")
        sys.stdout.flush()
        await asyncio.sleep(1.0)
