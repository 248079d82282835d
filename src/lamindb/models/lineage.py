"""The base class of records with lineage: files, runs and transforms."""

from __future__ import annotations

from typing import Any

from lamindb.core.verbs import verb
from lamindb.models.base import Record


class Traced(Record):
    """A record with lineage. A run has that of its inputs and outputs, a transform that of its runs."""

    class Meta:
        abstract = True

    def ancestors(self, model: Any = None, *, depth: int | None = None, all_producers: bool = False) -> Any:
        """Return everything that this record came from, without itself.

        Args:
            model: What to return: `ln.File` (default), `ln.Run` or `ln.Transform`.
            depth: How many generations of files to go back; None for all.
            all_producers: Follow every run that produced the same bytes, not only the first.

        Returns:
            A query.

        Raises:
            InvalidInputError: The record is not saved yet, or an argument cannot be right.
            NoResultFound: The record was deleted for good.
        """
        closure = verb("lamindb.lineage.query.closure")
        return closure(self, upward=True, model=model, depth=depth, all_producers=all_producers)

    def descendants(self, model: Any = None, *, depth: int | None = None, all_producers: bool = False) -> Any:
        """Return everything that this record became, without itself. Arguments and errors as for `ancestors`."""
        closure = verb("lamindb.lineage.query.closure")
        return closure(self, upward=False, model=model, depth=depth, all_producers=all_producers)

    def view_lineage(self, **options: Any) -> Any:
        """Draw the ancestors and descendants of this record.

        Args:
            **options: `depth`: generations in each direction (3); `max_nodes` (300); `up`, `down`: directions;
                `all_producers`; `group=False` draws siblings one by one, `steps=True` the runs inside this one,
                `plumbing=False` hides what is only on the way from one run to another: files that one run made and
                one run read, without a description, and without a key or in a folder such as `tmp` or `interim`.

        Returns:
            A picture that notebooks show, with `.to_svg() .to_mermaid() .to_dot() .to_json() .to_text()`.
        """
        return verb("lamindb.lineage.draw.view_lineage")(self, options)

    def describe(self) -> Any:
        """Return everything about this record on one page."""
        return verb("lamindb.describe.record.page")(self)
