"""Rank names for a search. It runs here, not in the database, so the ranking is the same on every database.

From best to worst; within a group, shorter names are first:

| score | the name |
|---|---|
| 100, 99 | equals the query; equals it except for punctuation and space |
| 90–98 | starts with it |
| 80–88 | has a word that starts with it |
| 70–78 | contains it |
| 50–68 | contains all of its words, in any order |
| 24–50 | contains at least half of its words, misspelled ones included, or half of its trigrams |

Case and accents are ignored. Punctuation between words is ignored, too, but among names of the same length those with
the same punctuation are first. Whole words match with or without punctuation or space inside: `il6` matches `IL-6`.

Punctuation at the start or end of a query is significant, as in `c++` or `.csv`: names that contain the query literally
are first, and the scores of all others are multiplied by 0.7. Equal scores keep the order of the caller.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, compress, repeat
from math import ceil
from operator import contains

__all__ = ["RankIndex", "normalise", "words_of"]

_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_UNDECOMPOSED = str.maketrans(
    {
        **dict(zip("øłđıðħŧƀɨ", "oldidhtbi", strict=True)),
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u2018\u2019", "'"),
        **dict.fromkeys("\u201c\u201d", '"'),
    }
)
"""Letters that Unicode does not decompose, and typographic dashes and quotes."""

_PUNCTUATION = bytes(
    ord(" ") if byte < 128 and not chr(byte).isalnum() and byte != ord("\n") else byte for byte in range(256)
)
_NO_LETTER_BEFORE = r"(?:^|[\x00-/:-@\[-`{-\x7f])"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

_MAX_QUERY = 4_096
"""Only the first characters of a query are used: more than any key has."""

_MAX_TOKENS = 8
_MAX_TRIGRAMS = 8
_MAX_SCANS = 8
_MAX_WORD = 32
"""The maximum length of a word that is matched with typos or with space inside."""

_MIN_TYPO_LENGTH = 4
_MIN_TRIGRAM_LENGTH = 5
_HALF = 0.5

_WHOLE, _START, _INSIDE, _TYPO = 20, 18, 15, 14
"""Points for a word of the query: as a whole word, at the start of one, inside one, misspelled."""

_TRIGRAM_POINTS = 1_000
"""More than the points of all words, so that one number holds the points for words and for trigrams."""

_NOT_LITERAL = 0.7
_LITERAL_BONUS = 0.5

Level = list[list[int]]
"""Groups of rows. Within a group, longer names have lower scores; every row is better than those of the next level."""


def normalise(text: str) -> str:
    """Return text without case, accents, compatibility forms and surplus space, as searches compare it.

    Examples:
        >>> normalise("  Größe  École ﬁle Łódź ")
        'grosse ecole file lodz'
    """
    return " ".join(_fold(text).split())


def words_of(text: str) -> list[str]:
    """Return the distinct words of a query, normalised; of a long one those that are used.

    Examples:
        >>> words_of("Größe/x-10 größe")
        ['grosse', 'x', '10']
    """
    return _Query(text).tokens


class RankIndex:
    """An index of names; it takes about 450 bytes for each.

    Args:
        texts: The names, the newest first: among equal scores the first ones win. Empty names are never found.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._normals = _normalise_all(texts)
        self._words = _split_words(self._normals)
        self._all = "\n".join(self._words).replace(" ", "")
        self._compact = self._all.split("\n")[: len(self._words)]
        self._vocabulary: frozenset[str] | None = None

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._normals)

    def rank(self, query: str, limit: int | None = 20) -> list[tuple[int, float]]:
        """Return the names that match a query, best first.

        A query without letters or digits matches literally; an empty one matches nothing. Only the first 4,096
        characters are used.

        Args:
            query: The query.
            limit: The maximum number of results; None means all. The results with a limit are the first of all.

        Returns:
            Pairs of the position in `texts` and the score between 0 and 100.
        """
        parsed = _Query(query)
        wanted = len(self) if limit is None else limit
        if not parsed.normal or wanted <= 0:
            return []
        rows: dict[int, None] = {}
        for level in self._levels(parsed, wanted) if parsed.words else self._levels_of_signs(parsed, wanted):
            for group in level:
                rows.update(dict.fromkeys(self._shortest(group, parsed, wanted)))
            if len(rows) >= wanted:
                break
        scored = [(row, parsed.score(self._normals[row], self._words[row], self._compact[row])) for row in rows]
        found = [(row, score) for row, score in scored if score > 0]
        found.sort(key=lambda pair: (-pair[1], pair[0]))
        return found[:wanted]

    def _levels_of_signs(self, parsed: _Query, wanted: int) -> Iterator[Level]:
        """Yield the matches of a query without letters or digits."""
        hits = self._containing(self._normals, parsed.normal)
        yield [[row for row in hits if self._normals[row] == parsed.normal][:wanted]]
        yield [[row for row in hits if self._normals[row].startswith(parsed.normal)]]
        yield [hits]

    def _levels(self, parsed: _Query, wanted: int) -> Iterator[Level]:
        """Yield possible matches, the best first. Rows may repeat in later levels."""
        normals, words, compact = self._normals, self._words, self._compact
        start = f" {parsed.words}"
        hits = near = self._containing(compact, parsed.compact)
        # Exact matches all have the same score, whatever their length.
        yield [[row for row in near if normals[row] == parsed.normal][:wanted]]
        typed = {row for row in near if parsed.normal in normals[row]} if parsed.has_signs else set()
        if parsed.is_literal:
            literal = sorted(typed)
            yield [[row for row in literal if normals[row].startswith(parsed.normal)]]
            yield [[row for row in literal if parsed.is_at_word(normals[row])]]
            yield [literal]
            near = _without(near, typed) if typed else near
            typed = set()
        yield [[row for row in near if compact[row] == parsed.compact][:wanted]]
        first = [row for row in near if words[row].startswith(start)]
        others = _without([row for row in near if compact[row].startswith(parsed.compact)], first)
        yield _divided(first, typed) + _divided([row for row in others if parsed.starts_spaced(words[row])], typed)
        inner = [row for row in near if start in words[row]]
        others = _without(near, inner)
        yield _divided(inner, typed) + _divided([row for row in others if parsed.has_spaced(words[row])], typed)
        yield _divided([row for row in near if parsed.words in words[row]], typed)
        if parsed.tokens == [parsed.compact]:
            of_words = [[row for row in hits if parsed.compact in words[row]]]
        else:
            of_words = [self._containing(words, token) for token in parsed.tokens]
        yield self._complete(parsed, of_words)
        yield self._loose(parsed, of_words)

    def _complete(self, parsed: _Query, hits: list[list[int]]) -> Level:
        """Return the rows that contain all words of a query, grouped by points."""
        fewest, *others = sorted(hits, key=len)
        rows = sorted(set(fewest).intersection(*others))
        points = [self._points(token, rows) for token in parsed.tokens]
        groups = defaultdict(list)
        for row, total in zip(rows, map(sum, zip(*points, strict=True)), strict=True):
            groups[total].append(row)
        return list(groups.values())

    def _loose(self, parsed: _Query, hits: list[list[int]]) -> Level:
        """Return the rows that contain half of the words, with typos, or half of the trigrams, grouped by points."""
        unknown = [token for token, rows in zip(parsed.tokens, hits, strict=True) if not rows]
        parsed.expand(unknown, self._known_words())
        points = [0] * len(self)
        for token, rows in zip(parsed.tokens, hits, strict=True):
            for row, more in zip(rows, self._points(token, rows), strict=True):
                points[row] += more
        for corrections in parsed.corrections.values():
            for row in self._containing_one(corrections):
                points[row] += _TYPO
        for trigram in parsed.trigrams:
            for row in self._containing(self._compact, trigram):
                points[row] += _TRIGRAM_POINTS
        groups: dict[int, list[int]] = {found: [] for found in set(points) if parsed.can_match(found)}
        for row, found in enumerate(points):
            if found in groups:
                groups[found].append(row)
        return list(groups.values())

    def _points(self, token: str, rows: list[int]) -> list[int]:
        """Return the points of rows that contain a word."""
        whole, start, words = f" {token} ", f" {token}", self._words
        return [_WHOLE if whole in (text := words[row]) else _START if start in text else _INSIDE for row in rows]

    def _containing_one(self, words: frozenset[str]) -> list[int]:
        """Return the rows that contain at least one of some words."""
        if len(words) <= _MAX_SCANS:
            return list(set(chain.from_iterable(self._containing(self._words, f" {word} ") for word in words)))
        return [row for row, text in enumerate(self._words) if not words.isdisjoint(text.split())]

    def _known_words(self) -> frozenset[str]:
        if self._vocabulary is None:
            self._vocabulary = frozenset("".join(self._words).split())
        return self._vocabulary

    def _containing(self, texts: list[str], part: str) -> list[int]:
        if texts is not self._normals and part.strip(" ") not in self._all:
            return []
        return list(compress(range(len(texts)), map(contains, texts, repeat(part))))

    def _shortest(self, rows: list[int], parsed: _Query, count: int) -> list[int]:
        """Return the first rows of a group by length, in the order of the caller for equal lengths."""
        if len(rows) <= count:
            return rows
        if not parsed.words:
            return sorted(rows, key=lambda row: len(self._normals[row]))[:count]
        least = len(parsed.words) + 2
        return sorted(rows, key=lambda row: max(least, len(self._words[row])))[:count]


class _Query:
    """A parsed query, which scores names.

    Attributes:
        normal: The normalised query.
        words: The query without punctuation.
        compact: The query without punctuation and space.
        has_signs: It has punctuation.
        is_literal: It begins or ends with punctuation, and has words.
        tokens: Its distinct words.
        trigrams: A sample of its trigrams.
        corrections: For words that are in no name, the known words that they may be misspellings of.
        spaced: Matches its letters as whole words with any spaces between.
    """

    def __init__(self, text: str) -> None:
        self.normal = normalise(text[:_MAX_QUERY])
        self.words = _split_words([self.normal])[0].strip(" ")
        self.compact = self.words.replace(" ", "")
        self.has_signs = self.normal != self.words
        self.is_literal = bool(self.words) and not (self._is_word(self.normal[0]) and self._is_word(self.normal[-1]))
        self.tokens = list(dict.fromkeys(self.words.split()))[:_MAX_TOKENS]
        self.corrections: dict[str, frozenset[str]] = {}
        trigrams = list(dict.fromkeys(self.compact[start : start + 3] for start in range(len(self.compact) - 2)))
        every = max(1, ceil(len(trigrams) / _MAX_TRIGRAMS))
        self.trigrams = trigrams[::every] if len(trigrams) > _MIN_TRIGRAM_LENGTH - 3 else []
        can_be_spaced = 1 < len(self.compact) <= _MAX_WORD
        self.spaced = re.compile(f" {' ?'.join(map(re.escape, self.compact))} ") if can_be_spaced else None
        literal = re.escape(self.normal)
        begins_with_sign = self.is_literal and not self._is_word(self.normal[0])
        self._at_word = literal if begins_with_sign else f"{_NO_LETTER_BEFORE}{literal}"

    @staticmethod
    def _is_word(letter: str) -> bool:
        return letter.isalnum() or not letter.isascii()

    def is_at_word(self, normal: str) -> bool:
        """Return True if a name contains the query literally at the start of a word."""
        return re.search(self._at_word, normal) is not None

    def has_spaced(self, words: str) -> bool:
        """Return True if a name contains the query as whole words, with any spaces between its letters."""
        return self.spaced is not None and self.spaced.search(words) is not None

    def starts_spaced(self, words: str) -> bool:
        """Return True if a name starts with the query as whole words, with any spaces between its letters."""
        return self.spaced is not None and self.spaced.match(words) is not None

    def expand(self, unknown: list[str], vocabulary: frozenset[str]) -> None:
        """Set the corrections of tokens that are in no name."""
        self.corrections = {token: _near_words(token, vocabulary) for token in unknown}

    def can_match(self, points: int) -> bool:
        """Return True if a name with this number of points can have a score."""
        trigrams, words = divmod(points, _TRIGRAM_POINTS)
        return words >= _HALF * _WHOLE * len(self.tokens) or 0 < _HALF * len(self.trigrams) <= trigrams

    def score(self, normal: str, words: str, compact: str) -> float:
        """Return the score of a name, from 0 (no match) to 100."""
        if normal == self.normal:
            return 100.0
        is_typed = self.normal in normal
        if not self.words:
            band = 90.0 if normal.startswith(self.normal) else 70.0
            return band + 8.0 * len(self.normal) / len(normal) if is_typed else 0.0
        share = len(self.words) / max(len(self.words), len(words) - 2)
        if not self.is_literal:
            return self._word_score(words, compact, share, _LITERAL_BONUS if is_typed and self.has_signs else 0.0)
        if not is_typed:
            return _NOT_LITERAL * self._word_score(words, compact, share, 0.0)
        band = 90.0 if normal.startswith(self.normal) else 80.0 if self.is_at_word(normal) else 70.0
        return band + 8.0 * share

    def _word_score(self, words: str, compact: str, share: float, bonus: float) -> float:
        if compact == self.compact:
            return 99.0
        if words.startswith(f" {self.words}") or self.starts_spaced(words):
            return 90.0 + 8.0 * share + bonus
        if f" {self.words}" in words or self.has_spaced(words):
            return 80.0 + 8.0 * share + bonus
        if self.words in words:
            return 70.0 + 8.0 * share + bonus
        qualities = [self._quality(token, words) for token in self.tokens]
        quality = sum(qualities) / (_WHOLE * len(qualities))
        if all(token in words for token in self.tokens):
            return 50.0 + 14.0 * quality + 4.0 * share
        best = max(quality, self._similarity(compact, share))
        return 49.0 * best + share if best >= _HALF else 0.0

    def _quality(self, token: str, words: str) -> int:
        if token in words:
            return _WHOLE if f" {token} " in words else _START if f" {token}" in words else _INSIDE
        corrections = self.corrections.get(token)
        return _TYPO if corrections and not corrections.isdisjoint(words.split()) else 0

    def _similarity(self, compact: str, share: float) -> float:
        if not self.trigrams:
            return 0.0
        contained = sum([trigram in compact for trigram in self.trigrams]) / len(self.trigrams)
        return contained * (0.8 + 0.2 * share)


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    return _MARKS.sub("", unicodedata.normalize("NFKD", text).casefold()).translate(_UNDECOMPOSED)


def _normalise_all(texts: Sequence[str]) -> list[str]:
    """Return the normalised texts. ASCII texts are converted at once, which is many times faster."""
    joined = "\n".join(texts)
    lines = joined.lower().split("\n")
    if len(lines) != len(texts) or _has_odd_space(joined):
        return [normalise(text) for text in texts]
    if not joined.isascii():
        for row, text in enumerate(texts):
            if not text.isascii():
                lines[row] = normalise(text)
    return lines


def _has_odd_space(joined: str) -> bool:
    """Return True if a line has ASCII space that `normalise` would change."""
    odd = ("  ", " \n", "\n ", "\t", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x1f")
    return joined[:1] == " " or joined[-1:] == " " or any(part in joined for part in odd)


def _split_words(normals: list[str]) -> list[str]:
    """Return texts with ASCII punctuation replaced by single spaces and a space at both ends.

    It works on bytes, which is faster.
    """
    if not normals:
        return []
    data = "\n".join(normals).encode("utf-8", "surrogatepass").translate(_PUNCTUATION)
    data = b" " + data.replace(b"\n", b" \n ") + b" "
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data.decode("utf-8", "surrogatepass").split("\n")


def _divided(rows: list[int], typed: set[int]) -> Level:
    """Return rows as two groups: those in a set, and the others."""
    return [[row for row in rows if row in typed], [row for row in rows if row not in typed]] if typed else [rows]


def _without(rows: list[int], others: Collection[int]) -> list[int]:
    known = set(others)
    return [row for row in rows if row not in known] if len(others) < len(rows) else []


def _near_words(token: str, vocabulary: frozenset[str]) -> frozenset[str]:
    """Return the known words at a distance of one typo: a letter added, missing, wrong, or two swapped.

    Words with digits have none: `sample1` is not a misspelling of `sample2`.
    """
    if not _MIN_TYPO_LENGTH <= len(token) <= _MAX_WORD or not token.isalpha():
        return frozenset()
    halves = [(token[:i], token[i:]) for i in range(len(token) + 1)]
    typos = {left + right[1:] for left, right in halves if right}
    typos |= {left + right[1] + right[0] + right[2:] for left, right in halves if len(right) > 1}
    typos |= {left + letter + right[1:] for left, right in halves if right for letter in _LETTERS}
    typos |= {left + letter + right for left, right in halves for letter in _LETTERS}
    typos.discard(token)
    return vocabulary & typos
