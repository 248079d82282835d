"""Documentation pages as data, and running one as a notebook.

How a page is read:

* A block marked `python` is a cell. Lines that start with `#> ` say what the lines above them print or show; where the
  first of them names an error, the lines above raise it.
* A block marked `python title="clean.py"` (or any language with a title) is written to that file.
* A block marked `console` holds commands, each after `$ `, and below each what it prints, if that matters.
  `# exits 3` at the end of a command says that it must exit so; without it, it must exit 0.
* Blocks of other languages are only read by people. `<!-- not run: REASON -->` above a block makes it one of those.
* `<!-- needs: NAME … -->` at the top names servers; their addresses take the place of those in the text.

What is printed is compared loosely: ids, times, durations and the folder differ from run to run, and `…` stands for
anything, alone on a line for any lines.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.offline import run_offline
from tests.support.processes import TIMEOUT_SECONDS, clean_environment, run_command

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SHOWN_FOLDER = "/home/ada/project"

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks) *$", re.M | re.S
)
_COMMENT_ABOVE = re.compile(r"<!-- not run: (?P<reason>[^\n]+?) -->\n+\Z")
_NEEDS = re.compile(r"^<!-- needs: (?P<names>[\w ]+) -->", re.M)
_TITLE = re.compile(r'title="(?P<title>[^"]+)"')
_EXITS = re.compile(r"\s+# exits (?P<code>\d+)$")
_ERROR = re.compile(r"^(\w+\.)*\w*(Error|Found|Exception|Interrupt)\b")
_ICONS = tuple("❌🔶💬💡🐛✅")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what else its fence says, its text and its line."""

    language: str
    title: str | None
    body: str
    line: int
    not_run: str | None


@dataclass(frozen=True)
class Step:
    """A cell: its code, what it must print (None: anything) and with what it must end."""

    code: str
    expected: str | None
    line: int
    exit_code: int | None = None


@dataclass(frozen=True)
class Page:
    """A page: its title, its blocks, and the servers that it needs."""

    path: Path
    text: str
    title: str
    needs: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = field(default=())

    @property
    def runs(self) -> bool:
        """Whether there is anything to run."""
        return any(block.language in {"python", "console"} and block.not_run is None for block in self.blocks)


def read_page(path: Path) -> Page:
    """Read a page."""
    text = path.read_text(encoding="utf-8")
    title = next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), path.stem)
    needs = tuple(name for found in _NEEDS.finditer(text) for name in found["names"].split())
    return Page(path, text, title, needs, tuple(_blocks(text)))


def all_pages() -> list[Path]:
    """Return the README and every page of the documentation."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def _blocks(text: str) -> Iterator[Block]:
    for found in _FENCE.finditer(text):
        info = found["info"].strip()
        title = _TITLE.search(info)
        above = _COMMENT_ABOVE.search(text[: found.start()])
        yield Block(
            language=info.split(" ", 1)[0],
            title=title["title"] if title else None,
            body=textwrap.dedent(found["body"]),
            line=text.count("\n", 0, found.start()) + 2,
            not_run=above["reason"] if above else None,
        )


def steps_of(page: Page, replaced: Mapping[str, str]) -> list[Step]:
    """Return the cells of a page, with addresses that its examples use replaced by real ones."""
    steps: list[Step] = []
    for block in page.blocks:
        if block.not_run is not None:
            continue
        body = _replace(block.body, replaced)
        if block.title is not None:
            steps.append(_file_step(block.title, body, block.line))
        elif block.language == "python":
            steps += _python_steps(body, block.line)
        elif block.language == "console":
            steps += _console_steps(body, block.line)
    return steps


def _replace(text: str, replaced: Mapping[str, str]) -> str:
    for shown, real in replaced.items():
        text = text.replace(shown, real)
    return text


def _file_step(title: str, body: str, line: int) -> Step:
    code = (
        "import pathlib as _p\n"
        f"_f = _p.Path({title!r})\n"
        "_f.parent.mkdir(parents=True, exist_ok=True)\n"
        f"_ = _f.write_text({body!r})"
    )
    return Step(code, None, line)


def _python_steps(body: str, line: int) -> Iterator[Step]:
    code: list[str] = []
    expected: list[str] = []
    start = line
    for number, text in enumerate([*body.splitlines(), ""], line):
        if text.lstrip().startswith("#>"):
            expected.append(text.lstrip()[2:].removeprefix(" "))
            continue
        if expected:
            yield Step("\n".join(code), "\n".join(expected), start)
            code, expected, start = [], [], number
        code.append(text)
    if any(part.strip() for part in code):
        yield Step("\n".join(code), None, start)


def _console_steps(body: str, line: int) -> Iterator[Step]:
    command: str | None = None
    expected: list[str] = []
    start = line
    for number, text in enumerate(body.splitlines(), line):
        if text.startswith("$ "):
            if command is not None:
                yield _command_step(command, expected, start)
            command, expected, start = text[2:], [], number
        elif command is not None and command.endswith("\\") and not expected:
            command += "\n" + text
        else:
            expected.append(text)
    if command is not None:
        yield _command_step(command, expected, start)


def _command_step(command: str, expected: list[str], line: int) -> Step:
    exits = _EXITS.search(command)
    code = int(exits["code"]) if exits else 0
    plain = command[: exits.start()] if exits else command
    text = (
        "import subprocess as _s\n"
        f"_r = _s.run({plain!r}, shell=True, text=True, stdin=_s.DEVNULL, stdout=_s.PIPE, stderr=_s.STDOUT)\n"
        'print(_r.stdout, end="")\n'
        f"assert _r.returncode == {code}, f'exited {{_r.returncode}}: {{_r.stdout}}'"
    )
    shown = "\n".join(expected).strip("\n")
    return Step(text, shown or None, line, code)


def run_page(page: Page, folder: Path, *, replaced: Mapping[str, str], env: Mapping[str, str]) -> list[str]:
    """Run a page as a notebook in a folder; return what was wrong, each with its line, or an empty list.

    A page that needs no server runs without a network.
    """
    steps = steps_of(page, replaced)
    folder.mkdir(parents=True, exist_ok=True)
    notebook = folder / f"{page.path.stem.lower()}.ipynb"
    _write_notebook(notebook, page.title, steps)
    environment = clean_environment(LOGNAME="ada", USER="ada", COLUMNS="100", NO_COLOR="1", **env)
    command = [sys.executable, "-m", "jupyter", "execute", "--inplace", "--allow-errors", notebook.name]
    if page.needs:
        run_command(*command, cwd=folder, env=environment)
    else:
        done = run_offline(command, user=None, cwd=folder, env=environment, timeout_seconds=TIMEOUT_SECONDS)
        assert done.returncode == 0, done.stderr[-4000:]
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    problems = []
    for step, cell in zip(steps, cells, strict=True):
        problem = _problem(step, cell["outputs"], folder, {real: shown for shown, real in replaced.items()})
        if problem:
            problems.append(f"{page.path.name}:{step.line}: {problem}\n{textwrap.indent(step.code, '    ')}")
    return problems


def _write_notebook(path: Path, title: str, steps: list[Step]) -> None:
    cells: list[dict[str, object]] = [{"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {title}"}]
    for number, step in enumerate(steps):
        cells.append(
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": step.code.strip("\n"),
            }
        )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _problem(step: Step, outputs: list[dict[str, object]], folder: Path, real: Mapping[str, str]) -> str | None:
    with_messages = step.expected is not None and step.expected.lstrip().startswith(_ICONS)
    printed, error = _printed(outputs, with_messages=with_messages)
    wants_error = step.exit_code is None and step.expected is not None and _ERROR.match(step.expected) is not None
    if error is not None:
        if not wants_error:
            return f"raised {error}"
        printed = error
    elif wants_error:
        return "raised nothing"
    if step.expected is None:
        return None
    printed = _replace(printed, real).replace(str(folder.resolve()), SHOWN_FOLDER).replace(str(folder), SHOWN_FOLDER)
    if matches(step.expected, printed):
        return None
    return (
        f"shows\n{textwrap.indent(printed, '    ')}\nbut the page says\n{textwrap.indent(step.expected, '    ')}\nfor"
    )


def _printed(outputs: list[dict[str, object]], *, with_messages: bool) -> tuple[str, str | None]:
    texts: list[str] = []
    error = None
    for output in outputs:
        kind = output["output_type"]
        if kind == "error":
            error = f"{output['ename']}: {output['evalue']}"
        elif kind == "stream":
            if with_messages or output["name"] == "stdout":
                texts.append(_joined(output["text"]))
        else:
            data = output["data"]
            assert isinstance(data, dict)
            texts.append(_joined(data.get("text/plain", "")) + "\n")
    return "".join(texts), error


def _joined(value: object) -> str:
    return value if isinstance(value, str) else "".join(value)  # type: ignore[arg-type]


_LOOSE = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00|Z| UTC)?"), "<time>"),
    (re.compile(r"\b\d+(\.\d+)? (seconds|s|ms|minutes)\b"), "<duration>"),
    # An id may have no digit: letters of both kinds in the midst of a word tell it from one, too.
    (re.compile(r"\b(?=[0-9A-Za-z]*(?:\d|[a-z][A-Z]))(?:[0-9A-Za-z]{20}|[0-9A-Za-z]{16})\b"), "<id>"),
    (re.compile(r"created_by_id='[0-9A-Za-z]{8}'"), "created_by_id=<id>"),
    (re.compile(r"storage_id='[0-9A-Za-z]{8}'"), "storage_id=<id>"),
    (re.compile(r"[ \t]+"), " "),
)


def matches(expected: str, printed: str) -> bool:
    """Tell whether what was printed is what a page says, as loosely as the module's docstring has it."""
    pattern = []
    for line in _plain(expected):
        if line == "…":
            pattern.append(r"(?:.*\n)*?")
        else:
            pattern.append(".*?".join(re.escape(part) for part in line.split("…")) + r"\n")
    lines = _plain(printed)
    # A notebook breaks a long value into lines, where a page may show it in one.
    candidates = [lines, [" ".join(lines)]]
    return any(re.fullmatch("".join(pattern), "".join(f"{line}\n" for line in found)) for found in candidates)


def _plain(text: str) -> list[str]:
    for found, instead in _LOOSE:
        text = found.sub(instead, text)
    return [line.strip() for line in text.strip().splitlines()]
