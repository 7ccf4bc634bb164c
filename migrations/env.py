"""Run by alembic: applies scripts on the connection that smhub.db.migrate hands over."""

from typing import Any

from alembic import context

config = context.config
connection = config.attributes["connection"]
prefix = config.attributes["prefix"]
# Made by hand in the migrations, for one of the two databases only.
BY_HAND = ("core_search_fts", "ix_core_search_doc_tsv", "tsv")


def by_name(name: str | None, kind: str, parents: Any) -> bool:
    return kind != "table" or (str(name).startswith(prefix) and not str(name).startswith(BY_HAND[0]))


def by_object(thing: Any, name: str | None, kind: str, reflected: bool, compared: Any) -> bool:
    return by_name(name, kind, {}) and name not in BY_HAND


context.configure(
    connection=connection,
    target_metadata=config.attributes.get("metadata"),
    render_as_batch=connection.dialect.name == "sqlite",
    version_table=config.attributes["version_table"],
    include_name=by_name,
    include_object=by_object,
    compare_type=False,
    compare_server_default=False,
)
with context.begin_transaction():
    context.run_migrations()
