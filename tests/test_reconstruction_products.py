"""What a mesh is judged by: pictures of it, where they are taken from, and the folder that keeps them."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import camera_to_world, intrinsics, ring
from viewfusion.reconstruction.looking import MOST_DB, difference, look_at, mask_iou, normals, psnr, reduced
from viewfusion.reconstruction.mesh_folder import PRODUCTS, RECORD, MeshFolder
from viewfusion.reconstruction.pictures import Picture
from viewfusion.reconstruction.products import (
    role,
    scores,
    write_comparison,
    write_preview,
    write_turntable,
)
from viewfusion.reconstruction.scene import Scene
from viewfusion.reconstruction.turns import direction, shown_views, turn

SIZE = (24, 32)


def scene(views: int = 10, held_out: tuple[int, ...] = (4,)) -> Scene:
    """A grey square in the middle of every view, the darker the later the view."""
    images = torch.ones(views, 3, *SIZE)
    masks = torch.zeros(views, *SIZE)
    masks[:, 8:16, 12:20] = 1
    for index in range(views):
        images[index, :, 8:16, 12:20] = 0.5 - index / 40
    cameras = np.stack([camera_to_world(pose) for pose in ring(views, math.radians(20), 1.5).views])
    return Scene(
        images, masks, torch.from_numpy(cameras), torch.from_numpy(intrinsics(SIZE)), torch.ones(views),
        held_out, 1.0, 0,
    )  # fmt: skip


def looking(camera: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> Picture:
    """Sees a white world, but for a red row at the bottom that faces the camera."""
    image, mask, facing = np.ones((3, *size), np.float32), np.zeros(size, np.float32), np.zeros((3, *size))
    image[1:, -1], mask[-1] = 0, 1
    facing[:, -1] = camera[:3, 2, None]
    return Picture(image, mask, facing)


def test_psnr_of_known_errors():
    black = np.zeros((2, 2, 3))
    assert psnr(black, black) == MOST_DB
    assert psnr(black, black + 0.1) == pytest.approx(20)
    assert psnr(black, np.array([[1.0, 0], [0, 0]])[..., None]) == pytest.approx(10 * math.log10(4))


def test_a_difference_is_white_where_pictures_agree():
    one = np.array([[[0, 255, 100]]], np.uint8)
    assert difference(one, one).tolist() == [[[255, 255, 255]]]
    assert difference(one, np.array([[[255, 0, 130]]], np.uint8)).tolist() == [[[0, 0, 225]]]


def test_normals_are_shown_over_white():
    facing = np.array([[0.0, -1.0, 1.0], [0.0, 0.0, 0.0]]).T[:, None]
    seen = Picture(np.ones((3, 1, 2)), np.array([[1.0, 0.0]]), facing)
    assert normals(seen).tolist() == [[[128, 0, 255], [255, 255, 255]]]


def test_masks_agree_by_their_overlap():
    one, other = np.array([[1.0, 1, 0, 0]]), np.array([[0.0, 0.6, 0.4, 0]])
    assert mask_iou(one, other) == 0.5
    assert mask_iou(one * 0, other * 0) == 1


def test_a_smaller_picture_shows_the_same():
    matrix, size = reduced(intrinsics(SIZE), SIZE, 16)
    assert size == (12, 16)
    assert matrix == pytest.approx(intrinsics((12, 16)))
    matrix, size = reduced(intrinsics(SIZE), SIZE, 100)
    assert (size, matrix.tolist()) == (SIZE, intrinsics(SIZE).tolist())


def test_a_turn_goes_round_once_beside_the_nearest_view():
    frames = turn(scene(24))
    assert [nearest for _, nearest in frames] == list(range(24)), "the cameras of the views themselves"
    assert frames[3][0] == pytest.approx(scene(24).cameras[3].numpy())
    few = turn(scene(4, ()))
    assert len(few) == 36
    assert [nearest for _, nearest in few][:6] == [0, 0, 0, 0, 0, 1]
    assert np.linalg.norm(few[7][0][:3, 3]) == pytest.approx(1.5)


def test_what_is_shown_holds_the_input_and_what_was_held_out():
    some = scene(36, (4, 13, 22, 31))
    shown = shown_views(some)
    assert len(shown) == 6
    assert 0 in shown
    assert len(set(shown) & {4, 13, 22, 31}) == 3
    assert shown == sorted(shown), "a ring's views are in order of azimuth"
    assert direction(some, 9) == "+90°"
    assert [role(some, index) for index in (0, 1, 4)] == ["input", "trained", "held out"]


def test_scores_are_of_every_held_out_view_and_some_others():
    some = scene()
    found = scores(some, looking, 3)
    assert set(found["views"]) == {"0", "3", "4", "7"}
    # The row: red instead of white is an error of 1 in two of three channels; the square: 0.5 + 4 / 40.
    error = (32 * 2 + 64 * 3 * 0.6**2) / (24 * 32 * 3)
    assert found["held_out"]["psnr"] == pytest.approx(-10 * math.log10(error), abs=1e-3)
    assert found["held_out"]["mask_iou"] == 0
    assert found["trained"]["psnr"] == pytest.approx(
        np.mean([found["views"][name]["psnr"] for name in ("0", "3", "7")]), abs=1e-3
    )
    assert scores(scene(10, ()), looking, 3)["held_out"] is None


def test_scores_of_smaller_pictures_are_of_reduced_views():
    """Half as high, the red row of one pixel is a 12th of the picture, and the square as large as it was."""
    found = scores(scene(), looking, 0, 16)
    error = (16 * 2 + 16 * 3 * 0.6**2) / (12 * 16 * 3)
    assert (found["pixels"], found["trained"]) == (16, None)
    assert found["held_out"]["psnr"] == pytest.approx(-10 * math.log10(error), abs=1e-3)
    assert scores(scene(), looking, 0, 99) == scores(scene(), looking, 0)
    assert scores(scene(), looking, 0)["pixels"] == 32


def test_pictures_for_people(tmp_path):
    some = scene()
    write_comparison(tmp_path / "comparison.png", some, looking, "a square")
    write_preview(tmp_path / "preview.png", some, 4, look_at(some, looking, 4, 16), "step 3")
    with Image.open(tmp_path / "comparison.png") as sheet, Image.open(tmp_path / "preview.png") as preview:
        assert sheet.width > 4 * 128
        assert sheet.height > 6 * 96
        assert preview.height < sheet.height
        colours = {colour for _, colour in sheet.getcolors(2**20)}
    assert (255, 0, 0) in colours, "the render"
    assert (255, 255, 255) in colours


def test_a_turntable_shows_view_and_render_side_by_side(tmp_path):
    write_turntable(tmp_path / "turn.mp4", scene(24), looking)
    frames = imageio.imread(tmp_path / "turn.mp4")
    assert len(frames) == 24
    height, width = frames[0].shape[:2]
    left, right = frames[0][:, : width // 2], frames[0][:, width // 2 :]
    assert abs(int(left[height // 2, width // 4].mean()) - 128) < 12, "the square of view 0"
    assert right[-2, width // 4, 0] > 150 > right[-2, width // 4, 1], "the red row"


FINGERPRINT = {"preset": {"steps": 3}, "views": "ab"}


def whole(path: Path) -> Path:
    with MeshFolder(path, FINGERPRINT) as place:
        place.begin()
        for name in PRODUCTS:
            (path / name).write_bytes(b"made")
        for name in ("mesh.png", "comparison.png", "preview.png"):
            Image.new("RGB", (2, 2)).save(path / name)
        place.finish({"faces": 3, "settings": {"preset": {"steps": 3}}})
    return path


def test_a_finished_folder_is_left_alone(tmp_path):
    path = whole(tmp_path / "mesh")
    assert not (path / ".resume").exists()
    assert not (path / ".lock").exists()
    with MeshFolder(path, FINGERPRINT) as place:
        assert place.complete
        assert place.record()["faces"] == 3
        assert set(place.record()["files"]) == set(PRODUCTS)


@pytest.mark.parametrize("name", ["mesh.glb", "comparison.png"])
def test_a_folder_that_lacks_a_file_is_not_whole(name, tmp_path):
    path = whole(tmp_path / "mesh")
    (path / name).write_bytes(b"")
    with MeshFolder(path, FINGERPRINT) as place:
        assert not place.complete
        assert not place.is_begun
        place.begin()
        assert not (path / RECORD).exists()


def test_another_meshs_folder_is_refused_and_with_force_begun_anew(tmp_path):
    path = whole(tmp_path / "mesh")
    (path / "notes.txt").write_text("mine")
    other = {**FINGERPRINT, "preset": {"steps": 4}}
    with pytest.raises(ViewFusionError, match=r"mesh was made with preset.steps=3, now 4; choose another"):
        MeshFolder(path, other)
    assert (path / "mesh.glb").exists()
    before = {each.name for each in path.iterdir()}
    with MeshFolder(path, other, force=True) as place:
        assert not place.complete
        place.abandon()
    assert {each.name for each in path.iterdir()} == before, "nothing goes before it is begun"
    with MeshFolder(path, other, force=True) as place:
        place.begin()
    assert {each.name for each in path.iterdir()} == {"notes.txt", ".resume"}
    with pytest.raises(ViewFusionError, match=r"preset.steps=4, now 3"):
        MeshFolder(path, FINGERPRINT)


def test_what_is_somebody_elses_stays(tmp_path):
    (tmp_path / "mesh.obj").write_text("mine")
    for force in (False, True):
        with pytest.raises(ViewFusionError, match="is there already"):
            MeshFolder(tmp_path, FINGERPRINT, force)
    assert [each.name for each in tmp_path.iterdir()] == ["mesh.obj"]
    (tmp_path / "mesh.obj").rename(tmp_path / RECORD)
    with pytest.raises(ViewFusionError, match="damaged or not viewfusion's"):
        MeshFolder(tmp_path, FINGERPRINT, force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ViewFusionError, match="is a file, not a folder"):
        MeshFolder(tmp_path / "file", FINGERPRINT)


def test_settings_are_told_once_and_still_tell_meshes_apart(tmp_path):
    path = whole(tmp_path / "mesh")
    record = json.loads((path / RECORD).read_text())
    assert record["fingerprint"] == {"schema": 1, "views": "ab"}
    with MeshFolder(path, FINGERPRINT) as place:
        assert place.complete


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": [1]}, "damaged or not viewfusion's"),
        ({"fingerprint": 3}, "damaged or not viewfusion's"),
        ({"settings": {"preset": {"steps": 99}}}, "preset.steps=99, now 3"),
        ({"files": [["mesh.glb"]]}, None),
        ({"files": {"mesh.glb": 1}}, None),
        ({"files": ["mesh.glb", "../../mesh.glb"]}, None),
    ],
)
def test_a_record_that_was_tampered_with_is_refused_or_made_anew(change, words, tmp_path):
    path = whole(tmp_path / "mesh")
    record = json.loads((path / RECORD).read_text())
    (path / RECORD).write_text(json.dumps({**record, **change}))
    if words:
        with pytest.raises(ViewFusionError, match=words):
            MeshFolder(path, FINGERPRINT)
    else:
        with MeshFolder(path, FINGERPRINT) as place:
            assert not place.complete


def test_nothing_is_written_behind_a_link_and_no_pipe_is_waited_for(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh/.resume").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ViewFusionError, match=r"\.resume is a link; choose another --out or remove it"):
        MeshFolder(tmp_path / "mesh", FINGERPRINT)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    os.mkfifo(tmp_path / "elsewhere" / RECORD)
    with pytest.raises(ViewFusionError, match="damaged or not viewfusion's"):
        MeshFolder(tmp_path / "elsewhere", FINGERPRINT)


def test_two_calls_do_not_share_a_folder(tmp_path):
    with MeshFolder(tmp_path, FINGERPRINT), pytest.raises(ViewFusionError, match="another run is writing"):
        MeshFolder(tmp_path, FINGERPRINT)


def test_a_mesh_that_is_not_begun_leaves_nothing(tmp_path):
    with MeshFolder(tmp_path / "new", FINGERPRINT) as place:
        place.abandon()
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").write_text("")
    with MeshFolder(tmp_path, FINGERPRINT) as place:
        place.abandon()
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


def test_checkpoints_of_unknown_origin_are_not_gone_on_with(tmp_path):
    with MeshFolder(tmp_path, FINGERPRINT) as place:
        place.begin()
        place.checkpoint.write_bytes(b"trained")
    with MeshFolder(tmp_path, FINGERPRINT) as place:
        assert place.is_begun
        place.begin()
        assert place.checkpoint.exists()
    run = tmp_path / ".resume/run.json"
    run.write_text(json.dumps({"broken": 1})[:-2])
    with MeshFolder(tmp_path, FINGERPRINT) as place:
        assert not place.is_begun
        place.begin()
        assert not place.checkpoint.exists()
