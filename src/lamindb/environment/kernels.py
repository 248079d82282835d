"""Interactive interpreters: IPython, Jupyter kernels, marimo.

None of these packages is imported: a process that runs inside one has it loaded.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from lamindb.core import messages

_KERNEL_FILE = re.compile(r"kernel-([0-9a-zA-Z-]{8,})\.json$")


def shell() -> Any | None:
    """Return the running IPython shell, of a terminal or a kernel, or None."""
    module = sys.modules.get("IPython.core.interactiveshell")
    shell_class = getattr(module, "InteractiveShell", None)
    if shell_class is None or not shell_class.initialized():
        return None
    return shell_class.instance()


def in_ipython() -> bool:
    """Return True if IPython runs this code, as a terminal or as a kernel."""
    return shell() is not None


def in_kernel() -> bool:
    """Return True if this process is a kernel that a front end drives."""
    return getattr(shell(), "kernel", None) is not None


def in_marimo() -> bool:
    """Return True if marimo runs this code as a notebook; its files run as plain scripts do not count."""
    running = getattr(sys.modules.get("marimo"), "running_in_notebook", None)
    return running is not None and bool(running())


def in_notebook() -> bool:
    """Return True if this code runs in a Jupyter-like kernel or in a marimo notebook."""
    return in_kernel() or in_marimo()


def marimo_path() -> Path | None:
    """Return the file of the marimo notebook that runs, if it has one."""
    context = getattr(sys.modules.get("marimo._runtime.context"), "get_context", None)
    filename = getattr(context(), "filename", None) if context is not None else None
    filename = filename or getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(filename) if filename else None


def user_variable(name: str) -> object | None:
    """Return a variable of the interactive namespace, or None."""
    namespace = getattr(shell(), "user_ns", None)
    return namespace.get(name) if isinstance(namespace, dict) else None


def connection_file() -> Path | None:
    """Return the file from which front ends learn how to reach this kernel."""
    application = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    if application is not None and application.initialized():
        path = getattr(application.instance(), "abs_connection_file", None)
        if path:
            return Path(path)
    named = [word for word in sys.argv[1:] if word.endswith(".json")]
    return Path(named[0]) if named and in_kernel() else None


def kernel_id() -> str | None:
    """Return the id under which a Jupyter server knows this kernel; None for kernels that no server started."""
    path = connection_file()
    found = _KERNEL_FILE.search(path.name) if path is not None else None
    return found.group(1) if found else None


def is_headless() -> bool | None:
    """Return True if the front end of this kernel cannot answer prompts, as those that run whole notebooks.

    Returns:
        None where that is unknown: no kernel, or one that does not say.
    """
    kernel = getattr(shell(), "kernel", None)
    if kernel is None:
        return None
    try:
        request = kernel.get_parent("shell")
        return not request["content"]["allow_stdin"]
    except Exception as error:
        messages.debug(f"the kernel does not expose its current request: {error!r}")
        return None


def executed_cells() -> list[str]:
    """Return the source of each cell that ran in this interpreter, as typed, the running one included.

    Empty outside IPython. Cells that ran without being kept in the history are not among them.
    """
    history = getattr(getattr(shell(), "history_manager", None), "input_hist_raw", None)
    return [str(cell) for cell in history[1:]] if isinstance(history, list) else []


def parent_process() -> int:
    """Return the id of the process that started this kernel."""
    named = os.environ.get("JPY_PARENT_PID", "")
    return int(named) if named.isdigit() and os.name == "posix" else os.getppid()
