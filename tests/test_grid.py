"""Does the grid's recipe find what is there, close what no view sees, and go on bit for bit?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_grid_field import ball_field

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, camera_to_world, intrinsics
from viewfusion.reconstruction.band import box_ends, opacities, render_band, samples
from viewfusion.reconstruction.closing import close_unseen
from viewfusion.reconstruction.corrections import POSE_SCALE, TONE_SCALE, ViewCorrections
from viewfusion.reconstruction.grid import GridRecipe, RimPixels
from viewfusion.reconstruction.rays import pixel_rays, rays_from
from viewfusion.reconstruction.scene import Scene
from viewfusion.reconstruction.settings import GridSettings, load_settings, make_recipe
from viewfusion.reconstruction.training import Training

SMALL = GridSettings(
    steps=120,
    rays=256,
    resolutions=(24, 36),
    starts=(0.5, 0.75),
    relays=2,
    probes=32,
    fog_samples=24,
    sharpness=(80.0, 200.0),
    regularised=2048,
)


def boxes(size: int = 32, views: int = 12) -> Scene:
    """A box of half sides 0.3, 0.2, 0.2 whose colours are its places, seen from 30 degrees above."""
    half = torch.tensor([0.3, 0.2, 0.2])
    matrix = torch.from_numpy(intrinsics(size))
    poses = [Pose.from_degrees(360 * k / views, 30, 1.5) for k in range(views)]
    cameras = torch.from_numpy(np.stack([camera_to_world(pose) for pose in poses]))
    fine = torch.arange(4 * size) / 4 + 0.125
    y, x = torch.meshgrid(fine, fine, indexing="ij")
    images, masks = [], []
    for view in range(views):
        every = torch.full((y.numel(),), view)
        rays = pixel_rays(cameras, matrix, every, x.reshape(-1), y.reshape(-1))
        first, second = (-half - rays.origins) / rays.directions, (half - rays.origins) / rays.directions
        near = torch.minimum(first, second).amax(-1)
        hit = near < torch.maximum(first, second).amin(-1)
        place = rays.origins + rays.directions * near[:, None]
        colour = torch.where(hit[:, None], place / (2 * half) * 0.8 + 0.5, 1.0)
        images.append(colour.view(size, 4, size, 4, 3).mean((1, 3)).permute(2, 0, 1))
        masks.append(hit.float().view(size, 4, size, 4).mean((1, 3)))
    return Scene(
        images=torch.stack(images),
        masks=torch.stack(masks),
        cameras=cameras,
        intrinsics=matrix,
        weights=torch.linspace(1, 0.5, views),
        held_out=(views // 2,),
        scale=1.0,
        input_index=0,
    )


def overlap(field, half=(0.3, 0.2, 0.2), points=48) -> float:
    """Volume IoU with the box."""
    at = (torch.arange(points) + 0.5) / points * 1.2 - 0.6
    places = torch.stack(torch.meshgrid(at, at, at, indexing="ij"), -1).reshape(-1, 3)
    true = (places.abs() < torch.tensor(half)).all(-1)
    with torch.no_grad():
        found = field.sdf(places)[:, 0] < 0
    return float((true & found).sum() / (true | found).sum())


def test_a_box_is_found_closed_and_coloured():
    scene = boxes()
    training = Training(GridRecipe(replace(SMALL, steps=300)), scene)
    training.run()
    # The masks alone allow cones above and below it: see the next test.
    assert overlap(training.field) > 0.85
    y, x = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(32) + 0.5, indexing="ij")
    views = torch.full((32 * 32,), scene.held_out[0])
    seen = training.render(pixel_rays(scene.cameras, scene.intrinsics, views, x.reshape(-1), y.reshape(-1)))
    held_out = scene.images[scene.held_out[0]].permute(1, 2, 0).reshape(-1, 3)
    assert -10 * np.log10((seen.rgb - held_out).square().mean()) > 24
    assert (seen.mask[:, 0] - scene.masks[scene.held_out[0]].reshape(-1)).abs().mean() < 0.02


def test_the_hull_alone_is_too_large():
    field = GridRecipe(SMALL).make_field(boxes(), done=SMALL.steps)
    assert not field.fog
    assert 0.5 < overlap(field) < 0.8


def test_going_on_from_any_stage_gives_the_same_bits(tmp_path):
    scene, settings = boxes(24), replace(SMALL, steps=24, rays=64, refine_poses=True, refine_exposure=True)
    whole = Training(GridRecipe(settings), scene, seed=3)
    states = {}
    # In fog, on the first lattice of distances, and on the finest.
    for stop in (5, 14, 20):
        whole.run(stop)
        whole.save(tmp_path / f"{stop}.safetensors")
        states[stop] = whole.field.everywhere.shape
    whole.run()
    assert len(set(states.values())) == 2
    for stop in states:
        again = Training(GridRecipe(settings), scene, seed=3)
        again.load(tmp_path / f"{stop}.safetensors")
        again.run()
        assert again.losses == whole.losses, stop
        for name, value in whole.field.state_dict().items():
            assert torch.equal(value, again.field.state_dict()[name]), (stop, name)


def test_a_checkpoint_tells_what_was_learned_and_nothing_of_the_scene():
    """Or a file could name views that are not there."""
    field = GridRecipe(GridSettings(resolutions=(8, 12, 16))).make_field(boxes(16, 6))
    told = {"hull", "coarse", "views", "trained", "intrinsics", "corrections.free"}
    assert told <= {name for name, _ in field.named_buffers()}
    assert not told & set(field.state_dict())


def test_pictures_on_the_way_change_nothing():
    scene, settings = boxes(24), replace(SMALL, steps=8, rays=64)
    plain, watched = (Training(GridRecipe(settings), scene) for _ in range(2))
    plain.run()
    rays = rays_from(torch.tensor([[0.0, 0.1, 1.5]]), torch.tensor([[0.0, 0.0, -1.0]]))
    watched.run(on_preview=lambda training: training.render(rays), preview_every=1)
    assert plain.losses == watched.losses


def test_opacity_of_sections_is_that_of_the_whole():
    # Whatever the sections between two places: what they let through together is the ratio of the two ends.
    sdf = torch.linspace(0.1, -0.1, 9)[None]
    through = (1 - opacities(sdf, torch.tensor(40.0))).prod()
    expected = torch.sigmoid(torch.tensor(-4.0)) / torch.sigmoid(torch.tensor(4.0))
    assert through == pytest.approx(float(expected), rel=1e-4)
    assert (opacities(sdf.flip(1), torch.tensor(40.0)) == 0).all()  # a ray that leaves is not stopped
    deep = opacities(torch.tensor([[-5.0, -5.1]]), torch.tensor(1000.0))  # both logistics are 0 in float32
    assert deep.isfinite().all()


def test_samples_lie_about_the_surface_and_show_it():
    field = ball_field(40, 0.3)
    field.sharpness.fill_(300.0)
    origins = torch.tensor([[1.5, 0.0, 0.0], [1.5, 0.1, 0.2], [1.5, 0.0, 0.45]])
    rays = rays_from(origins, torch.tensor([[-1.0, 0.0, 0.0]]).expand(3, 3))
    near, far = box_ends(field, rays)
    assert torch.allclose(near, torch.tensor(1.0))
    assert torch.allclose(far, torch.tensor(2.0))
    z_vals = samples(field, rays, 64, 16, torch.Generator().manual_seed(0))
    assert (z_vals.diff(dim=1) >= 0).all()
    hit = 1.5 - (0.09 - origins[:2].square()[:, 1:].sum(1)).sqrt()
    assert ((z_vals[:2] - hit[:, None]).abs() < 0.05).float().mean() > 0.8
    seen = render_band(field, rays, z_vals, normals=True)
    assert torch.allclose(seen.mask[:, 0], torch.tensor([1.0, 1.0, 0.0]), atol=0.01)
    assert torch.allclose(seen.depth[:2, 0], hit, atol=0.01)
    assert torch.allclose(seen.normals[0], torch.tensor([1.0, 0.0, 0.0]), atol=0.05)
    assert torch.allclose(seen.rgb[2], torch.ones(3), atol=0.01)


def test_least_area_is_flat():
    # A cup of solid walls upside down on a cone: what is below the rim goes, what is above stays.
    solid = torch.zeros(24, 24, 24, dtype=torch.bool)
    solid[4:20, 4:20, 18:20] = True
    solid[4:20, 4:20, 10:20] = True
    solid[7:17, 7:17, 8:17] = False  # hollow, seen by nobody
    unseen = torch.zeros_like(solid)
    unseen[7:17, 7:17, 10:17] = True
    for depth in range(1, 7):  # a pyramid hangs below
        unseen[4 + depth : 20 - depth, 4 + depth : 20 - depth, 10 - depth] = True
    unseen &= ~solid
    closed = close_unseen(solid, unseen) > 0.5
    assert closed[8:16, 8:16, 11:17].all()  # the inside is filled
    assert not closed[..., :8].any()  # the pyramid is gone
    assert closed[solid].all()
    assert not closed[~solid & ~unseen].any()


def test_pressure_bulges():
    solid = torch.zeros(20, 20, 14, dtype=torch.bool)
    solid[2:18, 2:18, 9:12] = True
    unseen = torch.zeros_like(solid)
    unseen[2:18, 2:18, 1:9] = True
    flat, bulged = (float(close_unseen(solid, unseen, pressure).sum()) for pressure in (-0.02, 0.3))
    assert flat < solid.sum() + 40
    assert bulged > flat + 500


def test_corrections_begin_as_none_and_leave_the_input_alone():
    cameras = torch.from_numpy(
        np.stack([camera_to_world(Pose.from_degrees(a, 20, 1.5)) for a in (0, 90)])
    ).float()
    corrections = ViewCorrections(2, 0, poses=True, exposure=True)
    assert torch.allclose(corrections.cameras(cameras), cameras)
    with torch.no_grad():
        corrections.motions[:] = torch.tensor([0.0, 0.0, 10.0, 1.0, 0.0, 0.0])
        corrections.tones[:] = 1.0
    moved = corrections.cameras(cameras)
    assert torch.allclose(moved[0], cameras[0])
    turn = 10 * POSE_SCALE
    expected = torch.tensor([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    assert torch.allclose(moved[1, :3, :3], expected.float() @ cameras[1, :3, :3], atol=1e-6)
    assert torch.allclose(moved[1, :3, 3], cameras[1, :3, 3] + torch.tensor([POSE_SCALE, 0, 0]), atol=1e-6)
    grey, whole = torch.full((2, 3), 0.5), torch.ones(2, 1)
    toned = corrections.tone(grey, whole, torch.tensor([0, 1]))
    assert torch.equal(toned[0], grey[0])
    assert torch.allclose(toned[1], torch.tensor(0.5 * np.exp(TONE_SCALE) + TONE_SCALE).float())
    assert torch.equal(corrections.tone(grey, 0 * whole, torch.tensor([1, 1])), grey)


def test_gradients_reach_cameras_and_tones():
    scene, settings = boxes(24), replace(SMALL, steps=40, refine_poses=True, refine_exposure=True)
    training = Training(GridRecipe(settings), scene)
    training.run(25)
    corrections = training.field.corrections
    assert corrections.motions[1:].abs().max() > 0
    assert corrections.tones[1:].abs().max() > 0
    assert corrections.motions[0].abs().max() == 0


def test_pixels_are_the_trained_views_objects_with_a_rim():
    scene = boxes(32)
    pixels = RimPixels(scene, rim=16.0)  # 2 of these pixels
    assert scene.held_out[0] not in pixels.views
    covered = scene.masks[0] >= 0.5
    first = int((pixels.views == 0).sum())
    assert covered.sum() < first < covered.sum() + 4 * 3 * 32
    assert torch.equal(pixels.colours[0], scene.images[pixels.views[0], :, pixels.y[0], pixels.x[0]])
    mean = scene.weights[list(scene.trained)].mean()
    assert pixels.weights[pixels.views == 0][0] == pytest.approx(float(1 / mean))


def test_presets_of_the_grid():
    cpu, balanced = load_settings("cpu"), load_settings("balanced")
    assert cpu.recipe == balanced.recipe == "grid"
    assert balanced.grid.resolutions[-1] > cpu.grid.resolutions[-1]
    assert make_recipe(cpu).described()["recipe"] == "grid"


@pytest.mark.parametrize(
    "override",
    ["grid.starts=[0.5]", "grid.resolutions=[90, 80, 70]", "grid.sharpness=[3]", "grid.sharpened=0.1"],
)
def test_stages_that_cannot_be_are_refused(override):
    with pytest.raises(ViewFusionError, match=r"grid\."):
        load_settings("cpu", [override])
