"""`lamin settings`: the stored settings of the user, which apply to every process that starts later."""

from __future__ import annotations

from typing import Any

import click

from lamindb.cli.completion import setting_names
from lamindb.cli.output import out, out_json, table
from lamindb.cli.params import Group, json_option
from lamindb.core import messages
from lamindb.core.settings import PREFERENCES, chosen, settings_file


@click.group("settings", cls=Group, examples=("lamin settings list", "lamin settings set track_run_inputs true"))
def settings() -> None:
    """Show or change your settings.

    They apply to every process that you start later. `ln.settings` in a program overrides them, and so do environment
    variables (LAMIN_VERBOSITY and so on).
    """


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@settings.command("list", examples=("lamin settings list", "lamin settings list --json"))
@json_option
def list_settings(as_json: bool) -> None:
    """List all settings with their current values and where these come from.

    JSON: an object for each setting with name, value, from (default, stored, or a variable), choices, help.
    """
    found = [(one, *chosen(one.name)) for one in PREFERENCES.values()]
    if as_json:
        out_json(
            [
                {"name": one.name, "value": value, "from": origin, "choices": one.choices, "help": one.help}
                for one, value, origin in found
            ]
        )
        return
    rows = [(one.name, _shown(value), origin, one.help) for one, value, origin in found]
    for line in table(("setting", "value", "from", "description"), rows):
        out(line)


@settings.command("get", examples=("lamin settings get verbosity",))
@click.argument("name", shell_complete=setting_names)
@json_option
def get_setting(name: str, as_json: bool) -> None:
    """Print the value of one setting.

    JSON: the value itself.
    """
    value, _ = chosen(name)
    if as_json:
        out_json(value)
    else:
        out(_shown(value))


@settings.command("set", examples=("lamin settings set verbosity 3",))
@click.argument("name", shell_complete=setting_names)
@click.argument("value")
def set_setting(name: str, value: str) -> None:
    """Store a setting for every process that starts later."""
    kept = settings_file.store(name, value)
    messages.success(f"set {name} to {_shown(kept)}")
    current, origin = chosen(name)
    if current != kept:
        messages.warning(f"{origin} overrides it with {_shown(current)}")


@settings.command("unset", examples=("lamin settings unset verbosity",))
@click.argument("name", shell_complete=setting_names)
def unset_setting(name: str) -> None:
    """Go back to the default of a setting."""
    settings_file.forget(name)
    messages.success(f"set {name} to its default, {_shown(chosen(name)[0])}")
