"""Which mentions belong to a department: its own and those of the departments below it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select

from smhub.features import Department, Mention


def within(organisation_id: UUID, department_id: UUID) -> ColumnElement[bool]:
    """The condition on a mention."""
    of = Department.organisation_id == organisation_id
    own: Any = select(Department.path).where(of, Department.id == department_id).scalar_subquery()
    below = select(Department.id).where(of, or_(Department.path == own, Department.path.startswith(own + "/")))
    return Mention.department_id.in_(below)
