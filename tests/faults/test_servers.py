"""An object store that hangs up, fails or is too slow: one clear error, no row, and a retry that succeeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import LaminError, StorageError
from lamindb.maintenance import gc, verify
from lamindb.models import File
from lamindb.storage import bucket_client
from tests.storage.servers import S3Server
from tests.storage.test_failing_servers import Proxy

_buckets = itertools.count()


@pytest.fixture
def proxy(
    moto_server: S3Server, database: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxy]:
    """Make an instance in a bucket that is reached through a proxy."""
    name = f"faults-{next(_buckets)}"
    moto_server.make_bucket(name)
    for variable, value in moto_server.environment.items():
        monkeypatch.setenv(variable, value)
    proxy = Proxy(moto_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage=f"s3://{name}/study", db=database)
    ln.File(b"before", key="before.txt").save()
    yield proxy
    proxy.close()


def reopen(seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open stores anew, so that they read the time limit of the environment."""
    monkeypatch.setenv(bucket_client.TIMEOUT_VARIABLE, str(seconds))
    ln.context.instance.close()


@pytest.mark.parametrize("behaviour", ["500", "cut", "hang"])
def test_a_failing_server_costs_one_error(proxy: Proxy, behaviour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reopen(1, monkeypatch)
    before = list(File.objects.values_list("id", flat=True))
    proxy.behaviour = behaviour
    for act in (
        lambda: ln.File(b"new", key="new.txt").save(),
        lambda: ln.save([ln.File(f"{n}".encode(), key=f"many/{n}.txt") for n in range(10)]),
        lambda: ln.File(b"other", key="before.txt").save(),
        lambda: gc.sweep(dry_run=False, grace_seconds=0),
        lambda: verify.verify(),
    ):
        with pytest.raises(StorageError) as caught:
            act()
        assert "\n" not in str(caught.value)
    assert list(File.objects.values_list("id", flat=True)) == before
    proxy.behaviour = "pass"
    reopen(30, monkeypatch)
    assert ln.File(b"new", key="new.txt").save().stage().read_bytes() == b"new"
    assert ln.File(b"other", key="before.txt").save().version == 2
    assert verify.verify().is_clean


def test_a_server_that_fails_while_an_instance_is_made(
    moto_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"faults-{next(_buckets)}"
    moto_server.make_bucket(name)
    for variable, value in moto_server.environment.items():
        monkeypatch.setenv(variable, value)
    proxy = Proxy(moto_server)
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
        monkeypatch.setenv(bucket_client.TIMEOUT_VARIABLE, "1")
        monkeypatch.chdir(tmp_path)
        proxy.behaviour = "500"
        with pytest.raises(LaminError) as caught:
            ln.setup.init(storage=f"s3://{name}/study")
        assert "\n" not in str(caught.value)
        proxy.behaviour = "pass"
        monkeypatch.setenv(bucket_client.TIMEOUT_VARIABLE, "30")
        ln.setup.init(storage=f"s3://{name}/study")
        assert ln.File(b"x", key="x.txt").save().stage().read_bytes() == b"x"
    finally:
        proxy.close()


def test_damage_in_a_bucket_is_noticed_and_healed(proxy: Proxy) -> None:
    import obstore

    file = ln.File.select(key="before.txt").one()
    store = context.instance().store
    name = next(name for name, _ in store.list() if name.digest == file.digest)
    obstore.put(store.backend, store.path(name), b"beFore")  # type: ignore[attr-defined]
    store.cache.drop(name)  # type: ignore[attr-defined]
    assert [finding.kind for finding in verify.verify().corrupt] == ["bytes"]
    with pytest.raises(LaminError, match="damaged"):
        file.stage()
    ln.File(b"before", key="before.txt").save()
    assert verify.verify().is_clean
    assert file.stage().read_bytes() == b"before"
    assert ln.setup.info().view == "none"
