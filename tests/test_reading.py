"""Datasets in: is every layout known by its files, and read with the poses and pixels it was written with?"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from viewfusion.cli.app import app
from viewfusion.datasets import (
    READERS,
    SYNCDREAMER,
    Cameras,
    Dataset,
    open_dataset,
    read_rgba,
    ring_poses,
    write_layout,
)
from viewfusion.datasets.reading.checking import look
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FOV, Pose, camera_to_world, opengl_to_colmap, wrap_angle
from viewfusion.outputs import export
from viewfusion.outputs.cameras import cameras_json
from viewfusion.outputs.files import write_json, write_pngs
from viewfusion.outputs.syncdreamer import FOCAL, POSES
from viewfusion.views import View, ViewSet

NAMES = ("chair", "lamp")
SOME = (Pose.from_degrees(40, 30, 1.6), Pose.from_degrees(-100, -10, 2.0), Pose.from_degrees(0, 89.99, 1.5))
SYNCDREAMER_FOV = 2 * math.atan(128 / FOCAL)


def pixels(place: int, side: int = 8, alpha: bool = True) -> np.ndarray:
    """A picture that is no other one's."""
    rgba = np.full((side, side, 4), 255, np.uint8)
    rgba[..., 0], rgba[0, 0, 1], rgba[1, 1, 3] = place, 7, 100
    return rgba if alpha else rgba[..., :3]


def views(poses: tuple[Pose, ...], side: int = 8, fov: float = FOV) -> ViewSet:
    def image(place: int) -> torch.Tensor:
        return torch.from_numpy(pixels(place, side, alpha=False)).permute(2, 0, 1).float() / 127.5 - 1

    return ViewSet(tuple(View(place, pose, image(place)) for place, pose in enumerate(poses)), fov)


# --- one object of each layout, written to a folder that is not there yet ---------------------------


def rendered(layout: str) -> Callable[[Path], None]:
    """As render-object writes it."""

    def make(folder: Path) -> None:
        cameras = SYNCDREAMER if layout == "syncdreamer" else Cameras(SOME, 8)
        made = (pixels(place, cameras.size) for place in range(len(cameras.poses)))
        write_layout(folder, layout, made, cameras, {})

    return make


def exported(layout: str) -> Callable[[Path], None]:
    return lambda folder: export(views(SOME), layout, folder)


def numpy_syncdreamer(folder: Path, protocol: int = 4, side: int = 256) -> None:
    """As SyncDreamer pickles it."""
    write_pngs(folder, (pixels(place, side) for place in range(16)))
    matrices = [opengl_to_colmap(camera_to_world(pose))[:3] for pose in POSES]
    angles = np.array([(pose.azimuth, pose.elevation, pose.radius) for pose in POSES])
    content = (np.array([[280, 0, 128], [0, 280, 128], [0, 0, 1]]), *angles.T, np.array(matrices))
    meta = tuple(each.astype(np.float32) for each in content)
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta, protocol=protocol))


def strip(folder: Path) -> None:
    folder.mkdir(parents=True)
    export(views(POSES, 8, SYNCDREAMER_FOV), "syncdreamer", folder / "0.png")


def run(folder: Path) -> None:
    made = views(SOME)
    write_pngs(folder / "views", (view.rgb for view in made))
    write_json(folder / "cameras.json", cameras_json(made))


def benchmark(folder: Path) -> None:
    rendered("viewfusion")(folder / "views")
    write_json(folder / "object.json", {"name": folder.name, "input": 1})
    (folder / "comparison.png").write_bytes(b"not looked at")


def extrinsics(folder: Path, poses: tuple[Pose, ...] = SOME, opencv: bool = False) -> None:
    """As Zero123 renders objects: world-to-camera, Blender's axes."""
    write_pngs(folder, (pixels(place) for place in range(len(poses))))
    for place, pose in enumerate(poses):
        camera = camera_to_world(pose)
        matrix = opengl_to_colmap(camera) if opencv else np.linalg.inv(camera)
        np.save(folder / f"{place:03d}.npy", matrix[:3])


def eschernet(folder: Path) -> None:
    extrinsics(folder / "render_mvs_25/model", ring_poses(25, 0.3, 1.7))
    gso(folder)


def omniobject3d(folder: Path) -> None:
    write_pngs(folder / "render/images", (pixels(place) for place in range(3)))
    for place in range(3):
        file = folder / f"render/images/{place:03d}.png"
        file.rename(file.with_name(f"r_{place}.png"))
    frames = [
        {"file_path": f"r_{place}", "transform_matrix": camera_to_world(pose).tolist()}
        for place, pose in enumerate(SOME)
    ]
    write_json(folder / "render/transforms.json", {"camera_angle_x": FOV, "frames": frames})


def numbered(folder: Path) -> None:
    write_pngs(folder, (pixels(place) for place in range(3)))


def gso(folder: Path) -> None:
    for name in ("meshes/model.obj", "materials/textures/texture.png"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("v 0 0 0\n")


MAKERS = {
    "viewfusion": rendered("viewfusion"),
    "viewfusion, exported": exported("viewfusion"),
    "syncdreamer": rendered("syncdreamer"),
    "nerfstudio": rendered("nerfstudio"),
    "nerfstudio, exported": exported("nerfstudio"),
    "syncdreamer-strip": strip,
    "run": run,
    "benchmark": benchmark,
    "objaverse": extrinsics,
    "objaverse, OpenCV's axes": lambda folder: extrinsics(folder, opencv=True),
    "eschernet": eschernet,
    "omniobject3d": omniobject3d,
    "numbered": numbered,
    "gso": gso,
}
POSES_OF = {"syncdreamer": POSES, "syncdreamer-strip": POSES, "eschernet": ring_poses(25, 0.3, 1.7)}
FOV_OF = {"syncdreamer": SYNCDREAMER_FOV, "syncdreamer-strip": SYNCDREAMER_FOV, "numbered": None, "gso": None}


def same(pose: Pose | None, other: Pose) -> bool:
    assert pose is not None
    off = (wrap_angle(pose.azimuth - other.azimuth), pose.elevation - other.elevation)
    return max(map(abs, (*off, pose.radius - other.radius))) < 1e-6


def problems(dataset: Dataset) -> list[str]:
    return [f"{problem.object}: {problem.what}" for problem in dataset.problems]


# --- what is whole ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
def test_every_layout_is_known_and_read_back_as_it_was_written(tmp_path, kind):
    layout = kind.partition(",")[0]
    for name in NAMES:
        MAKERS[kind](tmp_path / name)
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.problems) == (layout, ())
    assert [each.name for each in dataset.objects] == list(NAMES)
    for thing in dataset.objects:
        assert thing.fov == pytest.approx(FOV_OF.get(layout, FOV), abs=1e-6)
        assert thing.input_index == {"run": 0, "benchmark": 1}.get(layout)
        wanted = () if layout == "gso" else POSES_OF.get(layout, SOME)
        assert len(thing.pictures) == len(wanted)
        for picture, pose in zip(thing.pictures, wanted, strict=True):
            assert picture.pose is None if layout == "numbered" else same(picture.pose, pose)
            assert picture.path.is_relative_to(tmp_path / thing.name)
    alone = open_dataset(tmp_path / "lamp")
    assert alone.layout == layout
    assert [each.name for each in alone.objects] == ["lamp"]
    assert alone.objects[0] == dataset.objects[1]
    forced = open_dataset(tmp_path, layout)
    assert forced.objects == dataset.objects


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "gso"])
def test_pixels_come_back_bit_for_bit(tmp_path, kind):
    MAKERS[kind](tmp_path / "chair")
    (thing,) = open_dataset(tmp_path).objects
    opaque = kind.endswith("exported") or kind == "run"
    for place, picture in enumerate(thing.pictures):
        found = read_rgba(picture)
        if kind == "syncdreamer-strip":  # resized from 8 to 256
            assert found.shape == (256, 256, 4)
            assert (found[128, 128] == (place, 255, 255, 255)).all()
            continue
        wanted = pixels(place, len(found))
        if opaque:
            wanted[..., 3] = 255
        assert (found == wanted).all()
    (seen,) = look(open_dataset(tmp_path))
    assert seen.problems == ()
    assert sum(seen.sizes.values()) == len(thing.pictures)
    assert seen.with_alpha == (0 if opaque or kind == "syncdreamer-strip" else len(thing.pictures))


def test_the_folder_of_a_benchmark_has_its_objects(tmp_path):
    """Whatever else is in it; objects whose input is unknown, or whose views lie elsewhere, are told."""
    for name in NAMES:
        benchmark(tmp_path / "objects" / name)
    for name in ("settings.json", "results.json", "failed/other.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_json(tmp_path / name, {})
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.problems) == ("benchmark", ())
    assert [each.name for each in dataset.objects] == list(NAMES)
    assert dataset.objects == open_dataset(tmp_path / "objects").objects
    write_json(tmp_path / "objects/lamp/object.json", {"input": 3})
    (tmp_path / "objects/chair/views").rename(tmp_path / "views")
    (tmp_path / "objects/chair/views").symlink_to(tmp_path / "views")
    told = problems(open_dataset(tmp_path, "benchmark"))
    assert told[0].endswith("chair/views: a link; copy the folder")
    assert told[1].endswith("object.json: input must be 0 to 2, the view that was given, got 3")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_any_protocol_and_numpy(tmp_path, protocol):
    numpy_syncdreamer(tmp_path / "chair", protocol, side=8)
    path = tmp_path / "chair/meta.pkl"
    here = path.read_bytes()
    other = (b"numpy.core.", b"numpy._core.") if b"numpy.core." in here else (b"numpy._core.", b"numpy.core.")
    assert other[0] in here
    for content in (here, _renamed(here, *other, protocol)):
        path.write_bytes(content)
        dataset = open_dataset(tmp_path)
        assert dataset.problems == ()
        for picture, pose in zip(dataset.objects[0].pictures, POSES, strict=True):
            assert same(picture.pose, pose)


def _renamed(content: bytes, old: bytes, new: bytes, protocol: int) -> bytes:
    """The same pickle with the module's other name, its length too where the protocol states it."""
    if protocol < 4:
        return content.replace(old, new)
    out, place = b"", 0
    while (found := content.find(old, place)) >= 0:
        length = content[found - 1] + len(new) - len(old)
        out += content[place : found - 1] + bytes([length]) + new
        place = found + len(old)
    out += content[place:]
    # The frame's length is not checked by the reader, nor by the test.
    return out


def test_strips_that_lie_beside_each_other(tmp_path):
    for name in NAMES:
        export(views(POSES, 8, SYNCDREAMER_FOV), "syncdreamer", tmp_path / f"{name}.png")
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "syncdreamer-strip"
    assert [each.name for each in dataset.objects] == list(NAMES)
    assert dataset.objects[0].pictures[3].box == (768, 0, 1024, 256)
    assert read_rgba(dataset.objects[0].pictures[3])[128, 128, 0] == 3
    Image.new("RGB", (4000, 256)).save(tmp_path / "short.png")
    assert len(open_dataset(tmp_path).objects) == 2, "another picture"
    (problem,) = open_dataset(tmp_path, "syncdreamer-strip").problems
    assert problem.what == (
        f"{tmp_path}/short.png: wanted 16 square views side by side, got 4000 x 256 pixels"
    )


def test_folders_in_folders_and_names_that_stand_twice(tmp_path):
    for path in ("train/chairs/a", "train/lamps/b", "test/chairs/a"):
        extrinsics(tmp_path / path)
    dataset = open_dataset(tmp_path)
    assert [each.name for each in dataset.objects] == ["b", "test_chairs_a", "train_chairs_a"]
    assert dataset.problems == ()


def test_angles_json_may_hold_triples(tmp_path):
    numbered(tmp_path / "a")
    triples = [(pose.azimuth, pose.polar, pose.radius) for pose in SOME]
    (tmp_path / "a/angles.json").write_text(json.dumps(triples))
    for picture, pose in zip(open_dataset(tmp_path).objects[0].pictures, SOME, strict=True):
        assert same(picture.pose, pose)


def test_a_pole_keeps_its_azimuth(tmp_path):
    poses = tuple(Pose.from_degrees(70, elevation, 1.5) for elevation in (90, -90, 89.95, 89.8))
    extrinsics(tmp_path / "a", poses)
    for picture, pose in zip(open_dataset(tmp_path).objects[0].pictures, poses, strict=True):
        assert same(picture.pose, pose)


def test_links_within_a_dataset_and_to_it_are_fine(tmp_path):
    numbered(tmp_path / "data/chair")
    (tmp_path / "data/again").symlink_to("chair")
    (tmp_path / "data/chair/003.png").symlink_to("000.png")
    (tmp_path / "link").symlink_to("data")
    dataset = open_dataset(tmp_path / "link")
    assert [(each.name, len(each.pictures)) for each in dataset.objects] == [("again", 4), ("chair", 4)]


# --- what is broken ---------------------------------------------------------------------------------


def test_predictions_may_lack_one_number_which_a_check_names(tmp_path):
    numbered(tmp_path / "data/chair")
    (tmp_path / "data/chair/001.png").unlink()
    dataset = open_dataset(tmp_path / "data")
    assert [picture.path.name for picture in dataset.objects[0].pictures] == ["000.png", "002.png"]
    (seen,) = look(dataset)
    assert "view 001 is missing" in seen.problems[0].what
    (tmp_path / "data/chair/000.png").unlink()
    (problem,) = open_dataset(tmp_path / "data").problems
    assert "of 3 views these are missing: 000-001" in problem.what


def whole(folder: Path) -> None:
    """Two objects of the layout viewfusion."""
    for name in NAMES:
        rendered("viewfusion")(folder / name)


def edit(path: Path, change: Callable[[list], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing view": (lambda lamp: (lamp / "001.png").unlink(), "lamp: of 3 views these are missing: 001"),
    "one too many": (
        lambda lamp: (lamp / "003.png").write_bytes(b""),
        "lamp: wanted 3 views, these are more: 003",
    ),
    "twice": (lambda lamp: (lamp / "1.png").write_bytes(b""), "view 1 is there as 001.png and 1.png"),
    "no views": (
        lambda lamp: [file.unlink() for file in lamp.glob("*.png")],
        "lamp: no view; wanted 000.png",
    ),
    "no poses": (
        lambda lamp: (lamp / "angles.json").unlink(),
        "wanted 000.png, ... and angles.json; got 000",
    ),
    "empty": (lambda lamp: [file.unlink() for file in lamp.iterdir()], "angles.json; got nothing"),
    "NaN": (
        lambda lamp: edit(lamp / "angles.json", lambda poses: poses[2].update(radius=math.nan)),
        "angles.json: entry 2: radius: wanted a finite number, got nan",
    ),
    "degrees": (
        lambda lamp: edit(lamp / "angles.json", lambda poses: poses[1].update(polar=60.0)),
        "entry 1: polar must be 0 to pi, in radians, got 60",
    ),
    "no radius": (
        lambda lamp: edit(lamp / "angles.json", lambda poses: poses[0].pop("radius")),
        "entry 0: wanted azimuth, polar and radius, radius is missing",
    ),
    "one pose too few": (
        lambda lamp: edit(lamp / "angles.json", list.pop),
        "wanted 2 views, these are more: 002",
    ),
    "no list": (lambda lamp: (lamp / "angles.json").write_text('{"a": 1}'), "poses, got a dict of 1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_object_is_named_and_left_out(tmp_path, fault):
    whole(tmp_path)
    spoil, words = FAULTS[fault]
    spoil(tmp_path / "lamp")
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "viewfusion"
    assert [each.name for each in dataset.objects] == ["chair"]
    (problem,) = dataset.problems
    assert problem.object == "lamp"
    assert words in problem.what
    assert str(tmp_path / "lamp") in problem.what


def test_everything_that_is_wrong_with_an_object_is_told_up_to_a_limit(tmp_path):
    whole(tmp_path)
    poses = [{"azimuth": 0, "polar": 99, "radius": 1}] * 30
    (tmp_path / "lamp/angles.json").write_text(json.dumps(poses))
    told = problems(open_dataset(tmp_path))
    assert len(told) == 21
    assert told[0].endswith("lamp: of 30 views these are missing: 003-029")
    assert told[1:20] == [
        f"lamp: {tmp_path}/lamp/angles.json: entry {i}: polar must be 0 to pi, in radians, got 99"
        for i in range(19)
    ]
    assert told[20] == "lamp: and 11 more of this object"


def turned(pose: Pose, roll_deg: float = 0.0, aside_deg: float = 0.0) -> np.ndarray:
    """A camera at ``pose`` that is rolled, or looks aside."""
    roll, aside = math.radians(roll_deg), math.radians(aside_deg)
    about_z = [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
    about_y = [[math.cos(aside), 0, math.sin(aside)], [0, 1, 0], [-math.sin(aside), 0, math.cos(aside)]]
    matrix = camera_to_world(pose)
    matrix[:3, :3] = matrix[:3, :3] @ np.array(about_y) @ np.array(about_z)
    return matrix


MATRICES = {
    "rolled": (turned(SOME[0], roll_deg=2.5), "the camera is rolled by 2.5 degrees"),
    "aside": (turned(SOME[0], aside_deg=-3.2), "looks 3.2 degrees past the origin"),
    "NaN": (turned(SOME[0]) * np.nan, "wanted finite numbers in the matrix, got NaN"),
    "mirrored": (turned(SOME[0]) @ np.diag([-1.0, 1, 1, 1]), "the matrix is no rotation: it mirrors"),
    "scaled": (turned(SOME[0]) @ np.diag([2.0, 2, 2, 1]), "no rotation: its axes are off by 3"),
    "at the origin": (np.eye(4), "wanted a camera around the object, got one 0 from its middle"),
    "large": (np.full((4, 4), 1e300), "the matrix is no rotation"),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_cameras_that_no_pose_says_are_refused_with_their_numbers(tmp_path, kind):
    for name in NAMES:
        extrinsics(tmp_path / name)
    matrix, words = MATRICES[kind]
    with np.errstate(all="ignore"):
        inverse = np.linalg.inv(matrix) if kind not in ("NaN", "large") else matrix
    np.save(tmp_path / "lamp/001.npy", inverse[:3])
    dataset = open_dataset(tmp_path)
    (problem,) = dataset.problems
    assert problem.what.startswith(f"{tmp_path}/lamp/001.npy: ")
    if kind != "scaled":  # the inverse of twice a rotation is half of one
        assert words in problem.what
    rendered("nerfstudio")(tmp_path / "other/a")
    path = tmp_path / "other/a/transforms.json"
    edit(path, lambda content: content["frames"][2].update(transform_matrix=matrix.tolist()))
    (problem,) = open_dataset(tmp_path / "other").problems
    assert problem.what.startswith(f"{path}: frame 2: transform_matrix: ")
    assert kind in ("NaN", "large") or words in problem.what


def test_cameras_within_the_tolerance_are_taken(tmp_path):
    extrinsics(tmp_path / "a")
    np.save(tmp_path / "a/001.npy", np.linalg.inv(turned(SOME[1], roll_deg=0.09, aside_deg=0.09))[:3])
    (thing,) = open_dataset(tmp_path).objects
    assert same(thing.pictures[1].pose, SOME[1]), "the place is what counts"


def test_views_and_cameras_that_do_not_match(tmp_path):
    for name in NAMES:
        extrinsics(tmp_path / name)
    (tmp_path / "chair/001.npy").unlink()
    (tmp_path / "lamp/002.png").unlink()
    assert problems(open_dataset(tmp_path)) == [
        f"chair: {tmp_path}/chair: these views have no .npy with their camera: 001",
        f"lamp: {tmp_path}/lamp: these cameras have no view: 002",
    ]


def test_syncdreamers_matrices_must_say_what_its_angles_say(tmp_path):
    numpy_syncdreamer(tmp_path / "a", side=8)
    path = tmp_path / "a/meta.pkl"
    matrix, azimuths, *rest = pickle.loads(path.read_bytes())
    azimuths[3] += 0.01
    path.write_bytes(pickle.dumps((matrix, azimuths, *rest)))
    (problem,) = open_dataset(tmp_path).problems
    assert problem.what.startswith(f"{path}: view 3: its matrix is off by 0.0092")
    path.write_bytes(pickle.dumps((matrix, azimuths[:9], *rest)))
    assert "elevations must be [9] numbers, got [16]" in open_dataset(tmp_path).problems[0].what
    path.write_bytes(pickle.dumps((matrix, azimuths)))
    assert "wanted K, azimuths, elevations" in open_dataset(tmp_path).problems[0].what
    matrix[0, 1] = 9
    path.write_bytes(pickle.dumps((matrix, azimuths * 0, *rest)))
    assert "K must be a square pinhole's" in " ".join(problems(open_dataset(tmp_path)))


def test_lenses_that_are_not_one_pinhole(tmp_path):
    rendered("nerfstudio")(tmp_path / "a")
    path = tmp_path / "a/transforms.json"
    before = path.read_text()
    for change, words in (
        (lambda content: content.update(k1=0.1), "k1 distorts"),
        (lambda content: content["frames"][1].update(fl_x=99.0, fl_y=99.0), "wanted one lens for all frames"),
        (lambda content: content.update(fl_x=-1.0), "fl_x must be positive, got -1"),
        (lambda content: content.update(camera_angle_x=4.0), "camera_angle_x must lie between 0 and pi"),
        (lambda content: content.update(cx=9.0), "axis in the centre of the pictures, cx 4, got 9; crop"),
        (lambda content: content.update(cy=7.0), "axis in the centre of the pictures, cy 4, got 7; crop"),
        (lambda content: content.update(fl_y=1.01 * content["fl_x"]), "square pixels"),
        (lambda content: content.pop("w"), "fl_x says nothing without w"),
        (lambda content: content.update(frames=[]), "1 to 10000 frames, got a list of 0"),
        (lambda content: content["frames"][1].update(file_path="images/000.png"), "1 frames name a picture"),
    ):
        edit(path, change)
        assert words in problems(open_dataset(tmp_path))[0]
        path.write_text(before)


def test_the_lens_of_instant_ngp_and_of_other_programs_is_taken(tmp_path):
    """Half a pixel off is a convention; the two angles of 8 x 6 square pixels are not the same."""
    rendered("nerfstudio")(tmp_path / "a")
    path = tmp_path / "a/transforms.json"
    content = json.loads(path.read_text())
    edit(path, lambda content: content.update(cx=3.5, cy=3.5, fl_y=1.004 * content["fl_x"]))
    assert problems(open_dataset(tmp_path)) == []
    for key in ("fl_x", "fl_y", "cx", "cy"):
        content.pop(key)
    up = 2 * math.atan(math.tan(FOV / 2) * 6 / 8)
    for angle, words in ((up, []), (FOV, ["square pixels", "1.33 times the other"])):
        path.write_text(json.dumps({**content, "h": 6, "camera_angle_x": FOV, "camera_angle_y": angle}))
        found = " ".join(problems(open_dataset(tmp_path)))
        assert all(word in found for word in words)
        assert bool(found) == bool(words)
    path.write_text(json.dumps({**content, "h": 6, "camera_angle_x": FOV, "camera_angle_y": up}))
    (thing,) = open_dataset(tmp_path).objects
    assert thing.fov == pytest.approx(FOV)
    assert thing.size == (8, 6)


def test_folders_that_are_no_dataset(tmp_path):
    def refused(path: Path, *words: str, layout: str = "auto") -> None:
        with pytest.raises(ViewFusionError) as error:
            open_dataset(path, layout)
        assert "\n" not in str(error.value)
        for word in (str(path), *words):
            assert word in str(error.value)

    refused(tmp_path / "nowhere", "no such folder")
    refused(tmp_path, "no object of a known layout", "numbered")
    (tmp_path / "a.txt").write_text("")
    refused(tmp_path / "a.txt", "not a folder")
    whole(tmp_path)
    with pytest.raises(ViewFusionError, match=r"layout must be one of auto, run.*did you mean 'viewfusion'"):
        open_dataset(tmp_path, "viewfuson")
    refused(tmp_path, "no object of layout syncdreamer (000.png, ... and meta.pkl)", layout="syncdreamer")
    numpy_syncdreamer(tmp_path / "table", side=8)
    refused(tmp_path, "several layouts (chair is viewfusion, table is syncdreamer)")
    dataset = open_dataset(tmp_path, "viewfusion")
    assert len(dataset.objects) == 2
    assert problems(dataset)[0].startswith(
        f"table: {tmp_path}/table: wanted 000.png, ... and angles.json; got"
    )


def test_pictures_that_are_cut_short_or_of_other_sizes(tmp_path):
    whole(tmp_path)
    Image.new("RGBA", (9, 8), (1, 2, 3, 255)).save(tmp_path / "lamp/001.png")
    content = (tmp_path / "chair/002.png").read_bytes()
    (tmp_path / "chair/002.png").write_bytes(content[:-20])
    dataset = open_dataset(tmp_path)
    assert dataset.problems == ()
    chair, lamp = look(dataset)
    assert [problem.what for problem in lamp.problems] == [
        f"{tmp_path}/lamp/001.png: 9 x 8 pixels; most views of the object have 8 x 8"
    ]
    assert chair.problems[0].what.startswith(f"{tmp_path}/chair/002.png: cannot be read as an image")
    chair, lamp = look(dataset, decode=False)
    assert chair.problems == (), "the header is whole"
    assert len(lamp.problems) == 1


def test_pictures_must_be_of_the_size_their_cameras_are_made_for(tmp_path):
    numpy_syncdreamer(tmp_path / "chair", side=8)
    (seen,) = look(open_dataset(tmp_path))
    assert len(seen.problems) == 16
    assert seen.problems[0].what.endswith("000.png: 8 x 8 pixels; its cameras are made for 256 x 256")


# --- the command ------------------------------------------------------------------------------------


def check(*arguments: object) -> tuple[int, str]:
    ended = CliRunner().invoke(app, ["dataset", "check", *map(str, arguments)])
    return ended.exit_code, ended.stdout


def test_check_says_what_is_there(tmp_path):
    whole(tmp_path)
    code, out = check(tmp_path)
    assert code == 0
    lines = dict(line.split(None, 1) for line in out.splitlines())
    assert lines == {
        "dataset": str(tmp_path),
        "layout": "viewfusion",
        "objects": "2, none broken",
        "views": "3 an object",
        "pixels": "8 x 8",
        "alpha": "all",
        "elevation": "-10 to 89.99 degrees",
        "radius": "1.5 to 2",
        "fov": "49.13 degrees",
        "read": "every pixel",
    }


def test_check_says_what_is_broken(tmp_path):
    whole(tmp_path)
    (tmp_path / "lamp/002.png").unlink()
    (tmp_path / "chair/000.png").write_bytes((tmp_path / "chair/000.png").read_bytes()[:-20])
    code, out = check(tmp_path)
    assert code == 2
    assert "objects    2, 2 of them broken" in out
    assert f"broken: lamp: {tmp_path}/lamp: of 3 views these are missing: 002" in out
    assert f"broken: chair: {tmp_path}/chair/000.png: cannot be read" in out
    code, out = check(tmp_path, "--json", "--quick")
    assert code == 2
    report = json.loads(out)
    assert (report["layout"], report["decoded"]) == ("viewfusion", False)
    assert [problem["object"] for problem in report["problems"]] == ["lamp"]
    (chair,) = report["objects"]
    assert (chair["name"], chair["views"], chair["sizes"]) == ("chair", 3, [[8, 8]])
    assert chair["elevation_deg"] == [-10, 89.99]


def test_check_tells_to_render_meshes(tmp_path):
    gso(tmp_path / "chair")
    code, out = check(tmp_path)
    assert code == 0
    assert "dataset prepare gso" in out
    (tmp_path / "chair/materials/textures/texture.png").unlink()
    assert check(tmp_path)[0] == 2


def test_every_layout_is_described(tmp_path):
    text = (Path(__file__).parents[1] / "docs/datasets.md").read_text()
    for name in READERS:
        assert f"| `{name}` |" in text
