"""Names of objects and sources, refused where they could lead elsewhere."""

from __future__ import annotations

import pytest

from lamindb.errors import InvalidInputError
from lamindb.storage.base import ObjectName, Source

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("digest", "suffix"),
    [
        ("0" * 63, ""),
        ("0" * 65, ""),
        ("0" * 63, "."),
        ("A" * 64, ""),
        ("../" + "0" * 61, ""),
        (DIGEST, "csv"),
        (DIGEST, "./../../x"),
        (DIGEST, ".a\\b"),
        (DIGEST, ".a\0"),
        (DIGEST, ".a\n"),
        (DIGEST, ".\ud800"),
        (DIGEST, "." + "x" * 300),
        (DIGEST, "." + "ü" * 120),
    ],
)
def test_names_that_are_refused(digest: str, suffix: str) -> None:
    with pytest.raises(InvalidInputError):
        ObjectName(digest, suffix)


@pytest.mark.parametrize("suffix", ["", ".csv", ".fastq.gz", ".ünï", ". "])
def test_names(suffix: str) -> None:
    name = ObjectName(DIGEST, suffix)
    assert name.path == f"01/{DIGEST}{suffix}"
    assert ObjectName.parse(f"{DIGEST}{suffix}") == name


def test_other_files_are_no_objects() -> None:
    for filename in ("README", "0" * 64 + "~", DIGEST[:-1], f".{DIGEST}"):
        assert ObjectName.parse(filename) is None


def test_a_source_is_one_thing() -> None:
    with pytest.raises(InvalidInputError):
        Source("")
    with pytest.raises(InvalidInputError):
        Source("", path="/x", data=b"")
