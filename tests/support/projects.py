"""A made-up project of some size, as plain values and written into the current instance.

People run notebooks and pipelines for three months: raw files arrive, runs read what is there, and write tables,
figures and new versions. Some runs make the bytes of an earlier file again. The plain values are what answers are
checked against.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

HANDLES = ("ada", "ben", "chi", "dov", "eve")
_SUBJECTS = ("Quality control", "Clustering", "Markers", "Survival", "Figures for the paper")
_SUFFIXES = (".csv", ".parquet", ".h5ad", ".png", ".json")
_STATUSES = ("completed",) * 16 + ("failed", "failed", "aborted", None)
_DAYS = 90


@dataclass(frozen=True, slots=True)
class PlainTransform:
    """A notebook or pipeline."""

    id: str
    name: str
    type: str
    user: str


@dataclass(slots=True, eq=False)
class PlainRun:
    """One run, with the numbers of the files that it read."""

    id: str
    transform: PlainTransform
    user: str
    status: str | None
    started_at: datetime
    params: dict[str, Any]
    git_is_dirty: bool
    inputs: list[PlainFile] = field(default_factory=list)
    outputs: list[PlainFile] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class PlainFile:
    """One version of a file."""

    id: str
    key: str
    suffix: str
    size: int
    version: int
    is_latest: bool
    is_trashed: bool
    user: str
    run: PlainRun | None
    created_at: datetime

    @property
    def is_shown(self) -> bool:
        """Whether queries show it without being asked for more."""
        return self.is_latest and not self.is_trashed


@dataclass(slots=True)
class PlainProject:
    """Everything in the project."""

    transforms: list[PlainTransform]
    runs: list[PlainRun]
    files: list[PlainFile]

    def readers(self, file: PlainFile) -> list[PlainRun]:
        """Return the runs that read a file."""
        return [run for run in self.runs if file in run.inputs]

    def producers(self, file: PlainFile) -> list[PlainRun]:
        """Return the runs that made a file, the first one and those that made it again, the oldest first."""
        return [run for run in self.runs if file in run.outputs]

    def derived(self, file: PlainFile) -> tuple[list[PlainFile], list[PlainRun]]:
        """Return the files that came of a file, and the runs that read it or any of them."""
        files: list[PlainFile] = []
        runs: list[PlainRun] = []
        front = [file]
        while front:
            found = _unique([run for one in front for run in self.readers(one) if run not in runs])
            runs += found
            front = _unique([output for run in found for output in run.outputs if output not in files])
            files += front
        return files, runs

    def origins(self, file: PlainFile) -> tuple[list[PlainFile], list[PlainRun]]:
        """Return the files that a file came from, and the runs that made it and them, the first time or again."""
        files: list[PlainFile] = []
        runs: list[PlainRun] = []
        front = [file]
        while front:
            found = _unique([run for one in front for run in self.producers(one) if run not in runs])
            runs += found
            front = _unique([one for run in found for one in run.inputs if one not in files])
            files += front
        return files, runs


def _unique(found: list[Any]) -> list[Any]:
    return list({one.id: one for one in found}.values())


def make(*, notebooks: int = 50, files: int = 2_000, seed: int = 11, now: datetime | None = None) -> PlainProject:
    """Make a project that ends now; everything else depends on the seed alone."""
    chance = random.Random(seed)
    end = now or datetime.now(UTC)
    transforms = [
        PlainTransform(
            f"n{n:011}0001", f"{_SUBJECTS[n % len(_SUBJECTS)]} {n:02}", "notebook", HANDLES[n % len(HANDLES)]
        )
        for n in range(notebooks)
    ] + [PlainTransform(f"p{n:011}0001", name, "pipeline", "ada") for n, name in enumerate(("Cell Ranger", "Align"))]
    project = PlainProject(transforms, [], [])
    raw = max(1, files // 10)
    moments = sorted(end - timedelta(days=_DAYS) * chance.random() for _ in range(files))
    for number in range(raw):
        _add_file(project, chance, f"raw/{number:04}.fastq.gz", ".fastq.gz", moments[number] - timedelta(days=_DAYS))
    while len(project.files) < files:
        run = _add_run(project, chance, moments[len(project.files)])
        if run.status in {"failed", "aborted"} and chance.random() < 0.5:
            continue
        for _ in range(min(chance.choice((1, 2, 4, 8, 16)), files - len(project.files))):
            _write(project, chance, run, moments[len(project.files)])
    _make_again(project, random.Random(seed), files // 20)
    for file in chance.sample(project.files, files // 40):
        # Only where no other version of the key would have to take its place.
        file.is_trashed = file.is_latest and file.version == 1
    return project


def _make_again(project: PlainProject, chance: random.Random, number: int) -> None:
    """Let later runs make the bytes of earlier files again, where that makes no loop."""
    for file in chance.sample([one for one in project.files if one.run is not None], number):
        begun = {one.id: position for position, one in enumerate(project.runs)}
        assert file.run is not None
        later = [run for run in project.runs[begun[file.run.id] + 1 :] if run.inputs]
        if not later:
            continue
        run = chance.choice(later)
        if run not in project.derived(file)[1]:
            run.outputs.append(file)


def _add_run(project: PlainProject, chance: random.Random, moment: datetime) -> PlainRun:
    # A few notebooks only look at data.
    transform = chance.choice(project.transforms[3:])
    number = len(project.runs)
    run = PlainRun(
        f"r{number:019}",
        transform,
        transform.user if chance.random() < 0.8 else chance.choice(HANDLES),
        chance.choice(_STATUSES),
        moment - timedelta(minutes=chance.randint(1, 50)),
        {"lr": chance.choice((0.001, 0.01, 0.1))} if chance.random() < 0.5 else {},
        chance.random() < 0.2,
    )
    recent = project.files[-400:] if chance.random() < 0.7 else project.files
    run.inputs = chance.sample(recent, min(len(recent), chance.choice((0, 1, 1, 2, 3, 5))))
    project.runs.append(run)
    return run


def _write(project: PlainProject, chance: random.Random, run: PlainRun, moment: datetime) -> None:
    mine = [file for file in project.files[-200:] if file.run is not None and file.run.transform is run.transform]
    older = chance.choice(mine) if mine and chance.random() < 0.1 else None
    if older is not None and older.is_latest:
        older.is_latest = False
        file = _add_file(project, chance, older.key, older.suffix, moment, run, older)
    else:
        suffix = chance.choice(_SUFFIXES)
        folder = "figures" if suffix == ".png" else "results"
        file = _add_file(project, chance, f"{folder}/{len(project.files):05}{suffix}", suffix, moment, run)
    run.outputs.append(file)


def _add_file(
    project: PlainProject,
    chance: random.Random,
    key: str,
    suffix: str,
    moment: datetime,
    run: PlainRun | None = None,
    older: PlainFile | None = None,
) -> PlainFile:
    version = older.version + 1 if older else 1
    stem = older.id[:16] if older else f"f{len(project.files):015}"
    user = run.user if run else chance.choice(HANDLES)
    size = chance.randrange(1, 10**9)
    file = PlainFile(f"{stem}{version:04}", key, suffix, size, version, True, False, user, run, moment)
    project.files.append(file)
    return file


def write(project: PlainProject) -> None:
    """Write a project into the current instance, in bulk: rows only, no bytes."""
    from lamindb.core import context, ids
    from lamindb.db import database
    from lamindb.models import File, Run, RunInput, RunOutput, Transform, User

    instance = context.instance()
    users = {handle: ids.user_id(handle) for handle in HANDLES}
    batches: list[list[Any]] = [
        [User.from_fields(id=user_id, handle=handle) for handle, user_id in users.items()],
        [
            Transform.from_fields(
                id=one.id, name=one.name, type=one.type, reference=one.name, created_by_id=users[one.user]
            )
            for one in project.transforms
        ],
        [
            Run.from_fields(
                id=one.id,
                transform_id=one.transform.id,
                status=one.status,
                params=one.params or None,
                git_is_dirty=one.git_is_dirty,
                started_at=one.started_at,
                created_at=one.started_at,
                created_by_id=users[one.user],
            )
            for one in project.runs
        ],
        [
            File.from_fields(
                id=one.id,
                name=one.key.rpartition("/")[2],
                key=one.key,
                suffix=one.suffix,
                size=one.size,
                hash=f"h{number:021}",
                digest=f"{number:064x}",
                version=one.version,
                is_latest=one.is_latest,
                trashed_at=one.created_at if one.is_trashed else None,
                storage_id=instance.storage_id,
                run_id=one.run.id if one.run else None,
                transform_id=one.run.transform.id if one.run else None,
                created_at=one.created_at,
                created_by_id=users[one.user],
            )
            for number, one in enumerate(project.files)
        ],
        [RunInput.from_fields(run_id=run.id, file_id=file.id) for run in project.runs for file in run.inputs],
        [RunOutput.from_fields(run_id=run.id, file_id=file.id) for run in project.runs for file in run.outputs],
    ]
    with database.writing(instance.alias) as link:
        for batch in batches:
            database.insert_many(link, batch)
