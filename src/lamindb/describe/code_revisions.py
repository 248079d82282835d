"""The code revisions of a transform, and when each was run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Min

from lamindb.errors import InvalidInputError
from lamindb.models import CodeRevision, Run, Transform


@dataclass(frozen=True, slots=True)
class Revision:
    """One source of a transform.

    Attributes:
        number: 1, 2, 3 … by the order in which different sources were first run.
        digest: What tells this source from the others.
        first_run: The first of its runs; None if they were deleted.
        last_run: The last of them.
        run_count: How many there are.
        commits: The git commits at which it ran, sorted.
    """

    number: int
    digest: str
    first_run: Run | None
    last_run: Run | None
    run_count: int
    commits: tuple[str, ...]


def revisions_of(transform: Transform) -> tuple[Revision, ...]:
    """Return the code revisions of a saved transform, the first one first.

    Raises:
        InvalidInputError: The transform is not saved.
    """
    if not transform.is_saved:
        raise InvalidInputError("this transform is not saved yet and has no code revisions: save it first")
    alias = transform.alias
    runs = Run.objects.using(alias).filter(transform_id=transform.id, revision__isnull=False).order_by()
    counted: dict[int, Any] = {
        number: facts for number, *facts in runs.values_list("revision").annotate(Count("id"), Min("id"), Max("id"))
    }
    commits: dict[int, set[str]] = {}
    for number, commit in runs.filter(git_commit__isnull=False).values_list("revision", "git_commit").distinct():
        commits.setdefault(number, set()).add(commit)
    known = CodeRevision.objects.using(alias).filter(transform_id=transform.id).order_by("number")
    ends = {run_id for facts in counted.values() for run_id in facts[1:]}
    found = {run.id: run for run in Run.objects.using(alias).filter(id__in=ends)}
    return tuple(
        Revision(
            number,
            digest,
            found.get(counted[number][1]) if number in counted else None,
            found.get(counted[number][2]) if number in counted else None,
            counted[number][0] if number in counted else 0,
            tuple(sorted(commits.get(number, ()))),
        )
        for number, digest in known.values_list("number", "digest")
    )
