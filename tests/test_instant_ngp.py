"""instant-ngp's folder, by its documentation: scale and offset map the object into the cube from 0 to 1.

The projection is written from the documentation and uses nothing of viewfusion.geometry.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image
from test_exports import POINTS, POSES, dots, expected, same_pose, scene

from viewfusion.datasets.reading import open_dataset
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import ring
from viewfusion.outputs import export
from viewfusion.preprocessing.images import over_white
from viewfusion.views import ViewSet


def alphas_of(views: ViewSet) -> list[np.ndarray]:
    """Opaque enough for the colours: as far as the darkest channel is from white."""
    return [(255 - view.rgb.min(axis=2)) / 255 for view in views]


def test_by_its_documentation(tmp_path):
    """Camera-to-world, x right, y up, looking along -z; pixels from the focal length and the centre."""
    views = scene()
    export(views, "instant-ngp", tmp_path / "ngp", alphas=alphas_of(views))
    meta = json.loads((tmp_path / "ngp/transforms.json").read_text())
    assert (meta["w"], meta["h"], meta["cx"], meta["cy"], meta["aabb_scale"]) == (64, 48, 32, 24, 1)
    assert [meta[key] for key in ("k1", "k2", "p1", "p2")] == [0, 0, 0, 0]
    assert meta["fl_x"] == pytest.approx(32 / math.tan(meta["camera_angle_x"] / 2))
    assert meta["fl_y"] == pytest.approx(24 / math.tan(meta["camera_angle_y"] / 2))
    assert len(meta["frames"]) == len(views)
    for view, frame in zip(views, meta["frames"], strict=True):
        matrix = np.array(frame["transform_matrix"])
        x, y, z = ((POINTS - matrix[:3, 3]) @ matrix[:3, :3]).T
        pixels = np.stack([meta["cx"] + meta["fl_x"] * x / -z, meta["cy"] - meta["fl_y"] * y / -z], 1)
        assert np.abs(pixels - expected(view.pose, 48, 64)).max() < 1e-8
        rgba = np.asarray(Image.open(tmp_path / "ngp" / frame["file_path"]))
        assert rgba.shape == (48, 64, 4)
        back = over_white(rgba)
        assert np.abs(back.astype(int) - view.rgb).max() <= 1
        assert np.abs(dots(back) - pixels).max() < 0.1


@pytest.mark.parametrize("radius", [1.5, 2.2, 40.0])
def test_the_object_fills_the_unit_cube_without_leaving_it(tmp_path, radius):
    """The cube of 0.4 camera distances each way, where an object is looked for, is the one from 0 to 1."""
    views = scene(ring(8, radius=radius).views)
    export(views, "instant-ngp", tmp_path / "ngp", alphas=alphas_of(views))
    meta = json.loads((tmp_path / "ngp/transforms.json").read_text())
    corners = 0.4 * radius * np.array([[-1, -1, -1], [1, 1, 1]])
    assert corners * meta["scale"] + meta["offset"] == pytest.approx(np.array([[0] * 3, [1] * 3]), abs=1e-6)
    camera = np.array(meta["frames"][0]["transform_matrix"])[:3, 3] * meta["scale"]
    assert np.linalg.norm(camera) == pytest.approx(1.25)


def test_our_own_reader_opens_it(tmp_path):
    views = scene()
    export(views, "instant-ngp", tmp_path / "ngp", alphas=alphas_of(views))
    (found,) = open_dataset(tmp_path / "ngp").objects
    assert found.fov == pytest.approx(views.fov)
    assert [picture.path.name for picture in found.pictures] == [f"{i:03d}.png" for i in range(5)]
    for picture, pose in zip(found.pictures, POSES, strict=True):
        assert picture.pose is not None
        assert same_pose(picture.pose, pose)


def test_it_wants_an_alpha_for_every_view(tmp_path):
    views = scene()
    for alphas in (None, [*alphas_of(views)[:4], None]):
        with pytest.raises(ViewFusionError, match="wants pictures with alpha"):
            export(views, "instant-ngp", tmp_path / "ngp", alphas=alphas)
    assert not list(tmp_path.iterdir())


def test_nerfstudio_and_colmap_keep_alphas_where_they_have_a_place_for_them(tmp_path):
    views, some = scene(), alphas_of(scene())
    some[1] = None
    export(views, "nerfstudio", tmp_path / "ns", alphas=some)
    export(views, "colmap", tmp_path / "model", alphas=some)
    export(views, "viewfusion", tmp_path / "numbered", alphas=some)
    for place, view in enumerate(views):
        rgba = np.asarray(Image.open(tmp_path / f"ns/images/{place:03d}.png"))
        assert np.abs(over_white(rgba).astype(int) - view.rgb).max() <= 1
        assert (rgba[..., 3] < 255).any() == (place != 1)
        for folder in ("model/images", "numbered"):
            assert (np.asarray(Image.open(tmp_path / f"{folder}/{place:03d}.png")) == view.rgb).all()
    masks = sorted((tmp_path / "model/masks").iterdir())
    assert [path.name for path in masks] == [f"{place:03d}.png.png" for place in (0, 2, 3, 4)]
    mask = np.asarray(Image.open(masks[0]))
    assert mask.shape == (48, 64)
    assert set(np.unique(mask)) == {0, 255}
    assert ((mask == 255) == (some[0] > 0.5)).all()
