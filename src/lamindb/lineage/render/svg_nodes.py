"""The cards of files, the pills of runs, and the stubs for what is not shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lamindb.core.safe_text import elide_middle, isolated, printable
from lamindb.lineage.lineage_graph import FileNode, Node, RunNode
from lamindb.lineage.render import labels
from lamindb.lineage.render.svg_style import OTHER_ICON, STATUS_SIGNS, TYPE_ICONS, pixel_width

HEIGHT = 44
STUB_HEIGHT = 24

_NAME_LIMIT = 244.0
_FACTS_LIMIT = 256.0
_MIN_TEXT = 72.0
_BAND = 40
_FILE_TEXT = _BAND + 9
_RUN_TEXT = 45
_SIGN_ROOM = 36

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def xml(text: str) -> str:
    """Escape a printable text for XML content and attributes."""
    return text.translate(_ESCAPES)


@dataclass(frozen=True, slots=True)
class Shape:
    """Something to draw: the room that it needs, and how it is drawn in the room that it gets.

    `halo` is the radius of the light around it, 0 for none. It is drawn apart, under the lines.
    """

    width: float
    height: float
    draw: Callable[[float], str]
    halo: int = 0


def node_shape(node: Node, *, is_focus: bool) -> Shape:
    """Return the card of a file or the pill of a run."""
    return _file_shape(node, is_focus) if isinstance(node, FileNode) else _run_shape(node, is_focus)


def stub_shape(count: int, *, is_before: bool) -> Shape:
    """Return the small pill that stands for neighbours that are not shown; it keeps to the side of its node."""
    label = f"+{count:,} more"
    width = pixel_width(label, 11) + 24

    def draw(room: float) -> str:
        left = room - width if is_before else 0.0
        return (
            f'<rect class="m" x="{left:.0f}" width="{width:.0f}" height="{STUB_HEIGHT}" rx="12"/>'
            f'<text class="u c" x="{left + width / 2:.0f}" y="16">{label}</text>'
        )

    return Shape(width, STUB_HEIGHT, draw)


def _tooltip(node: Node) -> str:
    return f"<title>{xml(chr(10).join(labels.details(node)))}</title>"


def _group(node: Node, classes: str, body: str) -> str:
    return f'<g class="{classes}" data-id="{xml(printable(node.id))}">{_tooltip(node)}{body}</g>'


def _file_shape(file: FileNode, is_focus: bool) -> Shape:
    name = elide_middle(labels.file_name(file), _NAME_LIMIT, _name_width)
    facts = " · ".join(labels.file_facts(file))
    folder = labels.file_folder(file)
    facts_width = _small_width(facts)
    if folder:
        room = _FACTS_LIMIT - _small_width(" · " + facts)
        folder = elide_middle(folder, room, _small_width)
        facts = f"{isolated(folder)} · {facts}"
        facts_width = _small_width(f"{folder} · ") + facts_width
    text_width = max(_MIN_TEXT, _name_width(name), facts_width)
    family = labels.suffix_family(file.suffix)
    classes = " ".join(["o"] * is_focus + ["t"] * file.is_trashed) or "x"

    def draw(room: float) -> str:
        width = round(room)
        stack = f'<rect class="w" x="4" y="-4" width="{width - 6}" height="{HEIGHT}" rx="6"/>' * labels.is_older(file)
        card = f"M6 0H{width - 12}L{width} 12V{HEIGHT - 6}a6 6 0 0 1-6 6H6a6 6 0 0 1-6-6V6a6 6 0 0 1 6-6Z"
        band = f"M6 .7H{_BAND}V{HEIGHT - 0.7}H6a5.3 5.3 0 0 1-5.3-5.3V6a5.3 5.3 0 0 1 5.3-5.3Z"
        return _group(
            file,
            classes,
            f'{stack}<path class="f" d="{card}"/><path class="{family}" d="{band}"/>'
            f'<path class="f" d="M{width - 12} 0V9a3 3 0 0 0 3 3H{width}Z"/>{_suffix(file.suffix, family)}'
            f'<text class="n" x="{_FILE_TEXT}" y="19">{xml(name)}</text>'
            f'<text class="u" x="{_FILE_TEXT}" y="35">{xml(facts)}</text>',
        )

    return Shape(_FILE_TEXT + text_width + 12, HEIGHT, draw, 10 * is_focus)


def _suffix(suffix: str, family: str) -> str:
    """Draw the suffix in the band, on two lines if it has two parts; a page where there is none."""
    first, _, last = labels.suffix_label(suffix).rpartition(".")
    middle = _BAND / 2
    if first:
        return _letters(first, 20, family) + _letters(last, 32, family)
    if last:
        return _letters(last, 26, family)
    return f'<path class="i" d="M{middle - 6} 14H{middle + 2}L{middle + 6} 18V30H{middle - 6}Z"/>'


def _letters(text: str, y: int, family: str) -> str:
    room = _BAND - 5.0
    is_small = pixel_width(text, 10, is_bold=True) > room
    label = elide_middle(text, room, lambda part: pixel_width(part, 8.5 if is_small else 10, is_bold=True))
    return f'<text class="{"z" if is_small else "s"} c {family}-s" x="{_BAND // 2}" y="{y}">{xml(label)}</text>'


def _run_shape(run: RunNode, is_focus: bool) -> Shape:
    version = elide_middle(labels.run_version(run), 60.0, _version_width)
    version_width = _version_width(version) + 5 if version else 0.0
    name = elide_middle(labels.run_name(run), _NAME_LIMIT - version_width, _name_width)
    facts = elide_middle(" · ".join(labels.run_facts(run)), _FACTS_LIMIT, _small_width)
    text_width = max(_MIN_TEXT, _name_width(name) + version_width, _small_width(facts))
    sign = STATUS_SIGNS.get(run.status or "")
    icon = TYPE_ICONS.get(run.transform_type, OTHER_ICON)
    border = f" r-{run.status}" if run.status in ("failed", "aborted") else ""
    top = 19 if facts else 27

    def draw(room: float) -> str:
        width = round(room)
        small = f'<tspan class="u v" dx="5">{xml(version)}</tspan>' if version else ""
        return _group(
            run,
            "o" if is_focus else "x",
            f'<rect class="r{border}" width="{width}" height="{HEIGHT}" rx="22"/>'
            f'<circle class="d" cx="23" cy="22" r="15"/><path class="i" transform="translate(23 22)" d="{icon}"/>'
            f'<text class="n" x="{_RUN_TEXT}" y="{top}">{xml(isolated(name))}{small}</text>'
            f'<text class="u" x="{_RUN_TEXT}" y="35">{xml(facts)}</text>'
            + (status_sign(run.status or "", width - 21, HEIGHT // 2) if sign else ""),
        )

    return Shape(_RUN_TEXT + text_width + (_SIGN_ROOM if sign else 18), HEIGHT, draw, 27 * is_focus)


def status_sign(status: str, x: float, y: float) -> str:
    """Draw a status: a disc in its colour with a sign of its own, so that the colour is not needed."""
    sign = "kf" if status == "running" else "k"
    return (
        f'<g transform="translate({x:.0f} {y:.0f})"><circle class="{status}" r="8"/>'
        f'<path class="{sign}" d="{STATUS_SIGNS[status]}"/></g>'
    )


def _name_width(text: str) -> float:
    return pixel_width(text, 13, is_bold=True)


def _small_width(text: str) -> float:
    return pixel_width(text, 11)


def _version_width(text: str) -> float:
    return pixel_width(text, 13)
