"""The embedded benchmark: held out, free to pass on, whole, and what its tool makes."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import make_benchmark_data
import numpy as np
import pytest
from make_benchmark_data import MESH, POSES, PROCEDURAL, SIZE, SUBJECTS, Subject
from mesh_catalogue import CATALOGUE, Entry, split_of
from objects import SPLITS
from PIL import Image
from test_meshes import CORNERS, write_cube

from viewfusion.geometry import Pose
from viewfusion.resources import resource_folder

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "data/benchmark"
NAMES = sorted(subject.name for subject in SUBJECTS)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "RGBA"
        return np.asarray(image)


def test_it_is_found_and_small():
    assert resource_folder("benchmark") == FOLDER
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert {path.name for path in FOLDER.iterdir()} == {*NAMES, "README.md", "ATTRIBUTION.csv"}


@pytest.mark.parametrize("name", NAMES)
def test_each_object_is_a_ring_of_whole_pictures(name):
    folder = FOLDER / name
    shown = [f"{place:03d}.png" for place in range(16)]
    assert sorted(path.name for path in folder.iterdir()) == [*shown, "angles.json", "render.json"]
    angles = json.loads((folder / "angles.json").read_text())
    assert [each["polar"] for each in angles] == pytest.approx([math.radians(60)] * 16)
    assert [each["radius"] for each in angles] == [1.5] * 16
    turns = [math.remainder(each["azimuth"], 2 * math.pi) for each in angles]
    wanted = [math.remainder(place * math.pi / 8, 2 * math.pi) for place in range(16)]
    assert np.exp(1j * np.array(turns)) == pytest.approx(np.exp(1j * np.array(wanted)))
    views = [pixels(folder / file) for file in shown]
    for view in views:
        assert view.shape == (128, 128, 4)
        alpha = view[..., 3]
        assert not alpha[[0, -1]].any(), "cut off by the frame"
        assert not alpha[:, [0, -1]].any(), "cut off by the frame"
        assert 0.03 < (alpha == 255).mean() < 0.6
    steps = [np.abs(views[0].astype(int) - view).mean() for view in views[1:]]
    assert min(steps) > 1, "it looks different from every side"


def test_procedural_objects_have_seeds_that_no_training_draws():
    seeds = [subject.origin for subject in SUBJECTS if subject.kind == PROCEDURAL]
    assert len(set(seeds)) == 6
    assert all(SPLITS["held-out"] <= seed < SPLITS["held-out"] + 500_000_000 for seed in seeds)


def test_meshes_are_of_those_the_shipped_weights_never_saw():
    origins = [str(subject.origin) for subject in SUBJECTS if subject.kind == MESH]
    assert len(set(origins)) == 6
    of = {row["name"]: row for row in table(ROOT / "zero123_ckpts/zero123-nano/ATTRIBUTION.csv")}
    for name in origins:
        assert of[name]["split"] == "held-out"
        # The hash of its own name says so too: it is the first of its shape.
        assert split_of(Entry(name, Path(name), "its shape"), {"its shape": name}) == "held-out"


def test_whose_each_object_is_stands_in_the_readme_the_table_and_its_folder():
    rows = {row["object"]: row for row in table(FOLDER / "ATTRIBUTION.csv")}
    assert sorted(rows) == NAMES
    assert {name: rows[name]["origin"] for name in NAMES} == {s.name: str(s.origin) for s in SUBJECTS}
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    told = {line.split(" | ")[0].strip("| `"): line for line in re.findall(r"^\| `.*$", text, re.MULTILINE)}
    assert sorted(told) == NAMES
    for name, row in rows.items():
        assert json.loads((FOLDER / name / "render.json").read_text())["object"] == row
        cells = told[name].split(" | ")
        assert row["author"] == cells[2]
        free = ("CC0 1.0", "CC BY 3.0") if row["kind"] == MESH else ("Apache-2.0",)
        assert row["licence"] in free
        assert row["licence"] in cells[3]
        origin = str(row["origin"]).rpartition("/")[2]
        assert origin in cells[4]


def test_the_tool_makes_what_is_shipped():
    """View 3 of the mug has its handle aside, so that its mirror image would be told from it."""
    (mug,) = (subject for subject in SUBJECTS if subject.name == "mug")
    (made,) = make_benchmark_data.pictures(mug, None, POSES[3:4], SIZE)
    shipped = pixels(FOLDER / "mug/003.png")
    apart = np.abs(made.astype(int) - shipped).max(axis=-1)
    assert (apart > 2).mean() < 0.002, "but for roundings of another machine"
    assert (np.abs(made[:, ::-1].astype(int) - shipped).max(axis=-1) > 2).mean() > 0.05


def write_library(folder: Path, licence: str) -> dict[str, str]:
    """A library of cubes of different lengths, with a catalogue; split -> the name of one of that split."""
    lines, names = [f"license={licence}", "creator=Ann"], {}
    for number in range(40):
        path = f"lib/cube{number}/cube{number}"
        name = f"{folder.name}/{path}"
        names[split_of(Entry(name, folder, "g"), {"g": name})] = name
        write_cube(folder / f"lib/cube{number}", f"cube{number}", CORNERS * (1, 1, 1 + number / 40))
        lines += [f"name#{number}=Cube", f"model#{number}=/{path}.obj"]
    (folder / CATALOGUE).write_text("\n".join(lines))
    return names


def test_a_mesh_is_rendered_the_same_again_and_credited(tmp_path):
    names = write_library(tmp_path / "free", "Public domain")
    entries = make_benchmark_data.held_out_entries([tmp_path / "free"], tmp_path)
    assert names["held-out"] in entries
    assert names["train"] not in entries
    cube = Subject("cube", names["held-out"], 30)
    made = []
    for out in (tmp_path / "a", tmp_path / "b"):
        make_benchmark_data.write_subject(out, cube, entries[names["held-out"]])
        made.append({path.name: path.read_bytes() for path in (out / "cube").iterdir()})
    assert len(made[0]) == 18
    assert made[0] == made[1]
    credit = json.loads(made[0]["render.json"])["object"]
    assert (credit["author"], credit["licence"]) == ("Ann", "CC0 1.0")
    # It is turned by 30 degrees: at azimuth -30 the camera is where the mesh's own 0 is, and sees its +x.
    poses = [Pose.from_degrees(-30, 0, 1.5)]
    (ahead,) = make_benchmark_data.pictures(cube, entries[names["held-out"]], poses, 32)
    red, *others = ahead[16, 16]
    assert red > 100
    assert others == [0, 0, 255]


def test_a_mesh_that_must_not_be_passed_on_is_refused(tmp_path):
    names = write_library(tmp_path / "unfree", "Free for personal use")
    entries = make_benchmark_data.held_out_entries([tmp_path / "unfree"], tmp_path)
    with pytest.raises(SystemExit, match="'Free for personal use' does not let anybody pass it on"):
        make_benchmark_data.credit(Subject("cube", names["held-out"], 0), entries[names["held-out"]])
