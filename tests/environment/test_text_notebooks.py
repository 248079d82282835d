"""Notebooks that are plain text."""

from __future__ import annotations

import pytest

from lamindb.environment.text_notebooks import decode, front_matter_title, is_marimo, read

MARIMO = '''import marimo

__generated_with = "0.25.2"
app = marimo.App(app_title="The app")


@app.cell
def _(mo):
    mo.md(
        r"""
        # Cells of `mouse`

        text
        """
    )
    return
'''
QUARTO = (
    '---\ntitle: "My report"\nformat: html\n---\n\n```{python}\n#| echo: false\nimport os\n```\n\n```{r}\nx <- 1\n```\n'
)


def test_marimo_is_recognised_by_its_app() -> None:
    assert is_marimo(MARIMO.encode())
    assert is_marimo(b"\xef\xbb\xbf" + MARIMO.replace("\n", "\r\n").encode())
    assert not is_marimo(b"import marimo\nprint('marimo.App(')")
    assert not is_marimo(b"\xff\xfe")


def test_a_marimo_title_is_its_first_heading_then_its_app_title() -> None:
    assert read(MARIMO.encode()).title == "Cells of `mouse`"
    assert read(MARIMO.replace("# Cells", "Cells").encode()).title == "The app"
    assert read(MARIMO.replace('app_title="The app"', "").replace("# Cells", "Cells").encode()).title is None
    assert read(MARIMO.replace("def _(mo):", "def _(mo:").encode()).title is None


def test_quarto_has_its_title_in_its_header_and_code_in_chunks() -> None:
    found = read(QUARTO.encode())
    assert (found.title, found.language) == ("My report", "python")
    assert found.source == "#| echo: false\nimport os\n\nx <- 1\n"
    assert read(b"# Heading\n\n```{r}\n1\n```\n").title == "Heading"


def test_any_other_text_is_all_code() -> None:
    assert read(b"# %%\nx = 1\n").source == "# %%\nx = 1\n"
    assert read(b"\xff\xfe").title is None


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\ntitle: A b\n---\n", "A b"),
        ("---\ntitle: 'A'\n...\n", "A"),
        ("---\nauthor: x\n---\ntitle: no", None),
        ("title: no", None),
        ("---\ntitle: ''\n---", None),
    ],
)
def test_front_matter_title(text: str, title: str | None) -> None:
    assert front_matter_title(text) == title


def test_bytes_of_no_encoding_survive() -> None:
    assert decode(b"a\xff").encode("utf-8", "surrogateescape") == b"a\xff"
