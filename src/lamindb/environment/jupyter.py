"""The notebook of a Jupyter kernel: from its server, or from the command line of the program that started it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lamindb.core import messages
from lamindb.environment import kernels, notebook_matching

if TYPE_CHECKING:
    import http.client

_TOOLS: Final = frozenset({"execute", "nbconvert", "papermill", "pytest"})
_VALUES: Final = {
    "execute": {"--output": 1, "--timeout": 1, "--startup_timeout": 1, "--kernel_name": 1, "--config": 1},
    "nbconvert": {"--to": 1, "--output": 1, "--output-dir": 1, "--template": 1, "--template-file": 1}
    | {"--writer": 1, "--post": 1, "--config": 1, "--log-level": 1, "--theme": 1, "--nbformat": 1},
    "papermill": {"-p": 2, "--parameters": 2, "-r": 2, "--raw-parameters": 2}
    | {"-f": 1, "--parameters_file": 1, "-y": 1, "--parameters_yaml": 1, "-b": 1, "--parameters_base64": 1}
    | {"-k": 1, "--kernel": 1, "-l": 1, "--language": 1, "--cwd": 1, "--engine": 1, "--log-level": 1}
    | {"--execution-timeout": 1, "--start-timeout": 1, "--autosave-cell-every": 1}
    | {"--stdout-file": 1, "--stderr-file": 1},
    "pytest": {"-k": 1, "-m": 1, "-n": 1, "-p": 1, "-c": 1, "-o": 1, "-W": 1, "--rootdir": 1, "--nbmake-kernel": 1},
}
"""Options whose values are separate words, and how many words."""


def launched_notebook() -> Path | None:
    """Return the notebook on the command line of the program that started this kernel, or None.

    Of several notebooks in one command, the one whose first cells are those that ran here.
    """
    parent = kernels.parent_process()
    folder = _folder_of(parent)
    if folder is None:
        return None
    found = list(dict.fromkeys(notebooks_in(_command_of(parent), folder)))
    return found[0] if len(found) == 1 else notebook_matching.only_match(found)


def notebooks_in(command: Sequence[str], folder: Path) -> Iterator[Path]:
    """Yield the existing notebooks that a command runs; relative names start at `folder`.

    Only of programs that execute notebooks, and of papermill only the one that is read.
    """
    for position, word in enumerate(command[:4]):
        tool = _tool(word)
        if tool is None:
            continue
        for named in _positional(command[position + 1 :], _VALUES[tool]):
            for name in (named, f"{named}.ipynb"):
                path = (folder / name.partition("::")[0]).resolve()
                if path.suffix == ".ipynb" and path.is_file():
                    yield path
                    break
            if tool == "papermill":
                return
        if tool == "pytest":
            yield from _tested_notebook(folder)
        return


def _tool(word: str) -> str | None:
    name = PurePath(word).name.removesuffix(".exe").removesuffix("-script.py").removeprefix("jupyter-")
    name = {"py.test": "pytest"}.get(name, name)
    if name == "__main__.py":
        name = PurePath(word).parent.name
    return name if name in _TOOLS else None


def _positional(words: Sequence[str], values: dict[str, int]) -> Iterator[str]:
    skip = 0
    for word in words:
        if skip:
            skip -= 1
        elif word.startswith("-") and word != "-":
            skip = values.get(word, 0)
        else:
            yield word


def _tested_notebook(folder: Path) -> Iterator[Path]:
    """Yield the notebook that pytest was testing when it started this kernel."""
    named = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]
    for start in (folder, *folder.parents):
        path = start / named
        if named.endswith(".ipynb") and path.is_file():
            yield path.resolve()
            return


def _command_of(pid: int) -> list[str]:
    if sys.platform == "linux":
        try:
            data = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return []
        return [os.fsdecode(word) for word in data.rstrip(b"\0").split(b"\0")]
    import shlex

    line = _output_of("ps", "-o", "command=", "-p", str(pid))
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _folder_of(pid: int) -> Path | None:
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            return None
    lines = _output_of("lsof", "-a", "-p", str(pid), "-d", "cwd", "-Fn").splitlines()
    return next((Path(line[1:]) for line in lines if line.startswith("n/")), None)


def _output_of(*command: str) -> str:
    import subprocess

    if os.name != "posix":
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=1, check=False).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


TIMEOUT_SECONDS = 0.3
_TOTAL_SECONDS = 1.5


def session_path() -> Path | None:
    """Return the file of the notebook whose session runs this kernel, as its server knows it now.

    A rename while the kernel lives is seen. The server that started the kernel is asked first. None where no server
    answers in time or none knows the kernel.
    """
    identifier = kernels.kernel_id()
    if identifier is None:
        return None
    give_up_at = time.monotonic() + _TOTAL_SECONDS
    for server in _servers():
        if time.monotonic() > give_up_at:
            return None
        try:
            sessions = _sessions(server)
        except (OSError, ValueError, KeyError) as error:
            messages.debug(f"the Jupyter server at {server.get('url')} did not answer: {error!r}")
            continue
        except Exception as error:
            messages.debug(f"the Jupyter server at {server.get('url')} gave an odd answer: {error!r}")
            continue
        found = _notebook_of(identifier, sessions, server)
        if found is not None:
            return found
    return None


def _servers() -> list[dict[str, Any]]:
    """Return the connection files of running servers: the parent of this kernel first, then the newest."""
    parent = kernels.parent_process()
    servers: list[tuple[bool, float, int, dict[str, Any]]] = []
    for folder in dict.fromkeys(_runtime_folders()):
        for file in (*folder.glob("jpserver-*.json"), *folder.glob("nbserver-*.json")):
            try:
                server = json.loads(file.read_bytes())
                servers.append((server.get("pid") != parent, -file.stat().st_mtime, len(servers), server))
            except (OSError, ValueError, AttributeError):
                continue
    return [server for *_, server in sorted(servers, key=lambda entry: entry[:3])]


def _runtime_folders() -> Iterator[Path]:
    connection = kernels.connection_file()
    if connection is not None:
        yield connection.parent
    if os.environ.get("JUPYTER_RUNTIME_DIR"):
        yield Path(os.environ["JUPYTER_RUNTIME_DIR"])
    folder = getattr(sys.modules.get("jupyter_core.paths"), "jupyter_runtime_dir", None)
    if folder is not None:
        yield Path(folder())


def _sessions(server: dict[str, Any]) -> list[Any]:
    """Request a server's sessions; without a proxy, because the server runs on this machine."""
    base = str(server.get("base_url") or urlsplit(server["url"]).path or "/")
    token = server.get("token") or os.environ.get("JUPYTERHUB_API_TOKEN") or os.environ.get("JPY_API_TOKEN")
    connection = _connection(server)
    try:
        headers = {"Authorization": f"token {token}"} if token else {}
        connection.request("GET", f"{base.rstrip('/')}/api/sessions", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"status {answer.status}")
    sessions = json.loads(body)
    return sessions if isinstance(sessions, list) else []


def _connection(server: dict[str, Any]) -> http.client.HTTPConnection:
    import http.client

    if server.get("sock"):
        return _socket_connection(str(server["sock"]))
    address = urlsplit(str(server["url"]))
    name = address.hostname or ""
    name = name if name not in {"", "0.0.0.0", "::", "*"} else "localhost"
    port = int(server.get("port") or address.port or 0)
    if not server.get("secure") and address.scheme != "https":
        return http.client.HTTPConnection(name, port, timeout=TIMEOUT_SECONDS)
    import ssl

    # The server's certificate is usually self-signed, and its address comes from a file that only this user can write.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(name, port, timeout=TIMEOUT_SECONDS, context=context)


def _socket_connection(path: str) -> http.client.HTTPConnection:
    import http.client
    import socket

    class SocketConnection(http.client.HTTPConnection):
        """Speaks HTTP over a socket in the file system."""

        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(TIMEOUT_SECONDS)
            self.sock.connect(path)

    return SocketConnection("localhost", timeout=TIMEOUT_SECONDS)


def _notebook_of(identifier: str, sessions: list[Any], server: dict[str, Any]) -> Path | None:
    """Find the kernel among sessions; a console attached to a notebook's kernel is not the notebook."""
    root = Path(str(server.get("root_dir") or server.get("notebook_dir") or "."))
    for session in sessions:
        if not isinstance(session, dict) or (session.get("kernel") or {}).get("id") != identifier:
            continue
        named = str(session.get("path") or (session.get("notebook") or {}).get("path") or "")
        if session.get("type", "notebook") != "notebook" and not named.endswith(".ipynb"):
            continue
        # Names of drives, such as the collaborative one, come before a colon: `RTC:folder/name.ipynb`.
        for name in dict.fromkeys((named, named.rpartition(":")[2])):
            path = root / name.lstrip("/")
            if name and path.is_file():
                return path
    return None
