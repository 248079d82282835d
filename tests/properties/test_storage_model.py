"""Whatever is done in whatever order, an instance holds what a plain dictionary says, also after crashes in between."""

from __future__ import annotations

import copy
import itertools
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import lamindb as ln
from lamindb.errors import KeyExistsError
from lamindb.files import view_sync
from lamindb.maintenance import gc, verify
from lamindb.models import File
from lamindb.setup import lifecycle
from tests.kills import stepping
from tests.kills.runner import copy_tree
from tests.support import depth

Content = bytes | tuple[tuple[str, bytes], ...]
"""The bytes of a file, or the members of a folder."""

KEYS = st.sampled_from(["a.txt", "b.csv", "deep/c.txt", "deep/er/d"])
FOLDERS = st.sampled_from(["folder", "deep/results.x"])
BYTES = st.sampled_from([0, 1, 2, 3, 70_000]).map(lambda size: b"x" * size)
MEMBERS = st.dictionaries(st.sampled_from(["m.txt", "n", "in/m.txt"]), BYTES, min_size=1).map(
    lambda found: tuple(sorted(found.items()))
)
STEPS = st.integers(1, 45)


@dataclass
class Version:
    """What the model knows of a record."""

    family: int
    number: int
    key: str
    content: Content
    is_trashed: bool = False
    is_latest: bool = True

    def seen(self) -> tuple[Any, ...]:
        return self.key, self.number, self.content, self.is_trashed, self.is_latest


class Model:
    """The rules, on a dictionary."""

    def __init__(self) -> None:
        self.versions: dict[str, Version] = {}
        self.removed: dict[int, int] = {}
        """The highest number of a family that was removed for good: it is not given again."""
        self._families = 0

    def current(self, key: str) -> Version | None:
        return next((v for v in self.versions.values() if v.key == key and v.is_latest and not v.is_trashed), None)

    def save(self, key: str, content: Content) -> Version | None:
        """Return the version that this makes; None if it is stored already."""
        current = self.current(key)
        if current is None:
            self._families += 1
            return Version(self._families, 1, key, content)
        return self.continue_family(current, content)

    def continue_family(self, current: Version, content: Content) -> Version | None:
        if current.content == content:
            return None
        current.is_latest = False
        highest = max(v.number for v in self.versions.values() if v.family == current.family)
        highest = max(highest, self.removed.get(current.family, 0))
        return Version(current.family, highest + 1, current.key, content)

    def delete(self, version: Version) -> None:
        version.is_trashed, version.is_latest = True, False
        self._promote(version.family, version.key)

    def purge(self, record_id: str) -> None:
        removed = self.versions.pop(record_id)
        family = removed.family
        self.removed[family] = max(removed.number, self.removed.get(family, 0))
        self._promote(family, removed.key)

    def restore(self, version: Version) -> None:
        mine = [v for v in self.versions.values() if v.family == version.family and v.is_latest and not v.is_trashed]
        taken = self.current(version.key)
        version.is_trashed = False
        if (taken is None or taken.family == version.family) and all(v.number < version.number for v in mine):
            for other in mine:
                other.is_latest = False
            version.is_latest = True

    def rename(self, version: Version, key: str) -> bool:
        taken = self.current(key)
        if taken is not None and taken.family != version.family:
            return False
        left = version.key
        for other in self.versions.values():
            if other.family == version.family:
                other.key = key
        self._promote(version.family, left)
        return True

    def _promote(self, family: int, key: str) -> None:
        """Let the newest version left of a family, or of those under a key, be current where no other one is."""
        saved = [v for v in self.versions.values() if not v.is_trashed]
        families = {family, *(v.family for v in saved if v.key == key)}
        newest = [max((v for v in saved if v.family == one), key=lambda v: v.number, default=None) for one in families]
        for one in sorted((v for v in newest if v is not None), key=saved.index, reverse=True):
            if self.current(one.key) is None:
                one.is_latest = True


class Comparison(RuleBasedStateMachine):
    """Does everything twice: to an instance and to the model."""

    template: Path
    folder: Path
    _numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.root = self.folder / str(next(self._numbers)) / "mydata"
        self.root.parent.mkdir()
        copy_tree(self.template, self.root)
        os.chdir(self.root.parent)
        lifecycle.connect(self.root)
        ln.settings.verbosity = 0

    def teardown(self) -> None:
        lifecycle.close()

    # --- what is done to the instance ---

    def data(self, content: Content) -> Any:
        if isinstance(content, bytes):
            return content
        source = self.root.parent / f"source-{next(self._numbers)}"
        for name, data in content:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
        return str(source)

    def pick(self, number: int, *, trashed: bool) -> str | None:
        fitting = sorted(record_id for record_id, v in self.model.versions.items() if v.is_trashed == trashed)
        return fitting[number % len(fitting)] if fitting else None

    def take_in(self, new: Version | None, file: File) -> None:
        if new is None:
            assert file.id in self.model.versions
        else:
            assert file.id not in self.model.versions
            self.model.versions[file.id] = new

    @rule(key=KEYS, content=BYTES)
    def save(self, key: str, content: bytes) -> None:
        self.take_in(self.model.save(key, content), ln.File(content, key=key).save())

    @rule(key=FOLDERS, members=MEMBERS)
    def save_folder(self, key: str, members: Content) -> None:
        self.take_in(self.model.save(key, members), ln.File(self.data(members), key=key).save())

    @rule(items=st.dictionaries(KEYS, BYTES, min_size=1))
    def save_many(self, items: dict[str, bytes]) -> None:
        files = [ln.File(content, key=key) for key, content in items.items()]
        ln.save(files)
        for file, (key, content) in zip(files, items.items(), strict=True):
            self.take_in(self.model.save(key, content), file)

    @rule(key=KEYS, content=BYTES)
    def replace(self, key: str, content: bytes) -> None:
        current = self.model.current(key)
        # A key without a suffix would take that of the data.
        if current is not None and "." in key:
            file = File.objects.get(key=key, is_latest=True, trashed_at__isnull=True)
            self.take_in(self.model.continue_family(current, content), file.replace(content).save())

    @rule(number=st.integers(0, 99))
    def delete(self, number: int) -> None:
        record_id = self.pick(number, trashed=False)
        if record_id is not None:
            File.objects.get(id=record_id).delete()
            self.model.delete(self.model.versions[record_id])

    @rule(number=st.integers(0, 99))
    def restore(self, number: int) -> None:
        record_id = self.pick(number, trashed=True)
        if record_id is not None:
            File.objects.get(id=record_id).restore()
            self.model.restore(self.model.versions[record_id])

    @rule(number=st.integers(0, 99), trashed=st.booleans(), storage=st.booleans())
    def purge(self, number: int, trashed: bool, storage: bool) -> None:
        record_id = self.pick(number, trashed=trashed)
        if record_id is not None:
            File.objects.get(id=record_id).delete(permanent=True, storage=storage or None)
            self.model.purge(record_id)

    @rule(key=KEYS, to=KEYS)
    def rename(self, key: str, to: str) -> None:
        current = self.model.current(key)
        if current is None or key == to:
            return
        file = File.objects.get(key=key, is_latest=True, trashed_at__isnull=True)
        file.key = to
        if self.model.rename(current, to):
            file.save()
        else:
            with pytest.raises(KeyExistsError):
                file.save()

    @rule()
    def sweep(self) -> None:
        gc.sweep(dry_run=False, grace_seconds=0)

    @rule()
    def open_again(self) -> None:
        lifecycle.close()
        lifecycle.connect(self.root)

    @rule()
    def forget_the_view(self) -> None:
        """Somebody removes a file of the view: it comes back when it is read."""
        for version in self.model.versions.values():
            if version.is_latest and isinstance(version.content, bytes):
                (self.root / version.key).unlink(missing_ok=True)
                assert ln.File.select(key=version.key).one().stage().read_bytes() == version.content
                return

    # --- crashes ---

    @rule(key=KEYS, content=BYTES, step=STEPS)
    def crash_while_saving(self, key: str, content: bytes, step: int) -> None:
        self.crash(step, lambda: ln.File(content, key=key).save(), lambda model: self.saved(model, key, content))

    @rule(key=FOLDERS, members=MEMBERS, step=STEPS)
    def crash_while_saving_a_folder(self, key: str, members: Content, step: int) -> None:
        data = self.data(members)
        self.crash(step, lambda: ln.File(data, key=key).save(), lambda model: self.saved(model, key, members))

    @rule(number=st.integers(0, 99), step=STEPS)
    def crash_while_deleting(self, number: int, step: int) -> None:
        record_id = self.pick(number, trashed=False)
        if record_id is not None:
            self.crash(
                step,
                lambda: File.objects.get(id=record_id).delete(),
                lambda model: model.delete(model.versions[record_id]),
            )

    @rule(number=st.integers(0, 99), step=STEPS)
    def crash_while_purging(self, number: int, step: int) -> None:
        record_id = self.pick(number, trashed=True)
        if record_id is not None:
            self.crash(
                step,
                lambda: File.objects.get(id=record_id).delete(permanent=True, storage=True),
                lambda model: model.purge(record_id),
            )

    @rule(key=KEYS, to=KEYS, step=STEPS)
    def crash_while_renaming(self, key: str, to: str, step: int) -> None:
        current = self.model.current(key)
        if current is None or key == to or self.model.current(to) is not None:
            return

        def act() -> None:
            file = File.objects.get(key=key, is_latest=True, trashed_at__isnull=True)
            file.key = to
            file.save()

        def apply(model: Model) -> None:
            found = model.current(key)
            assert found is not None
            model.rename(found, to)

        self.crash(step, act, apply)

    @rule(step=STEPS)
    def crash_while_sweeping(self, step: int) -> None:
        self.crash(step, lambda: gc.sweep(dry_run=False, grace_seconds=0), lambda model: None)

    @staticmethod
    def saved(model: Model, key: str, content: Content) -> None:
        new = model.save(key, content)
        if new is not None:
            model.versions["new"] = new

    def crash(self, step: int, act: Callable[[], object], apply: Callable[[Model], object]) -> None:
        """Kill a child at one of its steps; the instance must be as before, or as after."""
        pid = os.fork()
        if pid == 0:
            try:
                stepping.install(stepping.Steps(stepping.die_at(step)))
                act()
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        self.open_again()
        after = copy.deepcopy(self.model)
        apply(after)
        found = self.found()
        states = [sorted(map(repr, (v.seen() for v in model.versions.values()))) for model in (self.model, after)]
        assert sorted(map(repr, found.values())) in states
        if sorted(map(repr, found.values())) != states[0]:
            if "new" in after.versions:
                [new_id] = set(found) - set(self.model.versions)
                after.versions[new_id] = after.versions.pop("new")
            self.model = after

    # --- what must be true after each step ---

    def found(self) -> dict[str, tuple[Any, ...]]:
        return {
            file.id: (file.key, file.version, self.content(file), file.trashed_at is not None, file.is_latest)
            for file in File.objects.all()
        }

    @staticmethod
    def content(file: File) -> Content:
        path = file.stage()
        if not path.is_dir():
            return path.read_bytes()
        members = sorted(inner for inner in path.rglob("*") if inner.is_file())
        return tuple(sorted((str(inner.relative_to(path)), inner.read_bytes()) for inner in members))

    @invariant()
    def holds_what_the_model_says(self) -> None:
        assert self.found() == {record_id: v.seen() for record_id, v in self.model.versions.items()}

    @invariant()
    def shows_what_is_current_and_nothing_else(self) -> None:
        shown = {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and ".lamindb" not in path.parts
        }
        wanted: dict[str, bytes] = {}
        for version in self.model.versions.values():
            if version.is_latest and not version.is_trashed:
                if isinstance(version.content, bytes):
                    wanted[version.key] = version.content
                else:
                    wanted |= {f"{version.key}/{name}": data for name, data in version.content}
        assert shown == wanted

    @invariant()
    def is_sound(self) -> None:
        report = verify.verify()
        assert report.is_clean, str(report)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_instance_is_what_a_dictionary_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./template")
    lifecycle.close()
    Comparison.template, Comparison.folder = tmp_path / "template", tmp_path
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Comparison,
        settings=hypothesis.settings(
            max_examples=200 if depth.FULL else 25,
            stateful_step_count=25 if depth.FULL else 16,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )


def test_the_comparison_finds_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save that forgets to show is found."""
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./template")
    lifecycle.close()
    Comparison.template, Comparison.folder = tmp_path / "template", tmp_path
    monkeypatch.setattr(view_sync, "show", lambda *args: None)
    machine = Comparison()
    try:
        machine.save("a.txt", b"one")
        with pytest.raises(AssertionError):
            machine.shows_what_is_current_and_nothing_else()
    finally:
        machine.teardown()
