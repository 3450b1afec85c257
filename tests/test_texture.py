"""The texture: colours come back from pictures, wherever views and charts meet, and fill what is unseen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from balls import BLUE, RED, angle_deg, ball_scene, halves

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, camera_to_world, intrinsics
from viewfusion.reconstruction.pictures import picture_of
from viewfusion.reconstruction.rasters import Raster, rasterised
from viewfusion.reconstruction.scene import Scene
from viewfusion.reconstruction.texture import Baking, Looks, baked, spread
from viewfusion.reconstruction.textured import TexturedMesh
from viewfusion.reconstruction.triangles import Triangles, topology, unit, vertex_normals

SMALL = Baking(size=256)
LOWEST_SEEN = -0.5 * np.sin(np.radians(40.5))
"""z of the lowest points of the ball that a camera 30 degrees up sees: 70.5 degrees off its direction."""


def shape(mesh: trimesh.Trimesh) -> Triangles:
    return Triangles(np.array(mesh.vertices), np.array(mesh.faces))


BALL = shape(trimesh.creation.icosphere(subdivisions=4, radius=0.5))


def texels(mesh: TexturedMesh) -> tuple[np.ndarray, np.ndarray, Raster]:
    """Points of the surface and their colours in [0, 1], of all texels that show any."""
    side = len(mesh.texture)
    flat = np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1], np.ones(len(mesh.uv))], axis=1) * [side, side, 1]
    raster = rasterised(flat[mesh.faces], (side, side))
    return raster.mixed(mesh.vertices, mesh.faces), mesh.texture[raster.faces >= 0] / 255, raster


@pytest.fixture(scope="module")
def two_coloured() -> TexturedMesh:
    return baked(BALL, ball_scene(scale=2.0), SMALL)


def test_two_colours_come_back_wherever_they_are_seen(two_coloured):
    """In every texel, those at borders of charts among them. The edge of the colours is as sharp as pictures
    are, whose pixels are 0.015 wide; within four blurs of it, a fifth of the width, views differ a little."""
    points, colours, _ = texels(two_coloured.scaled(0.5))
    off = np.abs(colours - halves(points)).max(axis=1) * 255
    seen, aside = points[:, 2] > LOWEST_SEEN + 0.05, np.abs(points[:, 1])
    assert off[seen & (aside > 0.2)].max() < 3
    assert off[seen & (aside > 0.05)].max() < 10
    assert np.median(off[seen & (aside > 0.02) & (aside < 0.05)]) < 6


def test_so_do_colours_of_vertices(two_coloured):
    points = two_coloured.vertices / 2
    off = np.abs(two_coloured.colours / 255 - halves(points)).max(axis=1) * 255
    seen, aside = points[:, 2] > LOWEST_SEEN + 0.05, np.abs(points[:, 1])
    assert off[seen & (aside > 0.2)].max() < 3
    assert off[seen & (aside > 0.06)].max() < 15


def test_what_no_view_sees_has_the_colours_around_it(two_coloured):
    """Below, red on the red side, blue on the other, and nothing beyond these two anywhere."""
    points, colours, _ = texels(two_coloured.scaled(0.5))
    redness = (colours - BLUE) @ (RED - BLUE) / ((RED - BLUE) @ (RED - BLUE))
    unseen = points[:, 2] < LOWEST_SEEN - 0.02
    assert redness[unseen & (points[:, 1] > 0.25)].min() > 0.7
    assert redness[unseen & (points[:, 1] < -0.25)].max() < 0.3
    below = redness[points[:, 2] < -0.49]
    assert 0.2 < below.min() < below.max() < 0.8
    between = BLUE + redness[:, None] * (RED - BLUE)
    assert np.abs(colours - between).max() < 6 / 255


def test_no_texel_is_empty(two_coloured):
    """Each between charts has the colour of one in a chart, so smaller copies hold no other."""
    _, colours, raster = texels(two_coloured)
    between = two_coloured.texture[raster.faces < 0]
    assert len(between) > 1000
    known = {tuple(colour) for colour in np.rint(colours * 255).astype(int).tolist()}
    assert {tuple(colour) for colour in between.tolist()} <= known


def test_the_mesh_is_in_world_units_and_closed(two_coloured):
    assert np.linalg.norm(two_coloured.vertices, axis=1) == pytest.approx(1.0)
    assert not topology(Triangles(two_coloured.vertices, two_coloured.faces)).watertight
    facts = topology(two_coloured.surface())
    assert (facts.watertight, facts.vertices) == (True, len(BALL.vertices))
    assert np.linalg.norm(two_coloured.normals, axis=1) == pytest.approx(1.0)


def plain(level: float):
    return lambda points: np.full((len(points), 3), level)


def test_views_of_other_brightness_leave_no_edge():
    """Every other view is darker by 26 levels, which goes over in many small steps: edges span 4 degrees."""
    scene = ball_scene(8, colours=[plain(0.55), plain(0.65)] * 4)
    looks = Looks(BALL, scene, SMALL, scene.trained)
    colours, trust = looks.colours(BALL.vertices, vertex_normals(BALL))
    edges = BALL.faces[:, [0, 1]][(trust[BALL.faces] > 0.2).all(axis=1)]
    steps = np.abs(colours[edges[:, 0]] - colours[edges[:, 1]]).max(axis=1) * 255
    assert np.ptp(colours[trust > 0.2]) * 255 > 20
    assert steps.max() < 10
    assert steps.mean() < 2


def test_fine_detail_on_which_views_disagree_is_that_of_one_of_them():
    """Rings of latitude, at another height in each view: mixed evenly, little would be left of them."""

    def rings(phase):
        return lambda points: np.repeat(0.5 + 0.2 * np.sin(90 * points[:, 2:] + phase), 3, axis=1)

    scene = ball_scene(12, 128, colours=[rings(2.4 * each) for each in range(12)])
    around = unit(np.random.default_rng(0).normal(size=(4000, 3)) * [1, 1, 0.3])
    around = around[np.abs(around[:, 2]) < 0.4]

    def contrast(choosiness):
        settings = Baking(coarse=0.04, choosiness=choosiness)
        looks = Looks(BALL, scene, settings, scene.trained)
        return looks.colours(around * 0.5, around)[0].std()

    assert contrast(8.0) > 0.6 * 0.2 / np.sqrt(2)
    assert contrast(8.0) > 1.5 * contrast(0.0)


def test_a_view_that_is_trusted_more_says_more():
    """Two views of one side, grey of 0.4 and 0.6, the first trusted four times as much: 0.44, nearly."""
    scene = ball_scene(2, colours=[plain(0.4), plain(0.6)])
    same = scene.cameras[:1].expand(2, 4, 4)
    scene = replace(scene, cameras=same, images=scene.images, weights=torch.tensor([1.0, 0.25]))
    looks = Looks(BALL, scene, replace(SMALL, tolerance=1e6), (0, 1))
    facing = unit(scene.cameras[:1, :3, 3].numpy())
    colours, trust = looks.colours(facing * 0.5, facing)
    assert colours == pytest.approx(0.44, abs=2e-3)
    assert trust == pytest.approx(1.25, abs=0.01)


def test_a_view_that_is_far_off_is_left_out():
    """One of twelve is black: a mean would be 0.55 of 0.6 or darker."""
    scene = ball_scene(12, colours=[plain(0.6)] * 11 + [plain(0.0)])
    looks = Looks(BALL, scene, SMALL, scene.trained)
    top = np.array([[0.0, 0, 1]])
    assert looks.colours(top * 0.5, top)[0] == pytest.approx(0.6, abs=0.01)


def test_only_views_trained_on_colour_the_mesh():
    scene = replace(ball_scene(12, colours=[plain(0.6)] * 11 + [plain(0.0)]), held_out=(11,))
    mesh = baked(BALL, scene, Baking(size=128))
    assert mesh.colours.min() > 0.55 * 255


def test_what_is_hidden_takes_nothing_from_what_hides_it():
    """A blue pole before a red wall; every view sees both, and none sees through the pole."""
    wall = trimesh.creation.box(extents=(0.1, 0.9, 0.6)).subdivide().subdivide().subdivide()
    pole = trimesh.creation.box(extents=(0.1, 0.1, 0.6)).subdivide().subdivide()
    pole.apply_translation((0.4, 0, 0))
    both = shape(trimesh.util.concatenate([wall, pole]))
    is_pole = np.arange(len(both.vertices)) >= len(wall.vertices)
    colours = np.rint(np.where(is_pole[:, None], BLUE, RED) * 255).astype(np.uint8)
    truth = TexturedMesh(both.vertices, both.faces, vertex_normals(both), colours)
    poses = [Pose.from_degrees(angle, 20, 1.5) for angle in range(0, 360, 30)]
    cameras, matrix = np.stack([camera_to_world(pose) for pose in poses]), intrinsics(96)
    pictures = [picture_of(truth, camera, matrix, (96, 96)) for camera in cameras]
    scene = Scene(
        torch.from_numpy(np.stack([each.image for each in pictures])),
        torch.from_numpy(np.stack([each.mask for each in pictures])),
        torch.from_numpy(cameras), torch.from_numpy(matrix), torch.ones(12), (), 1.0, 0,
    )  # fmt: skip
    mesh = baked(both, scene, SMALL)
    points, found, _ = texels(mesh)
    expected = np.where(points[:, :1] > 0.2, BLUE, RED)
    off = np.abs(found - expected).max(axis=1)
    assert np.quantile(off, 0.99) < 0.1
    assert off.mean() < 0.01


def test_a_surface_that_no_view_sees_is_refused():
    scene = ball_scene(4, 32)
    with pytest.raises(ViewFusionError, match="no view sees any of it"):
        baked(BALL, replace(scene, masks=torch.zeros_like(scene.masks)), SMALL)


def test_colours_spread_evenly_over_the_surface():
    """Known at both poles alone: black above, white below, and grey on the equator."""
    colours, trust = np.zeros((len(BALL.vertices), 3)), np.zeros(len(BALL.vertices))
    angles = angle_deg(BALL.vertices, (0, 0, 1))
    trust[(angles < 10) | (angles > 170)] = 1
    colours[angles > 170] = 1
    found = spread(BALL, colours, trust)[:, 0]
    assert found[angles < 10].max() < 0.01
    assert found[angles > 170].min() > 0.99
    assert found[np.abs(angles - 90) < 2] == pytest.approx(0.5, abs=0.05)
    assert np.corrcoef(found, angles)[0, 1] > 0.9


@pytest.mark.parametrize("size", [63, 8193])
def test_a_texture_of_no_sensible_size_is_refused(size):
    with pytest.raises(ViewFusionError, match=f"64 to 8192 texels a side, got {size}"):
        Baking(size=size)
