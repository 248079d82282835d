"""Whatever a power cut leaves on the disk is right: no row without its bytes, and running again completes it.

The storage lies on a small file system in a file. What the system has flushed to that file, and nothing else, is what a
power cut leaves: a copy of it is taken before each step. Each copy is mounted, which replays its journal, and looked
at by a fresh process. Flushes that are missing on purpose must be found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kills.warm import Warm
from tests.support import depth, memory

pytestmark = [
    pytest.mark.kill,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's loop devices"),
]


def can_mount() -> str:
    """Say why no file system can be mounted here; an empty text if one can."""
    if os.geteuid() != 0:
        return "only root can mount"
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not installed"
    with tempfile.TemporaryDirectory(prefix="lamindb-mount-") as folder:
        image, place = f"{folder}/image", f"{folder}/place"
        os.mkdir(place)
        with open(image, "wb") as stream:
            stream.truncate(8 << 20)
        made = subprocess.run(["mkfs.ext4", "-q", "-F", image], capture_output=True, text=True)
        done = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True)
        if made.returncode or done.returncode:
            return f"mounting is refused here: {(made.stderr or done.stderr).strip()[:200]}"
        subprocess.run(["umount", place], check=True)
    return ""


@pytest.fixture(scope="module")
def mounting() -> None:
    reason = can_mount()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def cut(mounting: None, warm: Warm, record_property: Callable[[str, object], None]) -> Iterator[Callable[..., Any]]:
    """Return what cuts the power at every step of a scenario."""
    folder = tempfile.mkdtemp(prefix="lamindb-power-", dir=memory.folder())

    def run(scenario: str, **config: Any) -> Any:
        answer = warm.run(scenario, power=True, work=folder, **config)
        record_property("cuts", answer["times"])
        return answer

    yield run
    subprocess.run(["umount", "-q", f"{folder}/here", f"{folder}/copy"], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("scenario", ["save", "save_many", "new_version", "save_folder", "rename"])
def test_a_power_cut_leaves_a_right_state(scenario: str, cut: Any) -> None:
    answer = cut(scenario, **depth.one_in(3))
    assert answer["problems"] == []
    assert answer["steps"] >= 10
    assert answer["times"] >= 3


@pytest.mark.parametrize("scenario", ["save", "save_many"])
def test_the_database_may_be_on_another_disk(scenario: str, cut: Any) -> None:
    """There, no flush of the database's flushes our files by chance."""
    assert cut(scenario, separate=True, **depth.one_in(3, shift=1))["problems"] == []


@pytest.mark.parametrize(
    ("mutant", "config"),
    [
        ("no_flush", {}),
        ("no_data_flush", {}),
        ("no_folder_flush", {"separate": True}),
    ],
)
def test_a_missing_flush_is_found(mutant: str, config: dict[str, Any], cut: Any) -> None:
    assert cut("save", mutant=mutant, **config)["problems"] != []
