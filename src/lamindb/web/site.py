"""What all requests of one server share: the instance, the gate, templates and its own files."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from django.template import Engine

from lamindb.records.open_instance import Instance
from lamindb.web.gate import Gate
from lamindb.web.own_files import OwnFiles

_HERE: Final = Path(__file__).parent


@dataclass
class Site:
    """One instance, shown by one server."""

    instance: Instance
    gate: Gate
    files: OwnFiles = field(default_factory=lambda: OwnFiles(_HERE / "static"))

    @cached_property
    def engine(self) -> Engine:
        """The templates, each compiled once."""
        return Engine(
            dirs=[str(_HERE / "templates")],
            autoescape=True,
            loaders=[
                ("django.template.loaders.cached.Loader", [
                    ("django.template.loaders.filesystem.Loader", [str(_HERE / "templates")]),
                ])
            ],
            builtins=["lamindb.web.tags"],
            libraries={},
        )  # fmt: skip

    def render(self, template: str, values: dict[str, Any]) -> str:
        """Return a template with values filled in; all text is escaped."""
        from django.template import Context

        return self.engine.get_template(template).render(Context(values))

    def url(self, path: str) -> str:
        """Return the address of a page from its path, such as `/files`."""
        return f"{self.gate.prefix}{path}"
