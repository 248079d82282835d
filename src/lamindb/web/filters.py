"""The filters of a list: read from the address, and shown as chips with menus that work without a script."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from lamindb.web import responses


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a menu."""

    label: str
    value: str
    link: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a menu, to type in."""

    name: str
    label: str
    value: str = ""
    type: str = "text"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter: a menu, or with `link` a switch.

    Attributes:
        label: What it filters by.
        value: The choice; "" for any.
        options: The choices of the menu.
        fields: What can be typed.
        kept: The other filters, which a form sends again.
        clear: The address without this filter.
        link: The address with the switch turned.
    """

    label: str
    value: str = ""
    options: tuple[Option, ...] = ()
    fields: tuple[Field, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    clear: str = ""
    link: str = ""


class Menu:
    """Makes the chips of one page from the parameters of its address."""

    def __init__(self, here: str, parameters: Mapping[str, str]) -> None:
        self._here = here
        self._parameters = {name: value for name, value in parameters.items() if value and name != "after"}
        self._asked: set[str] = set()

    def value(self, name: str) -> str:
        """Return a parameter; "" if it is not given."""
        self._asked.add(name)
        return self._parameters.get(name, "")

    def unknown(self) -> list[str]:
        """Return the names of parameters that nothing asked for: the page ignores them."""
        return [name for name in self._parameters if name not in self._asked]

    def day(self, name: str) -> datetime.date | None:
        """Return a parameter that is a day in ISO form; None if it is not given.

        Raises:
            PageError: It is not a day.
        """
        text = self.value(name)
        try:
            found = datetime.date.fromisoformat(text) if text else None
        except ValueError:
            raise responses.wrong_parameter(name, text, "a day such as 2026-03-14") from None
        if found is not None and found >= datetime.date.max:
            raise responses.wrong_parameter(name, text, "a day such as 2026-03-14")
        return found

    def one_of(self, name: str, allowed: Iterable[str]) -> str:
        """Return a parameter that has few values; "" if it is not given.

        Raises:
            PageError: It is another value.
        """
        text = self.value(name)
        if text and text not in allowed:
            raise responses.wrong_parameter(name, text, " or ".join(allowed))
        return text

    def link(self, **changes: str | None) -> str:
        """Return the address with some parameters changed; None or "" removes one."""
        values: dict[str, Any] = {**self._parameters, **changes}
        kept = {name: value for name, value in values.items() if value}
        return f"{self._here}?{urlencode(kept)}" if kept else self._here

    def switch(self, label: str, name: str, value: str = "1") -> Chip:
        """Return a chip that turns one parameter on and off."""
        is_on = self.value(name) == value
        return Chip(label, "on" if is_on else "", link=self.link(**{name: None if is_on else value}))

    def choice(
        self, label: str, name: str, options: Iterable[tuple[str, str]] = (), *fields: Field, shown: str | None = None
    ) -> Chip:
        """Return a chip with a menu.

        Args:
            label: What it filters by.
            name: The parameter.
            options: Pairs of a value and its label.
            *fields: What can be typed; parameters of their own, or `name`.
            shown: What stands on the chip in place of the value.
        """
        names = {name, *(field.name for field in fields)}
        given = [self.value(one) for one in sorted(names) if self.value(one)]
        return Chip(
            label,
            (shown if shown is not None else " ".join(given)) if given else "",
            tuple(Option(text, value, self.link(**{name: value})) for value, text in options),
            fields,
            tuple((one, value) for one, value in self._parameters.items() if one not in names),
            self.link(**dict.fromkeys(names)),
        )


def when_chip(menu: Menu) -> Chip:
    """Return the chip for a span of days."""
    today = datetime.datetime.now(datetime.UTC).date()
    spans = ((0, "today"), (7, "last 7 days"), (30, "last 30 days"), (365, "last year"))
    options = [((today - datetime.timedelta(days=days)).isoformat(), text) for days, text in spans]
    since, until = menu.value("since"), menu.value("until")
    known = dict(options)
    shown = known.get(since, f"since {since}") if since and not until else f"{since or '…'} to {until or 'now'}"
    fields = (Field("since", "From", since, "date"), Field("until", "To", until, "date"))
    return menu.choice("When", "since", options, *fields, shown=shown)
