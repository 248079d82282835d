"""The instance of a folder: the environment's, the registered one, else the nearest that is there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lamindb.core import ids
from lamindb.errors import NoInstanceError, NotUniqueError
from lamindb.instance import config, discovery, registry


def make(root: Path, name: str = "x", instance_id: str = "", database: str | None = None) -> Path:
    """Make an instance folder without a database; return it."""
    home = root / ".lamindb"
    home.mkdir(parents=True)
    config.write(home, config.Description(instance_id or ids.timed_id(20), name, "s", ".", database))
    return home


def register(project: Path, home: Path, name: str = "x", url: str | None = None) -> None:
    registry.remember(registry.Entry(str(home), config.read(home).id, name, str(home.parent), url, str(project)))


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path.resolve()


def test_it_is_found_in_and_below_its_project(base: Path) -> None:
    home = make(base / "p" / "mydata")
    (base / "p" / "deep" / "er").mkdir(parents=True)
    (base / "p" / "mydata" / "images").mkdir()
    for start in ("p", "p/deep/er", "p/mydata", "p/mydata/images", "p/mydata/.lamindb"):
        assert discovery.find(base / start) == discovery.Found(home, base / "p"), start
    with pytest.raises(NoInstanceError, match="lamin init"):
        discovery.find(base)


def test_the_nearest_folder_wins(base: Path) -> None:
    outer, inner = make(base / "outer"), make(base / "sub" / "inner")
    (base / "sub" / "x").mkdir()
    assert discovery.find(base / "sub" / "x").home == inner
    assert discovery.find(base).home == outer
    register(base, outer)
    assert discovery.find(base / "sub").home == inner
    register(base / "sub", outer)
    assert discovery.find(base / "sub" / "x") == discovery.Found(outer, base / "sub")


def test_several_need_a_word(base: Path) -> None:
    one = make(base / "one")
    make(base / "two")
    with pytest.raises(NotUniqueError, match=r"one.*two.*lamin connect"):
        discovery.find(base)
    with pytest.raises(NotUniqueError):
        discovery.locate(base)
    register(base, one)
    assert discovery.find(base).home == one
    assert discovery.locate(".").home == one
    (base / "deep").mkdir()
    assert discovery.find(base / "deep").home == one


def test_a_link_beside_the_folder_is_no_second_instance(base: Path) -> None:
    home = make(base / "data-2024")
    (base / "current").symlink_to("data-2024")
    assert discovery.find(base).home == home
    shutil.move(base / "data-2024", base / "elsewhere.d")
    assert discovery.locate(base).home == base / "elsewhere.d" / ".lamindb"


def test_a_copied_project_has_an_instance_of_its_own(base: Path) -> None:
    home = make(base / "p" / "mydata")
    register(base / "p", home)
    shutil.copytree(base / "p", base / "copy")
    assert discovery.find(base / "copy") == discovery.Found(base / "copy" / "mydata" / ".lamindb", base / "copy")
    assert discovery.find(base / "p").home == home


def test_a_moved_project_is_found_where_it_went(base: Path) -> None:
    register(base / "p", make(base / "p" / "mydata"))
    shutil.move(base / "p", base / "moved")
    assert discovery.find(base / "moved").home == base / "moved" / "mydata" / ".lamindb"
    (base / "p").mkdir()
    with pytest.raises(NoInstanceError):
        discovery.find(base / "p")


def test_a_registered_folder_that_is_gone_does_not_hide_what_is_there(base: Path) -> None:
    register(base, make(base / "old"))
    shutil.rmtree(base / "old")
    new = make(base / "new")
    assert discovery.find(base).home == new


def test_the_environment_comes_first(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, other = make(base / "here" / "x"), make(base / "there" / "other", "by name")
    monkeypatch.chdir(base / "here")
    register(base / "there", other, "by name")
    assert discovery.find().home == here
    for word in (str(base / "there"), str(base / "there" / "other"), "../there", "by name"):
        monkeypatch.setenv("LAMIN_INSTANCE", word)
        assert discovery.find().home == other, word
    monkeypatch.setenv("LAMIN_INSTANCE", "")
    assert discovery.find().home == here
    for wrong in ("absent", str(base / "absent"), "~nobody-of-this-name/x", "x" * 5_000):
        monkeypatch.setenv("LAMIN_INSTANCE", wrong)
        with pytest.raises(NoInstanceError, match="cannot find the instance"):
            discovery.find()
    with pytest.raises(NoInstanceError, match="cannot find the instance"):
        discovery.locate("a\0b")


def test_a_name_that_two_instances_have_needs_a_path(base: Path) -> None:
    one, two = make(base / "a" / "mydata"), make(base / "b" / "mydata")
    register(base / "a", one, "mydata")
    register(base / "b", two, "mydata")
    register(base / "c", two, "mydata")
    with pytest.raises(NotUniqueError, match="pass the path"):
        discovery.locate("mydata")
    shutil.rmtree(base / "a")
    assert discovery.locate("mydata").home == two


def test_an_address_with_a_password_goes_to_the_instance_it_was_registered_for(base: Path) -> None:
    url = "postgresql://ada:s3cret@h/n"
    home = make(base / "mydata", instance_id="first", database="postgresql://ada@h/n")
    register(base, home, "x", url)
    founds = [discovery.find(base), discovery.find(base / "mydata"), discovery.locate("x"), discovery.locate("mydata")]
    assert {found.database_url for found in founds} == {url}
    assert "s3cret" not in repr(founds)
    shutil.rmtree(base / "mydata")
    make(base / "mydata", instance_id="second", database="postgresql://ada@h/n")
    for again in (
        discovery.find(base),
        discovery.find(base / "mydata"),
        discovery.locate("x"),
        discovery.locate("mydata"),
    ):
        assert (again.home, again.database_url) == (home, None)


def test_a_working_folder_that_is_gone_says_so(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (base / "gone").mkdir()
    monkeypatch.chdir(base / "gone")
    os.rmdir(base / "gone")
    with pytest.raises(NoInstanceError, match="does not exist any more"):
        discovery.find()


def test_a_folder_that_cannot_be_listed_is_passed_over(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make(base / "p" / "x")
    real = os.scandir

    def refuse(path: Path) -> object:
        if Path(path) == base / "p" / "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    (base / "p" / "locked").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        assert discovery.find(base / "p" / "locked").home == home
