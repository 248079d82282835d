"""The works with LaminDB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import work


def prepare(_: int) -> None:
    # Its settings go to the home folder, where an instance with a folder of the same name would be taken for this one.
    lamin = Path(sys.executable).with_name("lamin")
    subprocess.run([lamin, "init", "--storage", "./mydata"], check=True, stdout=sys.stderr)


def records(count: int) -> float:
    ln = _lamindb()
    paths = [work.RECORDS / f"{number}.bin" for number in range(count)]
    return work.once(lambda: ln.save([ln.Artifact(path, key=str(path)) for path in paths]))


def folder(count: int) -> float:
    ln = _lamindb()
    seconds = work.once(ln.Artifact(work.FOLDER, key="folder").save)
    assert ln.Artifact.get(key="folder").n_files == count
    return seconds


def query(count: int) -> float:
    ln = _lamindb()
    return work.median_seconds(lambda: ln.Artifact.get(key="records/1.bin"), count)


def single(count: int) -> float:
    ln = _lamindb()
    first = Path("first.bin")
    first.write_bytes(b"first")
    ln.Artifact(first, key="first.bin").save()
    return work.mean_seconds(
        lambda number: ln.Artifact(work.SINGLE / f"{number}.bin", key=f"single/{number}.bin").save(), count
    )


def chain(count: int) -> float:
    ln = _lamindb()
    last = ln.Artifact(work.chain_file(0), key="chain/0.bin").save()
    transform = ln.Transform(key="chain", kind="pipeline").save()

    def link(number: int) -> None:
        nonlocal last
        run = ln.Run(transform).save()
        run.input_artifacts.add(last)
        path = work.chain_file(number + 1)
        last = ln.Artifact(path, key=f"chain/{path.name}", run=run).save()

    return work.mean_seconds(link, count)


def ancestors(count: int) -> float:
    ln = _lamindb()
    last = ln.Artifact.get(key=f"chain/{count}.bin")

    def draw() -> None:
        graph = last.view_lineage(with_children=False, return_graph=True)
        assert sum("->" in line for line in graph.body) >= count

    return work.median_seconds(draw, 3)


def start(_: int) -> float:
    ln = _lamindb()

    def make() -> None:
        ln.track(ln.Transform(key="start", kind="pipeline").save())
        ln.finish()

    return work.once(make)


def large(_: int) -> float:
    ln = _lamindb()
    return work.once(ln.Artifact(work.LARGE, key="large.bin").save)


def _lamindb():
    import lamindb

    lamindb.settings.verbosity = "error"
    # The first save of a process asks the hub for the instance, and fails without a network: no setting turns it off.
    lamindb.setup.settings.instance._is_on_hub = False
    return lamindb


if __name__ == "__main__":
    work.main(
        {
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
    )
