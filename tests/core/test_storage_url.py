"""Addresses of storages: canonical, refused where they cannot be one, and shown without their secrets."""

from __future__ import annotations

import pytest

from lamindb.core import storage_url
from lamindb.core.text import public_address
from lamindb.errors import InvalidInputError


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("s3a://bucket/a", "s3://bucket/a"),
        ("s3n://bucket/a", "s3://bucket/a"),
        ("S3://bucket/a//", "s3://bucket/a"),
        ("s3://bucket/", "s3://bucket"),
        ("gs://bucket/A", "gs://bucket/A"),
        ("az://$web/x", "az://$web/x"),
    ],
)
def test_other_ways_to_write_an_address(url: str, canonical: str) -> None:
    assert storage_url.canonical(url) == canonical
    assert "{}://{}/{}".format(*storage_url.split(url)).rstrip("/") == canonical


@pytest.mark.parametrize(
    "url",
    [
        "http://bucket/x",
        "s3://",
        "s3:///x",
        "s3://key:very-secret@bucket/x",
        "s3://bucket:80/x",
        "s3://bucket/x?X-Amz-Credential=a&X-Amz-Signature=very-secret",
        "s3://bucket/x?sig=very-secret",
        "s3://bucket?AWSAccessKeyId=very-secret",
        "s3://bu%63ket/x",
        "s3://bucket/a//b",
        "s3://bucket/./b",
        "s3://bucket/a/..",
        "s3://bucket/a\nb",
        "s3://bucket/a\u2028b",
        "s3://bucket/a\udce9b",
    ],
)
def test_what_is_no_address_of_a_storage(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        storage_url.split(url)
    assert "very-secret" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://bucket/what?.csv", "s3://bucket/what?.csv"),
        ("s3://bucket/a?b=c", "s3://bucket/a?b=c"),
        ("https://h/x.csv?X-Amz-Date=1&X-Amz-Signature=0a", "https://h/x.csv?…"),
        ("https://h/x.csv?versionId=3&sig=0a%3D", "https://h/x.csv?…"),
        ("https://h/x.csv?access_token=0a", "https://h/x.csv?…"),
        ("https://ada:pw@h/x", "https://…@h/x"),
        ("s3://key@bucket/x", "s3://…@bucket/x"),
        ("s3://bucket/ada@home/x", "s3://bucket/ada@home/x"),
        ("a/b.csv", "a/b.csv"),
    ],
)
def test_an_address_is_shown_without_what_gives_access(address: str, shown: str) -> None:
    assert public_address(address) == shown
