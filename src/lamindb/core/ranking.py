"""In which order names answer a search: the same on every database, because it is decided here.

From best to worst, and within each the shorter name first:

| score | the name |
|---|---|
| 100, 99 | is the query; is it but for punctuation |
| 90–98 | starts with it |
| 80–88 | has a word that starts with it |
| 70–78 | has it somewhere |
| 50–68 | has all of its words, in any order |
| 24–50 | has at least half of its words, misspelled ones included, or half of its letter triples |

Case and accents do not count, nor does punctuation between words. Equal scores keep the caller's order.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, compress, repeat
from math import ceil
from operator import contains

__all__ = ["RankIndex", "normalise", "rank"]

_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_PUNCTUATION = bytes(
    ord(" ") if byte < 128 and not chr(byte).isalnum() and byte != ord("\n") else byte for byte in range(256)
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

_MAX_TOKENS = 8
_MAX_TRIGRAMS = 8
_MAX_LOOSE = 600
"""Names of one kind that are scored one by one, if not more are wanted: those that share most, then the shortest."""

_MAX_SCANS = 8

_MIN_TYPO_LENGTH = 4
_MIN_TRIGRAM_LENGTH = 5
_HALF = 0.5


def normalise(text: str) -> str:
    """Write a text as searches compare it: without case, accents, compatibility forms and surplus space.

    Examples:
        >>> normalise("  Größe  École ﬁle ")
        'grosse ecole file'
    """
    return " ".join(_fold(text).split())


def rank(query: str, candidates: Sequence[tuple[object, str]], limit: int | None = 20) -> list[tuple[int, float]]:
    """Rank (id, name) pairs against a query; see `RankIndex.rank`, which is faster when names are searched again.

    Examples:
        >>> rank("cellrangr", [(1, "Train classifier"), (2, "Cell Ranger")])[0][0]
        1
    """
    return RankIndex([text for _, text in candidates]).rank(query, limit)


class RankIndex:
    """Names made ready for searching; keeps about 200 bytes for each.

    Args:
        texts: The names; where scores are equal, the first ones win, so give the newest first. Empty names are
            never found.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._normals = _normalise_all(texts)
        self._words = _split_words(self._normals)
        self._compact: list[str] = []
        self._vocabulary: frozenset[str] = frozenset()
        self._is_ready_for_typos = False

    def __len__(self) -> int:
        """Count the names."""
        return len(self._normals)

    def rank(self, query: str, limit: int | None = 20) -> list[tuple[int, float]]:
        """Find the names that answer a query, best first.

        A query without letters or digits is looked for as it is written; an empty one finds nothing.

        Args:
            query: What somebody typed.
            limit: How many at most; None for all that answer at all.

        Returns:
            Pairs of the name's place in `texts` and its score between 0 and 100.
        """
        asked = _Query(query)
        wanted = len(self) if limit is None else limit
        if not asked.normal or wanted <= 0:
            return []
        if not asked.words:
            rows = self._shortest(self._having(self._normals, asked.normal), wanted)
        else:
            rows = self._candidates(asked, wanted)
        scored = [(row, asked.score(self._normals[row], self._words[row])) for row in rows]
        found = [(row, score) for row, score in scored if score > 0]
        found.sort(key=lambda pair: (-pair[1], pair[0]))
        return found[:wanted]

    def _candidates(self, asked: _Query, wanted: int) -> list[int]:
        """Return a superset of the best `wanted` rows, looking only as far down the levels as it must."""
        words = self._words
        hits = [self._having(words, token) for token in asked.tokens]
        complete = hits[0] if len(hits) == 1 else _common(hits)
        phrase = complete if len(hits) == 1 else [row for row in complete if asked.words in words[row]]
        levels = [
            [row for row in phrase if words[row].startswith(asked.words)],
            [row for row in phrase if asked.inner_words in words[row]],
            phrase,
        ]
        if asked.normal != asked.words:
            levels.insert(0, self._having(self._normals, asked.normal))
        rows: dict[int, None] = {}
        for level in levels:
            rows.update(dict.fromkeys(self._shortest(level, wanted)))
            if len(rows) >= wanted:
                return list(rows)
        rows.update(dict.fromkeys(self._shortest(complete, max(wanted, _MAX_LOOSE))))
        if len(rows) < wanted:
            rows.update(dict.fromkeys(self._loose(asked, hits, max(wanted, _MAX_LOOSE))))
        return list(rows)

    def _loose(self, asked: _Query, hits: list[list[int]], most: int) -> list[int]:
        """Return rows that have half of the words, typos allowed, or half of the letter triples."""
        self._prepare_for_typos()
        asked.expand([token for token, rows in zip(asked.tokens, hits, strict=True) if not rows], self._vocabulary)
        by_words = [*hits, *(self._having_one(meant) for meant in asked.meant.values() if meant)]
        rows = self._most(by_words, ceil(len(asked.tokens) * _HALF), most)
        trigrams = asked.sampled_trigrams()
        if trigrams:
            by_trigrams = [self._having(self._compact, trigram) for trigram in trigrams]
            rows += self._most(by_trigrams, ceil(len(trigrams) * _HALF), most)
        return rows

    def _most(self, hits: list[list[int]], least: int, most: int) -> list[int]:
        """Return the rows that are in at least so many of the lists; of too many, those in most, then the shortest."""
        if len(hits) == 1:
            return self._shortest(hits[0], most)
        counts = Counter(chain.from_iterable(hits))
        by_count: list[list[int]] = [[] for _ in range(len(hits) + 1)]
        for row, count in counts.items():
            if count >= least:
                by_count[count].append(row)
        rows: list[int] = []
        for level in reversed(by_count):
            rows += self._shortest(sorted(level), most - len(rows))
            if len(rows) >= most:
                break
        return rows

    def _having_one(self, words: frozenset[str]) -> list[int]:
        """Return the rows that have one of the words, and few that only seem to."""
        if len(words) <= _MAX_SCANS:
            return sorted(set(chain.from_iterable(self._having(self._words, word) for word in words)))
        return [row for row, text in enumerate(self._words) if not words.isdisjoint(text.split())]

    def _prepare_for_typos(self) -> None:
        if not self._is_ready_for_typos:
            joined = "\n".join(self._words)
            self._compact = joined.replace(" ", "").split("\n")
            self._vocabulary = frozenset(joined.split())
            self._is_ready_for_typos = True

    def _having(self, texts: list[str], part: str) -> list[int]:
        return list(compress(range(len(texts)), map(contains, texts, repeat(part))))

    def _shortest(self, rows: list[int], count: int) -> list[int]:
        if len(rows) <= count:
            return rows
        return sorted(rows, key=lambda row: len(self._words[row]))[:count]


class _Query:
    """A query taken apart once, and the score that one name has for it."""

    def __init__(self, text: str) -> None:
        self.normal = normalise(text)
        self.words = _split_words([self.normal])[0]
        self.inner_words = f" {self.words}"
        self.tokens = list(dict.fromkeys(self.words.split()))[:_MAX_TOKENS]
        self.meant: dict[str, frozenset[str]] = {}
        self._trigrams = _trigrams(self.words.replace(" ", ""))

    def expand(self, unknown: list[str], vocabulary: frozenset[str]) -> None:
        """Find the words that tokens which are nowhere may be misspellings of."""
        self.meant = {token: _near_words(token, vocabulary) for token in unknown}

    def sampled_trigrams(self) -> list[str]:
        """Return letter triples spread over the query, few enough to look for each."""
        every = ceil(len(self._trigrams) / _MAX_TRIGRAMS)
        return self._trigrams[::every] if len(self._trigrams) > _MIN_TRIGRAM_LENGTH - 3 else []

    def score(self, normal: str, words: str) -> float:
        """Return how well one name answers, between 0 (not at all) and 100."""
        if normal == self.normal:
            return 100.0
        if not self.words:
            share = 8.0 * len(self.normal) / len(normal)
            return (90.0 if normal.startswith(self.normal) else 70.0) + share
        if words == self.words:
            return 99.0
        share = min(1.0, len(self.words) / max(1, len(words)))
        if words.startswith(self.words):
            return 90.0 + 8.0 * share
        if self.inner_words in words:
            return 80.0 + 8.0 * share
        if self.words in words or self.normal in normal:
            return 70.0 + 8.0 * share
        return self._loose_score(words, share)

    def _loose_score(self, words: str, share: float) -> float:
        qualities = [self._quality(token, words) for token in self.tokens]
        quality = sum(qualities) / len(qualities)
        if all(token in words for token in self.tokens):
            return 50.0 + 14.0 * quality + 4.0 * share
        similarity = self._similarity(words.replace(" ", ""))
        best = max(quality, similarity)
        return 49.0 * best + share if best >= _HALF else 0.0

    def _quality(self, token: str, words: str) -> float:
        if token in words:
            padded = f" {words} "
            return 1.0 if f" {token} " in padded else 0.9 if f" {token}" in padded else 0.75
        meant = self.meant.get(token)
        return 0.7 if meant and not meant.isdisjoint(words.split()) else 0.0

    def _similarity(self, compact: str) -> float:
        if len(self._trigrams) <= _MIN_TRIGRAM_LENGTH - 3:
            return 0.0
        shared = sum([trigram in compact for trigram in self._trigrams])
        contained = shared / len(self._trigrams)
        alike = 2 * shared / (len(self._trigrams) + max(shared, len(compact) - 2))
        return 0.8 * contained + 0.2 * alike if contained >= _HALF else 0.0


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    return _MARKS.sub("", unicodedata.normalize("NFKD", text).casefold())


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
    """Replace what is neither letter nor digit, of ASCII, by single spaces; through bytes, where that is fast."""
    if not normals:
        return []
    data = "\n".join(normals).encode("utf-8", "surrogatepass").translate(_PUNCTUATION)
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    data = data.replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(b" ")
    return data.decode("utf-8", "surrogatepass").split("\n")


def _common(hits: Iterable[list[int]]) -> list[int]:
    first, *others = sorted(hits, key=len)
    common = set(first).intersection(*others)
    return sorted(common)


def _trigrams(text: str) -> list[str]:
    return list(dict.fromkeys(text[start : start + 3] for start in range(len(text) - 2)))


def _near_words(token: str, vocabulary: frozenset[str]) -> frozenset[str]:
    """Return the known words that one slip away from a token: a letter too many, too few, wrong, or two swapped.

    Words with digits have no neighbours: `sample1` is no misspelling of `sample2`.
    """
    if len(token) < _MIN_TYPO_LENGTH or not token.isalpha():
        return frozenset()
    halves = [(token[:place], token[place:]) for place in range(len(token) + 1)]
    slips = {left + right[1:] for left, right in halves if right}
    slips |= {left + right[1] + right[0] + right[2:] for left, right in halves if len(right) > 1}
    slips |= {left + letter + right[1:] for left, right in halves if right for letter in _LETTERS}
    slips |= {left + letter + right for left, right in halves for letter in _LETTERS}
    slips.discard(token)
    return vocabulary & slips
