"""Commands run in this process: quick, and with the same streams and exit codes as the real `lamin`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lamindb.cli import main


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def words(self) -> list[str]:
        return self.out.split()


Cli = Callable[..., Done]


@pytest.fixture
def cli(capsysbinary: pytest.CaptureFixture[bytes]) -> Cli:
    """Return a function that runs a command line and, unless told otherwise, wants it to succeed."""

    def run(*arguments: str | Path, code: int = 0) -> Done:
        capsysbinary.readouterr()
        found = main([str(one) for one in arguments])
        out, err = capsysbinary.readouterr()
        done = Done(found, out.decode(), err.decode())
        assert done.code == code, f"lamin {' '.join(map(str, arguments))} exited {done.code}\n{done.out}\n{done.err}"
        if code in {2, 3, 4, 6}:
            errors = [line for line in done.err.splitlines() if line.startswith("lamin: ")]
            assert len(errors) == 1, f"an error is one line: {done.err}"
        return done

    return run
