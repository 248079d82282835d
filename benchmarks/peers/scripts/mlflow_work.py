"""The works with MLflow, with its database in the project's folder and no server."""

from __future__ import annotations

from pathlib import Path

import mlflow
import work
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset


def prepare(_: int) -> None:
    with mlflow.start_run():
        pass


def records(_: int) -> float:
    with mlflow.start_run(run_name="records"):
        return work.once(lambda: mlflow.log_artifacts(str(work.RECORDS), "records"))


def folder(_: int) -> float:
    with mlflow.start_run():
        return work.once(lambda: mlflow.log_artifacts(str(work.FOLDER), "folder"))


def query(count: int) -> float:
    client = mlflow.MlflowClient()
    found = mlflow.search_runs(filter_string="run_name = 'records'", output_format="list", max_results=1)
    run_id = found[0].info.run_id
    # It lists folders; a single file is found in the list of its folder.
    assert any(file.path == "records/1.bin" for file in client.list_artifacts(run_id, "records"))
    return work.median_seconds(lambda: client.list_artifacts(run_id, "records"), count)


def single(count: int) -> float:
    first = Path("first.bin")
    first.write_bytes(b"first")
    with mlflow.start_run():
        mlflow.log_artifact(str(first))
        return work.mean_seconds(
            lambda number: mlflow.log_artifact(str(work.SINGLE / f"{number}.bin"), "single"), count
        )


def chain(count: int) -> float:
    last = work.chain_file(0)

    def link(number: int) -> None:
        nonlocal last
        source = resolve_dataset_source(last.absolute().as_uri())
        with mlflow.start_run():
            mlflow.log_input(MetaDataset(source, name=last.name), context="input")
            last = work.chain_file(number + 1)
            mlflow.log_artifact(str(last), "chain")

    return work.mean_seconds(link, count)


def ancestors(_: int) -> None:
    """Return None: files have no edges."""


def start(_: int) -> float:
    def make() -> None:
        with mlflow.start_run():
            pass

    return work.once(make)


def large(_: int) -> float:
    with mlflow.start_run():
        return work.once(lambda: mlflow.log_artifact(str(work.LARGE)))


if __name__ == "__main__":
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
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
