"""The end of this process: how it ends, reported once and just before it does.

Python reports neither an exit code nor an uncaught exception to anything that runs at the end. docs/tracking.md
promises both in the record of a run, and that the program keeps its exit code, output and tracebacks. Each technique
here serves one of these promises:

| promise | technique |
|---|---|
| the code of `sys.exit(N)`, `exit(N)`, `raise SystemExit(N)` | `_note_exit_codes`: Python asks for `SystemExit.code` |
| the same on Python 3.11, for `sys.exit` | `_exit`, because 3.11 does not ask for the code of a bare `sys.exit` |
| an exception, whatever `sys.excepthook` does with it | `sys.last_exc`, which Python sets before it prints |
| `completed` for a program that caught its exits and errors | `_has_returned`: the outermost frame ran to its end |
| TERM and HUP, and the exit status that they give | handlers that report, then let the signal do what it did before |
| the exit status of an interrupted program | `_restore_interrupt_flag` |
| a forked child is a process of its own, and dies of signals | fork hooks of `_Monitor` |
| what a worker of `multiprocessing` raised | `_Worker` |
| a notebook that is executed as a whole fails with its cell | an event of IPython, `after_cell` |
| a stopped marimo notebook is `completed` | marimo's handler, which skips `atexit`, is called after the report |

What is not seen: `os._exit`, SIGKILL, a crash of the interpreter, `exec` of another program; and on Python 3.11 the
code of a `sys.exit` that was looked up before anything was watched, as in `sys.exit(main())`.

As with every handler that Python runs, a signal that comes during a long call into compiled code is served when that
call returns.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, MemberDescriptorType
from typing import Any, Final, Literal, NamedTuple, NoReturn

from lamindb.core import messages
from lamindb.environment import kernels
from lamindb.environment.redaction import redact_text

_SIGNALS: Final = ("SIGTERM", "SIGHUP", "SIGINT")
_SIGNAL_SECONDS: Final = 5.0
_INTERRUPTED: Final = 128 + 2
_ERROR_LINES: Final = 30
_ERROR_CHARACTERS: Final = 4_000
_RETURNS: Final = frozenset({"RETURN_VALUE", "RETURN_CONST", "INSTRUMENTED_RETURN_VALUE", "INSTRUMENTED_RETURN_CONST"})


class Ending(NamedTuple):
    """How a process ended.

    Attributes:
        status: `failed` after an uncaught exception, a signal or an exit code other than 0.
        exit_code: What the caller of the process sees, 128 + number for a signal; None where that is unknown: for
            kernels, and on Python 3.11 for `sys.exit(main())`.
        error: The last lines of the traceback, or the reason, without secrets; None where there is none.
    """

    status: Literal["completed", "failed"]
    exit_code: int | None
    error: str | None


class Watch:
    """A callback for the end of this process; made by `watch`."""

    __slots__ = ("_on_end",)

    def __init__(self, on_end: Callable[[Ending], None]) -> None:
        self._on_end: Callable[[Ending], None] | None = on_end

    def cancel(self) -> None:
        """Report nothing; idempotent."""
        self._on_end = None
        _monitor.remove(self)

    def report(self, ending: Ending) -> None:
        """Report the end, unless that was done or cancelled; an error of the callback becomes a message."""
        on_end, self._on_end = self._on_end, None
        if on_end is None:
            return
        try:
            on_end(ending)
        except Exception as error:
            messages.warning(f"the end of this run was not recorded: {type(error).__name__}: {error}")


def watch(on_end: Callable[[Ending], None]) -> Watch:
    """Call `on_end` once when this process ends.

    The call comes after the program's own last line, in the main thread; for a signal, in a thread of its own that is
    given 5 seconds before the process dies of the signal as it would have. The newest watch is called first. In a
    kernel, an exception in a cell is not the end; a front end that runs whole notebooks and stops at a failing cell
    ends as `failed`. A forked child is not watched.

    Signals are watched where the program does not handle them, and only if this is called in the main thread. The one
    exception is marimo's handler, which ends a kernel without another word: it is called after the report.
    """
    one = Watch(on_end)
    _monitor.add(one)
    return one


class _Monitor:
    """Everything that is watched in this process."""

    def __init__(self) -> None:
        self.handled_before: dict[int, Any] = {}
        self._masks: list[set[int]] = []
        self._has_fork_hooks = False
        self._clear()

    def _clear(self) -> None:
        self._watches: list[Watch] = []
        self._is_installed = False
        self._frame: FrameType | None = None
        self._error_before: BaseException | None = None
        self._exit: tuple[object] | None = None
        self._is_headless: bool | None = None
        self._failed_cell: BaseException | None = None
        self._worker: _Worker | None = None
        self._is_reporting = False
        self._pending_signal: int | None = None

    def add(self, one: Watch) -> None:
        """Begin to watch, if nothing was watched yet; what others installed stays in force behind it."""
        if not self._is_installed:
            self._is_installed = True
            self._install()
        self._watch_signals()
        self._watches.append(one)

    def remove(self, one: Watch) -> None:
        """Report nothing to a watch; idempotent."""
        if one in self._watches:
            self._watches.remove(one)

    def _install(self) -> None:
        self._frame = _outermost_frame()
        self._error_before = _printed_error()
        self._is_headless = kernels.is_headless()
        # A forked child has inherited the registration of its parent, older than what the child registered since.
        atexit.unregister(self.at_exit)
        atexit.register(self.at_exit)
        self._worker = _Worker.find(self.at_exit)
        _note_exit_codes(self.note_exit)
        if not self._has_fork_hooks and hasattr(os, "register_at_fork"):
            self._has_fork_hooks = True
            os.register_at_fork(
                before=self._block_signals, after_in_parent=self._unblock_signals, after_in_child=self._after_fork
            )
        events = getattr(kernels.shell(), "events", None)
        if events is not None:
            events.register("post_run_cell", self.after_cell)

    def _watch_signals(self) -> None:
        if os.name != "posix" or threading.current_thread() is not threading.main_thread():
            return
        for name in _SIGNALS:
            number = getattr(signal, name)
            handler = signal.getsignal(number)
            if handler is signal.SIG_DFL or (name == "SIGTERM" and _is_of_marimo(handler)):
                self.handled_before[number] = handler
                signal.signal(number, self.on_signal)

    def _watched_signals(self) -> list[int]:
        numbers = [int(getattr(signal, name)) for name in _SIGNALS]
        return [number for number in numbers if signal.getsignal(number) == self.on_signal]

    def _block_signals(self) -> None:
        """Make signals wait while this process forks: right after the fork, Python in the child would lose them."""
        if threading.current_thread() is threading.main_thread():
            self._masks.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, self._watched_signals())))

    def _unblock_signals(self) -> None:
        if self._masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.pop())

    def _after_fork(self) -> None:
        """Give a forked child the signals of a process that is not watched."""
        self._clear()
        for number in self._watched_signals():
            signal.signal(number, self.handled_before.get(number, signal.SIG_DFL))
        self._unblock_signals()

    def note_exit(self, code: object) -> None:
        """Keep the code with which the interpreter is about to end the process."""
        if threading.current_thread() is threading.main_thread():
            self._exit = (code,)

    def after_cell(self, result: Any) -> None:
        """Keep how the last cell of a kernel ended."""
        self._failed_cell = result.error_before_exec or result.error_in_exec

    def at_exit(self) -> None:
        """Report how the program ended, now that it has."""
        try:
            self._report_exit()
        finally:
            # Fork hooks keep this object until after the interpreter is gone. What the frame holds would be finalized
            # then, and finalizers in Python crash.
            self._frame = self._error_before = self._failed_cell = self._worker = None

    def _report_exit(self) -> None:
        if not self._watches:
            return
        ending = self.ending()
        self._report(ending)
        if ending.exit_code == _INTERRUPTED and ending.status == "failed":
            _restore_interrupt_flag()
        # A signal that came during the report waited, so that the report was whole.
        if self._pending_signal is not None:
            self._die_by(self._pending_signal)

    def _report(self, ending: Ending) -> None:
        """Report to all watches, the newest first."""
        self._is_reporting = True
        while self._watches:
            self._watches.pop().report(ending)
        self._is_reporting = False

    def ending(self) -> Ending:
        """Find out how the program ended."""
        if self._worker is not None:
            return self._worker.ending()
        if kernels.in_kernel():
            if self._is_headless and self._failed_cell is not None:
                return Ending("failed", None, last_lines(self._failed_cell))
            return Ending("completed", None, None)
        error = _printed_error()
        if error is self._error_before:
            error = None
        if self._exit is not None:
            return _ending_by_exit(self._exit[0], error)
        if _has_returned(self._frame):
            return Ending("completed", 0, None)
        if error is not None:
            return Ending("failed", _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1, last_lines(error))
        return Ending("completed", 0 if self._frame is None else None, None)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Report that a signal ends the process, then let it."""
        if self._is_reporting:
            self._pending_signal = number
            return
        if self._watches:
            # Set before the thread runs: a second signal must not end the process before the thread has reported.
            self._is_reporting = True
            is_kernel = kernels.in_kernel() or _is_of_marimo(self.handled_before.get(number))
            if is_kernel and not _is_inside_cell(frame):
                ending = Ending("completed", None, None)
            else:
                ending = Ending("failed", 128 + number, f"stopped by signal {signal.Signals(number).name}")
            # In a thread, because this one may hold a lock that the report needs: then time runs out.
            context = contextvars.copy_context()
            reporter = threading.Thread(target=context.run, args=(self._report, ending), daemon=True)
            try:
                reporter.start()
                reporter.join(_SIGNAL_SECONDS)
            except RuntimeError as error:
                # Python 3.12 starts no thread once the program is over. Then no lock of the program's is held here.
                if _outermost_frame() is self._frame:
                    messages.debug(f"the end of this run was not recorded: {error}")
                else:
                    self._report(ending)
        self._die_by(number)

    def _die_by(self, number: int) -> None:
        """Raise the signal again with its former handler, so that the caller sees the same exit status."""
        signal.signal(number, self.handled_before.get(number, signal.SIG_DFL))
        os.kill(os.getpid(), number)


class _Worker:
    """The end of a process that `multiprocessing` started.

    Its `_bootstrap` catches what the worker's function raises. Up to Python 3.12 it runs finalizers before that, and
    leaves a forked process past `atexit`. From 3.13 on it prints the exception by `traceback.print_exc`, which has to
    be intercepted, and `atexit` runs last.
    """

    def __init__(self, frame: FrameType, at_end: Callable[[], None]) -> None:
        self._frame = frame
        self._error: BaseException | None = None
        if sys.version_info >= (3, 13):
            self._note_printed()
        else:
            from multiprocessing.util import Finalize

            Finalize(None, at_end, exitpriority=-100)

    @classmethod
    def find(cls, at_end: Callable[[], None]) -> _Worker | None:
        """Return the worker that this process is, or None."""
        process = sys.modules.get("multiprocessing.process")
        if process is None or process.parent_process() is None:
            return None
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        while frame is not None and frame.f_code is not process.BaseProcess._bootstrap.__code__:
            frame = frame.f_back
        return cls(frame, at_end) if frame is not None else None

    def _note_printed(self) -> None:
        import traceback

        print_exc = traceback.print_exc

        def noted(*args: Any, **kwargs: Any) -> None:
            if sys._getframe(1) is self._frame:
                self._error = sys.exception()
            print_exc(*args, **kwargs)

        traceback.print_exc = noted

    def ending(self) -> Ending:
        """Return how the worker's function has ended."""
        error = self._error or sys.exception()
        if isinstance(error, SystemExit):
            return _ending_by_exit(error.code, None)
        if error is not None:
            return Ending("failed", 1, last_lines(error))
        return _ending_by_exit(self._frame.f_locals.get("exitcode", 0), None)


# One for the process: the signal handlers, fork hooks and `atexit` callback that it installs belong to the process.
_monitor: Final = _Monitor()


def _is_of_marimo(handler: object) -> bool:
    return callable(handler) and getattr(handler, "__module__", None) == "marimo._runtime.handlers"


def _is_inside_cell(frame: FrameType | None) -> bool:
    """Return True if a kernel was running a cell."""
    while frame is not None:
        if frame.f_code.co_name in {"run_code", "_run_cell"} or "__marimo__cell_" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def _note_exit_codes(note: Callable[[object], None]) -> None:
    """Call `note` with the code of a `SystemExit` when the interpreter, about to end the process, asks for it.

    Nothing changes for other readers of the attribute. Where it cannot be replaced, as in another interpreter than
    CPython, the code stays unknown.
    """
    import ctypes
    import gc

    namespaces = gc.get_referents(SystemExit.__dict__)
    member = SystemExit.__dict__.get("code")
    if len(namespaces) != 1 or not isinstance(namespaces[0], dict) or not isinstance(member, MemberDescriptorType):
        return

    def get(self: SystemExit) -> object:
        code = member.__get__(self)
        try:
            sys._getframe(1)
        except ValueError:
            # No Python code asks, so it is the interpreter.
            note(code)
        return code

    namespaces[0]["code"] = property(get, member.__set__, member.__delete__, member.__doc__)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(SystemExit))
    if sys.version_info < (3, 12):
        builtin_exit = sys.exit

        def _exit(status: Any = None, /) -> NoReturn:
            """Exit the interpreter by raising SystemExit(status), as `sys.exit` does."""
            try:
                builtin_exit(status)
            except SystemExit:
                # Python 3.11 raises the bare code. When it is caught, it becomes an exception, which has a `code`.
                raise

        sys.exit = _exit


def _ending_by_exit(status: object, error: BaseException | None) -> Ending:
    """Return the ending that the caller of the process sees for what `sys.exit` was given."""
    if status is None:
        code = 0
    elif isinstance(status, int):
        code = status & 0xFF
    else:
        return Ending("failed", 1, redact_text(str(status))[-_ERROR_CHARACTERS:])
    if code == 0:
        return Ending("completed", 0, None)
    return Ending("failed", code, last_lines(error) if error is not None else None)


def _outermost_frame() -> FrameType | None:
    """Return the frame in which the main thread's program began."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _has_returned(frame: FrameType | None) -> bool:
    """Return True if a frame's last instruction was to return, False if an exception passed through it."""
    if frame is None or frame.f_lasti < 0:
        return False
    import opcode

    return opcode.opname[frame.f_code.co_code[frame.f_lasti]] in _RETURNS


def _printed_error() -> BaseException | None:
    """Return the last uncaught exception that Python printed; exits are not printed."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return error if isinstance(error, BaseException) else None


def last_lines(error: BaseException) -> str:
    """Return the end of an exception's traceback, without secrets."""
    import traceback

    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return redact_text("\n".join(lines[-_ERROR_LINES:]))[-_ERROR_CHARACTERS:]


def _restore_interrupt_flag() -> None:
    """Make the interpreter die of SIGINT, as after every uncaught KeyboardInterrupt.

    Python remembers that in a flag, which any `exec` or `eval` of text resets, such as one made during the report; a
    text that is interrupted sets it again.
    """
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return
