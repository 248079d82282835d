"""Further storages: files that stay where they are, also where that is another place by now."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import InvalidInputError
from lamindb.maintenance import verify
from lamindb.models import File, Storage


def registered(name: str = "archive") -> ln.File:
    place = Path(name).resolve()
    place.mkdir()
    (place / "big.bin").write_bytes(b"0123")
    ln.Storage(root=str(place)).save()
    return ln.File(place / "big.bin").save()


def test_a_storage_whose_folder_was_moved_is_told_its_new_place(instance: Path) -> None:
    file = registered()
    Path("archive").rename("moved")
    assert not verify.verify().is_clean
    storage = file.storage
    storage.root = Path("moved")
    storage.save()
    assert storage.root == str(Path("moved").resolve())
    assert verify.verify().is_clean
    again = File.objects.get(id=file.id)
    assert again.stage().read_bytes() == again.path().read_bytes() == b"0123"
    Path("moved/more.bin").write_bytes(b"4")
    more = ln.File("moved/more.bin").save()
    assert (more.key, more.storage_id) == ("more.bin", storage.id)


@pytest.mark.parametrize("place", ["nowhere", "s3://bucket/archive"])
def test_a_place_that_cannot_be_right_changes_nothing(instance: Path, place: str) -> None:
    file = registered()
    storage = file.storage
    storage.root = place
    with pytest.raises(InvalidInputError):
        storage.save()
    assert Storage.objects.get(id=storage.id).root == str(Path("archive").resolve())
    assert verify.verify().is_clean


def test_the_own_storage_moves_with_its_instance(instance: Path) -> None:
    storage = Storage.objects.get(id=context.instance().storage_id)
    Path("other").mkdir()
    storage.root = "other"
    with pytest.raises(InvalidInputError, match="migrate-to"):
        storage.save()
    assert Storage.objects.get(id=storage.id).root == str(instance)
