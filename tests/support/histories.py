"""Histories of saves, runs, deletions and renames, for tests of what follows from them."""

from __future__ import annotations

import random
from typing import Any

import lamindb as ln


class History:
    """A history of saves, runs, deletions and renames, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.transform = ln.Transform(name="step", type="pipeline").save()
        self.saved: list[str] = []

    def data(self) -> bytes:
        return str(self.chance.randrange(4)).encode()

    def key(self) -> str | None:
        return self.chance.choice(["a", "b", "c", "d", "e", None])

    def pick(self) -> Any:
        if self.chance.random() < 0.7:
            current = ln.File.select().order_by("id").list()
            if current:
                return self.chance.choice(current)
        return ln.File.objects.get(id=self.chance.choice(self.saved))

    def save(self, run: Any = None) -> None:
        key = self.key()
        keyless = ln.File.select(key=None).order_by("id").list() if key is None else []
        if keyless and self.chance.random() < 0.7:
            file = self.chance.choice(keyless).replace(self.data() + b" without a key", run=run)
        else:
            file = ln.File(self.data(), key=key, name="data", run=run)
        self.saved.append(file.save().id)

    def run(self) -> None:
        run = ln.Run(transform=self.transform).save()
        for _ in range(self.chance.randrange(4)):
            run.inputs.add(self.pick())
            if self.chance.random() < 0.3:
                self.save(run)
        self.save(run)

    def step(self) -> None:
        kind = self.chance.random()
        if not self.saved or kind < 0.2:
            self.save()
        elif kind < 0.8:
            self.run()
        elif kind < 0.87:
            ln.File.objects.get(id=self.chance.choice(self.saved)).delete()
        elif kind < 0.92:
            trashed = ln.File.objects.filter(trashed_at__isnull=False).order_by("id").list()
            if trashed:
                self.chance.choice(trashed).restore()
        else:
            self.rename()

    def rename(self) -> None:
        file = ln.File.objects.get(id=self.chance.choice(self.saved))
        key = self.key()
        if not ln.File.select(key=key).exists():
            file.key = key
            file.save()


def made(name: str, inputs: list[ln.File], data: bytes, key: str | None) -> ln.File:
    """Return the output of a new run of a pipeline."""
    run = ln.Run(transform=ln.Transform(name=name, type="pipeline").save()).save()
    run.inputs.extend(inputs)
    return ln.File(data, key=key, run=run).save()
