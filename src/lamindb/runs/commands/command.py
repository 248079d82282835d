"""Commands as runs: any program in any language, and steps of shell scripts."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from django.db import Error

from lamindb.core import messages, paths, processes
from lamindb.core.settings import settings
from lamindb.core.text import storable
from lamindb.db import database
from lamindb.environment import git, packages, run_program, scripts
from lamindb.environment.redaction import redact_arguments, redact_text
from lamindb.errors import DatabaseError, InvalidInputError, LaminError, NoResultFound, ReadOnlyError, StorageError
from lamindb.models import File, Run, Transform
from lamindb.models.base import now
from lamindb.records import save
from lamindb.records.open_instance import Instance, Outage
from lamindb.runs import capture as runs_capture
from lamindb.runs import identify, journal, liveness, log_file, metadata, revisions
from lamindb.runs import parent as runs_parent
from lamindb.runs.commands import declared, rules_file

_INTERPRETERS: Final = frozenset(
    {"bash", "dash", "fish", "groovy", "java", "julia", "ksh", "lua", "matlab", "nextflow", "node", "octave", "perl"}
    | {"php", "python", "pypy", "r", "rscript", "ruby", "scala", "sh", "snakemake", "stata", "zsh"}
)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What became of a command.

    Attributes:
        run_id: Its run.
        exit_code: Its own, as a shell tells it: 128 + number where a signal ended it.
        status: `completed` or `failed`.
        seconds: How long it ran.
        inputs: Keys, else ids, of the files that are linked as read.
        outputs: Keys, else ids, of the files that were saved.
        problems: What was asked for and could not be had although the command succeeded, each with the reason: outputs
            that could not be saved, or printed text that could not be written.
        waiting: Keys, else paths, of the outputs that could not be saved because the database failed: they are saved
            with the next use of the instance, if they are unchanged by then.
    """

    run_id: str
    exit_code: int
    status: str
    seconds: float
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def run_command(
    argv: Sequence[str],
    *,
    transform: str | Transform | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    params: Mapping[str, Any] | None = None,
    capture: bool | None = None,
    strict: bool = False,
    cwd: str | os.PathLike[str] | None = None,
) -> CommandResult:
    """Run a program and record it; it behaves as it would without us, its exit code and its output included.

    Programs that it starts belong to its run. Its outputs are saved when it succeeds; what goes wrong with that is
    told, and its exit code stays its own.

    Args:
        argv: The program and its arguments.
        transform: What is run: a name, or a transform. None: the program with its script.
        inputs: Paths, patterns or keys of files that it reads. Files that are not saved yet are.
        outputs: Paths or patterns, such as `out/*.csv`, of files that it makes.
        params: Parameters to record.
        capture: Watch which files it reads and writes; None does what `ln.settings.capture` says.
        strict: Do not run it if the run cannot be recorded; else it is run, and recorded when the database is back.
            Outputs that wait count as problems, too.
        cwd: Where to run it; the working folder by default.

    Raises:
        DatabaseError, ReadOnlyError: The database failed or can only be read, and `strict` or
            `ln.settings.tracking_failure` wants an error. Nothing was run.
        InvalidInputError: An argument cannot be right. Nothing was run.
        NoResultFound: An input is neither a file nor a key. Nothing was run.
    """
    _check_words(argv)
    instance, problem, seconds = liveness.instance_to_track()
    folder = Path(cwd).resolve() if cwd is not None else paths.working_folder()
    given = identify.checked(params) if params is not None else None
    expected = declared.expect(outputs, folder)
    script = _code_file(argv, folder)
    if problem is None:
        try:
            with database.waiting_at_most(instance.alias, seconds):
                read = declared.inputs_of(instance, inputs, folder)
                what = _transform(instance, transform, argv, folder)
                run = _begin(instance, what, argv, folder, script, given, expected)
                declared.link_inputs(run, read)
                is_captured = settings.capture if capture is None else capture
                watching = _watching(instance, run, folder, expected, is_captured)
        except (DatabaseError, ReadOnlyError) as error:
            problem = error
            instance.part(Outage).note(error)
    is_strict = strict or settings.tracking_failure == "error"
    if problem is not None:
        if is_strict:
            raise problem
        messages.warning(f"this run could not be recorded so far: {problem}")
        return _run_first(instance, transform, argv, folder, given, inputs, expected, in_other_folder=cwd is not None)
    result = _run_recorded(
        instance, run, argv, folder, script, read, expected, watching, in_other_folder=cwd is not None
    )
    if is_strict and result.waiting:
        return replace(result, problems=(*result.problems, f"not saved so far: {_listed(result.waiting)}"))
    return result


def _run_recorded(
    instance: Instance,
    run: Run,
    argv: Sequence[str],
    folder: Path,
    script: Path | None,
    read: list[File],
    expected: declared.Outputs,
    watching: runs_capture.CommandWatch,
    *,
    in_other_folder: bool,
) -> CommandResult:
    """Run a program whose run has begun, and record how it ended and what it made."""
    asking = metadata.Asking(instance, script or folder).start()
    environment = {**os.environ, **runs_parent.variables(instance, run), **watching.variables}
    saved = declared.Saved()
    log = log_file.open_for(instance.id, run.id)
    try:
        done = run_program.launch(
            watching.command(argv),
            environment=environment,
            cwd=str(folder) if in_other_folder else None,
            sink=log.add if log is not None else None,
        )
        try:
            seen = watching.finish(saves=done.exit_code == 0)
            if done.exit_code == 0:
                _save_outputs(instance, run, expected, folder, seen, saved)
        except (DatabaseError, ReadOnlyError) as error:
            if done.exit_code == 0:
                saved.wait(declared.outputs_later(instance, expected, folder), error)
        except (LaminError, Error, OSError) as error:
            saved.add_unsaved("what the command wrote", error)
        _end(instance, run, done, watching.summary(), asking, log, saved)
    finally:
        watching.close()
    return _result(run, done, read, saved, watching.linked_outputs())


def _run_first(
    instance: Instance,
    transform: str | Transform | None,
    argv: Sequence[str],
    folder: Path,
    params: dict[str, Any] | None,
    inputs: Sequence[str],
    expected: declared.Outputs,
    *,
    in_other_folder: bool,
) -> CommandResult:
    """Run a program whose beginning cannot be recorded, and record it afterwards: now, or when that can be done."""
    begun_at = now()
    places = _inputs_later(inputs, folder)
    script = _code_file(argv, folder)
    values, data = _facts(instance, argv, folder, script, params, expected)
    if expected.patterns:
        values["capture"] |= {"cwd": str(folder), declared.LAUNCHED_AT: time.time()}
    run = new_run(instance, new_transform(instance, transform, argv, folder), {**values, "started_at": begun_at})
    log = log_file.open_for(instance.id, run.id)
    done = run_program.launch(
        argv,
        environment={**os.environ, **runs_parent.variables(instance, run)},
        cwd=str(folder) if in_other_folder else None,
        sink=log.add if log is not None else None,
    )
    saved = declared.Saved()
    read: list[File] = []
    try:
        instance = liveness.to_end(instance)
        with liveness.patience_to_end(instance):
            run.transform = _transform(instance, transform, argv, folder)
            run.loaded.update(metadata.kept(instance, data))
            insert_run(instance, run, data)
        read = _inputs_found(instance, inputs, folder)
        places = []
        declared.link_inputs(run, read)
        if done.exit_code == 0:
            _save_outputs(instance, run, expected, folder, None, saved)
        asking = metadata.Asking(instance, folder).start()
        _end(instance, run, done, metadata.NO_CAPTURE, asking, log, saved)
    except (LaminError, Error, OSError) as error:
        if done.exit_code == 0:
            saved.wait(declared.outputs_later(instance, expected, folder), error)
        run.loaded.update(_ended(done))
        is_kept = _keep(
            instance, run, {**data, **_log_of(done)}, places, log, saved, is_named=isinstance(transform, str)
        )
        liveness.tell_kept(run, error, is_kept=is_kept)
        _tell_outputs(saved)
    return _result(run, done, read, saved)


def _inputs_later(items: Sequence[str], cwd: Path) -> list[dict[str, Any]]:
    """Return where inputs are and what they hold now, for a run that is recorded later; no database is asked."""
    found: list[dict[str, Any]] = []
    for item in items:
        paths = declared.paths_of(item, cwd)
        places = [journal.place_of(path, None) for path in paths] or [{"path": None, "key": item, "digest": None}]
        found.extend(place for place in places if place is not None)
    return found


def _inputs_found(instance: Instance, inputs: Sequence[str], folder: Path) -> list[File]:
    """Return the inputs of a command that ran already: one that cannot be found costs no more than itself.

    Raises:
        DatabaseError, ReadOnlyError: The database failed, or can only be read.
    """
    read: list[File] = []
    for one in inputs:
        try:
            read.extend(declared.inputs_of(instance, [one], folder))
        except ReadOnlyError:
            raise
        except (InvalidInputError, NoResultFound, StorageError) as error:
            messages.warning(f"not recorded as an input: {error}")
    return read


def _result(
    run: Run, done: run_program.Launched, read: Sequence[File], saved: declared.Saved, linked: Sequence[File] = ()
) -> CommandResult:
    return CommandResult(
        run.id if run.is_saved else "",
        done.exit_code,
        _status(done),
        done.seconds,
        _names(read),
        _names([*saved.files, *linked]),
        (*saved.unsaved, *([f"its output: {done.unwritten}"] if done.unwritten is not None else [])),
        tuple(saved.shown_waiting()),
    )


def _keep(
    instance: Instance,
    run: Run,
    data: metadata.Data,
    inputs: list[dict[str, Any]],
    log: log_file.LogFile | None,
    saved: declared.Saved,
    *,
    is_named: bool = False,
) -> bool:
    """Keep a command that ended, and what it read and made, until it can be recorded; return False if that fails.

    Outputs that cannot be kept are not saved. The file with its output is removed where the entry has that.
    """
    outputs: list[dict[str, Any]] = []
    for path, key in list(saved.waiting.items()):
        place = journal.place_of(path, key) if len(outputs) < journal.MOST_FILES else None
        if place is not None:
            outputs.append(place)
        else:
            saved.lose([path])
    run.loaded["capture"] = {**(run.capture or {}), **saved.facts()}
    if not run.is_saved:
        run.loaded["parent_id"] = runs_parent.assumed_id(instance)
    entry = journal.entry_of(instance, run, data)
    entry |= {"inputs": inputs, "outputs": outputs}
    if entry["transform"] is not None:
        entry["transform"]["is_named"] = is_named
    is_kept = journal.add(instance, entry)
    if not is_kept:
        saved.lose(list(saved.waiting))
    elif log is not None:
        log.remove()
    return is_kept


def _tell_outputs(saved: declared.Saved) -> None:
    """Name the outputs that are not saved, and those that wait."""
    if saved.unsaved:
        messages.warning(f"not saved: {_listed(saved.unsaved)}")
    if saved.waiting:
        messages.warning(
            f"not saved so far: {_listed(saved.shown_waiting())}; what is unchanged by then is saved with the next use "
            f"of the instance where it can be written: {saved.failure}"
        )


def _check_words(argv: Sequence[str]) -> None:
    """Refuse what no program can be started with.

    Raises:
        InvalidInputError: There is no program, or a word is none that the system could pass to it.
    """
    if not argv or not all(isinstance(word, str) for word in argv):
        raise InvalidInputError(
            "there is nothing to run: pass a program and its arguments, as in lamin run -- CMD ARG…"
        )
    for word in argv:
        try:
            passed = os.fsencode(word)
        except UnicodeEncodeError:
            raise InvalidInputError(f"no program can be passed {word!a}: it is not valid Unicode") from None
        if b"\0" in passed:
            raise InvalidInputError(f"no program can be passed {word!a}: it contains a NUL character")


def _names(files: Sequence[File]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(file.key or file.id for file in files))


def _transform(instance: Instance, given: str | Transform | None, argv: Sequence[str], folder: Path) -> Transform:
    """Return the transform of a command, saved: the one of this name, or the program with its script."""
    if isinstance(given, str):
        return identify.named_transform(instance, given)
    found = new_transform(instance, given, argv, folder)
    if not found.is_saved:
        save.save(found)
    return found


def new_transform(instance: Instance, given: str | Transform | None, argv: Sequence[str], folder: Path) -> Transform:
    """Return the transform of a command, which is not saved if it is new; no database is asked."""
    if isinstance(given, Transform):
        return given
    if given is not None:
        identify.check_name(given)
    name = storable(given if given is not None else command_name(argv, folder, instance.project_path))
    new = Transform.from_fields(name=name, type="command", reference=name)
    new.alias = instance.alias
    return new


def command_name(argv: Sequence[str], folder: Path, project: Path | None) -> str:
    """Name a command by its program and, for an interpreter, the script that it runs; arguments do not count.

    Files are named relative to the project, so that the name is the same from every folder and machine.
    """
    program = argv[0]
    if os.sep in program:
        path = folder / program
        program = _reference(path, project) if path.is_file() else program
    script = _script(argv, folder)
    if script is not None:
        return f"{os.path.basename(argv[0])} {_reference(script, project)}"
    if _is_interpreter(argv[0]):
        for option, value in pairwise(argv):
            if option == "-m":
                return f"{os.path.basename(argv[0])} -m {value}"
    return redact_text(program)


def _reference(path: Path, project: Path | None) -> str:
    if project is None or not path.resolve().is_relative_to(project.resolve()):
        inside = scripts.project_root(path.resolve().parent)
        return scripts.relative_reference(path, None) if inside is not None else str(path.resolve())
    return scripts.relative_reference(path, project)


def _is_interpreter(program: str) -> bool:
    return os.path.basename(program).lower().rstrip("0123456789.-") in _INTERPRETERS


def _code_file(argv: Sequence[str], folder: Path) -> Path | None:
    """Return the file with the code that a command runs: the rules of a workflow, or the script of an interpreter."""
    return rules_file.find(argv, folder) if rules_file.is_engine(argv) else _script(argv, folder)


def _script(argv: Sequence[str], folder: Path) -> Path | None:
    """Return the file with code that the words of a command name."""
    if not _is_interpreter(argv[0]):
        return None
    if rules_file.is_engine(argv):
        return rules_file.named(argv, folder)
    for word in argv[1:]:
        if word in {"-c", "-e", "-m", "-E"}:
            return None
        if not word.startswith(("-", "+")) and (folder / word).is_file():
            return (folder / word).resolve()
    return None


def _begin(
    instance: Instance,
    transform: Transform,
    argv: Sequence[str],
    folder: Path,
    script: Path | None,
    params: dict[str, Any] | None,
    expected: declared.Outputs,
) -> Run:
    """Write the run of a command, with everything that is known before it starts."""
    values, data = _facts(instance, argv, folder, script, params, expected)
    run = new_run(instance, transform, {**values, **metadata.kept(instance, data)})
    insert_run(instance, run, data)
    return run


def _facts(
    instance: Instance,
    argv: Sequence[str],
    folder: Path,
    script: Path | None,
    params: dict[str, Any] | None,
    expected: declared.Outputs,
) -> tuple[dict[str, Any], metadata.Data]:
    """Return the fields of a run that are known before its command starts, and what is to be stored of it."""
    process = processes.this_process()
    capture = {"mode": "off", "declared": list(expected.patterns)} if expected.patterns else None
    program = shutil.which(argv[0], path=os.environ.get("PATH")) or argv[0]
    is_own_python = os.path.realpath(program) == os.path.realpath(sys.executable)
    code = _readable_code(script, program)
    data: metadata.Data = {
        "source_digest": (
            (code.data, code.suffix) if code is not None else (revisions.command_line(redact_arguments(argv)), ".sh")
        ),
        "environment_digest": (packages.packages_snapshot() if is_own_python else None, ".txt"),
    }
    values: dict[str, Any] = {
        **facts_of_place(script or folder),
        **facts_of_process(process),
        "arguments": redact_arguments(argv),
        "python_version": packages.python_version() if is_own_python else None,
        "capture": capture,
        "params": params,
        "code_path": code.reference(instance) if code is not None else None,
    }
    return values, data


def facts_of_place(path: Path) -> dict[str, Any]:
    """Return what the files of git say of the repository that a file or folder lies in; starts no process."""
    try:
        state = git.git_state(path, dirty=False)
    except (OSError, RuntimeError) as error:
        messages.debug(f"git was not asked: {error}")
        state = None
    return {"git_repository": state.repository_url, "git_commit": state.commit} if state is not None else {}


def facts_of_process(process: processes.Process) -> dict[str, Any]:
    """Return the fields that tell whose end is the end of a run."""
    return {"host": process.host, "process": process._asdict(), "heartbeat_at": now()}


def new_run(instance: Instance, transform: Transform, values: dict[str, Any]) -> Run:
    """Return a run that has begun and has no row yet."""
    run = Run.from_fields(status="running", started_at=now())
    run.alias = instance.alias
    run.transform = transform
    run.loaded.update(storable(values))
    return run


def insert_run(instance: Instance, run: Run, data: metadata.Data) -> None:
    """Write a run that has begun; its parent is the run that this process inherited, else the current one."""
    parent = runs_parent.above(instance)
    run.loaded.update({"parent_id": parent.id if parent is not None else None, "created_by_id": instance.user_id()})
    values = {name: run.loaded[name] for name in Run.OBJECT_FIELDS if run.loaded.get(name)}
    source = revisions.source_of(data.get("source_digest", (None, ""))[0], run.source_digest, run.arguments)

    def write_rows(connection: Any) -> None:
        run.loaded.update(values)
        if source is not None:
            run.loaded["revision"] = revisions.number(connection, run.transform_id, source)
        save.save(run)

    metadata.writing(instance, values, data, write_rows)
    instance.part(liveness.Heartbeat).add(instance.alias, run.id)
    messages.debug(f"run {run.id} of {run.transform.name!r} began")


@dataclass(frozen=True, slots=True)
class Code:
    """The file with the code that a command runs, and its text without secrets."""

    path: Path
    data: bytes

    @property
    def suffix(self) -> str:
        """The suffix of the stored object."""
        return self.path.suffix if self.path.suffix.isprintable() else ""

    def reference(self, instance: Instance) -> str:
        """Return its path relative to the project."""
        return scripts.relative_reference(self.path, instance.project_path)


def _readable_code(script: Path | None, program: str) -> Code | None:
    """Return the code that a command runs: its script, else the program if that is text; None for a binary."""
    for path in (script, Path(program)):
        if path is not None and is_text(path):
            try:
                return Code(path, scripts.script_source(path))
            except LaminError as error:
                messages.debug(f"the code of the command was not kept: {error}")
    return None


def is_text(path: Path) -> bool:
    """Return True if a file is text that can be kept as code."""
    try:
        with path.open("rb") as stream:
            return path.stat().st_size < 10 * 1024 * 1024 and b"\0" not in stream.read(4096)
    except OSError:
        return False


def _watching(
    instance: Instance, run: Run, folder: Path, expected: declared.Outputs, wanted: bool
) -> runs_capture.CommandWatch:
    """Return what watches the program's files: its system calls where that is asked for, else nothing.

    The run has begun: a database that fails from now on does not keep the program from running.
    """
    watching = runs_capture.of_command(instance, run, folder, wanted=wanted or _must_watch(instance, run, expected))
    if expected.patterns:
        told = {**(run.capture or {}), "cwd": str(folder), declared.LAUNCHED_AT: time.time()}
        if watching.log_path is not None:
            told["calls"] = watching.log_path
        run.loaded["capture"] = told
        try:
            # Before the program starts: what stands there until then is not of its making, as others can tell.
            metadata.write(instance, run.id, {"capture": told})
        except (DatabaseError, ReadOnlyError) as error:
            messages.debug(f"other runs are not told what run {run.id} makes: {error}")
    return watching


def _must_watch(instance: Instance, run: Run, expected: declared.Outputs) -> bool:
    """Return True if another run that goes on now may write what our patterns name: only watching tells them apart."""
    if not any(declared.is_vague(pattern) for pattern in expected.patterns):
        return False
    try:
        return bool(declared.rivals(instance, run))
    except (DatabaseError, ReadOnlyError) as error:
        messages.debug(f"other runs could not be looked for: {error}")
        return True


def _save_outputs(
    instance: Instance,
    run: Run,
    expected: declared.Outputs,
    folder: Path,
    seen: frozenset[str] | None,
    saved: declared.Saved,
) -> None:
    doubtful = declared.save_outputs(instance, run, expected, folder, seen, runs_capture.written_by, saved)
    if doubtful:
        messages.warning(
            f"not saved, because another run worked here at the same time and may have made them: "
            f"{_listed(doubtful)}; name outputs exactly, or pass --capture"
        )


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")


def _log_of(done: run_program.Launched) -> metadata.Data:
    return {"log_digest": (done.log.encode("utf-8", "backslashreplace"), ".log")}


def _status(done: run_program.Launched) -> str:
    return "failed" if done.exit_code else "completed"


def _ended(done: run_program.Launched) -> dict[str, Any]:
    """Return the fields of a command that ended."""
    return {
        "status": _status(done),
        "finished_at": now(),
        "exit_code": done.exit_code,
        "error": done.error or (f"its output could not be written: {done.unwritten}" if done.unwritten else None),
    }


def _end(
    instance: Instance,
    run: Run,
    done: run_program.Launched,
    capture: dict[str, Any] | None,
    asking: metadata.Asking,
    log: log_file.LogFile | None,
    saved: declared.Saved,
) -> None:
    """Write how a command ended, or keep it until that can be done; never raises."""
    instance.part(liveness.Heartbeat).remove(run.id)
    data = _log_of(done)
    values = _ended(done)
    run.loaded.update(values)
    if capture is not None:
        run.loaded["capture"] = {**(run.capture or {}), **capture}
    if saved.waiting:
        # With the end: the database, which failed for the outputs, may fail for that, too.
        _keep(instance, run, data, [], None, saved)
    values["capture"] = run.loaded["capture"] = {**(run.capture or {}), **saved.facts()} or None
    try:
        with liveness.patience_to_end(instance):
            values |= metadata.kept(instance, data)
            values |= asking.take(metadata.LAST_PATIENCE_SECONDS)
            data = {**data, **asking.data}
            metadata.write(instance, run.id, values, data)
        run.loaded.update(values)
        if log is not None:
            log.remove()
        if not saved.waiting:
            liveness.note_success(instance)
    except (LaminError, Error, OSError) as problem:
        run.loaded.update(values)
        liveness.tell_kept(run, problem, is_kept=_keep(instance, run, data, [], log, saved))
    _tell_outputs(saved)
