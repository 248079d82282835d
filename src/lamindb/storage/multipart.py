"""Multipart uploads to S3 that were not completed: their parts are hidden, and cost until they are aborted.

The client of buckets cannot list them. boto3 can, where it is installed.
"""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from lamindb.core import storage_url
from lamindb.errors import LaminError
from lamindb.storage import bucket_client

_HIDDEN: Final = ".lamindb/"


class Upload(NamedTuple):
    """A multipart upload that was not completed."""

    key: str
    id: str
    started_at: datetime.datetime


class Uploads:
    """The incomplete uploads to the library's own folder in a bucket.

    Args:
        root_url: The storage root, such as `s3://bucket/prefix`.

    Raises:
        UnsupportedError: boto3 is not installed, or the bucket is not on S3.
        StorageError: There are no credentials.
    """

    def __init__(self, root_url: str) -> None:
        _, self._bucket, prefix = storage_url.split(root_url)
        self._root_url = root_url
        self._prefix = f"{prefix}/{_HIDDEN}" if prefix else _HIDDEN
        self._client = bucket_client.boto_client(root_url)

    def started_before(self, time: datetime.datetime) -> list[Upload]:
        """Return those that were started before a time, the oldest first.

        Raises:
            StorageError: The server failed, or does not know the request.
        """
        try:
            found = [upload for upload in self._all() if upload.started_at < time]
        except Exception as error:
            raise self._failed(error, "list the uploads to") from error
        return sorted(found, key=lambda upload: (upload.started_at, upload.key, upload.id))

    def _all(self) -> Iterator[Upload]:
        for page in self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        ):
            for one in page.get("Uploads", []):
                yield Upload(one["Key"], one["UploadId"], one["Initiated"])

    def abort(self, upload: Upload) -> None:
        """Remove the parts of an upload; idempotent.

        Raises:
            StorageError: The server failed, or refused.
        """
        gone: Any = importlib.import_module("botocore.exceptions").ClientError
        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=upload.key, UploadId=upload.id)
        except gone as error:
            if error.response.get("Error", {}).get("Code") != "NoSuchUpload":
                raise self._failed(error, "abort an upload to", writing=True) from error
        except Exception as error:
            raise self._failed(error, "abort an upload to", writing=True) from error

    def _failed(self, error: Exception, doing: str, *, writing: bool = False) -> LaminError:
        return bucket_client.translate(error, f"{doing} '{self._root_url}'", writing=writing)
