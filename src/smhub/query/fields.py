"""The fields that a query may name. Core and plugins declare them; the parser, the SQL and the predicate look here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec
from sqlalchemy import ColumnElement

Kind: TypeAlias = Literal["keyword", "text", "number", "time", "boolean", "id", "path", "tags", "json"]
ColumnTest: TypeAlias = Callable[[ColumnElement[Any]], ColumnElement[bool]]

NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*")
KEY = re.compile(r"[A-Za-z0-9_-]+")
RESERVED = {"after", "before", "on"}

OPERATORS: dict[str, tuple[str, ...]] = {
    "keyword": ("is", "prefix", "any", "none"),
    "text": ("is", "prefix", "any", "none"),
    "number": ("is", "<", "<=", ">", ">=", "..", "any", "none"),
    "time": ("is", "<", "<=", ">", ">=", "..", "any", "none"),
    "boolean": ("is", "any", "none"),
    "id": ("is", "any", "none"),
    "path": ("is", "subtree", "any", "none"),
    "tags": ("is", "prefix", "any", "none"),
    "json": ("is", "prefix", "any", "none"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryField:
    """One field.

    `column` gives the column when it is needed, so a field can be declared before the models are loaded; `get` gives the same value
    of an object in memory (None when there is none, a sequence for kind "tags" and with `many`).

    Kinds: "keyword" is compared exactly, upper and lower case differ; "text" is a column of terms (`smhub.db.search.terms`), searched
    by word; "path" is a slug path such as `service/returns`; "tags" is a list of strings in a Json column; "json" is the string at
    `path` inside a Json column. "number" and "boolean" may lie at a `path` as well.

    Where a value lies in another table, `expression` is handed a test and applies it there, and must be true or false:

        expression=lambda test: exists().where(Link.mention_id == Mention.id, test(Link.name))
    """

    name: str
    kind: Kind
    title: str
    description: str = ""
    column: Callable[[], Any] | None = None
    get: Callable[[Any], Any] | None = None
    known_values: tuple[str, ...] = ()
    open: bool = True
    many: bool = False
    plugin: str = "core"
    expression: Callable[[ColumnTest], ColumnElement[bool]] | None = None
    aliases: tuple[str, ...] = ()
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            if not NAME.fullmatch(name) or name in RESERVED:
                raise ValueError(f"{name!r} cannot be the name of a query field: use small letters, digits, _ and .")
        if self.column is None and self.expression is None:
            raise ValueError(f"the query field {self.name} needs a column or an expression")
        if self.many and self.expression is None:
            raise ValueError(f"the query field {self.name} has many values in memory, so it needs an expression")
        if self.kind == "json" and not self.path:
            raise ValueError(f"the query field {self.name} needs the path of its value inside the column")
        if self.path and self.kind not in ("json", "number", "boolean"):
            raise ValueError(f"the query field {self.name}: a {self.kind} has no path")
        if any(not KEY.fullmatch(key) for key in self.path):
            raise ValueError(f"the query field {self.name}: a key of the path has letters, digits, _ and - only")
        if not self.open and not self.known_values:
            raise ValueError(f"the query field {self.name} is closed and knows no value")


class FieldDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A field as the API tells of it."""

    name: str
    kind: str
    title: str
    description: str
    operators: list[str]
    known_values: list[str]
    open: bool
    many: bool
    aliases: list[str]
    plugin: str


class Fields:
    """All fields of one list. `key` is the column with the id of a mention and `document` the terms of an object in memory: both are
    needed to search by words. `time` names the field that after:, before: and on: mean."""

    def __init__(
        self,
        fields: Iterable[QueryField] = (),
        *,
        key: Callable[[], Any] | None = None,
        document: Callable[[Any], str] | None = None,
        time: str | None = None,
    ) -> None:
        self.key = key
        self.document = document
        self.time = time
        self._fields: dict[str, QueryField] = {}
        self._known: dict[str, QueryField] = {}
        for field in fields:
            self.add(field)

    def add(self, field: QueryField) -> None:
        """Declare one more. A name or alias that is taken is refused."""
        for name in (field.name, *field.aliases):
            if other := self._known.get(name):
                raise ValueError(f"the query field {name} of {field.plugin} is already declared by {other.plugin}")
        self._fields[field.name] = field
        for name in (field.name, *field.aliases):
            self._known[name] = field

    def get(self, name: str) -> QueryField | None:
        """The field with this name or alias."""
        return self._known.get(name)

    def __getitem__(self, name: str) -> QueryField:
        return self._known[name]

    def __iter__(self) -> Iterator[QueryField]:
        return iter(self._fields.values())

    def names(self) -> list[str]:
        """The names, sorted, without aliases."""
        return sorted(self._fields)

    @property
    def searches_text(self) -> bool:
        return self.key is not None or self.document is not None

    def nearest(self, name: str) -> str | None:
        """What somebody probably meant."""
        known = [*self._known, *(RESERVED if self.time else ())]
        return next(iter(difflib.get_close_matches(name.lower(), known, 1)), None)

    def describe(self) -> list[FieldDescription]:
        """All fields, sorted by name, for an API."""
        return [
            FieldDescription(
                name=field.name,
                kind=field.kind,
                title=field.title,
                description=field.description,
                operators=list(OPERATORS[field.kind]),
                known_values=list(field.known_values),
                open=field.open,
                many=field.many or field.kind == "tags",
                aliases=list(field.aliases),
                plugin=field.plugin,
            )
            for _, field in sorted(self._fields.items())
        ]
