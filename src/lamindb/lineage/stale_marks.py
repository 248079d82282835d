"""Which files of a list or a picture are stale, without reading all that they came from where less decides it.

- One look at the runs that made the files decides those that are stale by what these runs read.
- Where few versions that were read are not current, everything that is stale is found from these, downwards.
- Otherwise it is looked farther back, generation by generation, only above files that are not decided yet: where much
  is stale, some generations decide all.
- What is not decided then takes the query over everything that these files came from, or stays undecided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple

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


class StaleMarks(NamedTuple):
    """The ids of the stale files among some, and whether all were looked for: what is in `ids` is stale in any case."""

    ids: set[str]
    is_whole: bool


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
    if not file_ids:
        return StaleMarks(set(), True)
    few = _FEW if looks is None else _FEW_OF_PAGE
    search = _Search(connection)
    producers, is_few = search.begin(file_ids, few)
    starts = set(producers.values())
    waiting = search.open_from(starts)
    if is_few and waiting and looks != 0:
        found = _all_stale(connection, file_ids, few)
        if found is not None:
            return StaleMarks(found, True)
    # Behind very many runs, a search generation by generation is no shorter than all at once.
    at_first = looks if looks is not None else _LOOKS if len(waiting) <= _PAIRS else 0
    is_whole = search.run(starts, at_first)
    stale = {file_id for file_id, run_id in producers.items() if run_id in search.stale}
    if not is_whole and looks is None:
        unknown = [file_id for file_id in producers if file_id not in stale]
        stale |= staleness.stale_among(connection, unknown)
        is_whole = True
    return StaleMarks(stale, is_whole)


def _all_stale(connection: Any, file_ids: Collection[str], few: _Few) -> set[str] | None:
    """Return the stale files among these, found from all that is superseded; None if too much is stale."""
    most = _FOLLOWING * few[1]
    rules, params = staleness.rules_sql(connection.vendor, None)
    rows = sql.fetch(connection, f"{rules} SELECT kind, id FROM stale LIMIT {most + 1}", params)
    if len(rows) > most:
        return None
    return {one for kind, one in rows if kind == FILE}.intersection(file_ids)


class _Search:
    """A search for what makes files stale, generation by generation, until none is left that is not decided.

    `stale` has the runs that are known to have made what is stale.
    """

    def __init__(self, connection: Any) -> None:
        self.stale: set[str] = set()
        self._connection = connection
        self._behind: dict[str, set[str]] = {}
        self._after: dict[str, list[str]] = {}
        self._unclear: set[str] = set()
        self._earlier: dict[str, list[str]] = {}
        self._known: set[str] = set()
        self._begun: set[str] = set()
        self._count = 0

    def begin(self, file_ids: Collection[str], few: _Few) -> tuple[dict[str, str], bool]:
        """Return the newest producers by their files, and whether few versions that were read are not current."""
        listed, params = sql.listed_sql(self._connection.vendor, file_ids)
        cast = "::text" if self._connection.vendor == "postgresql" else ""
        made = f"SELECT listed.id AS node, {_producer_sql('listed.id')}{cast} AS run_id FROM ({listed}) listed"
        pairs = self._look(made, params, _few_sql(few))
        is_few = pairs.pop("", None) == {"few"}
        return {file_id: run_id for file_id, found in pairs.items() for run_id in found}, is_few

    def run(self, starts: Iterable[str], looks: int) -> bool:
        """Look farther back; return False if something above the starts was not looked at."""
        while waiting := self.open_from(starts):
            if not looks or self._count > _MOST_PAIRS:
                return False
            looks -= 1
            unclear, begun = waiting & self._unclear, waiting & self._begun
            if unclear:
                self._apply_rules(unclear)
            elif begun or len(waiting) <= _NARROW:
                if not self._look_behind(begun or waiting):
                    return not self.open_from(starts)
            else:
                self._look_behind(waiting, newest=max(1, _PAIRS // len(waiting)))
        return True

    def open_from(self, starts: Iterable[str]) -> set[str]:
        """Return the runs above undecided starts whose inputs were not followed yet."""
        found: set[str] = set()
        seen = {run_id for run_id in starts if run_id not in self.stale}
        waiting = list(seen)
        while waiting:
            run_id = waiting.pop()
            behind = self._behind.get(run_id)
            if behind is None:
                found.add(run_id)
                continue
            new = behind - seen
            seen |= new
            waiting += new
        return found

    def _look_behind(self, run_ids: Collection[str], newest: int | None = None) -> bool:
        """Look at the producers of what runs read, or of the newest of it; return False if there are too many."""
        most = _MOST_PAIRS - self._count
        listed, params = sql.listed_sql(self._connection.vendor, run_ids)
        made = _behind_sql(self._connection.vendor, listed, newest)
        earlier = [one for run_id in run_ids for one in self._earlier.get(run_id, ())]
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
            for producer in pairs.get(run_id, ()):
                self._after.setdefault(producer, []).append(run_id)
            if newest is None and count <= most:
                self._behind[run_id] = pairs.get(run_id, set())
        self._begun.update(run_ids)
        self._spread(producer for found in pairs.values() for producer in found if producer in self.stale)
        return count <= most

    def _spread(self, run_ids: Iterable[str]) -> None:
        """Mark all runs that are known to come after stale ones."""
        waiting = list(run_ids)
        while waiting:
            for run_id in self._after.get(waiting.pop(), ()):
                if run_id not in self.stale:
                    self.stale.add(run_id)
                    waiting.append(run_id)

    def _look(self, pairs: str, params: list[Any], more: str = "") -> dict[str, set[str]]:
        """Return the runs of a query for nodes and runs by their nodes, and remember which are stale or unclear."""
        vendor = self._connection.vendor
        known, ids = sql.listed_sql(vendor, self._known) if self._known else ("", [])
        found: dict[str, set[str]] = {}
        looked = set()
        for node, run_id, verdict in sql.fetch(
            self._connection, f"{_look_sql(vendor, pairs, known)}{more}", [*params, *ids]
        ):
            found.setdefault(node, set()).add(run_id)
            looked.add(run_id)
            if verdict == _SUPERSEDED:
                self.stale.add(run_id)
            elif verdict == _UNCLEAR:
                self._unclear.add(run_id)
        self._known |= looked
        return found

    def _apply_rules(self, run_ids: Collection[str]) -> None:
        """Decide by all rules whether runs read what is superseded, and which of their inputs do not count."""
        listed, params = sql.listed_sql(self._connection.vendor, run_ids)
        reads = f"({listed}) listed CROSS JOIN {staleness.OLD_INPUTS.format(run='listed.id')}"
        rules = staleness.superseded_sql(self._connection.vendor, reads)
        text = f"{rules} SELECT run_id, NULL FROM superseded UNION SELECT run_id, file_id FROM earlier"
        superseded = set()
        for run_id, file_id in sql.fetch(self._connection, text, params):
            if file_id is None:
                superseded.add(run_id)
            else:
                self._earlier.setdefault(run_id, []).append(f"{run_id}{file_id}")
        self._unclear.difference_update(run_ids)
        self.stale |= superseded
        self._spread(superseded)


def _few_sql(few: _Few) -> str:
    """Return a further row that says whether few versions are not current, and few runs read these."""
    files, reads = few
    gone = f"(SELECT r.id FROM {_FILES} r WHERE {staleness.NOT_CURRENT} LIMIT {files + 1}) gone"
    read = f"SELECT 1 FROM {gone} CROSS JOIN {_INPUTS} i WHERE i.file_id = gone.id LIMIT {reads + 1}"
    return (
        f" UNION ALL SELECT '', 'few', 0 WHERE (SELECT COUNT(*) FROM {gone}) <= {files} "
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
