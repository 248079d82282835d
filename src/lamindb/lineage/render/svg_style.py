"""Colours, letters and signs of the drawing: everything about its looks that needs no geometry."""

from __future__ import annotations

from typing import Literal

Theme = Literal["auto", "light", "dark"]

FONT = "'Helvetica Neue',Helvetica,Arial,'Liberation Sans','Segoe UI',Roboto,'DejaVu Sans',sans-serif"

_LIGHT = {
    "page": "#fbfcfd",
    "frame": "#e3e8ee",
    "text": "#1b2430",
    "muted": "#566375",
    "line": "#98a5b6",
    "file": "#ffffff",
    "file_edge": "#c3ccd8",
    "run": "#edf2fc",
    "run_edge": "#aebfe3",
    "disc": "#ffffff",
    "icon": "#3a5390",
    "focus": "#2463eb",
    "halo": "#cfe0ff",
    "sign": "#ffffff",
    "completed": "#1c7f48",
    "failed": "#c22b3a",
    "running": "#2463eb",
    "aborted": "#9a5b00",
    "table": "#dff2e7 #17623b",
    "sequence": "#e0ebfd #1d4c9f",
    "array": "#ece4fb #5731a3",
    "image": "#fdebd6 #874404",
    "document": "#e9edf2 #3f4b5e",
}
_DARK = {
    "page": "#12161d",
    "frame": "#252d39",
    "text": "#e8edf4",
    "muted": "#9fadbf",
    "line": "#61708a",
    "file": "#1b212b",
    "file_edge": "#3d4859",
    "run": "#1d2740",
    "run_edge": "#43578a",
    "disc": "#12161d",
    "icon": "#a9c1f7",
    "focus": "#6ea0ff",
    "halo": "#1d3769",
    "sign": "#0d1117",
    "completed": "#4cc07c",
    "failed": "#ff7b86",
    "running": "#6ea0ff",
    "aborted": "#e3a548",
    "table": "#15382a #8fe0b4",
    "sequence": "#182e56 #a9c8fd",
    "array": "#2d2254 #cbb8fc",
    "image": "#432a10 #f7c88f",
    "document": "#29313d #bcc8d8",
}

STATUSES = ("completed", "failed", "running", "aborted")
FAMILIES = ("table", "sequence", "array", "image", "document")

STATUS_SIGNS = {
    "completed": "M-3.6.2L-1 2.9L3.8-2.8",
    "failed": "M-2.8-2.8L2.8 2.8M2.8-2.8L-2.8 2.8",
    "running": "M-1.8-3L3.2 0L-1.8 3Z",
    "aborted": "M-3.2 0H3.2",
}
"""Paths round the origin, for a disc with a radius of 8."""

TYPE_ICONS = {
    "notebook": "M-5-7H5.5V7H-5ZM-2-7V7M1-3.5H3M1-.5H3M-6.5-4H-4M-6.5 0H-4M-6.5 4H-4",
    "script": "M-3.5-4.5L-7.5 0L-3.5 4.5M3.5-4.5L7.5 0L3.5 4.5M1.6-6L-1.6 6",
    "pipeline": "M-7.5 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M3.5-4.5a2 2 0 1 0 4 0a2 2 0 1 0-4 0"
    "M3.5 4.5a2 2 0 1 0 4 0a2 2 0 1 0-4 0M-3.5 0H-1C1.5 0 .5-4.5 3.5-4.5M-1 0C1.5 0 .5 4.5 3.5 4.5",
    "function": "M5-6.2C1.8-7.6 1.2-5 .7-2.4L-.6 4C-1.1 6.8-2.3 7.6-5 6.4M-3.2-1.5H3.8",
    "command": "M-6.5-4.5L-2-.2L-6.5 4.1M0 4.8H6.5",
    "app": "M-6.5-6H6.5V6H-6.5ZM-6.5-2.4H6.5M-4.3-4.2H-4M-2-4.2H-1.7",
    "api": "M-2.5-6.5C-5.4-6.5-4.2-3.4-4.2-1.8C-4.2-.6-5.2 0-6.4 0C-5.2 0-4.2.6-4.2 1.8C-4.2 3.4-5.4 6.5-2.5 6.5"
    "M2.5-6.5C5.4-6.5 4.2-3.4 4.2-1.8C4.2-.6 5.2 0 6.4 0C5.2 0 4.2.6 4.2 1.8C4.2 3.4 5.4 6.5 2.5 6.5",
    "instrument": "M-2.3-7H2.3M-1.4-7V-2.2L-5.8 5.4Q-6.4 6.8-5 6.8H5Q6.4 6.8 5.8 5.4L1.4-2.2V-7M-3.7 2.4H3.7",
}
"""Paths round the origin, for a disc with a radius of 14; drawn as lines."""

OTHER_ICON = "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0"


def style_sheet(theme: Theme) -> str:
    """Write the CSS of one drawing; every rule is limited to drawings of this theme."""
    scope = f".lnv-{theme}"
    shape = (
        f"{scope}{{font-family:{FONT};font-size:11px}}"
        f"{scope} .n{{font-size:13px;font-weight:600}}{scope} .s{{font-size:10px;font-weight:700}}"
        f"{scope} .z{{font-size:8.5px;font-weight:700}}"
        f"{scope} .v{{font-weight:400}}{scope} .c{{text-anchor:middle}}{scope} .e{{text-anchor:end}}"
        f"{scope} .l,{scope} .i,{scope} .b,{scope} .q{{fill:none}}"
        f"{scope} .l{{stroke-width:1.4}}{scope} .q{{stroke-width:1.4;stroke-dasharray:2 4}}"
        f"{scope} .b{{stroke-width:1.6;stroke-dasharray:6 4}}"
        f"{scope} .i{{stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round}}"
        f"{scope} .k{{stroke-width:1.9;stroke-linecap:round;stroke-linejoin:round;fill:none}}"
        f"{scope} .kf{{stroke-width:1.2;stroke-linejoin:round}}"
        f"{scope} .m{{stroke-dasharray:3 3}}{scope} .t{{opacity:.72}}{scope} .t .f{{stroke-dasharray:5 3}}"
        f"{scope} .o .f,{scope} .o .r{{stroke-width:2}}"
    )
    if theme == "dark":
        return shape + _colours(scope, _DARK)
    if theme == "light":
        return shape + _colours(scope, _LIGHT)
    return shape + _colours(scope, _LIGHT) + f"@media(prefers-color-scheme:dark){{{_colours(scope, _DARK)}}}"


def _colours(scope: str, colour: dict[str, str]) -> str:
    rules = [
        (".p", f"fill:{colour['page']};stroke:{colour['frame']}"),
        ("text", f"fill:{colour['text']}"),
        (".u", f"fill:{colour['muted']}"),
        (".l", f"stroke:{colour['line']}"),
        (".q", f"stroke:{colour['line']}"),
        (".a", f"fill:{colour['line']}"),
        (".b", f"stroke:{colour['aborted']}"),
        (".ab", f"fill:{colour['aborted']}"),
        (".f", f"fill:{colour['file']};stroke:{colour['file_edge']}"),
        (".w", f"fill:{colour['page']};stroke:{colour['file_edge']}"),
        (".r", f"fill:{colour['run']};stroke:{colour['run_edge']}"),
        (".r-failed", f"stroke:{colour['failed']}"),
        (".r-aborted", f"stroke:{colour['aborted']}"),
        (".d", f"fill:{colour['disc']};stroke:{colour['run_edge']}"),
        (".i", f"stroke:{colour['icon']}"),
        (".m", f"fill:{colour['page']};stroke:{colour['line']}"),
        (".h", f"fill:{colour['halo']}"),
        (".o .f", f"stroke:{colour['focus']}"),
        (".o .r", f"stroke:{colour['focus']}"),
        (".k", f"stroke:{colour['sign']}"),
        (".kf", f"stroke:{colour['sign']};fill:{colour['sign']}"),
    ]
    rules += [(f".{status}", f"fill:{colour[status]}") for status in STATUSES]
    for family in FAMILIES:
        band, letters = colour[family].split()
        rules += [(f".{family}", f"fill:{band}"), (f".{family}-s", f"fill:{letters}")]
    return "".join(f"{scope} {selector}{{{declarations}}}" for selector, declarations in rules)


_ARIAL = {
    191: "'",
    222: "ijl",
    278: " !,./:;I[\\]ft",
    333: "()-`r{}|",
    389: '*"',
    500: "Jckvsxyz^",
    556: "#$0123456789?L_abdeghnopqu",
    584: "+<=>~",
    611: "FTZ",
    667: "&ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "Mm",
    889: "%",
    944: "W",
    1015: "@",
}
_WIDTHS = {character: width for width, characters in _ARIAL.items() for character in characters}


def pixel_width(text: str, size: float, *, is_bold: bool = False) -> float:
    """Estimate the width of a text in the drawing's letters, rather too wide than too narrow."""
    units = 0
    for character in text:
        width = _WIDTHS.get(character)
        units += width if width is not None else (620 if character < "\u1100" else 1020)
    return units * size * (1.1 if is_bold else 1.03) / 1000
