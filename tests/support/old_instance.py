"""Write a small instance into `tests/data/old/<version>/`, for later versions of the library to open.

Run it once before a release, from the repository's root, and never again for that version, as what is kept must be
what that version really wrote:

    .venv/bin/python -m tests.support.old_instance

It writes `instance.tar.gz`, the project folder, and `expected.json`, what has to be found in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "old"
ARCHIVE, EXPECTED = "instance.tar.gz", "expected.json"


def make(project: Path) -> None:
    """Make an instance with files, versions, trash, a folder, runs of every kind, inputs and a second storage."""
    import lamindb as ln

    ln.setup.login("ada", name="Ada Lovelace", email="ada@example.org")
    ln.setup.init(storage="./mydata")
    pipeline = ln.Transform(name="Align", version="1.2", type="pipeline", description="of reads").save()
    with ln.track(pipeline, params={"alpha": 0.5, "names": ["x", "ü"]}):
        raw = ln.File(b"reads", key="raw/reads.fastq.gz").save()
        ln.File(b"first", key="results/table.csv", description="the first").save()
        ln.File(b"second", key="results/table.csv").save()
        ln.File(b"no key", name="loose.txt").save()
    notebook = ln.Transform(name="Plots", type="notebook").save()
    with ln.track(notebook):
        table = ln.File.select(key="results/table.csv").one()
        table.stage(is_run_input=True)
        raw.stage(is_run_input=True)
        (project / "plots").mkdir()
        for name in ("one.txt", "deeper/two.txt"):
            (project / "plots" / name).parent.mkdir(exist_ok=True)
            (project / "plots" / name).write_text(name)
        ln.File("plots", key="plots").save()
        ln.File(b"oops", key="oops.txt").save().delete()
        ln.File(b"reads", key="raw/reads.fastq.gz").save()
    failing = ln.track(ln.Transform(name="Fails", type="script"))
    failing.__exit__(ValueError, ValueError("as it should"), None)
    ln.Run(transform=pipeline, name="by hand", external_id="job-7", inputs=[table]).save()
    (project / "shared").mkdir()
    (project / "shared" / "elsewhere.txt").write_text("stays where it is")
    ln.Storage(root=project / "shared").save()
    ln.File(project / "shared" / "elsewhere.txt").save()


def picture(root: Path) -> dict[str, Any]:
    """Describe everything in the connected instance, with nothing that depends on where it lies."""
    import lamindb as ln

    files = {}
    for file in ln.File.objects.order_by("created_at", "id"):
        files[file.id] = {
            "key": file.key, "name": file.name, "suffix": file.suffix, "description": file.description,
            "size": file.size, "hash": file.hash, "digest": file.digest, "is_folder": file.is_folder,
            "n_files": file.n_files, "version": file.version, "is_latest": file.is_latest,
            "is_trashed": file.is_trashed, "run": file.run_id, "transform": file.transform_id,
            "created_at": file.created_at.isoformat(), "created_by": file.created_by_id,
            "own_storage": file.storage.is_own, "versions": file.versions.list("id"),
            "read_by": file.input_of.list("id"), "producers": file.producers.list("id"),
            "ancestors": sorted(found.id for found in file.ancestors()),
            "content": content(file) if file.storage.is_own else None,
        }  # fmt: skip
    runs = {
        run.id: {
            "transform": run.transform_id, "status": run.status, "name": run.name, "external_id": run.external_id,
            "params": run.params, "error": run.error, "started_at": run.started_at and run.started_at.isoformat(),
            "inputs": [file.id for file in run.inputs], "outputs": [file.id for file in run.outputs],
        }
        for run in ln.Run.objects.order_by("id")
    }  # fmt: skip
    transforms = {
        one.id: [one.name, one.version, one.type, one.reference, one.description] for one in ln.Transform.objects.all()
    }
    users = {user.id: [user.handle, user.name, user.email] for user in ln.User.objects.all()}
    view = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if ".lamindb" not in path.parts)
    return {"files": files, "runs": runs, "transforms": transforms, "users": users, "view": view}


def content(file: Any) -> Any:
    """Read a stored file or folder back, as text."""
    path = file.stage(is_run_input=False)
    if not file.is_folder:
        return path.read_text()
    return {
        found.relative_to(path).as_posix(): found.read_text() for found in sorted(path.rglob("*")) if found.is_file()
    }


def pack(project: Path, target: Path) -> None:
    """Write a folder into an archive that looks the same whoever makes it."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(target, "w:gz") as archive:
        archive.add(project, arcname=".", filter=plain)


def main() -> None:
    """Write the archive and what has to be found in it."""
    import lamindb as ln

    folder = FOLDER / ln.__version__
    if folder.exists():
        sys.exit(f"{folder} exists: what a version wrote is kept as it is")
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary, "project")
        project.mkdir()
        # In a process of its own outside the repository, so that nothing of the repository's state gets in.
        script = Path(shutil.copy(__file__, temporary))
        environment = {"HOME": temporary, "PATH": os.defpath, "LAMIN_SETTINGS_DIR": f"{temporary}/settings"}
        command = [sys.executable, script, "here"]
        done = subprocess.run(command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        folder.mkdir(parents=True)
        expected = json.dumps(json.loads(done.stdout), indent=1, ensure_ascii=False, sort_keys=True)
        (folder / EXPECTED).write_text(expected + "\n")
        pack(project, folder / ARCHIVE)


def here() -> None:
    """Make the instance in the working folder, and print what has to be found in it."""
    import lamindb as ln

    make(Path.cwd())
    print(json.dumps(picture(Path("mydata").resolve())))
    ln.disconnect()


if __name__ == "__main__":
    here() if sys.argv[1:] == ["here"] else main()
