"""Shards from libraries of meshes: right pictures, split by object, nothing lost without a word."""

from __future__ import annotations

import csv
import json
import sys
import zipfile
from pathlib import Path

import make_mesh_dataset
import mesh_catalogue
import numpy as np
import pytest
from mesh_catalogue import Entry, entries, first_names, split_of, unpacked, vertex_hash
from test_meshes import CORNERS, write_cube

CATALOGUE = """# words
license=CC0
provider=www.example.org
name#1=Caf\\u00e9 cube
model#1=/lib/cube/cube.obj
creator#1=Ann
name#2=Slab
model#2=/lib/slab/slab.obj
modelRotation#2=1 0 0 0 0 1 0 -1 0
creator#2=Bob
license#2=CC-BY
name#3=Broken
model#3=/lib/broken.obj
name#4=Thief
model#4=/../../etc/passwd.obj
"""


@pytest.fixture
def library(tmp_path) -> Path:
    """An archive as Sweet Home 3D has them, with entries that want to leave the folder."""
    made = tmp_path / "made"
    write_cube(made / "cube")
    write_cube(made / "slab", "slab", CORNERS * (1, 1, 4))
    path = tmp_path / "library.sh3f"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", CATALOGUE)
        for file in made.rglob("*.*"):
            archive.write(file, f"lib/{file.relative_to(made)}")
        archive.writestr("lib/broken.obj", "f 1 2 3\n")
        archive.writestr("lib/program.jar", "not wanted")
        archive.writestr("../escaped.obj", "not wanted")
        archive.writestr("/absolute.obj", "not wanted")
    return path


def test_an_archive_is_unpacked_once_and_stays_inside(tmp_path, library):
    into = tmp_path / "a/b"
    folder = unpacked(library, into)
    files = {
        file.relative_to(tmp_path / "a").as_posix()
        for file in (tmp_path / "a").rglob("*.*")
        if file.is_file()
    }
    names = {"PluginFurnitureCatalog.properties", "lib/broken.obj"}
    names |= {f"lib/{name}/{name}.{kind}" for name in ("cube", "slab") for kind in ("obj", "mtl")}
    assert files == {f"b/library/{name}" for name in names}
    (folder / "lib/broken.obj").write_text("mended")
    assert unpacked(library, into) == folder
    assert (folder / "lib/broken.obj").read_text() == "mended"


def test_the_catalogue_says_whose_a_mesh_is(tmp_path, library):
    cube, slab, broken = entries(unpacked(library, tmp_path))
    assert (cube.name, cube.title, cube.author, cube.licence) == (
        "library/lib/cube/cube",
        "Café cube",
        "Ann",
        "CC0",
    )
    assert (slab.licence, slab.source) == ("CC-BY", "www.example.org")
    assert slab.rotation == (1, 0, 0, 0, 0, 1, 0, -1, 0)
    assert broken.author == ""


def test_one_shape_in_other_clothes_stays_in_one_split(tmp_path):
    paths = [write_cube(tmp_path / name, name) for name in "abc"]
    text = paths[1].read_text()
    paths[1].write_text(text.replace("usemtl +x", "usemtl -x"))
    paths[2].write_text(text.replace("v 0.5", "v 0.6"))
    found = entries(tmp_path)
    assert [entry.name.rpartition("/")[2] for entry in found] == ["a.obj", "b.obj", "c.obj"]
    assert found[0].group == found[1].group != found[2].group
    names = first_names(found)
    assert names[found[1].group] == found[0].name
    assert split_of(found[0], names) == split_of(found[1], names)
    many = [Entry(f"lib/{i}", Path(), str(i)) for i in range(3000)]
    names = first_names(many)
    splits = [split_of(entry, names) for entry in many]
    shares = {split: splits.count(split) / 3000 for split in mesh_catalogue.SPLITS}
    assert shares == {"train": pytest.approx(0.8, abs=0.03), "validation": pytest.approx(0.1, abs=0.02),
                      "held-out": pytest.approx(0.1, abs=0.02)}  # fmt: skip


def test_shards_are_made_skipping_what_is_broken(tmp_path, library, monkeypatch, capsys):
    out = tmp_path / "out"
    arguments = [str(library), "--out", str(out), "--views", "2", "--size", "32", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", ["make_mesh_dataset.py", *arguments, "--repeats", "2"])
    make_mesh_dataset.main()
    said = capsys.readouterr().out
    assert "skipped library/lib/broken: " in said
    assert said.splitlines()[-1].startswith("3 meshes (")
    assert said.splitlines()[-1].endswith("1 skipped")
    shards = sorted(out.glob("*/objects-?????.npz"))
    images = np.concatenate([np.load(path)["images"] for path in shards])
    poses = np.concatenate([np.load(path)["poses"] for path in shards])
    names = np.concatenate([np.load(path)["names"] for path in shards])
    assert (images.shape, images.dtype) == ((4, 2, 32, 32, 3), np.uint8)
    assert (poses.shape, poses.dtype) == ((4, 2, 3), np.float32)
    assert sorted(names) == ["library/lib/cube/cube"] * 2 + ["library/lib/slab/slab"] * 2
    assert (images[:, :, 0, 0] == 255).all()
    assert (images.min(axis=(2, 3, 4)) < 200).all()
    assert not np.array_equal(images[0], images[1])  # a repeat has other cameras
    split = json.loads((out / "split.json").read_text())
    assert sorted(name for each in mesh_catalogue.SPLITS for name in split[each]) == [
        "library/lib/broken", "library/lib/cube/cube", "library/lib/slab/slab",
    ]  # fmt: skip
    assert set(split["failed"]) == {"library/lib/broken"}
    with (out / "ATTRIBUTION.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows["library/lib/slab/slab"]["author"] == "Bob"
    before = [path.stat().st_mtime_ns for path in shards]
    make_mesh_dataset.main()
    assert [path.stat().st_mtime_ns for path in shards] == before
    assert "failed when the shard was made" in capsys.readouterr().out or not split["failed"]


def test_a_slab_is_set_upright_by_its_catalogue(tmp_path, library):
    """4 deep along z in the file; the catalogue turns z into height, so it stands."""
    _, slab, _ = entries(unpacked(library, tmp_path))
    images, poses = make_mesh_dataset.render_entry(slab, 0, 3, 48)
    again, _ = make_mesh_dataset.render_entry(slab, 0, 3, 48)
    assert np.array_equal(images, again)
    for image, elevation in zip(images, poses[:, 1], strict=True):
        if abs(elevation) < 0.8:
            rows, columns = np.nonzero((image < 250).any(axis=-1))
            assert np.ptp(rows) > 1.5 * np.ptp(columns)


def test_the_hash_of_what_is_not_there(tmp_path):
    assert vertex_hash(tmp_path / "a.obj") != vertex_hash(tmp_path / "b.obj")
