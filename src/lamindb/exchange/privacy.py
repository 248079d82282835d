"""What is left out of texts for other people: secrets always, hosts, e-mail addresses and paths unless asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lamindb.core.text import printable
from lamindb.environment.redaction import is_secret_name, redact_text

HIDDEN_HOST, HIDDEN_EMAIL = "‹host›", "‹e-mail›"
_HIDDEN_VALUE = "‹hidden›"

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'`<>()\[\]{}|\\^]*")
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_DOMAIN = re.compile(
    r"(?<![\w.@-])(?:[a-z0-9-]{1,63}\.){1,8}(?:com|edu|gov|internal|intranet|lan|org)(?![\w-])", re.IGNORECASE
)
"""Names of machines by their ending. `net`, `io` and others are no such ending: in code they are names."""
_PATH = re.compile(
    r"(?:(?<![\w.~/:<›-])|(?<=\\[abfnrtv]))~?/"
    r"(?:[^\s/\"'`<>|:;,*?(){}\[\]]+/)+([^\s/\"'`<>|:;,*?(){}\[\]]*)"
)
_WINDOWS_PATH = re.compile(r"(?<!\w)[A-Za-z]:\\(?:[^\s\\\"'`<>|:;,*?]+\\)*([^\s\\\"'`<>|:;,*?]*)")
_HOST = re.compile(r"[\w.-]{3,253}")
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


@dataclass(frozen=True, slots=True)
class Privacy:
    """What texts keep.

    Attributes:
        with_hosts: Names of machines, and addresses, which name machines.
        with_emails: E-mail addresses.
        with_paths: Absolute paths; else their last part stays.
        hosts: The names of machines that are known.
    """

    with_hosts: bool = False
    with_emails: bool = False
    with_paths: bool = False
    hosts: tuple[str, ...] = ()
    _host: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        names = sorted({name for name in self.hosts if len(name) > 2 and name != "localhost"}, key=len, reverse=True)
        if names and not self.with_hosts:
            text = "|".join(map(re.escape, names))
            object.__setattr__(self, "_host", re.compile(rf"(?<![\w.-])(?:{text})(?![\w-])", re.IGNORECASE))

    def clean(self, text: str) -> str:
        """Return a text without what it must not have. Lines stay lines."""
        text = redact_text(text)
        if not self.with_hosts:
            text = _ADDRESS.sub(_without_host, text)
        if not self.with_emails:
            text = _EMAIL.sub(HIDDEN_EMAIL, text)
        if not self.with_hosts:
            text = _DOMAIN.sub(HIDDEN_HOST, _IP.sub(HIDDEN_HOST, text))
        if not self.with_paths:
            text = _WINDOWS_PATH.sub(r"…\\\1", _PATH.sub(r"…/\1", text))
        return text if self._host is None else self._host.sub(HIDDEN_HOST, text)

    def line(self, text: str) -> str:
        """Return a text as one line that is safe to print."""
        return printable(self.clean(text))

    def lines(self, text: str) -> str:
        """Return a text of several lines, with control characters escaped and without colours of a terminal."""
        shown = (
            printable(one.rstrip("\r").rpartition("\r")[2].expandtabs(4)) for one in _ANSI.sub("", text).split("\n")
        )
        return self.clean("\n".join(shown))

    def value(self, name: str, value: Any) -> Any:
        """Return a JSON value without what it must not have; of one with the name of a secret nothing stays."""
        if isinstance(value, dict):
            return {self.line(str(key)): self.value(str(key), one) for key, one in value.items()}
        if is_secret_name(name.rpartition(".")[2]) and value not in (None, "", True, False):
            return _HIDDEN_VALUE
        if isinstance(value, list):
            return [self.value(name, one) for one in value]
        return self.line(value) if isinstance(value, str) else value

    def left_out(self) -> list[str]:
        """Return what is left out, in words."""
        words = {"host names and addresses": self.with_hosts, "e-mail addresses": self.with_emails}
        words["absolute paths"] = self.with_paths
        return [name for name, is_kept in words.items() if not is_kept]


def _without_host(found: re.Match[str]) -> str:
    """Return what an address names on its host: the last part of its path."""
    scheme, _, rest = found.group().partition("://")
    last = rest.split("?")[0].split("#")[0].rstrip("/.,;").rpartition("/")[2] if "/" in rest else ""
    return f"{scheme}:{HIDDEN_HOST}" + (f"/…/{last}" if last else "")


def known_hosts(names: Iterable[str | None]) -> tuple[str, ...]:
    """Return names of machines, with and without their domain."""
    found = {name for name in names if name and _HOST.fullmatch(name)}
    return tuple(sorted(found | {name.partition(".")[0] for name in found}))
