"""What reads the pages notices what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import pages

PAGE = """\
# A page

```python
1 + 1
#> {two}
print("id", "0123456789abcdefABCD"); print("then")
#> id DCBAfedcba9876543210
#> …
```

```console
$ echo hello   # exits {code}
hel…
```

```python title="kept/file.py"
raise SystemExit
```

```python
open("kept/file.py").read()
#> {content}
int("a")
#> {error}
```

<!-- not run: it would raise -->
```python
1 / 0
```
"""


def _problems(tmp_path: Path, **changes: str) -> list[str]:
    right = {"two": "2", "code": "0", "content": "'raise SystemExit…'", "error": "ValueError: invalid…"}
    path = tmp_path / "page.md"
    path.write_text(PAGE.format(**(right | changes)))
    return pages.run_page(pages.read_page(path), tmp_path / "project", replaced={}, env={})


def test_a_right_page_has_no_problem(tmp_path: Path) -> None:
    assert _problems(tmp_path) == []


def test_each_wrong_line_is_found(tmp_path: Path) -> None:
    found = _problems(tmp_path, two="3", code="1", content="…", error="KeyError: …")
    assert [problem.split(": ", 1)[0] for problem in found] == ["page.md:4", "page.md:12", "page.md:23"]


@pytest.mark.parametrize(
    ("expected", "printed", "answer"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\nb", "a\n", False),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a\n…\nd", "a\nb\nc", False),
        ("a … d", "a b c d", True),
        ("at 2024-01-01 10:00:00", "at 2026-12-31 23:59:59", True),
        ("1.0 s", "0.0001 s", True),
        ("size=10", "size=11", False),
        ("", "something", False),
    ],
)
def test_comparing_is_loose_and_not_looser(expected: str, printed: str, answer: bool) -> None:
    assert pages.matches(expected, printed) is answer
