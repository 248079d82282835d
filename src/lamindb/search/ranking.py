"""In which order names answer a search: the same on every database, because it is decided here.

From best to worst, and within each the shorter name first:

| score | the name |
|---|---|
| 100, 99 | is the query; is it but for punctuation and space |
| 90–98 | starts with it |
| 80–88 | has a word that starts with it |
| 70–78 | has it somewhere |
| 50–68 | has all of its words, in any order |
| 24–50 | has at least half of its words, misspelled ones included, or half of its letter triples |

Case and accents do not count. Punctuation between words does not either, but of names of one length those come first
that have it as it was typed. Whole words may be written with punctuation or space where the other has none: `il6` is
`IL-6`.

Punctuation at either end of a query means something, as in `c++` or `.csv`: names that have it as it was typed come
first, and all others get 0.7 of their score. Equal scores keep the caller's order.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, compress, repeat
from math import ceil
from operator import contains

__all__ = ["RankIndex", "normalise"]

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
"""Letters that look like others with a mark, but are none to Unicode; dashes and quotes for those on keyboards."""

_PUNCTUATION = bytes(
    ord(" ") if byte < 128 and not chr(byte).isalnum() and byte != ord("\n") else byte for byte in range(256)
)
_NO_LETTER_BEFORE = r"(?:^|[\x00-/:-@\[-`{-\x7f])"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

_MAX_QUERY = 4_096
"""Characters of a query that count: more than any key has."""

_MAX_TOKENS = 8
_MAX_TRIGRAMS = 8
_MAX_SCANS = 8
_MAX_WORD = 32
"""Letters of a word that may be misspelled, or written apart: what is longer is no word that somebody typed."""

_MIN_TYPO_LENGTH = 4
_MIN_TRIGRAM_LENGTH = 5
_HALF = 0.5

_WHOLE, _START, _INSIDE, _MEANT = 20, 18, 15, 14
"""What it is worth that a name has a word of the query: as a word, at the start of one, inside one, misspelled."""

_TRIGRAM = 1_000
"""More than all words of a query are worth, so that one number holds both what words and what triples a name has."""

_UNMARKED = 0.7
_AS_TYPED = 0.5

Level = list[list[int]]
"""Groups of rows. In each, the score falls as the name gets longer; all are better than those of the next level."""


def normalise(text: str) -> str:
    """Write a text as searches compare it: without case, accents, compatibility forms and surplus space.

    Examples:
        >>> normalise("  Größe  École ﬁle Łódź ")
        'grosse ecole file lodz'
    """
    return " ".join(_fold(text).split())


class RankIndex:
    """Names made ready for searching; keeps about 450 bytes for each.

    Args:
        texts: The names; where scores are equal, the first ones win, so give the newest first. Empty names are
            never found.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._normals = _normalise_all(texts)
        self._words = _split_words(self._normals)
        self._all = "\n".join(self._words).replace(" ", "")
        self._compact = self._all.split("\n")[: len(self._words)]
        self._vocabulary: frozenset[str] | None = None

    def __len__(self) -> int:
        """Count the names."""
        return len(self._normals)

    def rank(self, query: str, limit: int | None = 20) -> list[tuple[int, float]]:
        """Find the names that answer a query, best first.

        A query without letters or digits is looked for as it is written; an empty one finds nothing. Of a long one
        the first 4,096 characters count.

        Args:
            query: What somebody typed.
            limit: How many at most; None for all that answer at all. A limit only cuts: what it leaves are the first
                of all.

        Returns:
            Pairs of the name's place in `texts` and its score between 0 and 100.
        """
        asked = _Query(query)
        wanted = len(self) if limit is None else limit
        if not asked.normal or wanted <= 0:
            return []
        rows: dict[int, None] = {}
        for level in self._levels(asked, wanted) if asked.words else self._levels_of_signs(asked, wanted):
            for group in level:
                rows.update(dict.fromkeys(self._shortest(group, asked, wanted)))
            if len(rows) >= wanted:
                break
        scored = [(row, asked.score(self._normals[row], self._words[row], self._compact[row])) for row in rows]
        found = [(row, score) for row, score in scored if score > 0]
        found.sort(key=lambda pair: (-pair[1], pair[0]))
        return found[:wanted]

    def _levels_of_signs(self, asked: _Query, wanted: int) -> Iterator[Level]:
        """Yield the names that have a query of signs only."""
        hits = self._having(self._normals, asked.normal)
        yield [[row for row in hits if self._normals[row] == asked.normal][:wanted]]
        yield [[row for row in hits if self._normals[row].startswith(asked.normal)]]
        yield [hits]

    def _levels(self, asked: _Query, wanted: int) -> Iterator[Level]:
        """Yield the names that may answer, the best first: none of a level is needed where those before suffice.

        Rows of a level may come again in later ones.
        """
        normals, words, compact = self._normals, self._words, self._compact
        start = f" {asked.words}"
        hits = near = self._having(compact, asked.compact)
        # Those that are the query all have one score, however long they are.
        yield [[row for row in near if normals[row] == asked.normal][:wanted]]
        typed = {row for row in near if asked.normal in normals[row]} if asked.has_signs else set()
        if asked.is_marked:
            literal = sorted(typed)
            yield [[row for row in literal if normals[row].startswith(asked.normal)]]
            yield [[row for row in literal if asked.is_at_word(normals[row])]]
            yield [literal]
            near = _without(near, typed) if typed else near
            typed = set()
        yield [[row for row in near if compact[row] == asked.compact][:wanted]]
        first = [row for row in near if words[row].startswith(start)]
        others = _without([row for row in near if compact[row].startswith(asked.compact)], first)
        yield _divided(first, typed) + _divided([row for row in others if asked.is_apart_at_start(words[row])], typed)
        inner = [row for row in near if start in words[row]]
        others = _without(near, inner)
        yield _divided(inner, typed) + _divided([row for row in others if asked.is_apart(words[row])], typed)
        yield _divided([row for row in near if asked.words in words[row]], typed)
        if asked.tokens == [asked.compact]:
            of_words = [[row for row in hits if asked.compact in words[row]]]
        else:
            of_words = [self._having(words, token) for token in asked.tokens]
        yield self._complete(asked, of_words)
        yield self._loose(asked, of_words)

    def _complete(self, asked: _Query, hits: list[list[int]]) -> Level:
        """Group the rows that have all words of a query by what these are worth."""
        fewest, *others = sorted(hits, key=len)
        rows = sorted(set(fewest).intersection(*others))
        worth = [self._worth(token, rows) for token in asked.tokens]
        groups = defaultdict(list)
        for row, points in zip(rows, map(sum, zip(*worth, strict=True)), strict=True):
            groups[points].append(row)
        return list(groups.values())

    def _loose(self, asked: _Query, hits: list[list[int]]) -> Level:
        """Group the rows that have half of the words, typos allowed, or half of the letter triples."""
        unknown = [token for token, rows in zip(asked.tokens, hits, strict=True) if not rows]
        asked.expand(unknown, self._known_words())
        points = [0] * len(self)
        for token, rows in zip(asked.tokens, hits, strict=True):
            for row, worth in zip(rows, self._worth(token, rows), strict=True):
                points[row] += worth
        for meant in asked.meant.values():
            for row in self._having_one(meant):
                points[row] += _MEANT
        for trigram in asked.trigrams:
            for row in self._having(self._compact, trigram):
                points[row] += _TRIGRAM
        groups: dict[int, list[int]] = {found: [] for found in set(points) if asked.can_answer(found)}
        for row, found in enumerate(points):
            if found in groups:
                groups[found].append(row)
        return list(groups.values())

    def _worth(self, token: str, rows: list[int]) -> list[int]:
        """Return what it is worth that each of some rows has a word."""
        whole, start, words = f" {token} ", f" {token}", self._words
        return [_WHOLE if whole in (text := words[row]) else _START if start in text else _INSIDE for row in rows]

    def _having_one(self, words: frozenset[str]) -> list[int]:
        """Return the rows that have one of some words."""
        if len(words) <= _MAX_SCANS:
            return list(set(chain.from_iterable(self._having(self._words, f" {word} ") for word in words)))
        return [row for row, text in enumerate(self._words) if not words.isdisjoint(text.split())]

    def _known_words(self) -> frozenset[str]:
        if self._vocabulary is None:
            self._vocabulary = frozenset("".join(self._words).split())
        return self._vocabulary

    def _having(self, texts: list[str], part: str) -> list[int]:
        if texts is not self._normals and part.strip(" ") not in self._all:
            return []
        return list(compress(range(len(texts)), map(contains, texts, repeat(part))))

    def _shortest(self, rows: list[int], asked: _Query, count: int) -> list[int]:
        """Return the first of a group by its score: the shortest, and of equally long ones those that come first."""
        if len(rows) <= count:
            return rows
        if not asked.words:
            return sorted(rows, key=lambda row: len(self._normals[row]))[:count]
        least = len(asked.words) + 2
        return sorted(rows, key=lambda row: max(least, len(self._words[row])))[:count]


class _Query:
    """A query taken apart once, and the score that one name has for it.

    Attributes:
        words: It without punctuation.
        compact: It without punctuation and space.
        has_signs: Whether it has punctuation.
        is_marked: Whether it begins or ends with punctuation, beside words.
        tokens: Its words.
        trigrams: Letter triples spread over it, few enough to look for each.
        meant: What words that are in no name may be misspellings of.
        apart: What finds it as whole words of names, written apart in any way.
    """

    def __init__(self, text: str) -> None:
        self.normal = normalise(text[:_MAX_QUERY])
        self.words = _split_words([self.normal])[0].strip(" ")
        self.compact = self.words.replace(" ", "")
        self.has_signs = self.normal != self.words
        self.is_marked = bool(self.words) and not (self._is_word(self.normal[0]) and self._is_word(self.normal[-1]))
        self.tokens = list(dict.fromkeys(self.words.split()))[:_MAX_TOKENS]
        self.meant: dict[str, frozenset[str]] = {}
        trigrams = list(dict.fromkeys(self.compact[start : start + 3] for start in range(len(self.compact) - 2)))
        every = max(1, ceil(len(trigrams) / _MAX_TRIGRAMS))
        self.trigrams = trigrams[::every] if len(trigrams) > _MIN_TRIGRAM_LENGTH - 3 else []
        can_be_apart = 1 < len(self.compact) <= _MAX_WORD
        self.apart = re.compile(f" {' ?'.join(map(re.escape, self.compact))} ") if can_be_apart else None
        literal = re.escape(self.normal)
        begins_with_sign = self.is_marked and not self._is_word(self.normal[0])
        self._at_word = literal if begins_with_sign else f"{_NO_LETTER_BEFORE}{literal}"

    @staticmethod
    def _is_word(letter: str) -> bool:
        return letter.isalnum() or not letter.isascii()

    def is_at_word(self, normal: str) -> bool:
        """Say whether a name has the query as it was typed, from the start of a word."""
        return re.search(self._at_word, normal) is not None

    def is_apart(self, words: str) -> bool:
        """Say whether a name has the query as whole words, written apart in any way."""
        return self.apart is not None and self.apart.search(words) is not None

    def is_apart_at_start(self, words: str) -> bool:
        """Say whether a name starts with the query as whole words, written apart in any way."""
        return self.apart is not None and self.apart.match(words) is not None

    def expand(self, unknown: list[str], vocabulary: frozenset[str]) -> None:
        """Find the words that tokens which are nowhere may be misspellings of."""
        self.meant = {token: _near_words(token, vocabulary) for token in unknown}

    def can_answer(self, points: int) -> bool:
        """Say whether a name with so many points may have a score."""
        trigrams, words = divmod(points, _TRIGRAM)
        return words >= _HALF * _WHOLE * len(self.tokens) or 0 < _HALF * len(self.trigrams) <= trigrams

    def score(self, normal: str, words: str, compact: str) -> float:
        """Return how well one name answers, between 0 (not at all) and 100."""
        if normal == self.normal:
            return 100.0
        is_typed = self.normal in normal
        if not self.words:
            band = 90.0 if normal.startswith(self.normal) else 70.0
            return band + 8.0 * len(self.normal) / len(normal) if is_typed else 0.0
        share = len(self.words) / max(len(self.words), len(words) - 2)
        if not self.is_marked:
            return self._unmarked_score(words, compact, share, _AS_TYPED if is_typed and self.has_signs else 0.0)
        if not is_typed:
            return _UNMARKED * self._unmarked_score(words, compact, share, 0.0)
        band = 90.0 if normal.startswith(self.normal) else 80.0 if self.is_at_word(normal) else 70.0
        return band + 8.0 * share

    def _unmarked_score(self, words: str, compact: str, share: float, bonus: float) -> float:
        if compact == self.compact:
            return 99.0
        if words.startswith(f" {self.words}") or self.is_apart_at_start(words):
            return 90.0 + 8.0 * share + bonus
        if f" {self.words}" in words or self.is_apart(words):
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
        meant = self.meant.get(token)
        return _MEANT if meant and not meant.isdisjoint(words.split()) else 0

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
    """Normalise many texts; those of ASCII all at once, which is many times as fast."""
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
    """Say whether some line has space that `normalise` would change, that of ASCII."""
    odd = ("  ", " \n", "\n ", "\t", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x1f")
    return joined[:1] == " " or joined[-1:] == " " or any(part in joined for part in odd)


def _split_words(normals: list[str]) -> list[str]:
    """Replace what is neither letter nor digit, of ASCII, by single spaces, and put one at either end.

    Goes through bytes, where that is fast.
    """
    if not normals:
        return []
    data = "\n".join(normals).encode("utf-8", "surrogatepass").translate(_PUNCTUATION)
    data = b" " + data.replace(b"\n", b" \n ") + b" "
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data.decode("utf-8", "surrogatepass").split("\n")


def _divided(rows: list[int], typed: set[int]) -> Level:
    """Divide rows into those that are in a set, and others."""
    return [[row for row in rows if row in typed], [row for row in rows if row not in typed]] if typed else [rows]


def _without(rows: list[int], others: Collection[int]) -> list[int]:
    known = set(others)
    return [row for row in rows if row not in known] if len(others) < len(rows) else []


def _near_words(token: str, vocabulary: frozenset[str]) -> frozenset[str]:
    """Return the known words that one slip away from a token: a letter too many, too few, wrong, or two swapped.

    Words with digits have no neighbours: `sample1` is no misspelling of `sample2`.
    """
    if not _MIN_TYPO_LENGTH <= len(token) <= _MAX_WORD or not token.isalpha():
        return frozenset()
    halves = [(token[:place], token[place:]) for place in range(len(token) + 1)]
    slips = {left + right[1:] for left, right in halves if right}
    slips |= {left + right[1] + right[0] + right[2:] for left, right in halves if len(right) > 1}
    slips |= {left + letter + right[1:] for left, right in halves if right for letter in _LETTERS}
    slips |= {left + letter + right for left, right in halves for letter in _LETTERS}
    slips.discard(token)
    return vocabulary & slips
