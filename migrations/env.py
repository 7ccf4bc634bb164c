"""Run by alembic: applies scripts on the connection that smhub.db.migrate hands over."""

from alembic import context

config = context.config
connection = config.attributes["connection"]
prefix = config.attributes["prefix"]


def ours(name, type_, parent_names):  # noqa: ANN001, ANN201
    return type_ != "table" or (name.startswith(prefix) and not name.startswith("core_search_fts"))


def include(thing, name, type_, reflected, compared):  # noqa: ANN001, ANN201
    return ours(name, type_, {}) if type_ == "table" else True


context.configure(
    connection=connection,
    target_metadata=config.attributes.get("metadata"),
    render_as_batch=connection.dialect.name == "sqlite",
    version_table=config.attributes["version_table"],
    include_name=ours,
    include_object=include,
    compare_type=False,
    compare_server_default=False,
)
with context.begin_transaction():
    context.run_migrations()
