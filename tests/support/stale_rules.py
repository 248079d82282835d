"""The rules of staleness in plain Python, without any thought of speed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import lamindb as ln
from lamindb.models import RunInput, RunOutput


@dataclass
class Rows:
    """Everything that the rules are about, as rows, and the rules one by one, without any thought of speed."""

    files: dict[str, Any]
    inputs: list[tuple[str, str]]
    outputs: list[tuple[str, str]]
    read_at: dict[tuple[str, str], datetime.datetime]
    begun_at: dict[str, datetime.datetime]

    @classmethod
    def read(cls) -> Rows:
        inputs, outputs = (
            list(model.objects.get_queryset().order_by("id").values_list("run_id", "file_id", "created_at"))
            for model in (RunInput, RunOutput)
        )
        return cls(
            {file.id: file for file in ln.File.objects.all()},
            [(run, file) for run, file, _ in inputs],
            [(run, file) for run, file, _ in outputs],
            {(run, file): at for run, file, at in inputs},
            {run.id: run.started_at or run.created_at for run in ln.Run.objects.all()},
        )

    def newest_producer(self, file: str) -> str | None:
        runs = [run for run, made in self.outputs if made == file]
        return runs[-1] if runs else self.files[file].run_id

    def producers(self, file: str) -> set[str]:
        return {run for run, made in self.outputs if made == file} | {self.files[file].run_id} - {None}

    def family(self, file: str) -> tuple[str, str]:
        found = self.files[file]
        return ("", found.stem_id) if found.key is None else (found.storage_id, found.key)

    def current(self, file: str) -> str | None:
        others = [one for one in self.files.values() if self.family(one.id) == self.family(file)]
        others = [one for one in others if not one.is_trashed and (one.key is None or one.is_latest)]
        return max(others, key=lambda one: one.version).id if others else None

    def last_read(self, run: str | None) -> list[str]:
        by_family = {self.family(file): file for reader, file in self.inputs if reader == run}
        return list(by_family.values())

    def runs_behind(self, file: str, since: datetime.datetime) -> set[str]:
        """Return the runs that led to a file, by what was read since a time."""
        found: set[str] = set()
        waiting = [file]
        while waiting:
            new = self.producers(waiting.pop()) - found
            found |= new
            waiting += [read for run, read in self.inputs if run in new and self.read_at[run, read] >= since]
        return found

    def reason(self, run: str, file: str) -> str | None:
        current = self.current(file)
        if current is None:
            return "removed" if self.files[file].is_trashed else None
        since = self.begun_at[run] - datetime.timedelta(hours=1)
        if self.files[current].digest == self.files[file].digest or run in self.runs_behind(current, since):
            return None
        return "superseded"

    def stale(self) -> set[str]:
        found: set[str] = set()
        while True:
            new = {
                file
                for file in self.files
                if (run := self.newest_producer(file)) is not None
                and any(self.reason(run, read) or read in found for read in self.last_read(run))
            }
            if new == found:
                return found
            found = new

    def reasons(self, file: str, stale: set[str]) -> dict[str, tuple[str, int]]:
        """Return the kind of each reason, and the number of files on its shortest way."""
        found: dict[str, tuple[str, int]] = {}
        seen, generation, length = {file}, {file}, 1
        while generation:
            length += 1
            following = set()
            for one in generation:
                run = self.newest_producer(one)
                for read in self.last_read(run):
                    kind = self.reason(str(run), read)
                    if kind is not None:
                        found.setdefault(read, (kind, length))
                    if read in stale:
                        following.add(read)
            generation = following - seen
            seen |= following
        return found
