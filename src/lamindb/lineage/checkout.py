"""Runs whose script, notebook or a module has other code in this checkout than they executed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamindb.core import context, paths
from lamindb.environment import scripts
from lamindb.environment.source_code import present_digests
from lamindb.lineage import sql
from lamindb.models import CodeRevision, ImportedModule, Run, Transform

_RUNS, _TRANSFORMS, _REVISIONS, _MODULES = (
    model._meta.db_table for model in (Run, Transform, CodeRevision, ImportedModule)
)

_ID_LENGTH = 16


@dataclass(frozen=True, slots=True)
class ChangedCode:
    """The code of runs that is other code by now.

    Attributes:
        sources: The paths of changed scripts, notebooks and functions by the transform and revision that ran, as
            `<transform id>:<number>`.
        modules: The paths of changed modules by the digest of the set that runs imported.
    """

    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    modules: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def runs_sql(self, vendor: str) -> tuple[str, list[Any]]:
        """Return common table expressions that end with `changed_code(run_id, source, modules)`, and their values.

        A command has the code of the workflow or script that started it, too, and a call of a function the modules of
        the run around it.
        """
        cast = "::text" if vendor == "postgresql" else ""
        sources, params = sql.listed_sql(vendor, list(self.sources))
        modules, more = sql.listed_sql(vendor, list(self.modules))
        text = f"""
changed_source(run_id, source) AS (
    SELECT r.id{cast}, listed.id FROM ({sources}) listed CROSS JOIN {_RUNS} r
    WHERE r.transform_id = substr(listed.id, 1, {_ID_LENGTH})
    AND r.revision = CAST(substr(listed.id, {_ID_LENGTH + 2}) AS integer)
    UNION SELECT r.id{cast}, s.source FROM changed_source s CROSS JOIN {_RUNS} r CROSS JOIN {_TRANSFORMS} t
    WHERE r.parent_id = s.run_id AND t.id = r.transform_id AND t.type = 'command'
),
changed_modules(run_id, modules) AS (
    SELECT r.id{cast}, listed.id FROM ({modules}) listed CROSS JOIN {_RUNS} r WHERE r.modules_digest = listed.id
    UNION SELECT r.id{cast}, m.modules FROM changed_modules m CROSS JOIN {_RUNS} r CROSS JOIN {_TRANSFORMS} t
    WHERE r.parent_id = m.run_id AND t.id = r.transform_id AND t.type = 'function' AND r.modules_digest IS NULL
),
changed_code(run_id, source, modules) AS (
    SELECT run_id, source, NULL FROM changed_source UNION ALL SELECT run_id, NULL, modules FROM changed_modules
),
"""
        return text, [*params, *more]

    def paths_of(self, source: str | None, modules: str | None) -> tuple[str, ...]:
        """Return the paths that a row of `changed_code` is about."""
        return self.sources[source] if source is not None else self.modules[str(modules)]


def changed_code(connection: Any) -> ChangedCode:
    """Compare the code that runs executed with the files at its place in this checkout, as they are now.

    The places are the project of the instance and the git work tree of the working folder. What is not there, or cannot
    be read, counts as unchanged.
    """
    checkout = _Checkout(connection.alias)
    own = "COALESCE(r.code_path, CASE WHEN t.type IN ('notebook', 'script') THEN t.reference END)"
    rows = sql.fetch(
        connection,
        f"SELECT DISTINCT r.transform_id, r.revision, {own}, t.type, t.reference, c.digest FROM {_RUNS} r "
        f"JOIN {_TRANSFORMS} t ON t.id = r.transform_id "
        f"JOIN {_REVISIONS} c ON c.transform_id = r.transform_id AND c.number = r.revision",
        [],
    )
    found = ChangedCode()
    unchanged = set()
    for transform_id, revision, path, kind, reference, digest in sorted(row for row in rows if row[2] is not None):
        key = f"{transform_id}:{revision}"
        places = [path, *([reference] if kind in {"notebook", "script"} else [])]
        present = checkout.digests(places)
        if present is not None and digest not in present:
            found.sources[key] = (*found.sources.get(key, ()), path)
        elif present is not None:
            unchanged.add(key)
    # The same source may have stood at several places: one of them that has it still is enough.
    for key in unchanged:
        found.sources.pop(key, None)
    used = f"SELECT modules_digest FROM {_RUNS} WHERE modules_digest IS NOT NULL"
    rows = sql.fetch(connection, f"SELECT set_digest, path, digest FROM {_MODULES} WHERE set_digest IN ({used})", [])
    for set_digest, path, digest in sorted(rows):
        present = checkout.digests([path])
        if present is not None and digest not in present:
            found.modules[set_digest] = (*found.modules.get(set_digest, ()), path)
    return found


class _Checkout:
    """The files of this checkout, each read once."""

    def __init__(self, alias: str) -> None:
        instance = context.connected(alias)
        project = instance.project_path if instance is not None else None
        self._roots = [
            root for root in (project, scripts.project_root(paths.working_folder()), Path("/")) if root is not None
        ]
        self._known: dict[str, frozenset[str] | None] = {}

    def digests(self, places: Iterable[str]) -> frozenset[str] | None:
        """Return the digests of the code at the first of some places where there is a file; None if there is none."""
        for place in dict.fromkeys(places):
            if place not in self._known:
                self._known[place] = self._read(place)
            if self._known[place] is not None:
                return self._known[place]
        return None

    def _read(self, place: str) -> frozenset[str] | None:
        file, sign, function = place.rpartition(":")
        is_function = bool(sign) and file.endswith(".py")
        for root in self._roots:
            # An absolute path was outside of the project, and of any root but the last.
            path = root / (file if is_function else place)
            try:
                if path.is_file():
                    return present_digests(path, function if is_function else None)
            except (OSError, ValueError):
                continue
        return None
