"""Runs one scenario: kills it at every step, and looks each time at what is left.

The process that runs it has no threads and no open connection, so that it can fork: everything happens in children.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.kills import mutants, stepping
from tests.kills.scenarios import SCENARIOS, Scenario

Plain = dict[str, Any]


class Case:
    """One scenario on one kind of database and storage, in a folder of its own that is always at the same place."""

    def __init__(self, config: Plain) -> None:
        self.scenario: Scenario = SCENARIOS[config["scenario"]]
        self.folder = Path(config["work"])
        self.here, self.template = self.folder / "here", self.folder / "template"
        self.admin_url: str | None = config.get("postgres")
        self.copied_from: str = config.get("tables") or "template0 ENCODING 'UTF8' LOCALE 'C'"
        self.storage: str = config.get("storage") or "./mydata"
        self.mutant: str | None = config.get("mutant")
        self.every: int = config.get("every", 1)
        self.first: int = config.get("first", 0)
        self.fault: int | None = config.get("fault")
        self.database = ""
        self.steps = 0
        """How many steps the program has, once it ran."""
        self.tables: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}

    @property
    def is_local(self) -> bool:
        return "://" not in self.storage

    def environment(self) -> None:
        """Set this child's surroundings; all that it writes lies below one folder."""
        os.environ.update(
            HOME=str(self.here),
            LAMIN_SETTINGS_DIR=str(self.here / "settings"),
            LAMIN_CACHE_DIR=str(self.here / "cache"),
            KILLS_STORAGE=self.storage,
            KILLS_DB=self.database_url,
        )
        os.chdir(self.here / "project")

    @property
    def database_url(self) -> str:
        return self.admin_url.replace("/postgres?", f"/{self.database}?") if self.admin_url else ""

    # --- the template, and copies of it ---

    def make_template(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.here / "project").mkdir(parents=True)
        if self.admin_url:
            self.database = f"kills_{os.getpid()}"
            self._sql(self.admin_url, f"CREATE DATABASE {self.database} TEMPLATE {self.copied_from} STRATEGY FILE_COPY")

        def make() -> None:
            self.environment()
            if not self.scenario.makes_instance:
                SCENARIOS["init"].act()
            self.scenario.prepare()

        must(in_child(make))
        os.rename(self.here, self.template)
        if self.admin_url:
            self._keep_tables()
        if not self.is_local:
            self.objects = must(in_child(self._objects_there))

    def begin(self) -> None:
        """Put everything back to how the template was."""
        if self.here.exists():
            shutil.rmtree(self.here)
        copy_tree(self.template, self.here)
        if self.admin_url:
            self._put_tables_back()
        if not self.is_local:
            must(in_child(self._put_objects_back))

    def end(self) -> None:
        if self.database:
            self._sql(self.admin_url, f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        shutil.rmtree(self.folder, ignore_errors=True)

    def everywhere(self) -> Iterator[tuple[str, list[str]]]:
        """End the program at its steps; yield each step with what was wrong afterwards."""
        return kill_everywhere(self) if self.fault is None else fail_everywhere(self)

    def _sql(self, url: str | None, statement: str) -> None:
        import psycopg

        with psycopg.connect(url or "", autocommit=True) as connection:
            connection.execute(statement)

    def _keep_tables(self) -> None:
        import psycopg

        with psycopg.connect(self.database_url) as connection:
            names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (name,) in names:
                with connection.cursor().copy(f"COPY {name} TO STDOUT") as rows:
                    self.tables[name] = b"".join(bytes(row) for row in rows)

    def _put_tables_back(self) -> None:
        """Bring the database back to the template: ten times as fast as a copy of it."""
        import psycopg

        if not self.tables:
            self._sql(self.database_url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            return
        with psycopg.connect(self.database_url) as connection:
            # Rows come back in no particular order: references are looked at only at the end.
            connection.execute("SET session_replication_role = replica")
            connection.execute(f"TRUNCATE {', '.join(self.tables)} RESTART IDENTITY")
            for name, rows in self.tables.items():
                with connection.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                    copy.write(rows)
            numbered = connection.execute(
                "SELECT table_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND is_identity = 'YES'"
            ).fetchall()
            for (name,) in numbered:
                sequence = f"pg_get_serial_sequence('{name}', 'id')"
                connection.execute(f"SELECT setval({sequence}, coalesce(max(id), 0) + 1, false) FROM {name}")

    def _objects_there(self) -> dict[str, str]:
        """Return everything in the bucket, as text that a pipe can carry."""
        import obstore

        store = _bucket(self.storage)
        paths = [found["path"] for chunk in obstore.list(store) for found in chunk]
        return {path: bytes(obstore.get(store, path).bytes()).hex() for path in paths}

    def _put_objects_back(self) -> None:
        import obstore

        store = _bucket(self.storage)
        there = {found["path"] for chunk in obstore.list(store) for found in chunk}
        for path in there - set(self.objects):
            obstore.delete(store, path)
        for path in set(self.objects) - there:
            obstore.put(store, path, bytes.fromhex(str(self.objects[path])))

    # --- what children do ---

    def act(self, hook: stepping.Hook | None = None) -> list[str]:
        """Run the program; return the names of its steps."""
        self.environment()
        if self.mutant is not None:
            mutants.MUTANTS[self.mutant]()
        steps = stepping.Steps(hook)
        stepping.install(steps)
        self.scenario.act()
        return steps.names

    def run(self) -> None:
        """Run the program as it is, to its end."""
        self.environment()
        self.scenario.act()

    def observe(self) -> Plain | None:
        self.environment()
        return observe(self)

    def between(self) -> Plain | None:
        self.environment()
        assert self.scenario.between is not None
        self.scenario.between()
        return observe(self)

    def look_and_run_again(self) -> Plain:
        """Look at what a dead process left, run the program again, and look once more."""
        self.environment()
        found = observe(self)
        problems = check(self, found)
        self.scenario.act()
        again = observe(self)
        problems += [f"after running again: {problem}" for problem in check(self, again, is_done=True)]
        return {"found": found, "again": again, "problems": problems}

    def fail(self, number: int) -> Plain:
        """Let one step fail; look at the error, and at what is left, in this same process."""
        from lamindb.errors import LaminError

        assert self.fault is not None
        problems, error = [], None
        try:
            self.act(stepping.fail_at(number, self.fault))
        except LaminError as raised:
            error = str(raised)
            problems += [f"an error of several lines: {error}"] if "\n" in error else []
        except OSError as raised:
            if "/src/lamindb/" not in "".join(traceback.format_tb(raised.__traceback__)):
                # The program itself failed, before it came to us.
                return {"found": None, "error": "its own", "problems": []}
            problems.append(f"not our error: {raised!r}")
        found = observe(self)
        from lamindb.core import context

        home = context.instance().home_path / "incoming"
        left = sorted(path.name for path in home.iterdir() if path.suffix not in {".writer", ".leaving"})
        return {"found": found, "error": error, "problems": problems, "left": left}


def _bucket(url: str) -> Any:
    from lamindb.storage import bucket_client

    return bucket_client.open_bucket(url)


def observe(case: Case) -> Plain | None:
    """Return what a user sees: every version of every key, whether it is current, its bytes, what happened to it.

    None means that there is no instance.
    """
    import lamindb as ln
    from lamindb.core import context
    from lamindb.errors import IntegrityError, NoInstanceError
    from lamindb.models import File, FileEvent

    ln.settings.verbosity = 0
    try:
        context.instance()
    except NoInstanceError:
        return None
    seen: Plain = {}
    for event in FileEvent.objects.select_related("file").order_by("id"):
        seen.setdefault(f"{event.file.key} v{event.file.version} events", []).append(event.kind)
    for file in File.objects.order_by("key", "version", "id"):
        kind = "trash" if file.trashed_at else "current" if file.is_latest else "older"
        try:
            content = _content(file.stage(is_run_input=False))
        except IntegrityError:
            if not case.scenario.repairs:
                raise
            content = "damaged"
        seen[f"{file.key} v{file.version} {kind}"] = content
    return seen


def _content(path: Path) -> Any:
    if path.is_dir():
        return {
            str(inner.relative_to(path)): _short(inner.read_bytes())
            for inner in sorted(path.rglob("*"))
            if inner.is_file()
        }
    return _short(path.read_bytes())


def _short(data: bytes) -> str:
    import hashlib

    return data.decode() if len(data) < 40 else f"{len(data)} {hashlib.sha256(data).hexdigest()}"


def check(case: Case, seen: Plain | None, *, is_done: bool = False) -> list[str]:
    """Return what is wrong with an instance, whatever state it should be in."""
    from lamindb.core import context
    from lamindb.maintenance import gc as sweeping
    from lamindb.maintenance import verify

    if seen is None:
        return []
    if case.scenario.repairs and not is_done:
        return []
    problems = []
    store = context.instance().store
    problems += [f"half an object: {damage.detail}" for name, _ in store.list() if (damage := store.check(name, None))]
    report = verify.verify()
    if not report.is_clean:
        problems.append(f"verify: {report}")
    problems += _check_view(case, seen)
    if is_done:
        sweeping.sweep(dry_run=False, grace_seconds=0)
        report = verify.verify()
        problems += [] if report.is_clean else [f"verify after sweeping: {report}"]
        problems += [f"orphan after sweeping: {name}" for name in report.orphans]
        problems += [f"left in incoming: {name}" for name in report.incoming]
        if observe(case) != seen:
            problems.append("sweeping changed what is seen")
    return problems


def _check_view(case: Case, seen: Plain) -> list[str]:
    """Compare the folder with what is current: no more, no less."""
    if not case.is_local:
        return []
    from lamindb.core import context

    root = Path(context.instance().root_url)
    shown = {
        str(path.relative_to(root)): _short(path.read_bytes())
        for entry in root.iterdir()
        if entry.name != ".lamindb"
        for path in (entry, *entry.rglob("*"))
        if path.is_file()
    }
    wanted: dict[str, str] = {}
    for name, content in seen.items():
        key, _, kind = name.rsplit(" ", 2)
        if kind == "current":
            wanted |= (
                {f"{key}/{inner}": text for inner, text in content.items()}
                if isinstance(content, dict)
                else {key: content}
            )
    own_work = {"here/own.txt": "my own", "two.csv": "edited by hand"}
    if case.scenario.repairs:
        shown = {name: text for name, text in shown.items() if ".edited-" not in name}
    extra = {name: text for name, text in shown.items() if wanted.get(name) != text and own_work.get(name) != text}
    missing = [name for name in wanted if name not in shown]
    return [f"the folder shows {name} with {text!r}" for name, text in extra.items()] + [
        f"the folder does not show {name}" for name in missing
    ]


# --- children ---


def in_child(function: Callable[..., Any], *args: Any, limit_seconds: int = 300) -> tuple[int, Any]:
    """Run a function in a child; return how that ended (a signal is negative) and what it returned."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reading)
            signal.alarm(limit_seconds)
            result = json.dumps({"result": function(*args)})
            code = 0
        except BaseException:
            result = json.dumps({"error": traceback.format_exc()})
        with os.fdopen(writing, "w") as stream:
            stream.write(result)
        _leave(code)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), json.loads(text) if text else {}


def _leave(code: int) -> None:
    """End a child as a program ends: what it asked for at its end is done."""
    import atexit

    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    os._exit(code)


def must(ended: tuple[int, Any]) -> Any:
    """Return what a child returned.

    Raises:
        RuntimeError: It failed.
    """
    code, answer = ended
    if code != 0 or "error" in answer:
        raise RuntimeError(f"exit code {code}: {answer.get('error')}")
    return answer["result"]


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder with its links between files, times and permissions."""
    links: dict[int, str] = {}

    def copy(one: str, other: str) -> None:
        os.mkdir(other)
        with os.scandir(one) as entries:
            for entry in entries:
                to = f"{other}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    copy(entry.path, to)
                    continue
                found = entry.stat(follow_symlinks=False)
                if found.st_nlink > 1 and found.st_ino in links:
                    os.link(links[found.st_ino], to)
                else:
                    shutil.copy2(entry.path, to, follow_symlinks=False)
                    links[found.st_ino] = to

    copy(str(source), str(target))


def _is_partly_repaired(case: Case, found: Plain, before: Plain, after: Plain) -> bool:
    """Return True if each file is as before or as after: what repairs several files repairs one after the other."""
    return (
        case.scenario.repairs
        and found.keys() == after.keys()
        and all(content in (before[name], after[name]) for name, content in found.items())
    )


def kill_everywhere(case: Case) -> Iterator[tuple[str, list[str]]]:
    """Kill the program before each of its steps; yield each step with what was wrong afterwards."""
    case.begin()
    before = must(in_child(case.observe))
    must(in_child(case.run))
    after = must(in_child(case.observe))
    case.begin()
    names = must(in_child(case.act))
    allowed = [before, after]
    if case.scenario.between is not None:
        case.begin()
        allowed.append(must(in_child(case.between)))
    case.steps = len(names)
    for number in range(1 + case.first % len(names), len(names) + 1, case.every):
        step = f"step {number} ({names[number - 1]})"
        case.begin()
        code, answer = in_child(case.act, stepping.die_at(number))
        if code != -signal.SIGKILL:
            if code == 0:
                continue
            yield step, [f"did not die: {answer.get('error')}"]
            continue
        code, answer = in_child(case.look_and_run_again)
        if code != 0:
            yield step, [f"exit code {code}: {answer.get('error')}"]
            continue
        result = answer["result"]
        problems = result["problems"]
        if result["found"] not in allowed and not _is_partly_repaired(case, result["found"], before, after):
            problems.append(f"neither before nor after: {result['found']}")
        if result["again"] != after:
            problems.append(f"running again led elsewhere: {result['again']}")
        yield step, problems


def fail_everywhere(case: Case) -> Iterator[tuple[str, list[str]]]:
    """Let each call of the system fail once; yield each with what was wrong afterwards."""
    case.begin()
    before = must(in_child(case.observe))
    names = must(in_child(case.act))
    after = must(in_child(case.observe))
    of_others = ("sql", "commit", "mkdir cache", "put", "delete")
    calls = [(number, name) for number, name in enumerate(names, 1) if not name.startswith(of_others)]
    case.steps = len(calls)
    for place in range(case.first % len(calls), len(calls), case.every):
        # What the program itself cannot do says nothing about us: then the next call has its turn.
        for number, name in calls[place : place + case.every]:
            step = f"step {number} ({name})"
            case.begin()
            result = must(in_child(case.fail, number))
            if result["error"] != "its own":
                break
        else:
            continue
        problems = result["problems"]
        # What fails after the commit cannot undo it; before it, an error says that nothing was saved.
        if result["found"] not in ((before, after) if result["error"] is None else (before,)):
            problems.append(f"neither before nor after: {result['error']}: {result['found']}")
        if result["left"] and not name.startswith("unlink"):
            problems.append(f"left in incoming: {result['left']}")
        code, answer = in_child(case.look_and_run_again)
        if code != 0:
            yield step, [*problems, f"exit code {code}: {answer.get('error')}"]
            continue
        problems += answer["result"]["problems"]
        if answer["result"]["again"] != after:
            problems.append(f"running again led elsewhere: {answer['result']['again']}")
        yield step, problems
