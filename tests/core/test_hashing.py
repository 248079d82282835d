"""Hashing: the documented MD5, the digest, and the same answer whichever way bytes are read."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from blake3 import blake3

from lamindb.core import hashing


def expected(data: bytes) -> hashing.Content:
    md5 = base64.urlsafe_b64encode(hashlib.md5(data).digest()).rstrip(b"=").decode()
    return hashing.Content(md5, blake3(data).hexdigest(), len(data))


SIZES = [0, 1, 4096, hashing.CHUNK_SIZE - 1, hashing.CHUNK_SIZE, hashing.CHUNK_SIZE + 1, 3 * hashing.CHUNK_SIZE + 7]


@pytest.mark.parametrize("size", SIZES)
def test_every_way_gives_the_same_content(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    assert hashing.hash_bytes(data) == expected(data)
    assert hashing.hash_file(path) == expected(data)
    assert hashing.digest_file(path) == expected(data).digest


@pytest.mark.parametrize("size", SIZES)
def test_the_thread_changes_nothing(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "THREADED_FROM", 1)
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    assert hashing.hash_file(path) == expected(data)
    assert not [thread for thread in threading.enumerate() if thread.name == "lamindb-md5"]


def test_known_values() -> None:
    content = hashing.hash_bytes(b"ACGT")
    assert content.hash == "8fj0v0E7Fq0TVyKqRZEEPg"
    assert hashing.hash_bytes(b"").digest == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


@pytest.mark.skipif(shutil.which("md5sum") is None, reason="no md5sum here")
def test_agrees_with_md5sum(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(2_000_000))
    printed = subprocess.run(["md5sum", str(path)], capture_output=True, text=True, check=True).stdout.split()[0]
    assert hashing.hash_file(path).hash == hashing.encode_md5(bytes.fromhex(printed))


def test_one_byte_in_the_middle_matters(tmp_path: Path) -> None:
    data = bytearray(5 << 20)
    path = tmp_path / "file"
    path.write_bytes(data)
    before = hashing.hash_file(path)
    data[len(data) // 2] = 1
    path.write_bytes(data)
    after = hashing.hash_file(path)
    assert before.hash != after.hash
    assert before.digest != after.digest


def test_progress_ends_with_everything(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * hashing.CHUNK_SIZE + 5))
    seen: list[tuple[int, int]] = []
    hashing.hash_file(path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3 * hashing.CHUNK_SIZE + 5,) * 2
    assert seen == sorted(seen)


def test_a_failing_read_gives_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(hashing.CHUNK_SIZE * 2))
    really_read = os.read
    pieces = []

    def fail_later(descriptor: int, size: int) -> bytes:
        if pieces:
            raise OSError(5, "Input/output error")
        pieces.append(size)
        return really_read(descriptor, size)

    monkeypatch.setattr(os, "read", fail_later)
    with pytest.raises(OSError, match="Input/output"):
        hashing.hash_file(path)


def test_a_failure_in_the_thread_is_raised() -> None:
    hasher = hashing.ThreadedHasher()
    hasher._md5 = None  # type: ignore[assignment]
    hasher.update(b"x")
    with pytest.raises(AttributeError):
        hasher.content()


def test_where_no_thread_begins_one_hashes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    hasher = hashing.hasher_for(hashing.THREADED_FROM)
    hasher.update(b"ACGT")
    assert hasher.content() == hashing.hash_bytes(b"ACGT")
    hasher.close()


def test_a_file_that_reports_no_size_is_read_whole() -> None:
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("no /proc here")
    assert hashing.hash_file(path).size > 0
