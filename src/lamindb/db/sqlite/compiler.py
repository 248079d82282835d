"""SQL for SQLite in which `contains`, `startswith` and `endswith` take upper and lower case apart, as PostgreSQL does.

Django's use LIKE, which takes the ASCII letters of both for the same in SQLite.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from django.db.models.expressions import Col
from django.db.models.lookups import BuiltinLookup, PatternLookup
from django.db.models.sql import compiler

_EXPRESSIONS: Final = {
    "contains": "instr({lhs}, {rhs}) > 0",
    "startswith": "substr({lhs}, 1, length({rhs})) = {rhs}",
    "endswith": "substr({lhs}, length({lhs}) - length({rhs}) + 1) = {rhs}",
}


@lru_cache(maxsize=32)
def _all_fields(model: Any) -> tuple[Any, ...]:
    """Return all columns of a model's table as a compiler selects them."""
    table = model._meta.db_table
    return tuple(
        (field.get_col(table), (f'"{table}"."{field.column}"', ()), None) for field in model._meta.concrete_fields
    )


class SQLCompiler(compiler.SQLCompiler):
    """Compiles queries, with patterns that take upper and lower case apart."""

    def get_select(self, with_col_aliases: bool = False) -> Any:
        """Return what is selected: for all fields of a model it is made once, as that takes longer than the rest."""
        query: Any = self.query
        model = query.model
        if (
            with_col_aliases or not query.default_cols or query.selected is not None or query.select_related
            or query.extra_select or query.annotation_select or query.get_select_mask()
            or query.get_initial_alias() != model._meta.db_table
        ):  # fmt: skip
            return super().get_select(with_col_aliases)
        columns = _all_fields(model)
        return list(columns), {"model": model, "select_fields": list(range(len(columns)))}, {}

    def compile(self, node: Any) -> Any:
        """Return the SQL of a part of a query, and its parameters."""
        if type(node) is Col and node.alias:
            # Most parts are columns, which need nothing of what Django looks for.
            return f"{self.quote_name_unless_alias(node.alias)}.{self.quote_name_unless_alias(node.target.column)}", []
        if isinstance(node, PatternLookup) and node.lookup_name in _EXPRESSIONS:
            return self._pattern(node, str(node.lookup_name))
        return super().compile(node)

    def _pattern(self, node: Any, name: str) -> tuple[str, list[Any]]:
        lhs, lhs_params = node.process_lhs(self, self.connection)
        if node.rhs_is_direct_value() and not node.bilateral_transforms:
            # GLOB can use an index where only the end is open.
            ops: Any = self.connection.ops
            return f"{lhs} GLOB %s", [*lhs_params, ops.pattern(name, str(node.rhs))]
        rhs, rhs_params = BuiltinLookup.process_rhs(node, self, self.connection)
        sides = {"lhs": list(lhs_params), "rhs": list(rhs_params)}
        template = _EXPRESSIONS[name]
        params = [one for side in re.findall(r"{(\w+)}", template) for one in sides[side]]
        return template.format(lhs=lhs, rhs=rhs), params


class SQLInsertCompiler(compiler.SQLInsertCompiler, SQLCompiler):
    """Compiles inserts."""


class SQLDeleteCompiler(compiler.SQLDeleteCompiler, SQLCompiler):
    """Compiles deletions."""


class SQLUpdateCompiler(compiler.SQLUpdateCompiler, SQLCompiler):
    """Compiles changes."""


class SQLAggregateCompiler(compiler.SQLAggregateCompiler, SQLCompiler):
    """Compiles aggregates."""
