"""Google's Scanned Objects: archives or folders of them go in, meshes and the list of input views come out.

An object is a model of Gazebo: ``meshes/model.obj`` with ``model.mtl``, and the texture that it names in
``materials/textures``. Gazebo's z is up and its models are not turned when they are shown, so z is up in the
meshes too (Downs et al., "Google Scanned Objects", ICRA 2022; https://gazebosim.org/api/sim/10/frame_reference.html).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.files import explained, scratch_folder, write_json_once
from viewfusion.outputs.ownership import read_json

from .archives import archived_files, unpack
from .layouts import RECORD
from .meshes import Mesh, read_mesh

ADDRESS = "https://fuel.gazebosim.org/1.0/GoogleResearch/models"
"""Where the archives are published; the one of an object is below it, ``NAME.zip``."""

UP = "z"
MODEL = PurePosixPath("meshes/model.obj")

INPUTS = "inputs.json"

LONGEST_NAME = 200
"""Bytes of an object's name; folders that are being made have longer ones."""

_WANTED = (".obj", ".mtl", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Args:
        objects: name -> its archive or folder, sorted by name; the archive where there are both.
        others: folders that are no objects.
    """

    objects: dict[str, Path]
    others: tuple[str, ...]


def find_objects(source: Path) -> Found:
    """The objects in a folder, or the one that an archive or a folder is.

    Raises:
        ViewFusionError: there is none, or one has a name no folder can have.
    """
    try:
        if not source.exists():
            raise ViewFusionError(
                f"{source}: no such file or folder; check the path, or name objects with --fetch"
            )
        inside = [source] if _is_object(source) or not source.is_dir() else sorted(source.iterdir())
        objects: dict[str, Path] = {}
        others = []
        for path in inside:
            if path.absolute().name.startswith("."):
                continue
            if _is_archive(path):
                objects[checked_name(path.stem)] = path
            elif _is_object(path):
                objects.setdefault(checked_name(path.resolve().name if path == source else path.name), path)
            elif path.is_dir():
                others.append(path.name)
    except OSError as error:
        raise ViewFusionError(f"{source}: cannot be read ({error.strerror}); check the path") from None
    if not objects:
        raise ViewFusionError(
            f"{source}: no scanned object here; give a folder with archives NAME.zip or with folders "
            f"NAME/{MODEL}, or name some with --fetch"
        )
    return Found(dict(sorted(objects.items())), tuple(name for name in others if name not in objects))


def checked_name(name: str) -> str:
    """``name``, if it can be an object's and a folder's.

    Raises:
        ViewFusionError: it cannot.
    """
    separators = set("/\\\0")
    if not name or name.startswith(".") or separators & set(name) or len(os.fsencode(name)) > LONGEST_NAME:
        raise ViewFusionError(f"{name[:100]!r}: no object can have this name; it becomes a folder's")
    return name


def archive_address(name: str, address: str = ADDRESS) -> str:
    """Where the archive of an object is."""
    return f"{address.rstrip('/')}/{quote(name)}.zip"


def check_archive(path: Path) -> None:
    """Refuse an archive that is damaged, hostile or holds no object, as far as its list of files says."""
    _model_in(path)


def read_object(path: Path, scratch: Path) -> Mesh:
    """The mesh of an object, z up.

    Args:
        path: its archive or folder.
        scratch: beside it an archive is unpacked, in a hidden folder that is removed again.

    Raises:
        ViewFusionError: it cannot be read, or must not be.
    """
    with _model(path, scratch) as model:
        return read_mesh(model, UP)


def told_by(path: Path) -> Path:
    """The file that tells an object from another: its archive, or the mesh in its folder."""
    return path if _is_archive(path) else path / MODEL


def input_index(name: str, views: int) -> int:
    """Which of its views is an object's input: by its name alone, so that everybody has the same."""
    digest = hashlib.sha256(f"input {name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % views


def write_inputs(out: Path) -> None:
    """``inputs.json`` in ``out``: name -> place of the input view, of every finished object there.

    Raises:
        ViewFusionError: it cannot be written.
    """
    inputs = {}
    with explained(out, "cannot be read"):
        for folder in out.iterdir():
            views = read_json(folder / RECORD).get("views") if folder.is_dir() else None
            if isinstance(views, list) and views and not folder.name.startswith("."):
                inputs[folder.name] = input_index(folder.name, len(views))
    write_json_once(out / INPUTS, inputs)


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and path.is_file()


def _is_object(path: Path) -> bool:
    return _is_archive(path) or (path / MODEL).is_file()


@contextmanager
def _model(path: Path, scratch: Path) -> Iterator[Path]:
    """The mesh file of an object; errors about what was unpacked name the archive in its place."""
    if not _is_archive(path):
        yield path / MODEL
        return
    model = _model_in(path)
    top = model.parent.parent
    with scratch_folder(scratch) as folder:
        try:
            unpack(path, folder, lambda name: name.is_relative_to(top) and name.suffix.lower() in _WANTED)
            yield folder / model
        except ViewFusionError as error:
            raise ViewFusionError(str(error).replace(str(folder), str(path))) from error


def _model_in(archive: Path) -> PurePosixPath:
    """The one mesh of an archive, which may have everything in one folder more."""
    models = [name for name in archived_files(archive) if name.parts[-2:] == MODEL.parts]
    if len(models) != 1 or len(models[0].parts) > 3:
        count = "several" if len(models) > 1 else "no"
        raise ViewFusionError(
            f"{archive}: holds {count} {MODEL}, where a scanned object has one; download it again"
        )
    return models[0]
