"""How this process ends, told once and just before it does.

What is seen: the end of the program, exceptions that nobody caught, `sys.exit` and the shell's `exit`, and the
signals TERM and HUP (INT too, where Python does not make a KeyboardInterrupt of it). What is not: `os._exit`, SIGKILL,
a crash of the interpreter, or `exec` of another program: whoever looks later finds the process gone. A `SystemExit`
raised by hand is seen, but not its code.

The program that is watched keeps its exit code, its output and its tracebacks. Nothing is put in the way of exceptions:
after the last line has run, the outermost frame shows whether it returned, and Python itself remembers the error that
it printed. One thing does change: as with every handler that Python runs, a signal that comes during a long call into
compiled code is served when that call returns.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType, MemberDescriptorType
from typing import Any, Final, Literal, NoReturn

from lamindb.core import messages
from lamindb.environment import kernels
from lamindb.environment.redaction import redact_text

_SIGNALS: Final = ("SIGTERM", "SIGHUP", "SIGINT")
_SIGNAL_SECONDS: Final = 5.0
_INTERRUPTED: Final = 128 + 2
_ERROR_LINES: Final = 30
_ERROR_CHARACTERS: Final = 4_000
_RETURNS: Final = frozenset({"RETURN_VALUE", "RETURN_CONST", "INSTRUMENTED_RETURN_VALUE", "INSTRUMENTED_RETURN_CONST"})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended.

    Attributes:
        status: `failed` after an uncaught exception, a signal or an exit code other than 0.
        exit_code: What the caller of the process sees, 128 + number for a signal; None where that is unknown: for
            kernels, and after a `SystemExit` raised by hand.
        error: The last lines of the traceback, or the reason, without secrets; None where there is none.
    """

    status: Literal["completed", "failed"]
    exit_code: int | None
    error: str | None


class Watch:
    """A promise to tell the end of this process once; made by `watch`."""

    __slots__ = ("_on_end", "_pid")

    def __init__(self, on_end: Callable[[Ending], None]) -> None:
        self._on_end: Callable[[Ending], None] | None = on_end
        self._pid = os.getpid()

    def cancel(self) -> None:
        """Tell nothing; safe to call at any time and more than once."""
        self._on_end = None
        if _monitor is not None:
            _monitor.drop(self)

    def report(self, ending: Ending) -> None:
        """Tell the end, unless it was told or cancelled; an error in the telling becomes a message."""
        on_end, self._on_end = self._on_end, None
        if on_end is None or self._pid != os.getpid():
            return
        try:
            on_end(ending)
        except Exception as error:
            messages.warning(f"the end of this run was not recorded: {type(error).__name__}: {error}")


def watch(on_end: Callable[[Ending], None]) -> Watch:
    """Call `on_end` once when this process ends, and tell how.

    The call comes after the program's own last line, in the main thread; for a signal, in a thread of its own that is
    given 5 seconds before the process dies of the signal as it would have. Of several watches the newest is told
    first. In a kernel, an exception in a cell is not the end; a front end that runs whole notebooks and stops at a
    failing cell ends as `failed`.

    Signals are watched where nobody else handles them, and only if this is called in the main thread. The one
    exception is marimo's handler, which ends a kernel without another word: it is called after the telling.
    """
    global _monitor
    if _monitor is None or _monitor.pid != os.getpid():
        _monitor = _Monitor()
        _monitor.install()
    _watch_signals()
    one = Watch(on_end)
    _monitor.watches.append(one)
    return one


class _Monitor:
    """Everything that this process was asked to look at; one for all watches."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.watches: list[Watch] = []
        self.frame = _outermost_frame()
        self.error_before = _printed_error()
        self.exit: tuple[object, BaseException | None] | None = None
        self.is_headless = kernels.is_headless()
        self.failed_cell: BaseException | None = None
        self.is_reporting = False
        self.pending_signal: int | None = None

    def install(self) -> None:
        """Begin to look; what others installed stays in force behind it."""
        atexit.register(self.at_exit)
        self.watch_worker()
        _watch_exit()
        _forget_in_children()
        events = getattr(kernels.shell(), "events", None)
        if events is not None:
            events.register("post_run_cell", self.after_cell)

    def watch_worker(self) -> None:
        """Look at the end of a process that `multiprocessing` started: it may leave by `os._exit`, past `atexit`."""
        process = sys.modules.get("multiprocessing.process")
        if process is None or process.parent_process() is None:
            return
        from multiprocessing.util import Finalize

        Finalize(None, self.at_worker_end, exitpriority=-100)

    def at_worker_end(self) -> None:
        """Tell how the function that a worker process ran has ended; its exception, if any, is on its way out."""
        error = sys.exc_info()[1]
        if self.pid != os.getpid():
            return
        if error is None:
            self.report(Ending("completed", 0, None))
        elif isinstance(error, SystemExit):
            self.report(_ending_by_exit(error.code, None))
        else:
            self.report(Ending("failed", 1, last_lines(error)))

    def after_cell(self, result: Any) -> None:
        """Remember how the last cell of a kernel ended."""
        self.failed_cell = result.error_before_exec or result.error_in_exec

    def drop(self, one: Watch) -> None:
        """Forget a watch."""
        if one in self.watches:
            self.watches.remove(one)

    def at_exit(self) -> None:
        """Tell how the program ended, now that it has."""
        if self.pid != os.getpid():
            return
        ending = self.ending()
        self.report(ending)
        if ending.exit_code == _INTERRUPTED and ending.status == "failed":
            _stay_interrupted()
        # A signal that came meanwhile waited, so that the telling was whole.
        if self.pending_signal is not None:
            _die_of(self.pending_signal)

    def report(self, ending: Ending) -> None:
        """Tell all watches, the newest first."""
        self.is_reporting = True
        while self.watches:
            self.watches.pop().report(ending)
        self.is_reporting = False

    def ending(self) -> Ending:
        """Find out how the program ended."""
        if kernels.in_kernel():
            if self.is_headless and self.failed_cell is not None:
                return Ending("failed", None, last_lines(self.failed_cell))
            return Ending("completed", None, None)
        if _has_returned(self.frame):
            return Ending("completed", 0, None)
        error = _printed_error()
        if error is self.error_before:
            error = None
        if self.exit is not None and (error is None or self.exit[1] is error):
            return _ending_by_exit(self.exit[0], error)
        if error is not None:
            return Ending("failed", _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1, last_lines(error))
        return Ending("completed", 0 if self.frame is None else None, None)


_monitor: _Monitor | None = None


def _watch_signals() -> None:
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        return
    for name in _SIGNALS:
        number = getattr(signal, name)
        handler = signal.getsignal(number)
        if handler is signal.SIG_DFL or (name == "SIGTERM" and _is_of_marimo(handler)):
            _handled_before[number] = handler
            signal.signal(number, _on_signal)


_handled_before: dict[int, Any] = {}
"""What each signal that we watch would have done without us."""


def _is_of_marimo(handler: object) -> bool:
    return callable(handler) and getattr(handler, "__module__", None) == "marimo._runtime.handlers"


def _on_signal(number: int, frame: FrameType | None) -> None:
    """Tell that a signal ends the process, then let it."""
    monitor = _monitor
    if monitor is None or monitor.pid != os.getpid() or not (monitor.watches or monitor.is_reporting):
        _die_of(number)
        return
    if monitor.is_reporting:
        monitor.pending_signal = number
        return
    is_kernel = kernels.in_kernel() or _is_of_marimo(_handled_before.get(number))
    if is_kernel and not _runs_cell(frame):
        ending = Ending("completed", None, None)
    else:
        ending = Ending("failed", 128 + number, f"stopped by signal {signal.Signals(number).name}")
    # In a thread, because this one may hold a lock that the telling needs: then time runs out, and the process ends.
    context = contextvars.copy_context()
    teller = threading.Thread(target=context.run, args=(monitor.report, ending), daemon=True)
    try:
        teller.start()
        teller.join(_SIGNAL_SECONDS)
    except RuntimeError as error:
        messages.debug(f"the end of this run was not recorded: {error}")
    _die_of(number)


def _die_of(number: int) -> None:
    """Let the signal do what it would have done without us, so that the caller sees the same exit status."""
    signal.signal(number, _handled_before.get(number, signal.SIG_DFL))
    os.kill(os.getpid(), number)


def _runs_cell(frame: FrameType | None) -> bool:
    """Tell whether a kernel was in the midst of a cell."""
    while frame is not None:
        if frame.f_code.co_name in {"run_code", "_run_cell"} or "__marimo__cell_" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


_exit_before: Callable[..., NoReturn] = sys.exit


def _exit(status: Any = None, /) -> NoReturn:
    """Exit the interpreter by raising SystemExit(status), as `sys.exit` does."""
    _note_exit(status)
    _exit_before(status)


def _note_exit(status: object) -> None:
    if _monitor is not None and threading.current_thread() is threading.main_thread():
        _monitor.exit = (status, _printed_error())


def _watch_exit() -> None:
    """Note the code with which `sys.exit`, or the shell's `exit` and `quit`, are called; they work as before."""
    global _exit_before
    if sys.exit is not _exit:
        _exit_before = sys.exit
        sys.exit = _exit
    _watch_exit_codes()
    import builtins

    quitter = type(getattr(builtins, "exit", None))
    if quitter.__module__ != "_sitebuiltins" or hasattr(quitter, "_lamindb_watches"):
        return
    called = quitter.__call__

    def noted(self: object, code: object = None) -> None:
        _note_exit(code)
        called(self, code)

    setattr(quitter, "__call__", noted)  # noqa: B010
    setattr(quitter, "_lamindb_watches", True)  # noqa: B010


def _watch_exit_codes() -> None:
    """Note the code of a `SystemExit` when the interpreter, at its end, asks for it.

    That tells the code of an exit that was on its way before anything was watched, as `sys.exit(main())` is: Python
    looks up what ends the program before `main` runs. Nothing else changes for whoever reads the attribute. Where the
    attribute cannot be replaced, the code stays unknown; and CPython 3.11 does not ask for that of `sys.exit(…)`.
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
            # No Python code asks: it is the interpreter, about to end the process.
            _note_exit(code)
        return code

    namespaces[0]["code"] = property(get, member.__set__, member.__delete__, member.__doc__)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(SystemExit))


def _ending_by_exit(status: object, error: BaseException | None) -> Ending:
    """Translate what `sys.exit` was given into what the caller of the process sees."""
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
    """Tell whether the last thing that a frame did was to return, rather than to let an exception pass."""
    if frame is None or frame.f_lasti < 0:
        return False
    import opcode

    return opcode.opname[frame.f_code.co_code[frame.f_lasti]] in _RETURNS


def _printed_error() -> BaseException | None:
    """Return the last exception that Python printed because nobody had caught it; exits are not printed."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return error if isinstance(error, BaseException) else None


def last_lines(error: BaseException) -> str:
    """Return the end of an exception's traceback, without secrets."""
    import traceback

    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return redact_text("\n".join(lines[-_ERROR_LINES:]))[-_ERROR_CHARACTERS:]


def _stay_interrupted() -> None:
    """Make the interpreter die of SIGINT, as after every KeyboardInterrupt that nobody caught.

    It remembers that in a flag that any `exec` or `eval` of text resets, such as one made in telling the end; a text
    that is interrupted sets it again.
    """
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return


def _watched_signals() -> list[int]:
    numbers = [int(getattr(signal, name)) for name in _SIGNALS]
    return [number for number in numbers if signal.getsignal(number) is _on_signal]


_held: list[set[int]] = []


def _hold_signals() -> None:
    """Keep signals waiting while this process forks: in the child's first moments they would get lost."""
    if threading.current_thread() is threading.main_thread():
        _held.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, _watched_signals())))


def _let_signals() -> None:
    if _held:
        signal.pthread_sigmask(signal.SIG_SETMASK, _held.pop())


def _forget_after_fork() -> None:
    """Give a forked child the signals of a process that nobody watches."""
    global _monitor
    _monitor = None
    for number in _watched_signals():
        signal.signal(number, _handled_before.get(number, signal.SIG_DFL))
    _let_signals()


@lru_cache(maxsize=1)
def _forget_in_children() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_hold_signals, after_in_parent=_let_signals, after_in_child=_forget_after_fork)
