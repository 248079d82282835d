"""Addresses of PostgreSQL databases: parsed, and shown without their secrets."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from lamindb.errors import InvalidInputError

_SECRET_OPTIONS = frozenset({"password", "sslpassword"})
_HARMLESS = frozenset(("sslmode", value) for value in ("require", "verify-ca", "verify-full"))
_UNREADABLE = (
    "the database address cannot be read: write it as postgresql://user:password@host:port/name, with % codes for "
    "special characters, such as %2F for a slash in the password"
)


class Address(NamedTuple):
    """The parts of an address; an empty one is left to the client's own defaults."""

    user: str
    password: str
    host: str
    """A name, a number, or the folder of a socket."""
    port: str
    name: str
    options: dict[str, str]
    """What libpq takes besides, such as `sslmode`."""

    def __repr__(self) -> str:
        """Leave out what may have a password."""
        return f"Address(user={self.user!r}, host={self.host!r}, port={self.port!r}, name={self.name!r})"


def parse(url: str) -> Address:
    """Parse an address. The parts may also be given as options: `postgresql:///name?host=/tmp&user=ada`.

    Raises:
        InvalidInputError: It is not of that form. The message does not repeat it, as it may hold a password.
    """
    parts = _split(url)
    if parts.scheme == "postgres":
        raise InvalidInputError("a database address starts with postgresql://, not postgres://")
    if parts.scheme != "postgresql":
        raise InvalidInputError("cannot use a database of this kind: pass postgresql://user@host/name")
    userinfo, _, hostinfo = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    host, port = _host_and_port(hostinfo)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    raw_name = parts.path.removeprefix("/")
    if parts.fragment or "/" in raw_name or "@" in raw_name:
        raise InvalidInputError(_UNREADABLE)
    address = Address(
        user=options.pop("user", "") or unquote(user),
        password=options.pop("password", "") or unquote(password),
        host=options.pop("host", "") or unquote(host),
        port=_checked_port(options.pop("port", "") or port),
        name=options.pop("dbname", "") or unquote(raw_name),
        options=options,
    )
    if not address.name:
        raise InvalidInputError("the database address names no database: add /NAME at its end")
    texts = [address.user, address.password, address.host, address.name, *options, *options.values()]
    if any("\0" in text for text in texts):
        raise InvalidInputError("the database address has a NUL character, which no part of it can have")
    return address


def shown(url: str) -> str:
    """Return an address without its password, fit to be printed and stored."""
    try:
        parts = _split(url)
    except InvalidInputError:
        return "an address that cannot be read"
    userinfo, at, hostinfo = parts.netloc.rpartition("@")
    user = userinfo.partition(":")[0]
    pairs = [pair for pair in parts.query.split("&") if unquote(pair.partition("=")[0]) not in _SECRET_OPTIONS]
    query = "&".join(pairs)
    return f"{parts.scheme}://{user}{at if user else ''}{hostinfo}{parts.path}" + (f"?{query}" if query else "")


def is_same(one: str, other: str) -> bool:
    """Return True if two addresses name the same database by the same host and port, whatever user and options."""
    try:
        first, second = parse(one), parse(other)
    except InvalidInputError:
        return False
    return _server(first) == _server(second) and first.name == second.name


def _server(address: Address) -> tuple[str, str]:
    return address.host if address.host.startswith("/") else address.host.lower(), address.port or "5432"


def suggested(url: str) -> str:
    """Return an address that a user may be asked to type, from one that another person may have written.

    It has user, host, port and name, and of the options only those that cannot weaken the connection.

    Raises:
        InvalidInputError: It is not an address.
    """
    address = parse(url)
    options = {name: value for name, value in address.options.items() if (name, value) in _HARMLESS}
    host = address.host
    if host.startswith("/"):
        options = {"host": host} | options
        host = ""
    elif ":" in host:
        host = f"[{quote(host, safe=':')}]"
    else:
        host = quote(host, safe=",")
    user = f"{quote(address.user, safe='')}@" if address.user else ""
    port = f":{address.port}" if address.port else ""
    query = f"?{urlencode(options, safe='/')}" if options else ""
    return f"postgresql://{user}{host}{port}/{quote(address.name, safe='')}{query}"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise InvalidInputError(_UNREADABLE) from None


def _host_and_port(hostinfo: str) -> tuple[str, str]:
    if hostinfo.startswith("["):
        host, _, rest = hostinfo[1:].partition("]")
        if rest and not rest.startswith(":"):
            raise InvalidInputError(_UNREADABLE)
        return host, rest[1:]
    host, _, port = hostinfo.partition(":")
    return host, port


def _checked_port(port: str) -> str:
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidInputError(_UNREADABLE)
    return port
