"""The tool behind docs/reconstruction.md: are objects true, meshes judged where they are, numbers told?"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from evidence.command import DOCS
from evidence.folder import same_study
from evidence.page import filled
from mesh_catalogue import Entry
from PIL import Image
from reconstruction import bench as benches
from reconstruction import spins
from reconstruction import subjects as objects
from reconstruction.bench import Bench, Known
from reconstruction.meshes import plain, shape_of, textured_of
from reconstruction.outsides import hidden, hidden_iou
from reconstruction.page import block, picture, write_page
from reconstruction.places import ELSEWHERE, RING, SIDES, UNSEEN
from reconstruction.results import Measured, Results
from reconstruction.runs import reconstruct
from reconstruction.scenes import SCENES, scene
from reconstruction.scores import form, in_units_of, mesh_scores, picture_scores
from reconstruction.solids import distances, surface
from reconstruction.spins import Spinner
from reconstruction.subjects import Furniture, Solids, closedness, is_solid, subjects
from reconstruction.systems import STUDIES, System, study
from reconstruction.trials import steps_within
from test_meshes import CORNERS, write_cube

from viewfusion import ViewFusionError
from viewfusion.datasets import Renderer, ring_poses
from viewfusion.datasets.reading import open_dataset
from viewfusion.evaluation.meshes import Triangles, Volume, score_meshes
from viewfusion.evaluation.protocols import load_protocol
from viewfusion.geometry import Pose

HANDLES = {"ball": 0, "torus": 1, "box": 0, "figure": 0, "chair": 2, "mug": 1}
"""The chair's: between its back's posts, below the rail and below the board."""

LEAVE_THE_TRUTH = """
import json, pathlib, sys
import numpy as np, trimesh
print(sys.argv)
views, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[3])
if "broken" in sys.argv:
    sys.exit("words\\nerror: nothing lies at the zero level")
out.mkdir(parents=True)
truth = trimesh.load(views.parent / "truth.ply")
truth.export(out / "mesh.ply")
grey = np.full((len(truth.vertices), 4), 255, np.uint8)
front = truth.vertices[:, [1, 2, 0]]
trimesh.Trimesh(front, truth.faces, vertex_colors=grey, process=False).export(out / "mesh.glb")
training = {"steps": 4, "seconds": 0.2, "losses": []}
record = {"psnr": {}, "seconds": {"texture": 1}, "training": training, "mesh": {}}
(out / "reconstruction.json").write_text(json.dumps(record))
"""
"""A command that leaves what ``reconstruct`` leaves; the mesh is the true one."""


def volume(mesh: Triangles) -> float:
    a, b, c = mesh.corners.swapaxes(0, 1)
    return float((a * np.cross(b, c)).sum() / 6)


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> tuple[str, ...]:
    path = tmp_path_factory.mktemp("command") / "leave_the_truth.py"
    path.write_text(LEAVE_THE_TRUTH)
    return sys.executable, str(path)


# Objects.


@pytest.mark.parametrize("name", SCENES)
def test_scenes_are_closed_and_face_outwards(name):
    """Scaled, and as many holes as a person counts."""
    made = surface(scene(name), 128)
    told = form(made)
    assert (told["watertight"], told["components"], told["genus"]) == (True, 1, HANDLES[name])
    assert volume(made) > 0.01
    assert np.abs(made.vertices).max() <= 0.5 + 1e-3
    assert np.abs(made.vertices.max(0) + made.vertices.min(0)).max() < 1e-2


def test_surfaces_lie_at_distance_zero_and_have_their_volume():
    obj = scene("ball")
    radius = float(obj.solids[0, 0])
    made = surface(obj, 128)
    assert np.abs(np.linalg.norm(made.vertices, axis=1) - radius).max() < 1e-3
    assert volume(made) == pytest.approx(4 / 3 * math.pi * radius**3, rel=2e-3)
    inside = distances(obj, np.array([[0, 0, 0], [0, 0, radius], [0.6, 0, 0]]))
    assert inside == pytest.approx([-radius, 0, 0.6 - radius], abs=1e-4)


def outlines(subject, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Where its picture and its true surface are seen."""
    seen = next(iter(subject.pictures([pose], 64)))[..., 3] > 127
    return seen, Renderer(plain(subject.truth())).render(pose, 64)[..., 3] > 127


def test_true_surfaces_stand_as_pictures_show_them(tmp_path):
    """A mug with a handle, turned; and a slab that a catalogue sets upright."""
    slab = write_cube(tmp_path / "slab", "slab", CORNERS * (1, 2, 4))
    upright = (1.0, 0, 0, 0, 0, 1, 0, -1, 0)
    entry = Entry("library/slab", slab, "group", rotation=upright)
    for subject in (
        Solids("procedural", "mug", math.radians(40), 1_000_000_015),
        Furniture("solid", "s", entry, 0.7),
    ):
        for pose in (RING[0], RING[13], SIDES[-1]):
            seen, there = outlines(subject, pose)
            assert (seen & there).sum() / (seen | there).sum() > 0.97, subject.name


def test_solid_meshes_are_closed_and_textured(tmp_path):
    path = write_cube(tmp_path / "cube", "cube", CORNERS)
    whole = Furniture("solid", "cube", Entry("cube", path, "group"))
    assert closedness(whole.truth()) == 1
    assert not is_solid(whole), "it has colours only"
    assert not is_solid(Furniture("solid", "none", Entry("none", tmp_path / "none.obj", "group")))
    truth = whole.truth()
    lidless = Triangles(truth.vertices, truth.faces[truth.crosses[:, 2] <= 0])
    assert closedness(lidless) == 0, "from above no face is met"
    with pytest.raises(ViewFusionError, match="0 closed held-out meshes in --meshes, 1 wanted"):
        subjects(["solid"], [whole.entry], 1)
    with pytest.raises(ViewFusionError, match="armchair2: not among --meshes"):
        subjects(["furniture"], [whole.entry], 1)
    names = [each.name for each in subjects(["analytic", "procedural"], [], 0)]
    assert names[:6] == [f"analytic/{name}" for name in SCENES]
    benchmark = ("bird", "car", "helicopter", "house", "mug", "truck")
    assert names[6:] == [f"procedural/{name}" for name in benchmark]


def test_judges_see_from_where_no_view_is():
    ring = {(round(pose.azimuth_deg, 6), pose.elevation_deg) for pose in RING}
    assert len(ring) == 36
    assert not ring & {(round(pose.azimuth_deg, 6), pose.elevation_deg) for pose in (*UNSEEN, *ELSEWHERE)}


# What reconstruct leaves.


def left(folder: Path, vertices: np.ndarray, faces: np.ndarray, moved: float = 0.0) -> Path:
    """A reconstruction's meshes of a shape: the GLB y up and facing +Z, the PLY in the world's axes."""
    folder.mkdir(parents=True)
    trimesh.Trimesh(vertices, faces, process=False).export(folder / "mesh.ply")
    front = (vertices + moved)[:, [1, 2, 0]]
    colours = np.full((len(vertices), 4), (255, 0, 0, 255), np.uint8)
    trimesh.Trimesh(front, faces, vertex_colors=colours, process=False).export(folder / "mesh.glb")
    (folder / "reconstruction.json").write_text("{}")
    return folder


def test_meshes_are_read_where_the_views_have_them(tmp_path):
    """Neither centred nor scaled nor turned, whatever the axes of the file."""
    box = trimesh.creation.box((0.2, 0.4, 0.6)).apply_translation((0.1, 0.05, -0.1))
    folder = left(tmp_path / "good", box.vertices, box.faces)
    for mesh in (shape_of(folder), textured_of(folder)):
        assert mesh.vertices.min(0) == pytest.approx([0, -0.15, -0.4], abs=1e-6)
        assert mesh.vertices.max(0) == pytest.approx([0.2, 0.25, 0.2], abs=1e-6)
    pose = Pose.from_degrees(30, 30, 1.5)
    truth = Renderer(plain(shape_of(folder))).render(pose, 64)
    red = np.where(truth[..., 3:] > 0, np.array([255, 0, 0, 255], np.uint8), truth)
    red[..., 3] = truth[..., 3]
    assert picture_scores(textured_of(folder), [pose], [red])[0] > 45
    assert picture_scores(textured_of(folder), [pose], [np.roll(red, 4, 1)])[0] < 25
    with pytest.raises(ViewFusionError, match=r"mesh\.glb is not where mesh\.ply is"):
        textured_of(left(tmp_path / "moved", box.vertices, box.faces, 0.01))


def test_what_nobody_sees_into_counts_as_full():
    """A cupboard of 10 x 10 x 10 cells, its boards one thick, without a floor: full; on its head: boards."""
    grid, boards = Volume(cells=16, side=1.6), []
    for axis, side in ((0, -1), (0, 1), (1, -1), (1, 1), (2, 1)):
        extents, middle = np.full(3, 1.0), np.zeros(3)
        extents[axis], middle[axis] = 0.1, 0.45 * side
        boards.append(trimesh.creation.box(extents).apply_translation(middle))
    cupboard = trimesh.util.concatenate(boards)
    up, down = (Triangles(cupboard.vertices * (1, 1, sign), cupboard.faces) for sign in (1, -1))
    assert hidden(up, grid).sum() == 1000
    assert hidden(down, grid).sum() == 1000 - 8 * 8 * 9
    assert hidden_iou(down, up, grid) == pytest.approx(0.424)
    assert hidden_iou(up, Triangles(cupboard.vertices + 9, cupboard.faces), grid) is None


def test_a_wrong_size_is_an_error_where_nothing_is_moved():
    """A cube against one of 80 %: 0.512 of the volume; by mesh-viewfusion there is no difference."""
    box = trimesh.creation.box((0.5, 0.5, 0.5))
    truth, small = Triangles(box.vertices, box.faces), Triangles(0.8 * box.vertices, box.faces)
    scores, notes = mesh_scores(small, truth)
    assert scores["mesh-in-place"]["volume_iou"] == pytest.approx(0.512, abs=1e-6)
    assert scores["mesh-syncdreamer"]["volume_iou"] == pytest.approx(0.512, abs=0.06)
    assert scores["mesh-viewfusion"]["volume_iou"] == 1
    assert scores["mesh-in-place"]["f_score"] == 0
    assert notes == []
    settings = load_protocol("mesh-in-place").mesh
    assert score_meshes(truth, truth, settings)[0]["f_score"] == pytest.approx(1, abs=1e-3), "dense enough"
    moved = in_units_of(Triangles(box.vertices + 1, box.faces), Triangles(box.vertices + 1.25, box.faces))
    assert moved.vertices.min(0) == pytest.approx([0, 0, 0])
    assert moved.vertices.max(0) == pytest.approx([1, 1, 1])


def test_forms_are_counted():
    ring, ball = trimesh.creation.torus(0.4, 0.1), trimesh.creation.icosphere(2, 0.1)
    both = trimesh.util.concatenate([ring, ball])
    told = form(Triangles(both.vertices, both.faces))
    assert (told["components"], told["watertight"], told["genus"]) == (2, True, 1)
    assert form(Triangles(ball.vertices, ball.faces[1:]))["genus"] is None


# The command.


def test_a_run_tells_what_it_took_and_why_it_failed(tmp_path):
    # Memory is looked at now and then, so it stays for several looks.
    large = "import sys, time; print(sys.argv); x = b'1' * 2**27; sum(range(2**21)); time.sleep(1)"
    hard = (sys.executable, "-c", large)
    cost = reconstruct(tmp_path / "views", tmp_path / "out", ("--preset", "cpu"), 1, command=hard)
    assert cost.seconds > 0
    assert cost.cpu_seconds > 0
    assert 2**27 < cost.peak_bytes < 2**29
    told = (tmp_path / "out.log").read_text()
    assert f"'{tmp_path / 'views'}', '--out', '{tmp_path / 'out'}', '--preset', 'cpu'" in told
    failing = (sys.executable, "-c", "import sys; print('one'); sys.exit('error: no surface')")
    with pytest.raises(ViewFusionError, match=r"^error: no surface$"):
        reconstruct(tmp_path, tmp_path / "out", (), 1, command=failing)
    endless = (sys.executable, "-c", "import time; time.sleep(60)")
    with pytest.raises(ViewFusionError, match=r"not finished after 0\.2 seconds"):
        reconstruct(tmp_path, tmp_path / "out", (), 1, 0.2, command=endless)


def test_steps_are_those_that_fit(tmp_path, command):
    """Four steps took 0.2 s; in three seconds there are 60."""
    ball = trimesh.creation.icosphere(1, 0.3)
    left(tmp_path / "truth", ball.vertices, ball.faces)
    views = tmp_path / "truth/ring"
    ball.export(tmp_path / "truth/truth.ply")
    options, told = steps_within(0.05, views, tmp_path / "out", ("--preset", "paper"), 1, command)
    assert options == ("--preset", "paper", "paper.steps=60")
    assert told == {"seconds_a_step": 0.05}
    assert "paper.steps=4" in (tmp_path / "out-trial.log").read_text()
    assert not (tmp_path / "out-trial").exists()
    with pytest.raises(ViewFusionError, match=r"a step takes 0\.1 s; give more --minutes"):
        steps_within(1e-5, views, tmp_path / "out", (), 1, command)


def test_studies_ask_for_what_they_say():
    for name in STUDIES:
        asked = study(name, ["cpu", "paper"], 5, ["seed=1"])
        assert all(each.options[-1] == "seed=1" for each in asked.systems.values())
    presets = study("presets", ["cpu", "paper"], 5).systems
    assert (presets["cpu"].minutes, presets["paper"].minutes) == (None, 5)
    assert presets["cpu"].options == ("--preset", "cpu", "scene.hold_out=0")
    assert {each.views for each in study("spins", ["cpu"], 5).systems.values()} == {
        "fused",
        "independent",
        "small",
    }


# Measuring and telling.


@pytest.fixture
def small(monkeypatch) -> None:
    """Few and small pictures, coarse surfaces."""
    poses = ring_poses(3, math.radians(30), 1.5)
    for name in ("PLACES", "SIZE"):
        value = dict.fromkeys(benches.PLACES, poses) if name == "PLACES" else 32
        monkeypatch.setattr(benches, name, value)
    monkeypatch.setattr(objects, "surface", lambda obj: surface(obj, 64))


def test_an_object_is_measured_once_and_told(tmp_path, small, command):
    systems = {"cpu": System("true", ("--preset", "cpu")), "balanced": System("true", ("broken",))}
    bench = Bench(tmp_path, "views", systems, None, 1, command)
    ball, torus = subjects(["analytic"], [], 0)[:2]
    assert bench.missing(ball) == ["cpu", "balanced"]
    assert "IoU 1.000" in bench.measure(ball, "cpu")
    assert bench.measure(ball, "balanced") == "failed: error: nothing lies at the zero level"
    assert bench.missing(ball) == ["balanced"], "what failed is tried again"
    known = Known.of(tmp_path, ball)
    assert sorted(path.name for path in (known.folder / "ring").glob("*.png")) == [
        "000.png",
        "001.png",
        "002.png",
    ]
    content = json.loads((tmp_path / "views/analytic/ball/cpu.json").read_text())
    assert (content["closed"], content["form"]["genus"]) == (1, 0)
    assert content["told"]["training"] == {"steps": 4, "seconds": 0.2}
    assert len(content["psnr"]["unseen"]) == 3
    about = {"names": list(systems), "views": 36, "machine": "here", "objects": [ball.name, torus.name]}
    same_study(tmp_path / "views", about)
    page, images = tmp_path / "docs/reconstruction.md", tmp_path / "docs/images"
    page.parent.mkdir()
    page.write_text("Words.\n\n<!-- figures: views -->\nold\n<!-- end -->\nMore.\n")
    assert write_page(tmp_path, page, images) == ["views"]
    text = page.read_text()
    assert text.startswith("Words.\n\n<!-- figures: views -->\n![views](images/reconstruction-views.png)")
    assert text.endswith("More.\n")
    assert "old" not in text
    assert "| volume IoU, mean of 1 objects, at least 0.85 | 1.000 (1.000 to 1.000) | yes |" in text
    assert "1 object(s) failed" in text
    again = json.loads(page.with_suffix(".json").read_text())
    assert block("views", Results.from_data(again["views"]), "images") in text
    with (
        Image.open(images / picture("views")) as sheet,
        Image.open(tmp_path / "views/analytic/ball/truth.png") as strip,
    ):
        assert sheet.width > strip.width
        assert sheet.height > 3 * strip.height
    with pytest.raises(ViewFusionError, match="no finished object of any study"):
        write_page(tmp_path / "nothing", page, images)


def content(iou: float, chamfer: float, closed: float = 1.0) -> dict:
    """A system's file."""
    numbers = {"chamfer": chamfer, "f_score": 0.5, "normal_consistency": 0.9, "volume_iou": iou}
    numbers["hidden_iou"] = iou
    names = ("mesh-in-place", "mesh-viewfusion", "mesh-syncdreamer")
    return {
        "closed": closed,
        "scores": dict.fromkeys(names, numbers),
        "psnr": {"unseen": [20.0, 30.0], "elsewhere": [20.0]},
        "form": {"faces": 9, "components": 1, "watertight": True, "genus": 0},
        "cost": {"seconds": 60.0, "cpu_seconds": 60.0, "peak_bytes": 10**9, "threads": 1},
        "options": ["--preset", "cpu"],
        "told": {"training": {"steps": 10, "seconds": 30.0}},
    }


def test_fused_and_independent_are_compared_on_the_same_objects():
    """An open truth has no volume, a failed mesh no number; both leave the pair out."""
    systems = ("fused", "independent", "small")

    def measured(name: str, *each: dict) -> Measured:
        return Measured(name, dict(zip(systems, each, strict=True)))

    small = content(0.8, 0.01)
    open_one = [content(0.1, 0.05, 0.3), content(0.9, 0.05, 0.3), content(0.8, 0.01, 0.3)]
    found = [
        measured("procedural/a", content(0.6, 0.02), content(0.5, 0.03), small),
        measured("procedural/b", content(0.8, 0.02), content(0.5, 0.04), small),
        measured("furniture/c", *open_one),
        measured("furniture/d", {"closed": 1.0, "failed": "no"}, content(0.9, 0.05), small),
    ]
    checkpoint = {"name": "nano", "sha256": "0" * 64}
    about = {
        "names": ["fused", "independent", "small"],
        "views": 36,
        "machine": "here",
        "objects": [],
        "pixels": 64,
    }
    results = Results({**about, "checkpoint": checkpoint}, found)
    difference = results.difference("fused", "independent", "iou", results.kinds)
    assert difference is not None
    assert difference.mean == pytest.approx(0.2)
    assert results.difference("fused", "independent", "chamfer", ["furniture"]).mean == 0
    assert results.difference("fused", "independent", "iou", ["furniture"]) is None
    assert results.count("iou", ["fused", "independent"], results.kinds) == 2
    assert found[0].value("fused", "psnr") == 25
    told = block("spins", results, "images")
    assert "| volume IoU | **+0.200 (+0.100 to +0.300)** | - | **+0.200 (+0.100 to +0.300)** |" in told
    assert "| furniture/c | - | - | - | 0.0500 | 0.0500 | 0.0100 |" in told


def test_spins_differ_in_their_references_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(spins, "RING", RING[::9])
    spinner = Spinner("zero123-nano")
    rgba = next(iter(subjects(["analytic"], [], 0)[0].pictures(RING[:1], spinner.size)))
    made = {}
    for views in ("fused", "independent"):
        spinner.write(tmp_path / views, views, rgba, "analytic/ball")
        before = (tmp_path / views / "manifest.json").read_bytes()
        spinner.write(tmp_path / views, views, rgba, "analytic/ball")
        assert (tmp_path / views / "manifest.json").read_bytes() == before, "made once"
        (only,) = open_dataset(tmp_path / views).objects
        assert only.input_index == 0
        azimuths = [each.pose.azimuth_deg % 360 for each in only.pictures]
        assert azimuths == pytest.approx([0, 90, 180, 270], abs=1e-3)
        made[views] = [np.asarray(Image.open(each.path)) for each in only.pictures]
    assert made["fused"][0].shape == (spinner.size, spinner.size, 3)
    assert (made["fused"][0] == made["independent"][0]).all()
    assert (made["fused"][1] == made["independent"][1]).all(), "the first has the input alone in both"
    assert (made["fused"][2] != made["independent"][2]).any()


def test_docs_tell_what_lies_beside_them():
    """A block is what the numbers beside the page make of it, and empty where there are none."""
    page, beside = DOCS / "reconstruction.md", DOCS / "reconstruction.json"
    told = json.loads(beside.read_text()) if beside.exists() else {}
    blocks = {name: "" for name in STUDIES if name not in told}
    blocks |= {name: block(name, Results.from_data(each), "images") for name, each in told.items()}
    text = page.read_text()
    assert filled(text, blocks, page) == text
    for name in told:
        assert (DOCS / "images" / picture(name)).is_file()
