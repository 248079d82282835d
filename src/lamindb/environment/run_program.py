"""A program that is run with the same input, output, signals and exit code as if it were started directly.

What goes through a pipe or into a file is copied on the way into a bounded tail. A terminal is passed on as it is,
because a program that draws on it needs it whole: what it prints there is not kept.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from lamindb.environment import output_tail
from lamindb.environment.redaction import redact_text

_CHUNK: Final = 64 * 1024
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126
_FORWARDED: Final = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_FROM_TERMINAL: Final = frozenset({"SIGINT", "SIGQUIT"})


@dataclass(frozen=True, slots=True)
class Launched:
    """How a program ended.

    Attributes:
        exit_code: As a shell gives it: 128 + number for a signal, 127 for a program that is not there.
        seconds: How long it ran.
        log: The last lines that it printed, both streams in the order in which they came, without secrets.
        error: Why it failed, in its own last words; None where it succeeded.
        unwritten: Why what it printed could not be written, as the system says; None where it was, or its reader left.
    """

    exit_code: int
    seconds: float
    log: str
    error: str | None
    unwritten: str | None = None


class _Stream:
    """One of our streams, and the end of the pipe from which the program's output comes."""

    def __init__(self, descriptor: int, source: IO[bytes]) -> None:
        self.descriptor = descriptor
        self.source = source
        self.failure: str | None = None

    def forward(self, data: bytes) -> bool:
        """Write all data to the stream; return False if its reader is gone, or the system refuses it."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.descriptor, view) :]
            except BlockingIOError:
                with selectors.DefaultSelector() as waiting:
                    waiting.register(self.descriptor, selectors.EVENT_WRITE)
                    waiting.select()
            except BrokenPipeError:
                return False
            except OSError as error:
                self.failure = error.strerror or str(error)
                return False
        return True


class _Tail:
    """The last bytes of all streams together, and of the error stream alone."""

    def __init__(self, sink: Callable[[str], None] | None) -> None:
        self._sink = sink
        self._decoders = [codecs.getincrementaldecoder("utf-8")("replace") for _ in range(2)]
        self._parts: deque[bytes] = deque()
        self._errors: deque[bytes] = deque()
        self._sizes = [0, 0]
        self._total = 0

    def add(self, data: bytes, *, is_error: bool) -> None:
        """Add what was printed."""
        self._total += len(data)
        self._push(0, self._parts, data)
        if is_error:
            self._push(1, self._errors, data)
        if self._sink is not None:
            self._sink(self._decoders[is_error].decode(data))

    def _push(self, which: int, parts: deque[bytes], data: bytes) -> None:
        parts.append(data)
        self._sizes[which] += len(data)
        while self._sizes[which] > 2 * output_tail.LIMIT and len(parts) > 1:
            self._sizes[which] -= len(parts.popleft())

    def text(self) -> str:
        """Return the last lines."""
        return _shown(self._parts, self._total)

    def error(self) -> str:
        """Return the last lines of the error stream, else of both."""
        text = _shown(self._errors, 0) or _shown(self._parts, 0)
        return "\n".join(text.rstrip().splitlines()[-20:])[-4_000:]


def _shown(parts: deque[bytes], total: int) -> str:
    text = b"".join(parts).decode("utf-8", "replace").replace("\0", "�")
    if total and total <= output_tail.LIMIT:
        return redact_text(text)
    return output_tail.cut(text, output_tail.LIMIT, total or None)


def launch(
    argv: Sequence[str], *, environment: Mapping[str, str], cwd: str | None, sink: Callable[[str], None] | None = None
) -> Launched:
    """Run a program to its end.

    Signals that this process gets meanwhile are forwarded to the program. Where a terminal sent one, the program has
    it already. `sink` gets what the program prints, as it comes.
    """
    begun = time.monotonic()
    pipes = [subprocess.PIPE if _is_kept(descriptor) else None for descriptor in (1, 2)]
    tail = _Tail(sink)
    with _forwarded_signals() as signals:
        try:
            process = subprocess.Popen(argv, env=dict(environment), cwd=cwd, stdout=pipes[0], stderr=pipes[1])
        except OSError as problem:
            missing = isinstance(problem, (FileNotFoundError, NotADirectoryError))
            text = f"{argv[0]}: {problem.strerror or problem}"
            with contextlib.suppress(OSError):
                os.write(2, f"lamin: {text}\n".encode("utf-8", "backslashreplace"))
            code = _NOT_FOUND if missing else _NOT_EXECUTABLE
            return Launched(code, time.monotonic() - begun, "", redact_text(text))
        signals.go_to(process)
        streams = [
            _Stream(descriptor, source)
            for descriptor, source in ((1, process.stdout), (2, process.stderr))
            if source is not None
        ]
        _pump(streams, tail)
        code = process.wait()
    code = 128 - code if code < 0 else code
    error = None
    if code:
        reason = f"stopped by signal {signal.Signals(code - 128).name}" if _is_signal(code) else f"exit code {code}"
        error = "\n".join(filter(None, [tail.error(), reason]))
    unwritten = next((stream.failure for stream in streams if stream.failure is not None), None)
    if unwritten is not None:
        with contextlib.suppress(OSError):
            os.write(2, f"lamin: the output of {argv[0]} could not be written: {unwritten}\n".encode(errors="replace"))
    return Launched(code, time.monotonic() - begun, tail.text(), error, unwritten)


def _is_signal(code: int) -> bool:
    return code > 128 and code - 128 in {int(number) for number in signal.Signals}


def _is_kept(descriptor: int) -> bool:
    try:
        return not os.isatty(descriptor) and os.fstat(descriptor) is not None
    except OSError:
        return False


def _pump(streams: list[_Stream], tail: _Tail) -> None:
    """Forward what the program prints until it, and all that it started, have closed their streams."""
    with selectors.DefaultSelector() as waiting:
        for stream in streams:
            waiting.register(stream.source, selectors.EVENT_READ, stream)
        while waiting.get_map():
            for key, _ in waiting.select():
                stream = key.data
                data = os.read(key.fd, _CHUNK)
                if data:
                    tail.add(data, is_error=stream.descriptor == 2)
                if not data or not stream.forward(data):
                    # The program then meets a closed pipe, as it would have if started directly.
                    waiting.unregister(stream.source)
                    stream.source.close()


class _Signals:
    """Forwards signals to a program; one that comes while the program starts is forwarded when it has."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def forward(self, number: int, frame: object) -> None:
        """Forward a signal; a handler."""
        del frame
        if signal.Signals(number).name in _FROM_TERMINAL and _is_in_foreground():
            return
        self._early.append(number)
        self._send()

    def go_to(self, process: subprocess.Popen[bytes]) -> None:
        """Forward signals to a program from now on, and those that came before."""
        self._process = process
        self._send()

    def _send(self) -> None:
        while self._process is not None and self._early:
            with contextlib.suppress(OSError):
                self._process.send_signal(self._early.pop(0))


@contextlib.contextmanager
def _forwarded_signals() -> Iterator[_Signals]:
    """Forward signals to the program that the caller names when it has started."""
    signals = _Signals()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in _FORWARDED:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, signals.forward)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Return True if a terminal sends its signals to our process group, and so to the program, too."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
