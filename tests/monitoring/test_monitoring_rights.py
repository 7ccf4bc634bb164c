"""The matrix of rights and the tests of ETags, which walk every operation, over those of monitoring."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import monitoring_asks as asks
import stand

ROOT = Path(__file__).parents[1] / "access"


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"monitoring_{name}", ROOT / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


matrix, etag = _module("test_matrix"), _module("test_etag")


@pytest.fixture(autouse=True)
def furnished(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (stand, matrix, etag):
        monkeypatch.setattr(module, "ASKS", asks.ASKS)
    monkeypatch.setattr(stand, "CHOSEN", asks.ASKS.keys().__contains__)
    monkeypatch.setattr(stand, "FURNISH", [asks.furnish])
    monkeypatch.setattr(stand, "MAKERS", asks.MAKERS)
    monkeypatch.setattr(matrix, "ORGANISATION_WIDE", asks.ORGANISATION_WIDE)
    monkeypatch.setattr(etag, "ENOUGH", 4)
    monkeypatch.setattr(matrix, "PLACED", ("target", *asks.SCOPED))
    monkeypatch.setattr(matrix, "SCOPED", {*matrix.SCOPED, *asks.SCOPED})
    for kind in asks.SCOPED:
        monkeypatch.setitem(matrix.RENAMED, f"new_{kind}", kind)
    monkeypatch.setitem(matrix.RENAMED, "new_storm", "incident")
    monkeypatch.setattr(matrix, "ENOUGH", {"ids": 20, "cursors": 12, "departments": 15})
    yield


test_every_operation_and_every_id_is_covered = matrix.test_every_operation_and_every_id_is_covered
test_every_request_of_the_table_succeeds = matrix.test_every_request_of_the_table_succeeds
test_a_foreign_id_is_an_unknown_id_and_nothing_happens = matrix.test_a_foreign_id_is_an_unknown_id_and_nothing_happens
test_a_foreign_cursor_is_refused = matrix.test_a_foreign_cursor_is_refused
test_a_list_shows_no_row_of_another_organisation = matrix.test_a_list_shows_no_row_of_another_organisation
test_an_operation_is_allowed_exactly_when_the_role_says_so = matrix.test_an_operation_is_allowed_exactly_when_the_role_says_so
test_without_a_key_only_what_is_public_answers = matrix.test_without_a_key_only_what_is_public_answers
test_outside_ones_department_there_is_nothing = matrix.test_outside_ones_department_there_is_nothing
test_a_right_over_a_department_is_none_over_the_organisation = matrix.test_a_right_over_a_department_is_none_over_the_organisation
test_every_change_knows_which_version_was_seen = etag.test_every_change_knows_which_version_was_seen
test_of_two_at_once_exactly_one_wins = etag.test_of_two_at_once_exactly_one_wins
