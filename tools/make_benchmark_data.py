"""Render the embedded benchmark: a dozen held-out objects, rings of 16 views at elevation 30 degrees.

    python tools/make_benchmark_data.py LIBRARY... --out data/benchmark

LIBRARY are the archives (.sh3f) or unpacked folders of Debian's furniture, see tools/make_mesh_dataset.py.
Each object becomes a folder in the layout ``viewfusion``, view 0 the input; ``ATTRIBUTION.csv`` says whose it
is. What is there already is not made again. The same libraries give the same files, byte for byte where
torch, Embree and zlib are of the same builds.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from make_mesh_dataset import random_light, upright_mesh
from mesh_catalogue import Entry, first_names, library_entries, split_of
from objects import SPLITS, random_object, render
from PIL import Image

from viewfusion.datasets import Cameras, Renderer, ring_poses, write_layout
from viewfusion.geometry import DEFAULT_RADIUS, Pose
from viewfusion.outputs.files import atomic_path, write_bytes

VIEWS, ELEVATION_DEG, SIZE = 16, 30.0, 128
PROCEDURAL, MESH = "procedural", "mesh"
OURS = ("the viewfusion developers", "Apache-2.0", "tools/objects")
DEBIAN = "Sweet Home 3D furniture (Debian sweethome3d-furniture 1.8-1)"
CHANGES = "rendered as 16 pictures"

LICENCES = {
    "Public domain": "CC0 1.0",  # the catalogue's word; LICENSE.TXT of that library says which
    "Creative Commons Attribution 3.0 license": "CC BY 3.0",
    "Creative Commons Attribution 3.0 Unported license": "CC BY 3.0",
}
"""Those that let anybody pass the pictures on, as catalogues write them."""


@dataclass(frozen=True)
class Subject:
    """An object of the benchmark.

    Args:
        name: its folder.
        origin: of a procedural object its seed, of a mesh its name in the libraries.
        turn_deg: the azimuth it is seen from in view 0, so that a person knows it.
    """

    name: str
    origin: int | str
    turn_deg: float

    @property
    def kind(self) -> str:
        return PROCEDURAL if isinstance(self.origin, int) else MESH


def _made(name: str, number: int, turn_deg: float) -> Subject:
    return Subject(name, SPLITS["held-out"] + number, turn_deg)


SUBJECTS = (
    _made("bird", 26, 240),
    _made("car", 29, 0),
    _made("helicopter", 52, 90),
    _made("house", 19, 150),
    _made("mug", 15, 40),
    _made("truck", 1, 0),
    Subject("armchair", "Scopia/scopia/armchair2/armchair2", 300),
    Subject("bed", "BlendSwap-CC-0/blendswap-cc-0/bed3/bed3", 240),
    Subject("chair", "Scopia/scopia/plastic_chair/plastic_chair", 235),
    Subject("football_table", "BlendSwap-CC-0/blendswap-cc-0/table_football/table_football", 25),
    Subject("helmet", "Scopia/scopia/casque/casque", 310),
    Subject("rowboat", "BlendSwap-CC-BY/blendswap-cc-by/rowboat/rowboat", 60),
)

POSES = ring_poses(VIEWS, math.radians(ELEVATION_DEG), DEFAULT_RADIUS)


def pictures(subject: Subject, entry: Entry | None, poses: Sequence[Pose], size: int) -> Iterator[np.ndarray]:
    """(size, size, 4) uint8 RGBA from each pose; azimuth 0 is where ``subject.turn_deg`` says.

    Args:
        entry: of the mesh; None for a procedural object.

    Raises:
        ViewFusionError: the mesh cannot be read.
    """
    turn = math.radians(subject.turn_deg)
    turned = [replace(pose, azimuth=pose.azimuth + turn) for pose in poses]
    if entry is None:
        made = random_object(int(subject.origin))
        yield from (render(made, pose, size, supersample=4).numpy() for pose in turned)
        return
    digest = hashlib.sha256(entry.name.encode()).digest()
    light = random_light(np.random.default_rng(int.from_bytes(digest[:8], "big")))
    renderer = Renderer(upright_mesh(entry))
    yield from (renderer.render(pose, size, light) for pose in turned)


def held_out_entries(libraries: Sequence[Path], into: Path) -> dict[str, Entry]:
    """Name -> mesh, of the held-out meshes of all ``libraries``; of two of one shape both."""
    found = library_entries(libraries, into)
    names = first_names(found)
    return {entry.name: entry for entry in found if split_of(entry, names) == "held-out"}


def credit(subject: Subject, entry: Entry | None) -> dict[str, str]:
    """The row of ``ATTRIBUTION.csv``; a mesh that must not be passed on ends the program."""
    row = {"object": subject.name, "kind": subject.kind, "origin": str(subject.origin)}
    if entry is None:
        author, licence, source = OURS
        return {**row, "author": author, "licence": licence, "source": source, "changes": CHANGES}
    licence, _, owner = entry.licence.partition("©")
    words, author = " ".join(licence.split()), owner.strip() or entry.author
    if words not in LICENCES:
        raise SystemExit(f"{entry.name}: {words or 'no licence'!r} does not let anybody pass it on")
    return {**row, "author": author, "licence": LICENCES[words], "source": DEBIAN, "changes": CHANGES}


def write_subject(out: Path, subject: Subject, entry: Entry | None) -> None:
    """The folder of one object."""
    folder = out / subject.name
    if not folder.exists():
        record = {"schema": 1, "object": credit(subject, entry)}
        shown = pictures(subject, entry, POSES, SIZE)
        write_layout(folder, "viewfusion", shown, Cameras(POSES, SIZE), record)
    for picture in sorted(folder.glob("*.png")):
        _shrink(picture)


def _shrink(path: Path) -> None:
    """The same pixels in fewer bytes."""
    with Image.open(path) as image, atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=True)


def write_attribution(out: Path, rows: Sequence[dict[str, str]]) -> None:
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(out / "ATTRIBUTION.csv", table.getvalue().encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("libraries", type=Path, nargs="+", metavar="LIBRARY")
    parser.add_argument("--out", type=Path, default=Path("data/benchmark"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as unpacked:
        meshes = held_out_entries(args.libraries, Path(unpacked))
        lost = [each.origin for each in SUBJECTS if each.kind == MESH and each.origin not in meshes]
        if lost:
            raise SystemExit(f"{lost[0]}: no held-out mesh of that name in the libraries; give all of them")
        entries = {each: meshes.get(str(each.origin)) for each in SUBJECTS}
        for subject, entry in entries.items():
            write_subject(args.out, subject, entry)
            print(subject.name, flush=True)
        write_attribution(args.out, [credit(subject, entry) for subject, entry in entries.items()])


if __name__ == "__main__":
    main()
