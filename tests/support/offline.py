"""Run a program without a network, and as another user: what a machine on a train or a shared server is like."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

NOBODY = 65534

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


def run_offline(
    command: Sequence[str | Path], *, user: int | None, cwd: Path, env: Mapping[str, str], timeout_seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a program in a network of its own that reaches nothing but itself.

    Where the kernel refuses to make one, proxies that do not answer stand in for it.

    Args:
        user: The user id to run as; None is the present one. Only root can choose.
    """
    cut_off = _can_cut_off()
    surroundings = dict(env)
    if not cut_off:
        dead = "http://127.0.0.1:9"
        surroundings |= {"http_proxy": dead, "https_proxy": dead, "HTTP_PROXY": dead, "HTTPS_PROXY": dead}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        preexec_fn=_preparation(user, cut_off),
    )


def _preparation(user: int | None, cut_off: bool) -> Callable[[], None]:
    library = ctypes.CDLL(None, use_errno=True)
    effective = os.geteuid(), os.getegid()

    def prepare() -> None:
        if cut_off:
            _leave_network(library, *effective)
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)

    return prepare


def _leave_network(library: ctypes.CDLL, uid: int, gid: int) -> None:
    flags = _CLONE_NEWNET if uid == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    if library.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    # Jupyter talks to its kernels over the loopback interface, which is down in a new network.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        request = struct.pack("16sH14x", b"lo", 0)
        current = struct.unpack("16sH14x", fcntl.ioctl(device, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(device, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", current | _IFF_UP))


def _can_cut_off() -> bool:
    """Tell whether this kernel and container let a process leave the network."""
    if not sys.platform.startswith("linux"):
        return False
    pid = os.fork()
    if pid == 0:
        try:
            _leave_network(ctypes.CDLL(None, use_errno=True), os.geteuid(), os.getegid())
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
