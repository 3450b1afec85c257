"""One mesh's folder: checkpoints and products go in, a folder that is finished or can be continued comes out.

``reconstruction.json``, how the mesh was made, is written last and makes the folder whole. While unfinished,
``.resume/`` holds what the next call continues from. The rules are those of a run's folder: whose it is,
is told by a fingerprint, and one of another fingerprint or of somebody else is refused.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.files import explained, remove_partial, write_json
from viewfusion.outputs.locking import FolderLock
from viewfusion.outputs.ownership import can_be_opened, differences, read_json

RECORD = "reconstruction.json"
PREVIEW = "preview.png"
MESHES = ("mesh.glb", "mesh.obj", "mesh.mtl", "mesh.png", "mesh.ply")
PICTURES = ("turntable.mp4", "comparison.png", PREVIEW)
PRODUCTS = (*MESHES, *PICTURES)
"""Every file that a folder ends with, besides its record."""

SCHEMA = 1
"""Of the record; raised when a field changes its meaning."""

_ABSENT = object()

_TOLD = 3
"""So many differences are named."""


class MeshFolder:
    """The folder of one mesh, held exclusively; a context manager. Nothing is changed in it until
    :meth:`begin`.

    Args:
        path: made where it is missing, parents too.
        fingerprint: everything that decides the mesh, as JSON has it.
        force: remove the products of another fingerprint, on :meth:`begin`, instead of refusing.

    Raises:
        ViewFusionError: another call writes to it, it holds another mesh or other people's files, or it is no
            folder that can be written to.
    """

    def __init__(self, path: str | Path, fingerprint: dict[str, Any], force: bool = False) -> None:
        self.path = Path(path)
        self._fingerprint = {"schema": SCHEMA, **json.loads(json.dumps(fingerprint))}
        self._resume = self.path / ".resume"
        self._is_new, self._is_another = not self.path.exists(), False
        with explained(self.path, "cannot be made"):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise ViewFusionError(f"{self.path} is a file, not a folder; choose another --out") from None
        self._lock = FolderLock(self.path)
        try:
            with explained(self.path, "cannot be used"):
                self.complete = self._check(force)
                if self.complete:
                    self._tidy()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> MeshFolder:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    @property
    def checkpoint(self) -> Path:
        """Where training keeps its state; there only once something is trained."""
        return self._resume / "training"

    @property
    def history(self) -> Path:
        """Where the losses up to the checkpoint are."""
        return self._resume / "history.json"

    @property
    def is_begun(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return not self._is_another and self._is_known and self.checkpoint.exists()

    @property
    def _is_known(self) -> bool:
        """Whether what is in ``.resume`` is this mesh's."""
        return read_json(self._resume / "run.json") == self._fingerprint

    def record(self) -> dict[str, Any]:
        """How the mesh was made; {} while it is not finished."""
        return read_json(self.path / RECORD)

    def finish(self, record: dict[str, Any]) -> None:
        """Write the record, which makes the folder whole, and drop what only an unfinished one needs.

        Raises:
            ViewFusionError: it cannot be written.
        """
        files = [name for name in PRODUCTS if (self.path / name).is_file()]
        said = json.loads(json.dumps(record.get("settings", {})))
        # What the settings say already is not said twice.
        rest = {key: value for key, value in self._fingerprint.items() if said.get(key, _ABSENT) != value}
        write_json(self.path / RECORD, {**record, "fingerprint": rest, "files": files})
        self.complete = True
        self._tidy()

    def abandon(self) -> None:
        """Leave the folder as it was found, or none where there was none; for before :meth:`begin`."""
        self._lock.release()
        if self._is_new:
            with explained(self.path, "cannot be removed"):
                self.path.rmdir()

    def _check(self, force: bool) -> bool:
        """Whether the folder is this mesh's and whole; raises where it is anybody else's."""
        if self._resume.is_symlink():  # what is written to it would lie elsewhere
            raise ViewFusionError(f"{self._resume} is a link; choose another --out or remove it")
        record = self.record()
        if (self.path / RECORD).exists():
            settings, rest = record.get("settings", {}), record.get("fingerprint")
            if not (isinstance(settings, dict) and isinstance(rest, dict)):
                raise ViewFusionError(
                    f"{self.path / RECORD} is damaged or not viewfusion's; choose another --out or remove it"
                )
            return self._is_this({**settings, **rest}, force) and self._is_whole(record)
        started = read_json(self._resume / "run.json")
        if started:
            self._is_this(started, force)
        else:
            self._refuse_strangers()
        return False

    def _is_this(self, known: dict[str, Any], force: bool) -> bool:
        """Whether ``known`` is what this mesh goes by; raises if not, unless that may be removed."""
        different = differences(known, self._fingerprint)
        if different and not force:
            more = f" and {len(different) - _TOLD} more" if len(different) > _TOLD else ""
            raise ViewFusionError(
                f"{self.path} was made with {'; '.join(different[:_TOLD])}{more}; "
                "choose another --out, or --force to start anew there"
            )
        self._is_another = bool(different)
        return not different

    def _is_whole(self, record: dict[str, Any]) -> bool:
        files = record.get("files")
        return (
            isinstance(files, list)
            and all(isinstance(name, str) for name in files)
            and set(MESHES[:1]) <= {*files} <= {*PRODUCTS}
            and all(can_be_opened(self.path / name) for name in files)
        )

    def _discard(self) -> None:
        """Remove another mesh's files. What says whose they are goes last."""
        for name in PRODUCTS:
            (self.path / name).unlink(missing_ok=True)
        for name in (self.checkpoint.name, self.history.name):
            _remove(self._resume / name)
        (self._resume / "run.json").unlink(missing_ok=True)
        (self.path / RECORD).unlink(missing_ok=True)

    def _refuse_strangers(self) -> None:
        """Files of our names that no call of ours has made are somebody's."""
        for name in PRODUCTS:
            if (self.path / name).exists():
                raise ViewFusionError(
                    f"{self.path / name} is there already and no mesh's that can be continued; "
                    "choose another --out or remove it"
                )

    def begin(self) -> None:
        """Mark the folder as this mesh's, and remove what is another's.

        Raises:
            ViewFusionError: it cannot be written to.
        """
        with explained(self.path, "cannot be used"):
            if self._is_another:
                self._discard()
            for folder in (self.path, self._resume):
                remove_partial(folder)
            self._resume.mkdir(exist_ok=True)
            if not self._is_known:
                for name in (self.checkpoint.name, self.history.name):
                    _remove(self._resume / name)  # of unknown origin
                write_json(self._resume / "run.json", self._fingerprint)
            # A record whose files are not all there must not vouch for those made now.
            (self.path / RECORD).unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Remove what a whole folder does not need."""
        remove_partial(self.path)
        shutil.rmtree(self._resume, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
