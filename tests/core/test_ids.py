"""Ids: readable back, in order, and never twice, from however many threads and processes."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamindb.core import ids

LENGTHS = st.integers(1, 24)


@given(length=LENGTHS, data=st.data())
def test_what_is_written_reads_back_and_sorts_as_numbers_do(length: int, data: st.DataObject) -> None:
    numbers = st.integers(0, 62**length - 1)
    one, other = data.draw(numbers), data.draw(numbers)
    texts = ids.encode(one, length), ids.encode(other, length)
    assert [len(text) for text in texts] == [length, length]
    assert [ids.decode(text) for text in texts] == [one, other]
    assert (texts[0] < texts[1]) == (one < other)


@given(length=LENGTHS)
def test_a_number_that_does_not_fit_is_refused(length: int) -> None:
    assert ids.decode(ids.encode(62**length - 1, length)) == 62**length - 1
    for number in (62**length, -1):
        with pytest.raises(ValueError, match="does not fit"):
            ids.encode(number, length)


def test_only_the_alphabet_is_read() -> None:
    assert "".join(sorted(ids.ALPHABET)) == ids.ALPHABET
    with pytest.raises(ValueError, match="not found"):
        ids.decode("a-b")


@given(length=st.integers(0, 10_000))
def test_random_ids_have_the_length_that_was_asked_for(length: int) -> None:
    made = ids.random_id(length)
    assert len(made) == length
    assert set(made) <= set(ids.ALPHABET)


def test_random_ids_use_every_character_about_equally() -> None:
    made = ids.random_id(62_000)
    counts = [made.count(character) for character in ids.ALPHABET]
    # Ten standard deviations: a character that was left out or doubled is far outside.
    assert min(counts) > 680
    assert max(counts) < 1_320


def test_timed_ids_follow_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_700_000_000_000_000_000, 1_700_000_001_000_000_000, 10_000_000))
    monkeypatch.setattr(ids.time, "time_ns", lambda: next(clock))
    made = [ids.run_id() for _ in range(100)]
    assert made == sorted(made)
    assert {len(one) for one in made} == {20}


def test_ids_of_one_moment_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_700_000_000_000_000_000)
    assert len({ids.run_id() for _ in range(20_000)}) == 20_000
    # A file's stem has 8 random characters: two alike among 2,000 have a chance of one in 10⁸.
    assert len({ids.file_id() for _ in range(2_000)}) == 2_000


def test_threads_never_get_the_same_random_characters() -> None:
    made: list[list[str]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def work(into: list[str]) -> None:
        start.wait()
        into.extend(ids.random_id(16) for _ in range(3_000))

    threads = [threading.Thread(target=work, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for each in made for one in each}) == 24_000


def test_forked_children_and_their_parent_make_different_ids() -> None:
    ids.random_id(1)
    made = set()
    for _ in range(3):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writing, ids.random_id(1_600).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as stream:
            text = stream.read()
        os.waitpid(pid, 0)
        made |= {text[i : i + 16] for i in range(0, 1_600, 16)}
    mine = ids.random_id(1_600)
    made |= {mine[i : i + 16] for i in range(0, 1_600, 16)}
    assert len(made) == 400


def test_a_child_forked_while_a_thread_makes_ids_is_not_stuck() -> None:
    with ids._pool._lock:
        pid = os.fork()
        if pid == 0:
            ids.random_id(8)
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_versions_share_a_stem_and_sort_by_number() -> None:
    first = ids.file_id()
    stem = first[: ids.STEM_LENGTH]
    assert first == stem + "0001"
    later = [ids.file_id(stem, version) for version in (1, 2, 9, 10, 61, 62, 4_000)]
    assert later == sorted(later)
    assert {len(one) for one in later} == {20}
    other = ids.transform_id()
    assert ids.transform_id(other[: ids.TRANSFORM_STEM_LENGTH], 2) == other[:12] + "0002"


@given(handle=st.text(min_size=1))
def test_a_handle_has_one_id_everywhere(handle: str) -> None:
    assert ids.user_id(handle) == ids.user_id(handle)
    assert len(ids.user_id(handle)) == 8


def test_the_documented_users_keep_their_ids() -> None:
    assert ids.user_id("testuser1") == "DzTjkKse"
    assert ids.user_id("testuser2") == "bKeW4T6E"
    # Pinned: another way to make it would split one person in two.
    assert ids.user_id("ada") == "xw5BZJfB"
