"""The records that a search ranks: all of a query if it has few, else those that share trigrams with what was typed.

The database has an index of the trigrams of names (see migration 0007), without marks of letters. Candidates have all
trigrams of the text, or else those that few names have, so that names with a typing error are among them. No long list
of the index is read to its end, and at most `MOST` candidates are ranked.

A search asks in a few steps, each of which needs the answers of the one before. It is a generator of what it asks at
each step, so that several searches share the statements: one for each step, whatever is searched and typed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.core.exceptions import EmptyResultSet

from lamindb.core import context
from lamindb.db import database
from lamindb.models import File, Run, Transform
from lamindb.search.ranking import RankIndex, words_of
from lamindb.search.sample import Sample, Samples

MOST: Final = 1_000
"""The maximum number of records that are ranked."""

SCANNED: Final = 100_000
"""The maximum number of records that are ranked where there is no index."""

_RARE: Final = 2_000
"""A trigram that more names have is common: it only narrows what others find."""

_FETCHED: Final = 3 * MOST
"""How many records are taken from the index, of which a query keeps those that it has."""

_AT_ONCE: Final = 1_500
"""So many of these are looked at in one step: mostly that is enough."""

_ARMS: Final = 100
"""How many questions a statement has at most: databases limit them."""

_SAMPLE: Final = 1_500
"""So many names, anywhere, tell which texts are in so many names that their lists need not be read."""

_ONE_IN: Final = 11
"""Of so many names on the pages that are read for the sample, one is taken."""

_SAMPLED_FROM: Final = 50_000
"""Fewer records are not worth a sample."""

_SHARE: Final = 0.05
"""What is in so much of the sample is common, and much more than `_RARE` records have it."""

_MARGIN: Final = 4
"""So many times as many names as are rare have a trigram by the sample if its list need not be read."""

_MOST_SAMPLED: Final = 40_000
"""So many records are read at most to find those that have common trigrams."""

_OF_A_WORD: Final = 300
_ANY_TRANSFORM: Final = "\ue000 the id of a transform"
_ANY_START: Final = "\ue000 the start of names"
_ANY_END: Final = "\ue000 the end of such names"
"""Of a private character, which no one types: what stands in a query that is built once and asked for several."""
_MOST_GRAMS: Final = 24
_LENGTH: Final = 3

_CUT: Final = f"only {MOST:,} candidates were ranked: a longer text finds others"
_SHORT: Final = "a text of one or two letters finds only what starts with it"
_SCANNED: Final = f"only the newest {SCANNED:,} were compared, as there is no index"

_INDEXED: Final[dict[Any, tuple[str, ...]]] = {File: ("name", "key"), Run: ("name",), Transform: ("name",)}
_SORTED: Final[dict[Any, tuple[str, ...]]] = {File: ("name", "key"), Run: (), Transform: ("name",)}
"""The fields whose start an index finds."""

_POSTGRES_TEXT: Final = "search_text"
"""A column that migration 0009 makes: the names as searches compare them, whose trigrams the index has."""


_Rows = list[tuple[Any, ...]]
_Question = tuple[str, Sequence[Any]]
"""A statement with `_COLUMNS` columns and its parameters; without a statement, nothing is found."""

_NOTHING: Final[_Question] = ("", ())
_COLUMNS: Final = 5

_Result = TypeVar("_Result")
_Asking = Generator[list[_Question], list[_Rows], _Result]
"""Yields the questions of a step, gets their rows, and returns a result."""

Search = _Asking["Candidates"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What is ranked.

    Attributes:
        rows: The id of each record and the values of the fields that were asked for, the newest record first.
        note: Why there may be other records that fit, in words; None if there are none.
    """

    rows: list[tuple[Any, ...]]
    note: str | None = None


def answered(alias: str, searches: Sequence[Search]) -> list[Candidates]:
    """Return the results of several searches in one database, which ask together."""
    connection = database.connection(alias)
    together = _together(*searches)
    answers: Any = None
    while True:
        try:
            answers = _asked(connection, together.send(answers))
        except StopIteration as end:
            results: list[Candidates] = end.value
            return results


def _together(*searches: _Asking[Any]) -> _Asking[list[Any]]:
    """Ask what several searches ask at each step, and return their results."""
    results: dict[int, Any] = {}
    answers: dict[int, Any] = dict.fromkeys(range(len(searches)))
    while answers:
        asked: dict[int, list[_Question]] = {}
        for number, answer in answers.items():
            try:
                asked[number] = searches[number].send(answer)
            except StopIteration as end:
                results[number] = end.value
        if asked:
            rows = iter((yield [question for questions in asked.values() for question in questions]))
        answers = {number: [next(rows) for _ in questions] for number, questions in asked.items()}
    return [results[number] for number in range(len(searches))]


def _asked(connection: Any, questions: Sequence[_Question]) -> list[_Rows]:
    """Return the rows of each question, in its order."""
    found: list[_Rows] = [[] for _ in questions]
    numbered = [(number, *one) for number, one in enumerate(questions) if one[0]]
    for chunk in database.chunks(numbered, _ARMS):
        if len(chunk) == 1:
            [(number, sql, params)] = chunk
            found[number] = connection.fetch(sql, params)
            continue
        arms = " UNION ALL ".join(
            f"SELECT {number} AS arm, q{number}.* FROM ({sql}) q{number}" for number, sql, _ in chunk
        )
        with connection.cursor() as cursor:
            cursor.execute(arms, [one for _, _, params in chunk for one in params])
            for row in cursor.fetchall():
                found[row[0]].append(row[1:])
    return found


def search(query: Any, fields: Sequence[str], text: str, limit: int | None) -> Search:
    """Find what a search for a text ranks.

    Args:
        query: The records to search.
        fields: Their names, also along a foreign key; two at most.
        text: What was typed.
        limit: How many results are wanted; None means all.
    """
    model = query.model._meta.concrete_model
    index = (_PostgresIndex if database.connection(query.db).vendor == "postgresql" else _SqliteIndex)(query, fields)
    newest = query.order_by("-created_at", "-id")
    starts = list(_starting(query, model))
    spellings = _spellings(text)
    is_indexed = {field for field in fields if "__" not in field} <= set(_INDEXED.get(model, ()))
    existing, few, *starting = yield [
        index.existing() if is_indexed else _NOTHING,
        index.keys(newest, MOST + 1),
        *_spelled(index, starts, spellings, _OF_A_WORD),
    ]
    if not few or len(json.loads(few[0][0] or "[]")) <= MOST:
        return Candidates(_ordered((yield [index.rows(query.order_by())])[0], fields))
    if not existing:
        rows, *starting = yield [index.rows(newest, SCANNED), *_spelled(index, starts, spellings, SCANNED)]
        note = _SCANNED if len(rows) == SCANNED else None
        return Candidates(_ordered([*rows, *(row for found in starting for row in found)], fields), note)
    wanted = MOST if limit is None else min(limit, MOST)
    named = _Named(index, text)
    parts = [named.rows(wanted)]
    if "transform__name" in fields:
        parts.append(_of_transforms(query, index, text, wanted))
    found = dict.fromkeys(row for rows in [*starting, *(yield from _together(*parts))] for row in rows)
    note = _CUT if named.is_cut or len(found) > MOST else _SHORT if not named.words else None
    return Candidates(_ordered(list(found)[:MOST], fields), note)


def _ordered(rows: Iterable[tuple[Any, ...]], fields: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return id and fields of records, each once, the newest first, from rows with key, id, time and fields."""
    distinct = {row[1]: row for row in rows}
    ordered = sorted(distinct.values(), key=lambda row: (row[2], row[1]), reverse=True)
    return [(row[1], *row[3 : 3 + len(fields)]) for row in ordered]


def _spellings(text: str) -> list[str]:
    """Return what was typed in usual spellings."""
    typed = text.strip()
    short = [typed.upper()] if len(typed) < _LENGTH else []
    return [one for one in dict.fromkeys([typed, typed.lower(), typed.capitalize(), *short]) if _is_storable(one)]


def _starting(query: Any, model: Any) -> Iterator[Any]:
    """Yield queries for records whose names start with `_ANY_START`, or are called exactly so."""
    for field in _SORTED.get(model, ()):
        named = query.filter(**{f"{field}__gte": _ANY_START, f"{field}__lt": _ANY_END})
        yield named.order_by(field)


def _spelled(index: _Index, starts: Sequence[Any], spellings: Sequence[str], most: int) -> Iterator[_Question]:
    """Yield what asks for the records whose names start with one of some spellings."""
    # Each query is built once, for all spellings.
    asked = [index.rows(one, most) for one in starts] if spellings else []
    for spelling in spellings:
        given = {_ANY_START: spelling, _ANY_END: f"{spelling}\U0010ffff"}
        for sql, params in asked:
            yield sql, [given.get(one, one) if isinstance(one, str) else one for one in params]


def _is_storable(text: str) -> bool:
    return bool(text) and "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _of_transforms(query: Any, index: _Index, text: str, wanted: int) -> _Asking[_Rows]:
    """Return the newest runs of the transforms whose names fit best."""
    transforms = yield from search(Transform.objects.using(query.db), ["name"], text, None)
    ranked = RankIndex([name for _, name in transforms.rows]).rank(text, None)
    ids = [transforms.rows[row][0] for row, _ in ranked]
    # Built once, for a transform that there is not.
    sql, params = index.rows(query.filter(transform_id=_ANY_TRANSFORM).order_by("-created_at", "-id"), wanted)
    found: _Rows = []
    count = max(1, MOST // wanted)
    while ids and len(found) < wanted:
        some, ids, count = ids[:count], ids[count:], _ARMS
        answers = yield [(sql, [one if given == _ANY_TRANSFORM else given for given in params]) for one in some]
        found += [row for rows in answers for row in rows]
    return found[:MOST]


class _Named:
    """Reads the index for one text.

    Attributes:
        words: The words of the text that have trigrams.
        is_cut: There may be records that fit and were not found.
    """

    def __init__(self, index: _Index, text: str) -> None:
        self._index = index
        self.words = [word for word in words_of(text) if len(word) >= _LENGTH and index.has(word)]
        self.is_cut = False

    def rows(self, wanted: int) -> _Asking[_Rows]:
        """Return candidates, the likeliest first: those with all words, or else with some trigrams."""
        if not self.words:
            return []
        grams = _sample([gram for word in self.words for gram in _grams(word)])
        yield from self._index.look_at_sample()
        # Of what many names have, fewer are mostly enough.
        for count in (_AT_ONCE, _FETCHED):
            complete = yield from self._index.having_all(grams, count)
            found = yield from self._kept(complete)
            self.is_cut = self._index.reads_some(grams, count)
            if len(found) >= wanted:
                self.is_cut |= len(complete) == count or len(found) > MOST
                return found
            if len(complete) < count:
                break
        near = yield from self._near(grams, complete)
        known = set(complete)
        more = yield from self._kept([one for one in near if one not in known])
        self.is_cut |= len(found) + len(more) > MOST
        return [*found, *more]

    def _near(self, grams: list[str], complete: list[Any]) -> _Asking[list[Any]]:
        """Return what has some of the trigrams, the most of them first: with typing errors, or half of the words."""
        own = {word: _sample(_grams(word)) for word in self.words}
        is_one = len(self.words) == 1
        answers = yield [
            *(_NOTHING if is_one else self._index.all_of(own[word], _OF_A_WORD) for word in self.words),
            *(self._index.having(gram) if self._index.is_rare(gram) else _NOTHING for gram in grams),
        ]
        if is_one:
            answers[0] = [(key,) for key in complete[:_OF_A_WORD]]
        weights: Counter[Any] = Counter()
        unknown = []
        for word, rows in zip(self.words, answers, strict=False):
            weights.update(dict.fromkeys([row[0] for row in rows], len(own[word])))
            if not rows:
                unknown.append(word)
        kinds = {gram: self._weigh(rows, weights) for gram, rows in zip(grams, answers[len(self.words) :], strict=True)}
        some = {gram for gram in grams if self._index.reads_some([gram], _RARE + 1)}
        common = {gram for gram, kind in kinds.items() if kind == "common" or gram in some}
        edges = dict.fromkeys(edge for word in unknown for edge in _edges(word))
        parts = []
        for word in unknown:
            known = [gram for gram in own[word] if kinds.get(gram)]
            # What lacks one of them has all of one half. Each half has some of the rarest.
            by_rarity = sorted(known, key=lambda gram: (gram in common, self._index.share([gram])))
            # Names with none of the rare ones are in no list that was read.
            parts += [known, [gram for gram in known if gram in common], by_rarity[::2], by_rarity[1::2]]
        parts = [part for part in parts if part]
        if unknown:
            answers = yield [
                *(self._index.having(edge) if self._index.is_rare(edge) else _NOTHING for edge in edges),
                *(self._index.all_of(part, _OF_A_WORD) for part in parts),
            ]
            for rows in answers[: len(edges)]:
                self._weigh(rows, weights)
            for part, rows in zip(parts, answers[len(edges) :], strict=True):
                weights.update(dict.fromkeys([row[0] for row in rows], len(part)))
                self.is_cut |= len(rows) == _OF_A_WORD or self._index.reads_some(part, _OF_A_WORD)
        # What has at least half of the trigrams, or of the words, may have common ones only.
        words = [word for word in self.words if set(own[word]) <= common]
        self.is_cut |= 2 * len(common) >= len(grams) or 2 * len(words) >= len(self.words) or len(weights) > _FETCHED
        return [one for one, _ in weights.most_common(_FETCHED)]

    @staticmethod
    def _weigh(rows: _Rows, weights: Counter[Any]) -> str:
        """Count the names that have a trigram, if it is rare; return whether it is `rare`, `common`, or in none: "".

        Without rows nothing was asked, as it is known to be common.
        """
        keys = json.loads(rows[0][0] or "[]") if rows else None
        if keys is None or len(keys) > _RARE:
            return "common"
        weights.update(keys)
        return "rare" if keys else ""

    def _kept(self, keys: list[Any]) -> _Asking[_Rows]:
        """Return the rows of those that the query has, as many as are ranked and one more."""
        found: _Rows = []
        for chunk in database.chunks(keys, _AT_ONCE):
            if len(found) > MOST:
                break
            [rows] = yield [self._index.among(chunk)]
            by_key = {row[0]: row for row in rows}
            found += [by_key[key] for key in chunk if key in by_key]
        return found[: MOST + 1]


def _grams(word: str) -> list[str]:
    return [word[start : start + _LENGTH] for start in range(len(word) - _LENGTH + 1)]


def _edges(word: str) -> tuple[str, str]:
    """Return the trigrams at the start and at the end of a word, which are only in words that begin and end so."""
    return f" {word[:2]}", f"{word[-2:]} "


def _sample(grams: list[str]) -> list[str]:
    """Return distinct trigrams, and not too many of them."""
    distinct = list(dict.fromkeys(grams))
    every = -(-len(distinct) // _MOST_GRAMS)
    return distinct[:: max(1, every)]


class _Index:
    """The index of the names of the records of one query. Records have keys in it.

    Args:
        query: The query.
        fields: The fields that are read of its records.
    """

    key = ""
    """The SQL for the key of a record."""
    listed = ""
    """The function that makes a list of values."""
    cast = ""

    def __init__(self, query: Any, fields: Sequence[str]) -> None:
        self._query = query
        self._fields = fields
        self._table = query.model._meta.db_table

    def existing(self) -> _Question:
        """Ask whether the database has it: for one row if it has."""
        raise NotImplementedError

    def has(self, word: str) -> bool:
        """Return True if it has the letters of a word."""
        raise NotImplementedError

    def look_at_sample(self) -> _Asking[None]:
        """Learn what many names have, where that saves time."""
        yield from ()

    def is_common(self, grams: Sequence[str]) -> bool:
        """Return True if it is known that so many names have all these trigrams that reading all of them takes long."""
        return self.share(grams) >= _SHARE

    def share(self, grams: Sequence[str]) -> float:
        """Return the share of names that have all these trigrams, as far as it is known; else 0."""
        return 0

    def reads_some(self, grams: Sequence[str], count: int) -> bool:
        """Return True if only some names are looked at for those that have all these trigrams.

        Of these there may be fewer now than when it was learned that many have them.
        """
        return False

    def is_rare(self, gram: str) -> bool:
        """Return False if it is known that a trigram is in more names than a rare one."""
        return True

    def all_of(self, grams: Sequence[str], count: int) -> _Question:
        """Ask for the keys of records that have all these trigrams, as far as they are not more than a count."""
        raise NotImplementedError

    def having_all(self, grams: Sequence[str], count: int) -> _Asking[list[Any]]:
        """Return the keys of records that have all these trigrams, as far as they are not more than a count."""
        [rows] = yield [self.all_of(grams, count)]
        return [row[0] for row in rows]

    def having(self, gram: str) -> _Question:
        """Ask for the keys of records that have a trigram, as JSON; of a common one for one more than are rare."""
        sql, params = self.all_of([gram], _RARE + 1)
        return self._padded(f"{self.listed}(found){self.cast}", 1, f"({sql}) having_it"), params

    def among(self, keys: Sequence[Any]) -> _Question:
        """Ask for those records of the query that have one of some keys."""
        raise NotImplementedError

    def keys(self, query: Any, most: int) -> _Question:
        """Ask for the keys of the first records of a query, as JSON."""
        sql, params = self._selected(query, (), most)
        return (self._padded(f"{self.listed}(search_key){self.cast}", 1, f"({sql}) first"), params) if sql else _NOTHING

    def rows(self, query: Any, most: int | None = None) -> _Question:
        """Ask for the key, id, time and fields of the records of a query, or of the first ones."""
        return self._selected(query, ("id", "created_at", *self._fields), most)

    def _selected(self, query: Any, names: Sequence[str], most: int | None) -> _Question:
        chosen = query.extra(select={"search_key": self.key.format(table=self._table)})
        try:
            sql, params = chosen.values_list("search_key", *names)[:most].query.get_compiler(using=query.db).as_sql()
        except EmptyResultSet:
            return _NOTHING
        columns = [f'q."{name}"{self.cast}' for name in ("search_key", *names)]
        if not self.cast and names:
            # An expression, of which the driver makes no time.
            columns[2] += " || ''"
        return self._padded(", ".join(columns), len(columns), f"({sql}) q"), params

    def _padded(self, columns: str, count: int, table: str) -> str:
        return f"SELECT {columns}{f', NULL{self.cast}' * (_COLUMNS - count)} FROM {table}"


class _SqliteIndex(_Index):
    """An FTS5 table, whose rows have the numbers of those of the records' table."""

    key = '"{table}".rowid'
    listed = "json_group_array"

    def existing(self) -> _Question:
        return self._padded("1", 1, "sqlite_master WHERE name = %s"), [f"{self._table}_search"]

    def has(self, word: str) -> bool:
        return True

    def all_of(self, grams: Sequence[str], count: int) -> _Question:
        return self._matching(grams, f"ORDER BY rowid DESC LIMIT {count}")

    def having_all(self, grams: Sequence[str], count: int) -> _Asking[list[Any]]:
        # Forwards the index skips what other lists do not have, but not backwards.
        [rows] = yield [self._matching(grams, f"LIMIT {count}")]
        if len(rows) == count:
            return (yield from super().having_all(grams, count))
        return sorted((row[0] for row in rows), reverse=True)

    def _matching(self, grams: Sequence[str], order: str) -> _Question:
        index = f"{self._table}_search"
        sql = self._padded("rowid AS found", 1, f"{index} WHERE {index} MATCH %s {order}")
        return sql, [" AND ".join('"{}"'.format(gram.replace('"', '""')) for gram in grams)]

    def among(self, keys: Sequence[Any]) -> _Question:
        # As one parameter: a long list of numbers makes SQLite read a small table whole.
        among = f'"{self._table}".rowid IN (SELECT value FROM json_each(%s))'
        return self.rows(self._query.order_by().extra(where=[among], params=[json.dumps(keys)]))


class _PostgresIndex(_Index):
    """A GIN index of the column with the names."""

    key = '"{table}"."id"'
    listed = "json_agg"
    cast = "::text"

    def __init__(self, query: Any, fields: Sequence[str]) -> None:
        super().__init__(query, fields)
        self._sample = Sample(0, ())

    def existing(self) -> _Question:
        index = f"{self._table}_search"
        return self._padded("1::text", 1, "(SELECT to_regclass(%s) AS found) r WHERE found IS NOT NULL"), [index]

    def has(self, word: str) -> bool:
        if word.isascii():
            return True
        # The extension knows no letters beyond ASCII where the database sorts by bytes.
        with database.connection(self._query.db).cursor() as cursor:
            cursor.execute("SELECT cardinality(show_trgm(%s))", [word])
            return bool(cursor.fetchone()[0])

    def look_at_sample(self) -> _Asking[None]:
        instance = context.connected(self._query.db)
        samples = instance.part(Samples) if instance is not None else Samples()
        kept = samples.of(self._table)
        if kept is None:
            # Names that were saved together are alike and stand together: few of each page, of many pages.
            some = f"{self._sampled(_ONE_IN * _SAMPLE)} WHERE mod(hashtext(id), {_ONE_IN}) = 0"
            # What has no name counts: shares are of all records.
            name = f"COALESCE({_POSTGRES_TEXT}, '') AS name"
            names = f"SELECT (ctid::text::point)[0] AS page, {name} FROM {self._table} {some}"
            total = f"(SELECT reltuples FROM pg_class WHERE oid = '{self._table}'::regclass)::text"
            columns = f"{total}, json_agg(json_build_array(page, name))::text"
            [[row]] = yield [(self._padded(columns, 2, f"({names}) sampled"), [])]
            kept = Sample(float(row[0]), json.loads(row[1] or "[]"))
            samples.keep(self._table, kept)
        self._sample = kept

    def share(self, grams: Sequence[str]) -> float:
        return self._sample.share(grams)

    def is_rare(self, gram: str) -> bool:
        return not self._sample.is_in_more(gram, _MARGIN * _RARE)

    def reads_some(self, grams: Sequence[str], count: int) -> bool:
        return self.is_common(grams) and self._needed(grams, count) <= min(_MOST_SAMPLED, self._sample.total)

    def _needed(self, grams: Sequence[str], count: int) -> int:
        """Return of how many records so many surely have all these trigrams."""
        return round(3 * count / self.share(grams))

    def all_of(self, grams: Sequence[str], count: int) -> _Question:
        if not self.is_common(grams):
            condition = " AND ".join([f"{_POSTGRES_TEXT} LIKE %s"] * len(grams))
            some = f"SELECT id, created_at FROM {self._table} WHERE {condition} LIMIT {count}"
            params = [self._pattern(gram) for gram in grams]
        else:
            some, params = self._all_of_common(grams, count)
        sql = self._padded("id::text AS found", 1, f"({some}) AS chosen ORDER BY created_at DESC, id DESC")
        return sql, params

    def _all_of_common(self, grams: Sequence[str], count: int) -> tuple[str, list[Any]]:
        """Return what reads records that have common trigrams, which many have all of.

        The index would read the list of each trigram to its end.
        """
        rarest = min(grams, key=lambda gram: self.share([gram]))
        needed = self._needed(grams, count)
        where, params = f"{self._sampled(needed)} WHERE", []
        if needed > _MOST_SAMPLED:
            where, params = f"WHERE {_POSTGRES_TEXT} LIKE %s AND", [self._pattern(rarest)]
        # Of COALESCE the planner expects half of the records, otherwise few, for which it would start parallel workers.
        has_all = f"COALESCE({_POSTGRES_TEXT} LIKE ALL (%s), false)"
        found = f"SELECT id, created_at FROM {self._table} {where} {has_all} LIMIT {count}"
        return found, [*params, [self._pattern(gram) for gram in grams]]

    def _sampled(self, count: int) -> str:
        """Return what reads about so many records, those of pages anywhere in a table, always the same ones."""
        percent = f"least(100, {100.0 * count} / reltuples)"
        chosen = f"SELECT CASE WHEN reltuples >= {_SAMPLED_FROM} THEN {percent} ELSE 0 END FROM pg_class"
        return f"TABLESAMPLE SYSTEM (({chosen} WHERE oid = '{self._table}'::regclass)) REPEATABLE (0)"

    @staticmethod
    def _pattern(gram: str) -> str:
        escaped = gram.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"%{escaped}%"

    def among(self, keys: Sequence[Any]) -> _Question:
        # As one parameter, ready: the driver takes longer to write a thousand than the server to look them up.
        among = f'"{self._table}"."id" = ANY (%s::text[])'
        # Quoted, as NULL without quotes is no text.
        listed = '{{"{}"}}'.format('","'.join(keys)) if "".join(keys).isalnum() else list(keys)
        return self.rows(self._query.order_by().extra(where=[among], params=[listed]))
