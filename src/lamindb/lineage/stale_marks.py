"""Which files of a list or a picture are stale, and why, without reading all that they came from where less decides it.

- One look at the runs that made the files decides those that are stale by what these runs read.
- Where few versions that were read are not current, everything that is stale is found from these, downwards.
- Otherwise it is looked farther back, generation by generation, only above files that are not decided yet: where much
  is stale, some generations decide all.
- What is not decided then takes the query over everything that these files came from, or stays undecided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from lamindb.db import database
from lamindb.lineage import query, sql, staleness
from lamindb.lineage.sql import FILE
from lamindb.models import File, RunInput, RunOutput

PAGE_LOOKS: Final = 3
"""So many looks farther back are a page's: of a project with many stale files, one or two decide nearly all."""
_LOOKS: Final = 6
_MOST_PAIRS: Final = 2_000
"""The runs behind others that are looked at, before other ways are taken: statements of so many rows are short."""
_PAIRS: Final = 200
"""The runs that are looked at first behind many others: where much is stale, so few decide most of these."""
_NARROW: Final = 16
"""Behind no more runs than this, all are looked at at once."""

_FILES, _INPUTS, _OUTPUTS = (model._meta.db_table for model in (File, RunInput, RunOutput))

_Few = tuple[int, int]
"""At most so many versions that are not current, and so many reads of these, are few."""
_FEW: Final[_Few] = (20_000, 5_000)
_FEW_OF_PAGE: Final[_Few] = (2_000, 500)
_FOLLOWING: Final = 10
"""So many times more may be stale by way of what few versions make stale."""

_NONE, _SUPERSEDED, _UNCLEAR = range(3)
"""What a run read: no version that is not current; one that is superseded or removed; or the rules have to decide."""


@dataclass(frozen=True, slots=True)
class StaleMarks:
    """What is known of some files.

    Attributes:
        ids: The ids of those that are stale in any case.
        undecided: The ids of those of which it is not known.
    """

    ids: set[str]
    undecided: set[str] = field(default_factory=set)

    @property
    def is_whole(self) -> bool:
        """Whether all stale files are in `ids`."""
        return not self.undecided


def is_stale(file: File) -> bool:
    """Return True if a file is stale. Errors are those of `staleness.stale`."""
    query.check_exists(file)
    return bool(stale_among(database.connection(query.alias_of(file)), [file.id]).ids)


def stale_among(connection: Any, file_ids: Collection[str], *, looks: int | None = None) -> StaleMarks:
    """Return the stale files among these.

    Args:
        connection: The connection.
        file_ids: The ids of the files.
        looks: Look at most so many times farther back than the runs that made the files, at a bounded number of runs;
            None: until all is decided.
    """
    if looks is not None:
        return Search(connection, file_ids).marks(looks)
    search = Search(connection, file_ids, few=_FEW)
    # Behind very many runs, a search generation by generation is no shorter than all at once.
    found = search.marks(_LOOKS if len(search.open()) <= _PAIRS else 0)
    return StaleMarks(found.ids | staleness.stale_among(connection, found.undecided))


@dataclass(slots=True)
class _Looked:
    """A run that was looked at.

    Attributes:
        verdict: What it read: `_NONE`, `_SUPERSEDED` or `_UNCLEAR`.
        is_stale: Whether it is known that what it made is stale.
        behind: The newest producers of what it read; None as long as not all of them are known.
        is_begun: Whether some of them are.
        after: Runs that are known to have read what it made.
        earlier: What it read and does not count, see `staleness`; each a run and a file in one text.
    """

    verdict: int
    is_stale: bool
    behind: set[str] | None = None
    is_begun: bool = False
    after: list[str] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)


class Search:
    """A search for what makes some files stale: generation by generation, and only above those not decided yet."""

    def __init__(self, connection: Any, file_ids: Collection[str], *, few: _Few | None = None) -> None:
        self._connection = connection
        self._file_ids = file_ids
        self._few = few or _FEW_OF_PAGE
        self._runs: dict[str, _Looked] = {}
        self._count = 0
        self._is_few = False
        self._producers: dict[str, str] = {}
        if file_ids:
            self._begin()

    def near(self) -> StaleMarks:
        """Return what all rules say of what the runs that made the files read; where that is fast, of all files."""
        found = self._from_few()
        if found is not None:
            return StaleMarks(found)
        unclear = {run_id for run_id, run in self._runs.items() if run.verdict == _UNCLEAR}
        if unclear:
            self._apply_rules(unclear)
        return self._known()

    def marks(self, looks: int) -> StaleMarks:
        """Look at most so many times farther back, and return what is known then."""
        found = self._from_few() if looks else None
        if found is not None:
            return StaleMarks(found)
        self._run(looks)
        return self._known()

    def _known(self) -> StaleMarks:
        undecided = self._following(self.open())
        stale = {file_id for file_id, run_id in self._producers.items() if self._runs[run_id].is_stale}
        return StaleMarks(stale, {one for one, run_id in self._producers.items() if run_id in undecided} - stale)

    def causes(self, file_ids: Collection[str], looks: int) -> tuple[dict[staleness.Cause, list[str]], list[str]]:
        """Return which of these files are stale by which of their nearest causes, and for which none was found.

        What is found does not depend on the other files of the search.

        Args:
            file_ids: Some of the files of the search.
            looks: Look at most so many times farther back, in addition to what is known.
        """
        starts = {self._producers[file_id] for file_id in file_ids if file_id in self._producers}
        nearest = {run_id: self._nearest(run_id) for run_id in starts}
        while True:
            unclear = {one for ring in nearest.values() for one in ring if self._runs[one].verdict == _UNCLEAR}
            missing = {one for ring in nearest.values() for one in ring if self._is_end(one)}
            if unclear:
                self._apply_rules(unclear)
            elif missing and looks and self._count <= _MOST_PAIRS:
                looks -= 1
                self._look_behind(missing)
            else:
                break
            nearest = {run_id: self._nearest(run_id) for run_id in starts}
        superseded = {one for ring in nearest.values() for one in ring if self._runs[one].verdict == _SUPERSEDED}
        causes: dict[str, list[staleness.Cause]] = {}
        if superseded:
            columns = "SELECT run_id, file_id, current_id FROM superseded"
            for run_id, read, current in self._by_rules(superseded, columns):
                causes.setdefault(run_id, []).append((read, current))
        found: dict[staleness.Cause, list[str]] = {}
        rest = []
        for file_id in file_ids:
            ring = nearest.get(self._producers.get(file_id, ""), set())
            of_file = dict.fromkeys(one for run_id in sorted(ring) for one in causes.get(run_id, ()))
            for one in of_file:
                found.setdefault(one, []).append(file_id)
            if not of_file:
                rest.append(file_id)
        return found, rest

    def _nearest(self, run_id: str) -> set[str]:
        """Return the nearest runs, with this one, that are causes; or those because of which they are not known yet."""
        ring = seen = {run_id}
        while ring:
            unclear = {one for one in ring if self._runs[one].verdict == _UNCLEAR}
            causes = {one for one in ring if self._runs[one].verdict == _SUPERSEDED}
            ends = {one for one in ring if self._is_end(one)}
            if unclear or causes or ends:
                return unclear or causes or ends
            ring = {one for run in ring for one in self._runs[run].behind or ()} - seen
            seen = seen | ring
        return set()

    def _is_end(self, run_id: str) -> bool:
        """Whether a run is no cause, and what is behind it is not known."""
        return self._runs[run_id].verdict == _NONE and self._runs[run_id].behind is None

    def open(self) -> set[str]:
        """Return the runs above undecided files that were not followed yet."""
        found: set[str] = set()
        waiting = [run_id for run_id in set(self._producers.values()) if not self._runs[run_id].is_stale]
        seen = set(waiting)
        while waiting:
            run_id = waiting.pop()
            behind = self._runs[run_id].behind
            if behind is None:
                found.add(run_id)
                continue
            new = behind - seen
            seen |= new
            waiting += new
        return found

    def _following(self, run_ids: Iterable[str]) -> set[str]:
        """Return these runs, and those that are known to come after them."""
        found = set(run_ids)
        waiting = list(found)
        while waiting:
            new = set(self._runs[waiting.pop()].after) - found
            found |= new
            waiting += new
        return found

    def _begin(self) -> None:
        """Look at the newest producers of the files."""
        listed, params = sql.listed_sql(self._connection.vendor, self._file_ids)
        cast = "::text" if self._connection.vendor == "postgresql" else ""
        made = f"SELECT listed.id AS node, {_producer_sql('listed.id')}{cast} AS run_id FROM ({listed}) listed"
        for file_id, run_ids in self._look(made, params, is_first=True).items():
            (self._producers[file_id],) = run_ids

    def _from_few(self) -> set[str] | None:
        """Return the stale files, found from all that is superseded; None if that is too much, or all is decided."""
        if not self._is_few or not self.open():
            return None
        most = _FOLLOWING * self._few[1]
        rules, params = staleness.rules_sql(self._connection.vendor, None)
        rows = sql.fetch(self._connection, f"{rules} SELECT kind, id FROM stale LIMIT {most + 1}", params)
        if len(rows) > most:
            return None
        return {one for kind, one in rows if kind == FILE}.intersection(self._file_ids)

    def _run(self, looks: int) -> None:
        """Look farther back until all is decided, or it was looked often enough."""
        while looks and self._count <= _MOST_PAIRS and (waiting := self.open()):
            looks -= 1
            unclear = {run_id for run_id in waiting if self._runs[run_id].verdict == _UNCLEAR}
            begun = {run_id for run_id in waiting if self._runs[run_id].is_begun}
            if unclear:
                self._apply_rules(unclear)
            elif begun or len(waiting) <= _NARROW:
                self._look_behind(begun or waiting)
            else:
                self._look_behind(waiting, newest=max(1, _PAIRS // len(waiting)))

    def _look_behind(self, run_ids: Collection[str], newest: int | None = None) -> None:
        """Look at the producers of what runs read, or of the newest of it; if there are too many, at some of them."""
        most = _MOST_PAIRS - self._count
        listed, params = sql.listed_sql(self._connection.vendor, run_ids)
        made = _behind_sql(self._connection.vendor, listed, newest)
        earlier = [one for run_id in run_ids for one in self._runs[run_id].earlier]
        if earlier:
            skipped, more = sql.listed_sql(self._connection.vendor, earlier)
            made += f" AND i.run_id || i.file_id NOT IN ({skipped})"
            params = [*params, *more]
        # The limit keeps the databases from looking for the producer twice: to compare it, and to return it.
        every = "ALL" if self._connection.vendor == "postgresql" else "-1"
        made = f"SELECT * FROM ({made} LIMIT {every}) made WHERE run_id IS NOT NULL LIMIT {most + 1}"
        pairs = self._look(made, params)
        count = sum(map(len, pairs.values()))
        self._count += count
        for run_id in run_ids:
            found = pairs.get(run_id, set())
            for producer in found:
                self._runs[producer].after.append(run_id)
            run = self._runs[run_id]
            run.is_begun = True
            if newest is None and count <= most:
                run.behind = found
        self._spread(producer for found in pairs.values() for producer in found if self._runs[producer].is_stale)

    def _spread(self, run_ids: Iterable[str]) -> None:
        """Mark these runs, and all that are known to come after them, as stale."""
        for run_id in self._following(run_ids):
            self._runs[run_id].is_stale = True

    def _look(self, pairs: str, params: list[Any], *, is_first: bool = False) -> dict[str, set[str]]:
        """Return the runs of a query for nodes and runs by their nodes, after a look at those that are new.

        The first look asks also whether few versions that were read are not current.
        """
        vendor = self._connection.vendor
        known, ids = sql.listed_sql(vendor, self._runs) if self._runs else ("", [])
        text = f"{_look_sql(vendor, pairs, known)}{_few_sql(self._few) if is_first else ''}"
        found: dict[str, set[str]] = {}
        for node, run_id, verdict in sql.fetch(self._connection, text, [*params, *ids]):
            if node is None:
                self._is_few = True
                continue
            found.setdefault(node, set()).add(run_id)
            if run_id not in self._runs:
                self._runs[run_id] = _Looked(verdict, verdict == _SUPERSEDED)
        return found

    def _by_rules(self, run_ids: Collection[str], columns: str) -> list[Any]:
        """Return rows of a query that begins with all rules, applied to what some runs read."""
        listed, params = sql.listed_sql(self._connection.vendor, run_ids)
        reads = f"({listed}) listed CROSS JOIN {staleness.OLD_INPUTS.format(run='listed.id')}"
        return sql.fetch(
            self._connection, f"{staleness.superseded_sql(self._connection.vendor, reads)} {columns}", params
        )

    def _apply_rules(self, run_ids: Collection[str]) -> None:
        """Decide by all rules whether runs read what is superseded, and which of their inputs do not count."""
        columns = "SELECT run_id, NULL FROM superseded UNION SELECT run_id, file_id FROM earlier"
        # All rows, before anything is changed: a time limit may end the statement.
        rows = self._by_rules(run_ids, columns)
        superseded = {run_id for run_id, file_id in rows if file_id is None}
        for run_id in run_ids:
            self._runs[run_id].verdict = _SUPERSEDED if run_id in superseded else _NONE
        for run_id, file_id in rows:
            if file_id is not None:
                self._runs[run_id].earlier.append(f"{run_id}{file_id}")
        self._spread(superseded)


def _few_sql(few: _Few) -> str:
    """Return a further row, without a node, if few versions are not current, and few runs read these."""
    files, reads = few
    gone = f"(SELECT r.id FROM {_FILES} r WHERE {staleness.NOT_CURRENT} LIMIT {files + 1}) gone"
    read = f"SELECT 1 FROM {gone} CROSS JOIN {_INPUTS} i WHERE i.file_id = gone.id LIMIT {reads + 1}"
    return (
        f" UNION ALL SELECT NULL, NULL, 0 WHERE (SELECT COUNT(*) FROM {gone}) <= {files} "
        f"AND (SELECT COUNT(*) FROM ({read}) reads) <= {reads}"
    )


def _behind_sql(vendor: str, listed: str, newest: int | None) -> str:
    """Return a query for runs and the newest producers of what they read, or of so many of the newest files of it."""
    order = "" if newest is None else f"ORDER BY e.file_id DESC LIMIT {newest}"
    if vendor == "postgresql":
        # See `staleness.rules_sql` for LIMIT ALL.
        inputs = f"SELECT e.run_id, e.file_id FROM {_INPUTS} e WHERE e.run_id = listed.id {order or 'LIMIT ALL'}"
        return (
            f"SELECT DISTINCT i.run_id::text AS node, {_producer_sql('i.file_id')}::text AS run_id "
            f"FROM ({listed}) listed CROSS JOIN LATERAL ({inputs}) i WHERE true"
        )
    few = f" AND i.file_id IN (SELECT e.file_id FROM {_INPUTS} e WHERE e.run_id = listed.id {order})" if order else ""
    return (
        f"SELECT DISTINCT i.run_id AS node, {_producer_sql('i.file_id')} AS run_id FROM ({listed}) listed "
        f"CROSS JOIN {_INPUTS} i WHERE i.run_id = listed.id{few}"
    )


def _producer_sql(file_id: str) -> str:
    """Return an expression for the newest producer of a file: mostly there is one, which an index has."""
    only = f"SELECT p.run_id FROM {_OUTPUTS} p WHERE p.file_id = {file_id} LIMIT 2"
    return (
        f"COALESCE((SELECT CASE WHEN COUNT(*) = 1 THEN MIN(run_id) END FROM ({only}) only_one), "
        f"(SELECT {staleness.PRODUCER} FROM {_FILES} f WHERE f.id = {file_id}))"
    )


def _look_sql(vendor: str, pairs: str, known: str) -> str:
    """Return a query for nodes, runs, and what these runs read, of another one for nodes and runs.

    Of the runs of a node, one that read a version that is not current is compared, and of this only the edge that it
    read last: mostly, that is enough. No other such version of the same key can have been read later. The runs in
    `known` are not looked at again.
    """
    is_postgres = vendor == "postgresql"
    unknown = f"run_id NOT IN ({known})" if known else "run_id IS NOT NULL"
    fixed = "AS MATERIALIZED" if is_postgres else "AS"
    old = staleness.OLD_INPUTS.format(run="looked.run_id")
    # Whether there is such an edge stands in indexes; which one is the last does not on PostgreSQL.
    begin = (
        f"pair(node, run_id) {fixed} ({pairs}), "
        f"looked {fixed} (SELECT DISTINCT run_id FROM pair WHERE {unknown}), "
        f"has_old {fixed} (SELECT run_id FROM looked WHERE (SELECT 1 FROM {old} LIMIT 1) IS NOT NULL), "
        f"chosen {fixed} (SELECT DISTINCT run_id FROM (SELECT node, MIN(run_id) AS run_id FROM pair "
        "WHERE run_id IN (SELECT run_id FROM has_old) GROUP BY node) of_node), "
        f"last_old(edge) {fixed} (SELECT (SELECT MAX(i.id) FROM {old.replace('looked.', 'chosen.')}) FROM chosen), "
    )
    edge = f"SELECT * FROM {_INPUTS} e WHERE e.id = last_old.edge LIMIT ALL"
    if is_postgres:
        reads = (
            f"last_old CROSS JOIN LATERAL ({edge}) i "
            f"CROSS JOIN LATERAL (SELECT * FROM {_FILES} one WHERE one.id = i.file_id LIMIT ALL) r"
        )
    else:
        # As outer joins, see `staleness.OLD_INPUTS`.
        reads = (
            f"last_old LEFT JOIN {_INPUTS} i ON i.id = last_old.edge LEFT JOIN {_FILES} r ON r.id = i.file_id "
            "WHERE last_old.edge IS NOT NULL AND r.id IS NOT NULL"
        )
    return (
        f"{staleness.superseded_sql(vendor, reads, begin)} "
        f"SELECT node, run_id, CASE WHEN run_id NOT IN (SELECT run_id FROM has_old) THEN {_NONE} "
        f"WHEN run_id IN (SELECT run_id FROM superseded) THEN {_SUPERSEDED} ELSE {_UNCLEAR} END "
        "FROM pair WHERE run_id IS NOT NULL"
    )
