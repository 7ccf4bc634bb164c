"""A type for what must never be shown, and the two ways a settings Struct is used: read it, describe it as a form."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Secret:
    """A password, token or key. It prints as ***, cannot be encoded by accident, and is encrypted at rest."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself. Call it where it leaves for the network, nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


def _decode(type_: type[Any], value: Any) -> Any:
    if type_ is Secret:
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str) or not value:
            raise ValueError("Expected a secret as text that is not empty")
        return Secret(value)
    raise NotImplementedError(type_)


def _schema(type_: type[Any]) -> dict[str, Any]:
    if type_ is Secret:
        return {"type": "string", "format": "password", "writeOnly": True, "x-smhub-secret": True, "minLength": 1}
    raise NotImplementedError(type_)


def read_settings(type_: type[T], raw: Any, *, strict: bool = True) -> T:
    """Turn plain data into a settings Struct. Raises msgspec.ValidationError with the path of what is wrong."""
    return msgspec.convert(raw, type_, dec_hook=_decode, strict=strict)


def settings_schema(type_: type[Any]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a settings Struct, for a form; secrets are write-only."""
    schemas, components = msgspec.json.schema_components([type_], schema_hook=_schema)
    schema = dict(schemas[0])
    if "$ref" in schema:
        schema = dict(components.pop(type_.__name__))
    if components:
        schema["$defs"] = components
    return schema


def secret_fields(type_: type[Any]) -> frozenset[str]:
    """The names of the fields of a settings Struct that hold a Secret."""
    found = set()
    for field in msgspec.json.schema_components([type_], schema_hook=_schema)[1][type_.__name__]["properties"].items():
        if "x-smhub-secret" in str(field[1]):
            found.add(field[0])
    return frozenset(found)
