"""The works with DVC, by its Python interface."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import work
from dvc.api import DVCFileSystem
from dvc.repo import Repo

_STAGE = """\
  link{number}:
    cmd: cp chain/{number}.bin chain/{next}.bin
    deps: [chain/{number}.bin]
    outs: [chain/{next}.bin]
"""


def prepare(_: int) -> None:
    with Repo.init(no_scm=True) as repo, repo.config.edit("local") as config:
        config["core"] |= {"analytics": False, "check_update": False}


def records(_: int) -> float:
    return _add(work.RECORDS)


def folder(_: int) -> float:
    return _add(work.FOLDER)


def query(count: int) -> float:
    files = DVCFileSystem()
    assert files.info("records/1.bin")["dvc_info"]["entry"].hash_info.value
    return work.median_seconds(lambda: files.info("records/1.bin"), count)


def single(count: int) -> float:
    first = Path("first.bin")
    first.write_bytes(b"first")
    with Repo() as repo:
        repo.add(str(first))
        return work.mean_seconds(lambda number: repo.add(str(work.SINGLE / f"{number}.bin")), count)


def chain(count: int) -> float:
    work.chain_file(0)
    stages = "".join(_STAGE.format(number=number, next=number + 1) for number in range(count))
    Path("dvc.yaml").write_text(f"stages:\n{stages}")
    with Repo() as repo:
        seconds = work.once(repo.reproduce)
    assert (work.CHAIN / f"{count}.bin").exists()
    return seconds / count


def ancestors(count: int) -> float:
    import networkx

    def ask() -> None:
        with Repo() as repo:
            graph = repo.index.graph
            last = next(stage for stage in graph if stage.addressing == f"link{count - 1}")
            assert len(networkx.descendants(graph, last)) == count - 1

    return work.median_seconds(ask, 3)


def start(_: int) -> float:
    where = Path("start")
    where.mkdir()
    (where / "dvc.yaml").write_text("stages:\n  start:\n    cmd: exit 0\n")
    with Repo() as repo:
        return work.once(lambda: repo.reproduce("start/dvc.yaml:start"))


def large(_: int) -> float:
    return _add(work.LARGE)


def _add(path: Path) -> float:
    with Repo() as repo:
        return work.once(lambda: repo.add(str(path)))


def _quiet(function):
    """Return a work that prints to the error output, as the output is for the time."""

    def called(count: int) -> float | None:
        with contextlib.redirect_stdout(sys.stderr):
            return function(count)

    return called


if __name__ == "__main__":
    works = {
        "prepare": prepare,
        "records": records,
        "unchanged": records,
        "folder": folder,
        "query": query,
        "single": single,
        "chain": chain,
        "ancestors": ancestors,
        "start": start,
        "large": large,
    }
    work.main({name: _quiet(function) for name, function in works.items()})
