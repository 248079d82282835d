"""What a run remembers of its circumstances: code, arguments, git, packages, process, output.

What takes long is not waited for: git is asked by a thread while the rest goes on. If it answers late, the row gets
its answer late. Objects are stored together and before the row that names them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lamindb.core import messages, paths, processes
from lamindb.core.text import storable
from lamindb.db import database
from lamindb.environment import git, kernels, notebook_matching, notebooks, output_tail, packages, scripts
from lamindb.environment.detect import Running
from lamindb.errors import LaminError, StorageError
from lamindb.files import plan
from lamindb.models import Run
from lamindb.models.base import now
from lamindb.records.open_instance import Instance
from lamindb.runs import log_file, modules, revisions
from lamindb.storage.base import ObjectName, Source

NO_CAPTURE: Final = {"mode": "off", "completeness": "off"}
"""What `run.capture` says where files were not watched."""
DIFF_BYTES: Final = 1024 * 1024
"""The most of a patch that is kept."""
_PATIENCE_SECONDS: Final = 0.02
LAST_PATIENCE_SECONDS: Final = 2.0
_ATTEMPTS: Final = 3

Ran = Running | notebook_matching.AnonymousNotebook
Data = Mapping[str, tuple[bytes | None, str]]
"""What objects are made of, and their suffixes, by the fields that name them."""


@dataclass(slots=True)
class Watched:
    """What is kept in memory of a run until it ends."""

    ran: Ran | None
    asking: Asking | None = None
    tail: output_tail.Tail | None = None
    log: log_file.LogFile | None = None
    unstored: Data = field(default_factory=dict)
    """What its beginning should have stored, where it could not be recorded."""


class Watching:
    """What is kept in memory of the runs of one instance, and the questions to git under way."""

    goes_on = True

    def __init__(self) -> None:
        self.open: dict[str, Watched] = {}
        self.ended: dict[str, Watched] = {}
        self.asked: list[Asking] = []

    def close(self) -> None:
        """Drop it all; what the process prints is not remembered any more."""
        for one in [*self.open.values(), *self.ended.values()]:
            if one.tail is not None:
                one.tail.detach()
            if one.log is not None:
                one.log.leave()
        self.open.clear()
        self.ended.clear()

    def before_fork(self) -> None:
        """Wait for the threads that ask git, and for what is written to logs."""
        for one in self.open.values():
            if one.log is not None:
                one.log.before_fork()
        while self.asked:
            self.asked.pop().wait(1.0)

    def after_fork(self) -> None:
        """Forget the runs of the parent process."""
        self.close()


class Asking:
    """A question to git, asked in a thread of its own; its answer is written by the thread that has it first.

    Args:
        instance: Where the patch is stored.
        path: A file or folder in the repository.
        stores: Store the patch; else `data` has it.
    """

    def __init__(self, instance: Instance, path: Path, *, stores: bool = True) -> None:
        self._instance = instance
        self._stores = stores
        self._others = instance.part(Watching).asked
        self._path = path
        self._answer: dict[str, Any] = {}
        self.data: Data = {}
        self._lock = threading.Lock()
        self._is_taken = False
        self._row: str | None = None
        self._thread = threading.Thread(target=self._ask, name="lamindb git", daemon=True)

    def start(self) -> Asking:
        """Ask; without an answer where no thread can begin, as at the end of the program."""
        try:
            self._thread.start()
        except RuntimeError as error:
            messages.debug(f"git was not asked: {error}")
            self._thread = threading.current_thread()
            self._is_taken = True
            return self
        self._others.append(self)
        return self

    def wait(self, seconds: float) -> None:
        """Wait for the answer."""
        self._thread.join(seconds)

    def take(self, seconds: float) -> dict[str, Any]:
        """Return the answer if it comes in time and it is not written yet; else nothing."""
        self._thread.join(seconds)
        if self in self._others:
            self._others.remove(self)
        with self._lock:
            if self._thread.is_alive() or self._is_taken:
                return {}
            self._is_taken = True
            return self._answer

    def write_to(self, run_id: str) -> None:
        """Set the row that the answer belongs to, once that row is there."""
        with self._lock:
            self._row = run_id
            late = not self._thread.is_alive() and not self._is_taken and bool(self._answer)
            self._is_taken = self._is_taken or late
        if late:
            self._write(run_id)

    def _ask(self) -> None:
        try:
            state = git.git_state(self._path)
            if state is None:
                return
            diff = git.git_diff(state.root, DIFF_BYTES) if state.is_dirty else b""
            answer: dict[str, Any] = {"git_commit": state.commit, "git_is_dirty": state.is_dirty}
            self.data = {"diff_digest": (diff, ".diff")}
            if self._stores:
                answer |= kept(self._instance, self.data)
        except Exception as error:
            # An error in a thread of ours would be printed into the user's output.
            messages.debug(f"git was not asked: {error!r}")
            return
        with self._lock:
            self._answer = answer
            row = self._row
            self._is_taken = row is not None
        if row is not None:
            self._write(row)
            _close_connection(self._instance.alias)

    def _write(self, run_id: str) -> None:
        try:
            write(self._instance, run_id, self._answer, self.data)
        except Exception as error:
            messages.debug(f"what git said of run {run_id} could not be written: {error}")


def _close_connection(alias: str) -> None:
    try:
        database.connection(alias).close()
    except Exception as error:
        messages.debug(f"a connection did not close: {error}")


@dataclass(slots=True)
class Beginning:
    """What is known when a run begins; complete with `settle`, which waits a moment for git.

    Attributes:
        values: Fields of the run.
        data: What was stored.
        params: Parameters that the program which runs a notebook gave to it.
        source: The code, as it is so far.
        is_notebook: More code may follow, so that the source is known at the end of the run.
    """

    values: dict[str, Any]
    data: Data
    params: dict[str, Any] = field(default_factory=dict)
    ran: Ran | None = None
    asking: Asking | None = None
    source: revisions.Source | None = None
    is_notebook: bool = False

    def settle(self) -> dict[str, Any]:
        """Return the fields of the run."""
        if self.asking is not None:
            self.values |= self.asking.take(_PATIENCE_SECONDS)
            self.data = {**self.data, **self.asking.data}
        self.values = storable(self.values)
        return self.values


def begin(instance: Instance, ran: Ran | None, *, stores: bool = True) -> Beginning:
    """Look at what runs, and store its code and the list of packages. Nothing here stops the run.

    Args:
        instance: Where to store.
        ran: What runs; None where there is neither a file nor a notebook.
        stores: Store what belongs to the run; else it is left in `data`.
    """
    asking = None
    values: dict[str, Any] = {}
    if isinstance(ran, Running):
        try:
            state = git.git_state(ran.path, dirty=False)
            if state is not None:
                values |= {"git_repository": state.repository_url, "git_commit": state.commit}
                asking = Asking(instance, ran.path, stores=stores).start()
        except (OSError, RuntimeError) as error:
            messages.debug(f"git was not asked: {error}")
    process = processes.this_process()
    values |= {
        "host": process.host,
        "process": process._asdict(),
        "heartbeat_at": now(),
        "python_version": packages.python_version(),
        "capture": dict(NO_CAPTURE),
        "arguments": list(scripts.invocation().arguments),
    }
    is_notebook = isinstance(ran, notebook_matching.AnonymousNotebook) or (ran is not None and ran.kind == "notebook")
    data: Data = {
        "source_digest": (source_of(ran), suffix_of(ran)),
        "environment_digest": (packages.packages_snapshot(), ".txt"),
    }
    if stores:
        values |= kept(instance, data)
    if isinstance(ran, Running):
        values["code_path"] = scripts.relative_reference(ran.path, instance.project_path)
    params = notebooks.injected_parameters() if is_notebook else {}
    source = revisions.source_of(data["source_digest"][0], values.get("source_digest"))
    return Beginning(values, data, params, ran, asking, source, is_notebook)


def watch(instance: Instance, run: Run, beginning: Beginning) -> None:
    """Keep in memory what the end of a run needs, once its row is there if it has one; remember its output."""
    watched = Watched(beginning.ran, beginning.asking, unstored={} if run.is_saved else beginning.data)
    if not kernels.in_notebook():
        watched.log = log_file.open_for(instance.id, run.id)
        watched.tail = output_tail.Tail(sink=watched.log.add if watched.log is not None else None)
        watched.tail.attach()
    instance.part(Watching).open[run.id] = watched
    if beginning.asking is not None and run.is_saved:
        beginning.asking.write_to(run.id)


def resume(instance: Instance, run: Run) -> None:
    """Keep in memory again what the end of a run needs; its output goes on where it had ended."""
    watching = instance.part(Watching)
    watched = watching.ended.pop(run.id, None) or Watched(None)
    if watched.tail is not None:
        watched.log = log_file.open_for(instance.id, run.id)
        if watched.log is not None:
            watched.log.add(watched.tail.text())
        watched.tail.sink = watched.log.add if watched.log is not None else None
        watched.tail.attach()
    watching.open[run.id] = watched


def follow(instance: Instance, run: Run, ran: Ran | None) -> None:
    """Look for the code of a run where its file is now, after it was tracked again."""
    watched = instance.part(Watching).open.get(run.id)
    if watched is not None and ran is not None:
        watched.ran = ran


@dataclass(slots=True)
class Ending:
    """What is known when a run ends.

    Attributes:
        values: Fields of the run.
        data: What is still to be stored.
        modules: The modules that it imported.
    """

    values: dict[str, Any] = field(default_factory=dict)
    data: Data = field(default_factory=dict)
    modules: modules.ModuleSet | None = None


def end(instance: Instance, run: Run, *, report: bool = False) -> Ending:
    """Return what is known when a run ends: its fields, and what is still to be stored.

    That is the code as it really ran, the modules that it imported, and the last lines that it printed.

    Args:
        instance: The instance of the run.
        run: The run.
        report: Also keep the notebook with its results as a page.
    """
    watching = instance.part(Watching)
    watched = watching.open.pop(run.id, None)
    values: dict[str, Any] = {}
    data: dict[str, tuple[bytes | None, str]] = {}
    if watched is None:
        return Ending()
    watching.ended[run.id] = watched
    data |= watched.unstored
    watched.unstored = {}
    if watched.asking is not None:
        values |= watched.asking.take(LAST_PATIENCE_SECONDS)
        data |= watched.asking.data
        watched.asking = None
    if watched.ran is not None and getattr(watched.ran, "kind", "notebook") == "notebook":
        data["source_digest"] = (source_of(watched.ran), suffix_of(watched.ran))
    if report:
        data["report_digest"] = (report_of(watched.ran), ".html")
    if watched.tail is not None:
        watched.tail.detach()
        data["log_digest"] = (watched.tail.text().encode("utf-8", "backslashreplace"), ".log")
    return Ending(values, data, modules_of(instance, watched.ran))


def modules_of(instance: Instance, ran: Ran | None) -> modules.ModuleSet | None:
    """Return the modules that this process imported so far; what runs itself is none of them."""
    if isinstance(ran, Running):
        return modules.collect(instance, ran.path.parent, ran.path)
    return modules.collect(instance, ran.folder if ran is not None else paths.working_folder(), None)


def remove_log(instance: Instance, run_id: str) -> None:
    """Remove the file with the output of a run that has ended, once its row names the stored log."""
    watched = instance.part(Watching).ended.get(run_id)
    if watched is not None and watched.log is not None:
        watched.log.remove()
        watched.log = None


def source_of(ran: Ran | None) -> bytes | None:
    """Return the code that runs, without results and secrets; None where it cannot be read."""
    if ran is None:
        return None
    try:
        if not isinstance(ran, Running):
            return notebooks.executed_source()
        if ran.kind == "script":
            return scripts.script_source(ran.path)
        if notebooks.differs_from_disk(ran.path):
            return notebooks.executed_source()
        return notebooks.stripped_source(ran.path)
    except LaminError as error:
        messages.warning(f"the code of this run could not be kept: {error}")
        return None


def suffix_of(ran: Ran | None) -> str:
    """Return the suffix of stored code."""
    if not isinstance(ran, Running):
        return ".ipynb"
    return ".ipynb" if ran.kind == "notebook" and ran.path.suffix != ".py" else ran.path.suffix or ".txt"


def report_of(ran: Ran | None) -> bytes | None:
    """Return a notebook's file as a page with its results, as last saved; None, with a message, where that fails."""
    if not isinstance(ran, Running) or ran.path.suffix != ".ipynb":
        messages.warning("only a notebook that is a file can have a report: none was kept")
        return None
    try:
        import nbformat
        from nbconvert import HTMLExporter
    except ImportError:
        messages.warning("a report needs nbconvert: run pip install nbconvert; none was kept")
        return None
    try:
        # Secrets are replaced before the page is made: its colours cut names from their values.
        read: Any = nbformat.from_dict
        exporter: Any = HTMLExporter
        node = read(notebooks.without_secrets(notebooks.load(ran.path)))
        page, _ = exporter().from_notebook_node(node, resources={"metadata": {"name": ran.path.stem}})
    except Exception as error:
        messages.warning(f"the report of {ran.path.name} could not be made: {error}")
        return None
    return str(page).encode("utf-8", "backslashreplace")


def kept(instance: Instance, data: Data) -> dict[str, str]:
    """Store several texts at once; returns the names of the objects, without those that there is nothing to store of.

    Whatever fails costs what should have been kept, with a warning, and not the run.
    """
    try:
        return stored(instance, data)
    except Exception as error:
        messages.warning(f"what belongs to this run could not be kept: {error}")
        return {}


def stored(instance: Instance, data: Data) -> dict[str, str]:
    """Store several texts at once; returns the names of the objects, without those that there is nothing to store of.

    Raises:
        StorageError: They could not be stored.
    """
    wanted = {name: Source(suffix=suffix, data=content) for name, (content, suffix) in data.items() if content}
    if not wanted:
        return {}
    objects = instance.store.put_many(list(wanted.values()))
    return {name: one.name.digest + one.name.suffix for name, one in zip(wanted, objects, strict=True)}


def claim(link: Any, instance: Instance, values: Mapping[str, Any], imported: modules.ModuleSet | None = None) -> None:
    """Inside the transaction that writes a run: take its objects out of garbage collection.

    Raises:
        keeping.Swept: One is gone already. Roll back, store it again, and write again.
    """
    named = [ObjectName.parse(values[name]) for name in Run.OBJECT_FIELDS if values.get(name)]
    objects = {name for name in named if name is not None} | (imported.objects() if imported is not None else set())
    if not objects:
        return
    database.share(link)
    plan.claim(link, instance, objects)


def writing(
    instance: Instance,
    values: dict[str, Any],
    data: Data,
    write_rows: Callable[[Any], None],
    imported: modules.ModuleSet | None = None,
) -> None:
    """Write rows that name objects in one transaction.

    Args:
        instance: Where to write.
        values: Fields, of which some name objects.
        data: What those objects are made of: garbage collection may take one between its storing and its row.
        write_rows: Writes the rows; called again where that happened.
        imported: Modules, whose rows are written with them.

    Raises:
        DatabaseError: The database failed; nothing was written.
    """
    for _ in range(_ATTEMPTS):
        try:
            with database.writing(instance.alias) as link:
                claim(link, instance, values, imported)
                write_rows(link)
                if imported is not None:
                    imported.insert(link)
            return
        except plan.Swept:
            values |= kept(instance, data)
            if imported is not None:
                imported = imported.stored_anew(instance)
                if imported is None:
                    values.pop("modules_digest", None)
    raise StorageError("what belongs to this run was removed by garbage collection again and again: try later")


def write(
    instance: Instance,
    run_id: str,
    values: dict[str, Any],
    data: Data | None = None,
    *,
    imported: modules.ModuleSet | None = None,
) -> int:
    """Set fields of one run, made storable; returns how many rows there were: 0 if the run is gone.

    Args:
        instance: Where to write.
        run_id: The run.
        values: The fields.
        data: What the objects among them are made of. A source gets a number, unless the run has one already: that
            never changes.
        imported: The modules that it imported.
    """
    values |= {**storable(values), "updated_at": now()}
    imported = imported.stored(instance) if imported is not None else None
    if imported is not None:
        values["modules_digest"] = imported.digest
    code = (data or {}).get("source_digest", (None, ""))[0]
    count = 0

    def write_rows(connection: Any) -> None:
        nonlocal count
        query = Run.objects.using(instance.alias).filter(id=run_id).order_by()
        row = query.values_list("transform_id", "revision", "arguments").first() if code else None
        source = revisions.source_of(code, values.get("source_digest"), row[2]) if row is not None else None
        if source is not None and row is not None:
            values["revision"] = row[1] or revisions.number(connection, row[0], source)
        count = query.update_rows(values)

    writing(instance, values, data or {}, write_rows, imported)
    return count
