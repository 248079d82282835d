"""Keys: whatever is let through names a file inside the root, in one spelling only."""

from __future__ import annotations

import posixpath
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lamindb.core import keys
from lamindb.errors import InvalidKeyError

PIECES = st.sampled_from(
    ["a", "é", "e\u0301", "Å", ".", "..", "/", "//", "\\", ".lamindb", ".LAMINDB", " ", "\0", "\n", "\u2028", "~", "C:",
     "x" * 200, "ﬁ", "\u202e", "\ud800", "🧬", "-", "名", "\u1100\u1161", ".csv", ".gz", "%2e", "\u212a", "ß"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join))


def _accepted(key: str) -> str | None:
    try:
        return keys.check_key(key)
    except InvalidKeyError as error:
        message = str(error)
        assert message.isprintable()
        assert "\n" not in message
        return None


@given(key=TEXTS)
@example("a/../../b")
@example(".lamindb/db.sqlite3")
@example("e\u0301" * 300)
def test_what_is_accepted_stays_inside_the_root_in_one_spelling(key: str) -> None:
    found = _accepted(key)
    if found is None:
        return
    assert posixpath.normpath(posixpath.join("/etc", found)) == f"/etc/{found}"
    assert found.split("/")[0].casefold() != keys.HIDDEN_FOLDER
    assert unicodedata.is_normalized("NFC", found)
    assert not {unicodedata.category(character) for character in found} & {"Cc", "Cs", "Zl", "Zp"}
    assert all(0 < len(part.encode()) <= 255 for part in found.split("/"))
    assert len(found.encode()) <= 1_024
    assert keys.check_key(found) == found


@given(key=TEXTS)
def test_spellings_that_look_the_same_are_the_same_key(key: str) -> None:
    try:
        decomposed = unicodedata.normalize("NFD", key)
    except UnicodeEncodeError:
        return
    assert _accepted(decomposed) == _accepted(key)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "empty"), ("/etc/passwd", "absolute"), ("C:/x", "absolute"), ("c:/", "absolute"), ("a\\b", "backslash"),
        ("..", "'..'"), ("a/../b", "'..'"), ("a/./b", "'.'"), ("a//b", "empty part"), ("a/", "empty part"),
        (".lamindb/x", "belongs to lamindb"), (".LaminDB", "belongs to lamindb"), ("a\nb", r"U\+000A"),
        ("a\0b", r"U\+0000"), ("\ud800", r"U\+D800"), ("a\u2028b", r"U\+2028"), ("é" * 128, "255 bytes"),
        ("x" * 256, "255 bytes"), ("/".join(["x" * 200] * 6), "1,024 bytes"), ("\x1b[31m", r"U\+001B"),
    ],
)  # fmt: skip
def test_the_message_says_why(key: str, why: str) -> None:
    with pytest.raises(InvalidKeyError, match=why):
        keys.check_key(key)


@pytest.mark.parametrize("key", [None, 3, b"a", ["a"]])
def test_what_is_no_text_is_refused(key: object) -> None:
    with pytest.raises(InvalidKeyError, match="must be text"):
        keys.check_key(key)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "key",
    [
        "a", "a/b.csv", "a b/ü.csv", ".hidden", "a/.lamindb/b", ".lamindb2", "-x", "~", "x" * 255, "…", "a/...",
        "A:1.csv", "X:100-200.bed", "c:x", "c:", "a/b:/c", "HLA-A*01:01/x", "50%", "a#b", "a?b",
    ],
)  # fmt: skip
def test_ordinary_keys_stay_as_they_are(key: str) -> None:
    assert keys.check_key(key) == key


def test_the_longest_keys_are_measured_in_bytes() -> None:
    longest = "/".join(["x" * 255] * 3 + ["x" * 254, "y"])
    assert len(longest) == 1_024
    assert keys.check_key(longest) == longest
    with pytest.raises(InvalidKeyError, match="1,024"):
        keys.check_key(longest + "y")
    assert keys.check_key("é" * 127) == "é" * 127


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.csv", ".csv"), ("a.CSV", ".CSV"), ("input.fastq.gz", ".fastq.gz"), ("input.FASTQ.GZ", ".FASTQ.GZ"),
        ("sample.v1.2.csv", ".csv"), ("a.tar.gz", ".tar.gz"), ("x.gz", ".gz"), ("v1.2.gz", ".gz"),
        ("a.spatialdata.zarr", ".spatialdata.zarr"), ("2024.01.31.gz", ".gz"), (".bashrc", ""), ("README", ""),
        ("a.", ""), ("a..", ""), (".", ""),
        ("", ""), ("..csv", ""), (".a.csv", ".csv"), ("Dr. No", ""), ("a.b c.gz", ".gz"), ("a." + "x" * 40, ""),
        ("a.b.c.d", ".d"), ("a. ", ""), ("x.h5ad", ".h5ad"), ("a.ome.tif", ".tif"), ("a..gz", ".gz"),
    ],
)  # fmt: skip
def test_suffixes(name: str, suffix: str) -> None:
    assert keys.suffix_of(name) == suffix


@given(name=TEXTS.filter(lambda name: "/" not in name))
def test_a_suffix_is_an_end_of_the_name_with_a_dot(name: str) -> None:
    suffix = keys.suffix_of(name)
    assert name.endswith(suffix)
    assert suffix == "" or (suffix.startswith(".") and len(suffix) <= 30 and " " not in suffix)


@given(folder=st.sampled_from(["", "a/", "a.b/c/"]), stem=st.sampled_from(["x", "x.v1", ".h"]))
def test_a_suffix_is_replaced_where_it_stood(folder: str, stem: str) -> None:
    key = f"{folder}{stem}.csv"
    assert keys.with_suffix(key, ".fastq.gz") == f"{folder}{stem}.fastq.gz"
    assert keys.with_suffix(key, "") == f"{folder}{stem}"
    assert keys.basename(key) == f"{stem}.csv"


def test_a_key_that_the_encoding_of_file_names_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "os", SimpleNamespace(fsencode=lambda name: name.encode("ascii")))
    assert keys.check_key("a b.txt") == "a b.txt"
    with pytest.raises(InvalidKeyError, match="set PYTHONUTF8=1"):
        keys.check_key("é.txt")
