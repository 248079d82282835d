"""The records that a search ranks: all of a query if it has few, else those that share trigrams with what was typed.

The database has an index of the trigrams of names (see migration 0007), without marks of letters. Candidates have all
trigrams of the text, or else those that few names have, so that names with a typing error are among them. No long list
of the index is read to its end, and at most `MOST` candidates are ranked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from lamindb.db import database
from lamindb.models import File, Run, Transform
from lamindb.search.ranking import RankIndex, words_of

MOST: Final = 1_000
"""The maximum number of records that are ranked."""

SCANNED: Final = 100_000
"""The maximum number of records that are ranked where there is no index."""

_RARE: Final = 2_000
"""A trigram that more names have is common: it only narrows what others find."""

_FETCHED: Final = 3 * MOST
"""How many records are taken from the index, of which a query keeps those that it has."""

_OF_A_WORD: Final = 300
_MOST_GRAMS: Final = 24
_LENGTH: Final = 3

_CUT: Final = f"only {MOST:,} candidates were ranked: a longer text finds others"
_SHORT: Final = "a text of one or two letters finds only what starts with it"
_SCANNED: Final = f"only the newest {SCANNED:,} were compared, as there is no index"

_INDEXED: Final[dict[Any, tuple[str, ...]]] = {File: ("name", "key"), Run: ("name",), Transform: ("name",)}
_SORTED: Final[dict[Any, tuple[str, ...]]] = {File: ("name", "key"), Run: (), Transform: ("name",)}
"""The fields whose start an index finds."""

_POSTGRES_TEXT: Final = {
    File: "CASE WHEN key IS NULL THEN name WHEN right(key, length(name)) = name THEN key ELSE key || ' ' || name END",
    Run: "name",
    Transform: "name",
}
"""What migration 0007 indexes; the same expression, so that the index serves it."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What is ranked.

    Attributes:
        rows: The id of each record and the values of the fields that were asked for, the newest record first.
        note: Why there may be other records that fit, in words; None if there are none.
    """

    rows: list[tuple[Any, ...]]
    note: str | None = None


def candidates(query: Any, fields: Sequence[str], text: str, limit: int | None) -> Candidates:
    """Return what a search for a text ranks.

    Args:
        query: The records to search.
        fields: Their names, also along a foreign key.
        text: What was typed.
        limit: How many results are wanted; None means all.
    """
    if len(query.order_by("-created_at", "-id").values_list("id", flat=True)[: MOST + 1]) <= MOST:
        return Candidates(_rows(query, fields))
    model = query.model._meta.concrete_model
    own = [field for field in fields if "__" not in field]
    index = _index(query.db, model) if set(own) <= set(_INDEXED.get(model, ())) else None
    if index is None:
        newest = query.order_by("-created_at", "-id")[:SCANNED]
        rows = list(newest.values_list("id", *fields))
        found = _starting(query, model, text, SCANNED)
        older = _rows(query, fields, (row for row in found if row not in {row[0] for row in rows}))
        return Candidates([*rows, *older], _SCANNED if len(rows) == SCANNED else None)
    wanted = MOST if limit is None else min(limit, MOST)
    ids = dict.fromkeys(_starting(query, model, text, _OF_A_WORD))
    search = _Search(query, index, text)
    ids.update(dict.fromkeys(search.ids(wanted)))
    note = _CUT if search.is_cut else _SHORT if not search.words else None
    if "transform__name" in fields:
        ids.update(dict.fromkeys(islice(_of_transforms(query, text, wanted), MOST)))
    if len(ids) > MOST:
        note = _CUT
    return Candidates(_rows(query, fields, list(ids)[:MOST]), note)


def _rows(query: Any, fields: Sequence[str], ids: Iterable[Any] | None = None) -> list[tuple[Any, ...]]:
    """Return id and fields of all records of a query, or of those with some ids, the newest first."""
    chosen = [query] if ids is None else [query.filter(id__in=chunk) for chunk in database.chunks(ids)]
    found = [row for one in chosen for row in one.order_by().values_list("created_at", "id", *fields)]
    found.sort(key=lambda row: row[:2], reverse=True)
    return [tuple(row[1 : len(fields) + 2]) for row in found]


def _starting(query: Any, model: Any, text: str, count: int) -> Iterator[Any]:
    """Yield the ids of records that are called exactly so, or whose names start so, in usual spellings."""
    typed = text.strip()
    for spelling in dict.fromkeys(
        [typed, typed.lower(), typed.capitalize(), *([typed.upper()] * (len(typed) < _LENGTH))]
    ):
        if not _is_storable(spelling):
            continue
        for field in _SORTED.get(model, ()):
            named = query.filter(**{f"{field}__gte": spelling, f"{field}__lt": f"{spelling}\U0010ffff"})
            yield from named.order_by(field).values_list("id", flat=True)[:count]


def _is_storable(text: str) -> bool:
    return bool(text) and "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _of_transforms(query: Any, text: str, wanted: int) -> Iterator[Any]:
    """Yield the ids of the newest runs of the transforms whose names fit best."""
    transforms = Transform.objects.using(query.db)
    found = candidates(transforms, ["name"], text, None)
    for row, _ in RankIndex([name for _, name in found.rows]).rank(text, None):
        runs = query.filter(transform_id=found.rows[row][0]).order_by("-created_at", "-id")
        yield from runs.values_list("id", flat=True)[:wanted]


class _Search:
    """Reads the index for one text.

    Attributes:
        words: The words of the text that have trigrams.
        is_cut: There may be records that fit and were not found.
    """

    def __init__(self, query: Any, index: _Index, text: str) -> None:
        self._query = query
        self._index = index
        self.words = [word for word in words_of(text) if len(word) >= _LENGTH and index.has(word)]
        self.is_cut = False

    def ids(self, wanted: int) -> list[Any]:
        """Return the ids of candidates, the likeliest first: those with all words, or else with some trigrams."""
        if not self.words:
            return []
        grams = _sample([gram for word in self.words for gram in _grams(word)])
        complete = self._index.all_of(grams, _FETCHED)
        found = list(self._kept(complete))
        if len(found) >= wanted:
            self.is_cut = len(complete) == _FETCHED or len(found) > MOST
            return found
        near = self._near(grams)
        more = list(self._kept([one for one in near if one not in set(complete)]))
        self.is_cut |= len(found) + len(more) > MOST
        return [*found, *more]

    def _near(self, grams: list[str]) -> list[Any]:
        """Return what has some of the trigrams, the most of them first: with typing errors, or half of the words."""
        weights: Counter[Any] = Counter()
        unknown = []
        for word in self.words:
            own = _sample(_grams(word))
            having = self._index.all_of(own, _OF_A_WORD)
            weights.update(dict.fromkeys(having, len(own)))
            if not having:
                unknown.append(word)
        edges = [edge for word in unknown for edge in (f" {word[:2]}", f"{word[-2:]} ")]
        common, rare = [], []
        for gram in dict.fromkeys([*grams, *edges]):
            having = self._index.all_of([gram], _RARE + 1)
            if len(having) > _RARE:
                common.append(gram)
            elif having:
                rare.append(gram)
                weights.update(having)
        for word in unknown:
            known = [gram for gram in _sample(_grams(word)) if gram in common or gram in rare]
            half = len(known) // 2
            for part in (known, [gram for gram in known if gram in common], known[:half], known[half:]):
                if part:
                    weights.update(dict.fromkeys(self._index.all_of(part, _OF_A_WORD), len(part)))
        # What has at least half of the trigrams, or of the words, may have common ones only.
        words = [word for word in self.words if set(_sample(_grams(word))) <= set(common)]
        self.is_cut |= 2 * len(set(common) & set(grams)) >= len(grams) or 2 * len(words) >= len(self.words)
        return [one for one, _ in weights.most_common(_FETCHED)]

    def _kept(self, found: list[Any]) -> Iterator[Any]:
        """Yield the ids of those that the query has, as many as are ranked and one more."""
        count = 0
        for chunk in database.chunks(found):
            if count > MOST:
                return
            for one in self._index.ids(self._query, chunk):
                count += 1
                yield one


def _grams(word: str) -> list[str]:
    return [word[start : start + _LENGTH] for start in range(len(word) - _LENGTH + 1)]


def _sample(grams: list[str]) -> list[str]:
    """Return distinct trigrams, and not too many of them."""
    distinct = list(dict.fromkeys(grams))
    every = -(-len(distinct) // _MOST_GRAMS)
    return distinct[:: max(1, every)]


class _Index:
    """The index of the names of one kind of record."""

    def __init__(self, connection: Any, model: Any) -> None:
        self._connection = connection
        self._model = model
        self._table = model._meta.db_table

    def exists(self) -> bool:
        """Return True if the database has it."""
        raise NotImplementedError

    def has(self, word: str) -> bool:
        """Return True if it has the letters of a word."""
        raise NotImplementedError

    def all_of(self, grams: Sequence[str], count: int) -> list[Any]:
        """Return records that have all these trigrams, as far as they are not more than a count, the newest ones."""
        raise NotImplementedError

    def ids(self, query: Any, found: Sequence[Any]) -> list[Any]:
        """Return the ids of those found records that a query has, in the order found."""
        raise NotImplementedError

    def _fetch(self, sql: str, params: Sequence[Any]) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params)
            return [row[0] for row in cursor.fetchall()]


class _SqliteIndex(_Index):
    """An FTS5 table, whose rows have the numbers of those of the records' table."""

    def exists(self) -> bool:
        return bool(self._fetch("SELECT 1 FROM sqlite_master WHERE name = %s", [f"{self._table}_search"]))

    def has(self, word: str) -> bool:
        return True

    def all_of(self, grams: Sequence[str], count: int) -> list[Any]:
        index = f"{self._table}_search"
        sql = f"SELECT rowid FROM {index} WHERE {index} MATCH %s ORDER BY rowid DESC LIMIT {count}"
        return self._fetch(sql, [" AND ".join('"{}"'.format(gram.replace('"', '""')) for gram in grams)])

    def ids(self, query: Any, found: Sequence[Any]) -> list[Any]:
        chosen = query.extra(
            select={"search_row": f'"{self._table}".rowid'},
            where=[f'"{self._table}".rowid IN ({", ".join(map(str, found))})'],
        )
        by_row = {row: one for one, row in chosen.order_by().values_list("id", "search_row")}
        return [by_row[row] for row in found if row in by_row]


class _PostgresIndex(_Index):
    """A GIN index of an expression."""

    def exists(self) -> bool:
        return self._fetch("SELECT to_regclass(%s)::text", [f"{self._table}_search"]) != [None]

    def has(self, word: str) -> bool:
        # The extension knows no letters beyond ASCII where the database sorts by bytes.
        return word.isascii() or self._fetch("SELECT cardinality(show_trgm(%s))", [word]) != [0]

    def all_of(self, grams: Sequence[str], count: int) -> list[Any]:
        text = f"lamindb_folded({_POSTGRES_TEXT[self._model]})"
        patterns = [gram.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for gram in grams]
        condition = " AND ".join([f"{text} LIKE %s"] * len(grams))
        some = f"SELECT id, created_at FROM {self._table} WHERE {condition} LIMIT {count}"
        sql = f"SELECT id FROM ({some}) AS chosen ORDER BY created_at DESC, id DESC"
        return self._fetch(sql, [f"%{pattern}%" for pattern in patterns])

    def ids(self, query: Any, found: Sequence[Any]) -> list[Any]:
        known = set(query.filter(id__in=found).order_by().values_list("id", flat=True))
        return [one for one in found if one in known]


def _index(alias: str, model: Any) -> _Index | None:
    """Return the index of the names of a kind of record; None if the database has none."""
    connection = database.connection(alias)
    found = (_PostgresIndex if connection.vendor == "postgresql" else _SqliteIndex)(connection, model)
    return found if found.exists() else None
