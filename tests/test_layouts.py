"""Benchmark layouts: does a reader that goes by each one's own rules see the cameras the pictures have?"""

from __future__ import annotations

import json
import math
import pickle
import pickletools

import numpy as np
import pytest
from PIL import Image

from viewfusion.datasets import SYNCDREAMER, Cameras, random_poses, ring_poses, write_layout
from viewfusion.datasets.layouts import is_finished, picture_files
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, camera_to_world, intrinsics, project

RECORD = {"schema": 1, "mesh": {"file": "a.obj", "sha256": "1"}, "options": {"size": 8, "up": "y"}}
POINT = np.array([[0.3, -0.2, 0.1]])


def pictures(cameras: Cameras):
    for place in range(len(cameras.poses)):
        yield np.full((cameras.size, cameras.size, 4), place, np.uint8)


def small(count: int = 3) -> Cameras:
    return Cameras(ring_poses(count, 0.4, 1.7), 8)


def test_the_viewfusion_layout(tmp_path):
    cameras = Cameras((Pose.from_degrees(40, 30, 1.6), Pose.from_degrees(-100, -10, 2.0)), 8)
    write_layout(tmp_path / "out/a", "viewfusion", pictures(cameras), cameras, RECORD)
    folder = tmp_path / "out/a"
    assert {file.name for file in folder.iterdir()} == {"000.png", "001.png", "angles.json", "render.json"}
    angles = json.loads((folder / "angles.json").read_text())
    assert angles[1]["azimuth"] == pytest.approx(math.radians(-100))
    assert angles[1]["polar"] == pytest.approx(math.radians(100))
    assert angles[1]["radius"] == 2
    with Image.open(folder / "001.png") as image:
        assert (image.mode, image.size) == ("RGBA", (8, 8))
        assert np.asarray(image)[0, 0].tolist() == [1, 1, 1, 1]
    assert picture_files(folder) == [folder / "000.png", folder / "001.png"]


def test_the_syncdreamer_layout(tmp_path):
    """A point through K and the poses of meta.pkl lands where our own camera sees it."""
    write_layout(tmp_path / "a", "syncdreamer", pictures(SYNCDREAMER), SYNCDREAMER, RECORD)
    content = (tmp_path / "a/meta.pkl").read_bytes()
    matrix, azimuths, elevations, distances, poses = pickle.loads(content)
    assert matrix.tolist() == [[280, 0, 128], [0, 280, 128], [0, 0, 1]]
    assert azimuths == pytest.approx(np.arange(16) * math.pi / 8)
    assert elevations == pytest.approx([math.pi / 6] * 16)
    assert distances == pytest.approx([1.5] * 16)
    assert poses.shape == (16, 3, 4)
    assert {each.dtype for each in (matrix, azimuths, elevations, distances, poses)} == {np.dtype("float32")}
    for pose, world_to_camera in zip(SYNCDREAMER.poses, poses, strict=True):
        x, y, depth = matrix @ world_to_camera @ np.append(POINT[0], 1)
        seen = project(POINT, camera_to_world(pose), intrinsics(256, SYNCDREAMER.fov))[0]
        assert (x / depth, y / depth) == (pytest.approx(seen[0], abs=1e-3), pytest.approx(seen[1], abs=1e-3))
    assert len(picture_files(tmp_path / "a")) == 16


def test_the_pickle_names_nothing_that_an_old_numpy_has_not(tmp_path):
    write_layout(tmp_path / "a", "syncdreamer", pictures(SYNCDREAMER), SYNCDREAMER, RECORD)
    operations = list(pickletools.genops((tmp_path / "a/meta.pkl").read_bytes()))
    assert {argument for code, argument, _ in operations if code.name == "GLOBAL"} == {"numpy array"}
    assert not {code.name for code, _, _ in operations} & {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "BUILD"}


def test_the_nerfstudio_layout(tmp_path):
    cameras = small()
    write_layout(tmp_path / "a", "nerfstudio", pictures(cameras), cameras, RECORD)
    content = json.loads((tmp_path / "a/transforms.json").read_text())
    assert (content["w"], content["h"], content["cx"]) == (8, 8, 4)
    assert content["fl_x"] == pytest.approx(8 * 35 / 32, rel=1e-4)
    for frame, pose in zip(content["frames"], cameras.poses, strict=True):
        assert (tmp_path / "a" / frame["file_path"]).is_file()
        assert frame["transform_matrix"] == pytest.approx(camera_to_world(pose))


def test_a_finished_folder_is_known_and_another_ones_refused(tmp_path):
    path, cameras = tmp_path / "a", small()
    assert not is_finished(path, RECORD)
    write_layout(path, "nerfstudio", pictures(cameras), cameras, RECORD)
    assert is_finished(path, RECORD)
    with pytest.raises(ViewFusionError, match=r"rendered with options\.up=y, now z; choose another --out"):
        is_finished(path, RECORD | {"options": {"size": 8, "up": "z"}})
    with pytest.raises(ViewFusionError, match=r"mesh\.sha256=1, now 2"):
        is_finished(path, RECORD | {"mesh": {"file": "a.obj", "sha256": "2"}})
    (path / "images/001.png").write_bytes(b"")
    with pytest.raises(ViewFusionError, match="is there already and no finished rendering"):
        is_finished(path, RECORD)


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b'{"files": ["../../x"], "views": [{"file": "../../x"}]}']
)
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, content):
    (tmp_path / "a").mkdir()
    if content is not None:
        (tmp_path / "a/render.json").write_bytes(content)
    with pytest.raises(ViewFusionError, match="no finished rendering"):
        is_finished(tmp_path / "a", RECORD)


def test_a_rendering_that_stops_leaves_nothing(tmp_path):
    cameras = small()

    def stopping():
        yield from list(pictures(cameras))[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_layout(tmp_path / "a", "viewfusion", stopping(), cameras, RECORD)
    assert list(tmp_path.iterdir()) == []


def test_rings_and_random_poses():
    assert [round(pose.azimuth_deg) for pose in ring_poses(4, 0.1, 2.0)] == [0, 90, 180, 270]
    assert ring_poses(1, 0.1, 2.0) == (Pose(0, 0.1, 2.0),)
    poses = random_poses("chair", 2000, seed=3)
    assert poses[:5] == random_poses("chair", 5, seed=3)
    assert poses[:5] != random_poses("chair", 5, seed=4)
    assert poses[:5] != random_poses("cup", 5, seed=3)
    heights = np.array([math.sin(pose.elevation) for pose in poses])
    low, high = math.sin(math.radians(-10)), math.sin(math.radians(70))
    assert low <= heights.min() < low + 0.01
    assert high - 0.01 < heights.max() <= high
    assert heights.mean() == pytest.approx((low + high) / 2, abs=0.03)  # evenly spread over the sphere
    assert 1.5 <= min(pose.radius for pose in poses) < max(pose.radius for pose in poses) <= 2.2
    assert {pose.radius for pose in random_poses("chair", 9, 0, radius=1.8)} == {1.8}
