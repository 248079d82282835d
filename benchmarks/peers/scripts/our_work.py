"""The works with this library."""

from __future__ import annotations

import work

import lamindb as ln


def prepare(_: int) -> None:
    ln.setup.init(storage="./mydata")


def records(count: int) -> float:
    paths = [work.RECORDS / f"{number}.bin" for number in range(count)]
    return work.once(lambda: ln.save([ln.File(path, key=str(path)) for path in paths]))


def folder(count: int) -> float:
    seconds = work.once(ln.File(work.FOLDER, key="folder").save)
    assert ln.File.select(key="folder").one().n_files == count
    return seconds


def query(count: int) -> float:
    return work.median_seconds(ln.File.select(key="records/1.bin").one, count)


def single(count: int) -> float:
    ln.File(b"first", key="first.bin").save()
    return work.mean_seconds(
        lambda number: ln.File(work.SINGLE / f"{number}.bin", key=f"single/{number}.bin").save(), count
    )


def chain(count: int) -> float:
    last = ln.File(work.chain_file(0), key="chain/0.bin").save()
    transform = ln.Transform(name="chain", type="pipeline").save()

    def link(number: int) -> None:
        nonlocal last
        run = ln.Run(transform=transform, inputs=[last]).save()
        path = work.chain_file(number + 1)
        last = ln.File(path, key=f"chain/{path.name}", run=run).save()

    return work.mean_seconds(link, count)


def ancestors(count: int) -> float:
    last = ln.File.select(key=f"chain/{count}.bin").one()
    assert len(list(last.ancestors())) == count
    return work.median_seconds(lambda: list(last.ancestors()), 3)


def start(_: int) -> float:
    def make() -> None:
        ln.track(ln.Transform(name="start", type="pipeline"))
        ln.finish()

    return work.once(make)


def large(_: int) -> float:
    return work.once(ln.File(work.LARGE, key="large.bin").save)


if __name__ == "__main__":
    ln.settings.verbosity = 0
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
