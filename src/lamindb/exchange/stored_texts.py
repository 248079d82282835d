"""What is stored with runs, for a page in one file: each source and list of packages once, logs by their end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from lamindb.core.text import size_text
from lamindb.describe import run_content
from lamindb.errors import LaminError
from lamindb.exchange.markup import card, code_block, link, shown
from lamindb.exchange.pages import Page, Part
from lamindb.exchange.privacy import Privacy
from lamindb.models import Run

_LOG_END = 32 << 10
_LOG_LINES = 300
_MOST_CODE = 256 << 10
_SHORT_CODE = 6 << 10
_MOST_REPEATED = 20
"""Short code stands on the pages of at most so many runs, and on a page of its own."""

_LEFT_OUT = '<p class="pad mute">Left out to keep this file small.</p>'
_NOT_READ = '<p class="pad mute">It is not readable here: <code>lamin verify</code> shows more.</p>'


class StoredTexts:
    """Reads what is stored with runs; `pages` has the sources and lists of packages that were met so far."""

    def __init__(self, privacy: Privacy) -> None:
        self._privacy = privacy
        self._anchors: dict[tuple[str, str], str] = {}
        self._short: dict[str, Part] = {}
        self._repeated: Counter[str] = Counter()
        self.pages: list[Page] = []

    def of(self, run: Run) -> list[str | Part]:
        """Return the code, uncommitted changes, log and packages of a run as cards."""
        name = run.transform.name + (f", code {run.revision}" if run.revision is not None else "")
        return [
            self._linked(run, "code", "Code", name),
            self._patch(run),
            self._log(run),
            self._linked(run, "packages", "Packages", f"Packages of {run.transform.name}"),
        ]

    def code_anchor(self, run: Run) -> str | None:
        """Return the anchor of a run's code; None if it was not kept."""
        return self._anchors.get(("code", run.source_digest or ""))

    def _linked(self, run: Run, kind: str, title: str, name: str) -> str | Part:
        """Return a button that leads to a page, which other runs with the same bytes share; of short code, itself."""
        digest = getattr(run, run_content.FIELDS[kind])
        if not digest:
            return ""
        anchor = self._anchors.get((kind, digest))
        if anchor is None:
            anchor = self._anchors[kind, digest] = f"{kind[0]}-{len(self._anchors) + 1}"
            clean_name = self._privacy.line(name)
            text = _read(lambda: run_content.stored_text(run, kind))
            inner = _NOT_READ if text is None else code_block(self._privacy.lines(text[:_MOST_CODE]))
            note = f"the first {size_text(_MOST_CODE)}" if text is not None and len(text) > _MOST_CODE else ""
            without = card(title, _LEFT_OUT)
            content: list[str | Part] = [
                f"<h1>{shown(clean_name)}</h1>",
                Part("code", card(title, inner, note), without),
            ]
            self.pages.append(Page(anchor, clean_name, content))
            if text is not None and len(text) <= _SHORT_CODE and kind == "code":
                self._short[digest] = Part("code", card(title, inner), without)
        self._repeated[digest] += 1
        if digest in self._short and self._repeated[digest] <= _MOST_REPEATED:
            return self._short[digest]
        return f'<p class="button-row">{link(anchor, f"Show the {title.lower()}", "button")}</p>'

    def _patch(self, run: Run) -> str | Part:
        if not run.diff_digest:
            return ""
        text = _read(lambda: run_content.stored_text(run, "patch"))
        inner = _NOT_READ if text is None else code_block(self._privacy.lines(text[:_MOST_CODE]), is_patch=True)
        title = "Uncommitted changes"
        return Part(
            "code", card(title, inner), card(title, '<p class="pad mute">Left out to keep this file small.</p>')
        )

    def _log(self, run: Run) -> str | Part:
        if not run.log_digest:
            return ""
        text = _read(lambda: run_content.stored_text(run, "log"))
        if text is None:
            return card("Log", _NOT_READ)
        end = text[-_LOG_END:]
        lines = end.splitlines()
        is_cut = len(end) < len(text) or len(lines) > _LOG_LINES
        if len(end) < len(text):
            lines = lines[1:]
        note = f"the last {len(lines[-_LOG_LINES:]):,} lines" if is_cut else ""
        inner = code_block(self._privacy.lines("\n".join(lines[-_LOG_LINES:])))
        return Part(
            "log", card("Log", inner, note), card("Log", '<p class="pad mute">Left out to keep this file small.</p>')
        )


def _read(read: Callable[[], str | None]) -> str | None:
    """Return what is stored; None if it is missing or damaged, which is no reason to show nothing of a project."""
    try:
        return read()
    except (LaminError, OSError):
        return None
