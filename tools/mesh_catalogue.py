"""Libraries of meshes: folders and archives go in; each mesh, its origin and its split come out.

Archives are those of Sweet Home 3D (``.sh3f``, a zip with a catalogue in a properties file that names each
model's title, author and licence) or any zip. Only meshes, textures and words about them are unpacked.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from objects import SPLITS

from viewfusion.datasets.mesh_files import UP_AXES

ARCHIVES = (".sh3f", ".zip", ".jar")
CATALOGUE = "PluginFurnitureCatalog.properties"

_UNPACKED = frozenset((*UP_AXES, ".mtl", ".bin", ".png", ".jpg", ".jpeg", ".properties", ".txt", ".html"))
_MOST_BYTES = 2**32
_PROPERTY = re.compile(r"^([A-Za-z]+)(?:#(\d+))?\s*[=:]\s*(.*)$")


@dataclass(frozen=True)
class Entry:
    """A mesh of a library.

    Args:
        name: library and path inside it, unique.
        path: of the file.
        group: the same for meshes with the same vertices: one object in other clothes.
        rotation: 9 numbers, rows first, that set the model upright; none where empty.
    """

    name: str
    path: Path = field(compare=False)
    group: str
    title: str = ""
    author: str = ""
    licence: str = ""
    source: str = ""
    rotation: tuple[float, ...] = ()


def library_entries(libraries: Sequence[Path], into: Path) -> list[Entry]:
    """The meshes of all ``libraries``, folders or archives, which are unpacked to folders in ``into``."""
    for library in libraries:
        if not library.exists():
            raise SystemExit(f"{library}: no such folder or archive of meshes")
    folders = [unpacked(each, into) if each.suffix.lower() in ARCHIVES else each for each in libraries]
    return [entry for folder in folders for entry in entries(folder)]


def unpacked(archive: Path, into: Path) -> Path:
    """The folder in ``into`` with the content of ``archive``, made now or earlier."""
    folder = into / archive.stem
    if folder.exists():
        return folder
    partial, left = into / f".{archive.stem}.partial", _MOST_BYTES
    shutil.rmtree(partial, ignore_errors=True)
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            name = PurePosixPath(member.filename)
            if (
                member.is_dir()
                or name.is_absolute()
                or ".." in name.parts
                or name.suffix.lower() not in _UNPACKED
            ):
                continue
            target = partial / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as packed, target.open("wb") as file:
                while chunk := packed.read(2**20):
                    left -= len(chunk)
                    if left < 0:
                        raise SystemExit(f"{archive} unpacks to over {_MOST_BYTES >> 30} GB")
                    file.write(chunk)
    partial.mkdir(exist_ok=True)
    partial.rename(folder)
    return folder


def entries(folder: Path) -> list[Entry]:
    """The meshes in a folder, by its catalogue if it has one, else all files of a known kind."""
    catalogue = folder / CATALOGUE
    if catalogue.exists():
        return _catalogued(folder, catalogue.read_text("iso-8859-1"))
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in UP_AXES and file.is_file())
    return [
        Entry(f"{folder.name}/{file.relative_to(folder).as_posix()}", file, vertex_hash(file))
        for file in files
    ]


def split_of(entry: Entry, names_by_group: dict[str, str]) -> str:
    """About 80 % train, 10 % validation, 10 % held out, by the hash of the first name in the mesh's group."""
    digest = hashlib.sha256(names_by_group[entry.group].encode()).digest()
    return {0: "held-out", 1: "validation"}.get(int.from_bytes(digest[:4], "big") % 10, "train")


def first_names(found: list[Entry]) -> dict[str, str]:
    """Group -> the first of its names in the order of letters."""
    return {entry.group: entry.name for entry in sorted(found, key=lambda entry: entry.name, reverse=True)}


def vertex_hash(file: Path) -> str:
    """SHA-256 of the vertices of an OBJ; of the whole file of another kind, or of one that cannot be read."""
    digest = hashlib.sha256()
    if file.suffix.lower() != ".obj" or not file.is_file():
        digest.update(file.read_bytes() if file.is_file() else str(file).encode())
        return digest.hexdigest()
    with file.open("rb") as lines:
        for line in lines:
            if line.startswith(b"v "):
                digest.update(b" ".join(line.split()))
    return digest.hexdigest()


def write_papers(out: Path, found: list[Entry], splits: dict[str, str], failures: dict[str, str]) -> None:
    """``split.json``: names by split, and what failed; ``ATTRIBUTION.csv``: whose each mesh is."""
    by_split = {split: sorted(name for name, of in splits.items() if of == split) for split in SPLITS}
    content = {**by_split, "failed": failures}
    (out / "split.json").write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    with (out / "ATTRIBUTION.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(
            file, ["name", "title", "author", "licence", "source", "split"], extrasaction="ignore"
        )
        table.writeheader()
        table.writerows({**asdict(entry), "split": splits[entry.name]} for entry in found)


def _catalogued(folder: Path, text: str) -> list[Entry]:
    """Entries of a catalogue: ``key#number=value`` for a model, ``key=value`` for all of them."""
    models: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if not line.startswith(("#", "!")) and (match := _PROPERTY.match(line.strip())):
            key, number, value = match.groups()
            models.setdefault(number or "", {})[key] = _unescaped(value)
    common = models.pop("", {})
    found = []
    for values in models.values():
        inside = PurePosixPath(values.get("model", "").lstrip("/"))
        if not inside.name or ".." in inside.parts:
            continue
        path = folder / inside
        found.append(
            Entry(
                f"{folder.name}/{inside.with_suffix('').as_posix()}",
                path,
                vertex_hash(path),
                values.get("name", ""),
                values.get("creator", common.get("creator", "")),
                values.get("license", common.get("license", "")),
                common.get("provider", ""),
                tuple(float(number) for number in values.get("modelRotation", "").split()),
            )
        )
    return found


def _unescaped(value: str) -> str:
    """A value of a properties file, where other letters are written as their numbers."""
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), value).strip()
