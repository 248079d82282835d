"""What goes wrong by a user's slip is said in the user's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.errors import ConflictError, InvalidInputError, InvalidTypeError, NoResultFound


def test_slips_are_named(instance: Path) -> None:
    with pytest.raises(InvalidTypeError, match="None is no record"):
        ln.delete(None)
    with pytest.raises(InvalidTypeError, match="name must be text, not int"):
        ln.Pipeline(name=1)
    transform = ln.Transform(name="t").save()
    with pytest.raises(InvalidInputError, match="parent is a Run that is not saved yet"):
        ln.Run(transform=transform, parent=ln.Run(transform=transform)).save()
    run = ln.Run(transform=transform).save()
    with pytest.raises(ConflictError, match=f"a Run with the id '{run.id}' already"):
        ln.Run(transform=transform, id=run.id).save()
    with pytest.raises(NoResultFound) as error:
        ln.File.select(name="output", suffix=".bam").one()
    assert str(error.value).endswith("with name='output' or name='output.bam', suffix='.bam' was found")


def test_outputs_list_a_field(instance: Path) -> None:
    with ln.track(ln.Transform(name="t")) as run:
        ln.File(b"x", key="x.txt").save()
    assert run.outputs.list("key") == ["x.txt"]
    unsaved = ln.Run(transform=run.transform, inputs=run.outputs.list())
    assert unsaved.inputs.list("key") == ["x.txt"]


def test_a_name_takes_the_suffix_of_other_data(instance: Path) -> None:
    file = ln.File(b"a,b\n", name="x.csv").save()
    Path("y.parquet").write_bytes(b"PAR1")
    file.replace("y.parquet").save()
    assert (file.name, file.stage().name, file.version) == ("x.parquet", "x.parquet", 2)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".tsv", ".txt", ".npy", ".xlsx", ".h5", ".yaml"])
def test_a_folder_with_the_suffix_of_a_file_is_loaded_as_its_path(instance: Path, suffix: str) -> None:
    folder = Path(f"x{suffix}")
    folder.mkdir()
    (folder / "part-0").write_text("1")
    loaded: Any = ln.File(folder, key=f"x{suffix}").save().load()
    assert isinstance(loaded, Path) and (loaded / "part-0").read_text() == "1"
