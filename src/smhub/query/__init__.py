"""One query language for search, saved views, rules, alerts and reports.

`parse` makes a tree of a text, `compile_sql` and `predicate` make SQL and a function of it that mean the same, `to_text` prints it.
"""

from smhub.query.fields import FieldDescription, Fields, QueryField
from smhub.query.parse import parse
from smhub.query.predicate import predicate
from smhub.query.sql import Compiled, InJson, compile_sql
from smhub.query.tree import And, Condition, Node, Not, Or, Phrase, Query, Term, Value, to_text

__all__ = [
    "And",
    "Compiled",
    "Condition",
    "FieldDescription",
    "Fields",
    "InJson",
    "Node",
    "Not",
    "Or",
    "Phrase",
    "Query",
    "QueryField",
    "Term",
    "Value",
    "compile_sql",
    "parse",
    "predicate",
    "to_text",
]
