"""Uploads whose program was killed: their parts, and no others, are found and removed."""

from __future__ import annotations

import datetime
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamindb.core import storage_url
from lamindb.errors import StorageError, UnsupportedError
from lamindb.storage import bucket_client, remote
from lamindb.storage.base import Source
from lamindb.storage.multipart import Uploads
from lamindb.storage.open_store import open_store
from lamindb.storage.remote import RemoteStore
from tests.support.processes import clean_environment

pytest.importorskip("boto3")

KILLED = """
import datetime, os, signal, sys, time
from lamindb.storage import remote
from lamindb.storage.base import Source
from lamindb.storage.multipart import Uploads
from lamindb.storage.remote import RemoteStore

remote.IN_MEMORY = 1 << 20

def die_in_the_midst(*args):
    yield bytes(20 << 20)
    # The upload begins in another thread.
    uploads, later = Uploads(sys.argv[1]), datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)
    while not uploads.started_before(later):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)

remote._read_again = die_in_the_midst
RemoteStore(sys.argv[1]).put(Source(".bin", sys.argv[2]))
"""


@pytest.fixture(params=["seaweed", "moto"])
def root(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_root")
    return found


@pytest.fixture
def store(root: str) -> Iterator[RemoteStore]:
    made = open_store(root)
    assert isinstance(made, RemoteStore)
    made.prepare()
    yield made
    made.remove_abandoned(older_than_seconds=-60)


def kill_an_upload(root: str, folder: Path) -> None:
    path = folder / "large.bin"
    path.write_bytes(bytes(30 << 20))
    done = subprocess.run([sys.executable, "-c", KILLED, root, path], env=clean_environment(), check=False)
    assert done.returncode == -signal.SIGKILL


def test_what_a_killed_upload_left_is_found_and_removed(store: RemoteStore, root: str, tmp_path: Path) -> None:
    assert store.list_abandoned(older_than_seconds=-60) == []
    kill_an_upload(root, tmp_path)
    (key,) = store.list_abandoned(older_than_seconds=-60)
    assert key.startswith(f"{root.split('/', 3)[3]}/.lamindb/objects/") and key.endswith(".bin")
    assert list(store.list()) == []
    assert store.remove_abandoned(older_than_seconds=-60) == [key]
    assert store.list_abandoned(older_than_seconds=-60) == []
    stored = store.put(Source(".bin", str(tmp_path / "large.bin")))
    assert store.check(stored.name, 30 << 20) is None


def test_a_young_one_may_still_be_under_way(seaweed_root: str) -> None:
    # The other server tells the same old date of every upload.
    root, store = seaweed_root, RemoteStore(seaweed_root)
    client, (_, bucket, prefix) = bucket_client.boto_client(root), storage_url.split(root)
    upload = client.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/.lamindb/objects/00/0")
    assert store.remove_abandoned(older_than_seconds=3_600) == []
    assert len(store.list_abandoned(older_than_seconds=-60)) == 1
    client.upload_part(
        Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"], PartNumber=1, Body=b"still allowed"
    )
    assert len(store.remove_abandoned(older_than_seconds=-60)) == 1


def test_what_others_upload_beside_is_left_alone(store: RemoteStore, root: str) -> None:
    client, (_, bucket, prefix) = bucket_client.boto_client(root), storage_url.split(root)
    keys = [f"{prefix}/data.bin", f"{prefix}-other/.lamindb/objects/00/0"]
    uploads = [client.create_multipart_upload(Bucket=bucket, Key=key) for key in keys]
    assert store.remove_abandoned(older_than_seconds=-60) == []
    for upload in uploads:
        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def test_one_that_ends_in_between_is_no_error(store: RemoteStore, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, (_, bucket, prefix) = bucket_client.boto_client(root), storage_url.split(root)
    key = f"{prefix}/.lamindb/objects/00/0"
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)
    uploads = Uploads(root)
    (found,) = uploads.started_before(datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1))
    client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload["UploadId"])
    uploads.abort(found)


def test_a_server_that_fails_is_one_clear_error(store: RemoteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patched.setenv(bucket_client.TIMEOUT_VARIABLE, "1")
        with pytest.raises(StorageError, match=r"cannot list the uploads to 's3://.*': "):
            store.list_abandoned(older_than_seconds=0)


def test_without_the_package_the_rest_goes_on(
    store: RemoteStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(root_url: str) -> Any:
        raise UnsupportedError("this needs a package that is not installed: pip install boto3")

    with monkeypatch.context() as patched:
        patched.setattr(remote, "Uploads", missing)
        assert store.remove_abandoned(older_than_seconds=0) == []
    assert "pip install boto3" in capsys.readouterr().err
