"""Jupyter servers that run on this machine, asked which notebook a kernel belongs to."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lamindb.core import messages
from lamindb.environment import kernels

if TYPE_CHECKING:
    import http.client

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
    """Return what running servers wrote about themselves: the parent of this kernel first, then the newest."""
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
    """Ask a server for its sessions; proxies are not asked, the server runs on this machine."""
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
        # Collaborative and other drives stand before a colon: `RTC:folder/name.ipynb`.
        for name in dict.fromkeys((named, named.rpartition(":")[2])):
            path = root / name.lstrip("/")
            if name and path.is_file():
                return path
    return None
