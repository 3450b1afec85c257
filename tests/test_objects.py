"""The procedural objects and their renderer, against distances, silhouettes and shades worked out by hand."""

from __future__ import annotations

import itertools
import math
import sys

import make_dataset
import numpy as np
import pytest
import torch
from make_dataset import write_shard
from objects import (
    FAMILIES,
    SPLITS,
    ProceduralObject,
    endless_batches,
    free_photos,
    load_photos,
    over_white,
    random_object,
    random_poses,
    render,
    render_batch,
)
from objects.builder import Builder, cut
from objects.generator import assemble
from objects.primitives import POWER, box, capsule, disc, distance, extent, ring, superquadric
from objects.scene import world_extent
from objects.textures import BLOTCHES, CHECKS, DOTS, GRADIENT, NOISE, PHOTO, SOLID, STRIPES, colour, noise
from PIL import Image

from viewfusion.geometry import FOV, Pose

BALL, BOX = superquadric((0.5, 0.5, 0.5)), box((0.5, 0.5, 0.5))
ROWS = {
    "box": box((0.5, 0.3, 0.4)),
    "rounded box": box((0.5, 0.3, 0.4), edge=0.1),
    "roof": box((0.4, 0.5, 0.3), taper=(1, 0)),
    "pyramid": box((0.4, 0.5, 0.3), taper=(1, 1)),
    "cylinder": disc(0.4, 0.5, edge=0.05),
    "cone": disc(0.5, 0.4, top=0.1),
    "tube": disc(0.5, 0.4, wall=0.1),
    "lampshade": disc(0.5, 0.3, top=0.3, wall=0.1),
    "ring": ring(0.4, 0.1),
    "half ring": ring(0.4, 0.1, cut("-x")),
    "capsule": capsule(0.2, 0.3),
    "ellipsoid": superquadric((0.5, 0.2, 0.35)),
    "pillow": superquadric((0.5, 0.3, 0.4), 4.0),
    "octahedron": superquadric((0.5, 0.5, 0.4), 1.0),
    "dome": superquadric((0.5, 0.5, 0.4), 2.0, cut("-z")),
}


def material(kind=SOLID, frequency=(1.0, 1.0, 1.0), phase=0.0, photo=0):
    """Red, and blue where a pattern says so."""
    return (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, kind, *frequency, phase, 0.0, photo)


def light(towards=(1.0, 0.0, 0.0)):
    """Half of it even, half from one side; neither fill nor highlights."""
    return (*towards, *(0.5,) * 3, *(0.0, 0.0, 1.0), *(0.0,) * 3, *(0.5,) * 6, 0.0)


def body(*solids, at=None, groups=None, smoothness=0.0, towards=(1.0, 0.0, 0.0)):
    """Red solids, neither centred nor scaled, lit from +x."""
    count = len(solids)
    groups = np.arange(count) if groups is None else np.array(groups)
    return ProceduralObject(
        "test",
        np.array(solids, np.float32),
        np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        np.array(at or [(0.0, 0.0, 0.0)] * count, np.float32),
        np.array([material()] * count, np.float32),
        groups,
        np.full(groups.max() + 1, smoothness, np.float32),
        np.array(light(towards), np.float32),
    )


def gaps(row, points):
    """(N,) distances of points (N, 3)."""
    rows = torch.tensor(row)[:, None].expand(-1, len(points))
    return distance(rows, torch.as_tensor(points, dtype=torch.float32).T)


def outline(image):
    """(width, height) in pixels of what is more than half covered."""
    covered = image[..., 3] > 127
    return int(covered.any(0).sum()), int(covered.any(1).sum())


# Distances.


@pytest.mark.parametrize(
    ("name", "point", "expected"),
    [
        ("box", (0.0, 0.0, 0.0), -0.3),  # the nearest face is that in y
        ("box", (0.9, 0.0, 0.0), 0.4),
        ("box", (0.8, 0.7, 0.4), 0.5),  # 3-4-5 from an edge
        ("rounded box", (0.5, 0.3, 0.0), 0.1 * (math.sqrt(2) - 1)),
        ("cylinder", (0.7, 0.0, 0.0), 0.3),
        ("cylinder", (0.0, 0.0, 0.8), 0.3),
        ("tube", (0.0, 0.0, 0.0), 0.4),  # hollow: the wall is from 0.4 to 0.5
        ("tube", (0.45, 0.0, 0.0), -0.05),
        ("ring", (0.0, 0.0, 0.0), 0.3),
        ("ring", (0.0, 0.4, 0.0), -0.1),
        ("ring", (0.7, 0.0, 0.4), 0.4),  # 3-4-5 from the circle, less 0.1
        ("half ring", (-0.4, 0.0, 0.0), 0.4),  # where there would be more is the way to the cut
        ("capsule", (0.0, 0.3, 0.7), 0.3),  # 3-4-5 from the end of the axis, less 0.2
        ("ellipsoid", (0.9, 0.0, 0.0), 0.4),
        ("dome", (0.0, 0.0, -0.3), 0.3),
    ],
)
def test_distances_by_hand(name, point, expected):
    assert gaps(ROWS[name], [point]).item() == pytest.approx(expected, abs=1e-5)


def test_a_roof_leans_as_its_taper_says():
    # Half width 0.4 at the bottom, 0 at the top, 0.6 higher: at mid height the wall stands at 0.2.
    points = [(0.19, 0, 0), (0.21, 0, 0), (0.39, 0, -0.29), (0.01, 0.49, 0.28), (0.03, 0, 0.28), (0, 0.51, 0)]
    assert (gaps(ROWS["roof"], points) < 0).tolist() == [True, False, True, True, False, False]
    # The pyramid's other walls lean too.
    assert (gaps(ROWS["pyramid"], [(0.01, 0.49, 0.28), (0, 0.24, 0)]) < 0).tolist() == [False, True]


@pytest.mark.parametrize("name", ROWS)
def test_distances_never_overstate(name):
    """No point outside is nearer to any point inside than it says, nor outside ``extent``."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.7, 0.7, (6000, 3))
    gap = gaps(ROWS[name], points)
    inside = points[(gap < 0).numpy()]
    assert len(inside) > 50
    low, high = extent(np.array([ROWS[name]]))[0]
    assert (inside >= low - 1e-6).all()
    assert (inside <= high + 1e-6).all()
    outside = rng.uniform(-1.5, 1.5, (300, 3))
    nearest = torch.cdist(torch.tensor(outside), torch.tensor(inside)).amin(1)
    assert (gaps(ROWS[name], outside) <= nearest + 1e-5).all()


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row[POWER] == 0])
def test_prisms_distances_change_no_faster_than_one_moves(name):
    rng = np.random.default_rng(1)
    first = rng.uniform(-1, 1, (4000, 3))
    second = first + rng.normal(0, 0.03, (4000, 3))
    change = (gaps(ROWS[name], first) - gaps(ROWS[name], second)).abs()
    assert (change <= torch.tensor(np.linalg.norm(first - second, axis=1)) * 1.001 + 1e-6).all()


@pytest.mark.parametrize("name", ["box", "cylinder", "ring", "capsule", "ellipsoid", "tube"])
def test_upright_boxes_around_turned_solids_fit(name):
    rng = np.random.default_rng(2)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    low, high = world_extent(np.array([ROWS[name]]), turn[None], np.zeros((1, 3)))
    points = rng.uniform(-0.8, 0.8, (60000, 3))
    inside = points[(gaps(ROWS[name], points @ turn) < 0).numpy()]
    assert (inside >= low - 1e-6).all()
    assert (inside <= high + 1e-6).all()
    assert inside.max(0) == pytest.approx(high[0], abs=0.08)


# Pictures.


def test_a_ball_has_the_silhouette_of_perspective():
    # Tangent rays leave at asin(r / d) = asin(1/3): tan = 1/sqrt(8), times the focal length.
    focal = 128 / math.tan(FOV / 2)
    image = render(body(BALL), Pose(0.7, 0.3, 1.5), 256)
    assert outline(image) == (pytest.approx(2 * focal / math.sqrt(8), abs=1.5),) * 2


def test_a_box_seen_face_on_shows_its_near_face():
    # The face at distance 1.5 - 0.5 = 1 is 1 wide: one focal length of pixels.
    focal = 128 / math.tan(FOV / 2)
    image = render(body(box((0.5, 0.25, 0.4))), Pose(0.0, 0.0, 1.5), 256)
    assert outline(image) == (pytest.approx(focal * 0.5, abs=1.5), pytest.approx(focal * 0.8, abs=1.5))
    assert (image[..., 3] > 127).sum() == pytest.approx(math.prod(outline(image)), rel=0.01)


def test_a_cylinder_is_round_from_above_and_square_from_the_side():
    solid = body(disc(0.3, 0.2))
    image = render(solid, Pose(0.0, math.pi / 2, 1.5), 128)
    covered = (image[..., 3] > 127).float().mean()
    width, height = outline(image)
    assert width == pytest.approx(height, abs=1)
    assert covered.item() == pytest.approx(math.pi / 4 * width * height / 128**2, rel=0.05)
    side = render(solid, Pose(1.0, 0.0, 4.0), 128)
    width, height = outline(side)
    assert (side[..., 3] > 127).float().sum() == pytest.approx(width * height, rel=0.05)


def test_a_ring_has_a_hole_from_above_only():
    solid = body(ring(0.35, 0.1))
    above, side = (render(solid, Pose(0.3, e, 1.5), 64) for e in (math.pi / 2, 0.0))
    assert above[32, 32, 3] == 0
    assert side[32, 32, 3] == 255
    # Its outer edge is at 0.45 in the plane through the origin, about 1.5 away; its side 0.2 high.
    focal = 32 / math.tan(FOV / 2)
    assert outline(above)[0] == pytest.approx(2 * focal * 0.45 / 1.5, abs=1.5)
    assert outline(side)[1] == pytest.approx(2 * focal * 0.1 / (1.5 - 0.35), abs=1.5)


def test_solids_of_a_group_flow_together():
    """Between two balls that do not touch there is nothing, unless they are joined."""
    ball, places = superquadric((0.2, 0.2, 0.2)), [(0.0, -0.24, 0.0), (0.0, 0.24, 0.0)]
    apart = render(body(ball, ball, at=places), Pose(0, 0, 1.5), 64)
    joined = render(body(ball, ball, at=places, groups=[0, 0], smoothness=0.1), Pose(0, 0, 1.5), 64)
    assert apart[32, 32, 3] == 0
    assert joined[32, 32, 3] == 255
    assert (joined[..., 3] > 0).sum() > (apart[..., 3] > 0).sum()


def test_what_is_cut_away_is_missing():
    image = render(body(ROWS["dome"]), Pose(0.0, 0.0, 1.5), 64)
    assert image[:31, 24:40, 3].float().mean() > 127
    assert image[33:, :, 3].max() == 0


def test_the_nearest_solid_hides_the_others():
    blue = body(box((0.1, 0.3, 0.3)), superquadric((0.1, 0.1, 0.1)), at=[(0.2, 0.0, 0.0), (-0.3, 0.0, 0.0)])
    blue.materials[1, :3] = (0.0, 0.0, 1.0)
    assert render(blue, Pose(0.0, 0.0, 1.5), 32)[16, 16].tolist() == [255, 0, 0, 255]
    assert render(blue, Pose(math.pi, 0.0, 1.5), 32)[16, 16, 2] > 100


def test_nothing_in_sight_is_an_empty_picture():
    behind = body(BALL, at=[(5.0, 0.0, 0.0)])
    assert render(behind, Pose(0.0, 0.0, 1.5), 16).max() == 0
    assert render(behind, Pose(math.pi, 0.0, 1.5), 16).max() > 0


def test_faces_are_lit_by_lamberts_law():
    lit = render(body(BOX), Pose(0.0, 0.0, 1.5), 32)[16, 16]
    dark = render(body(BOX), Pose(math.pi, 0.0, 1.5), 32)[16, 16]
    slant = render(body(BOX, towards=(0.6, 0.8, 0.0)), Pose(0.0, 0.0, 1.5), 32)[16, 16]
    assert lit.tolist() == [255, 0, 0, 255]
    assert dark.tolist() == [128, 0, 0, 255]
    assert slant.tolist() == [204, 0, 0, 255]  # 0.5 + 0.5 x 0.6 = 0.8


def test_positive_azimuth_turns_the_camera_counter_clockwise():
    """A box off to +y appears right of the centre from azimuth 0 and in front from azimuth 90."""
    moved = body(box((0.1, 0.1, 0.1)), at=[(0.0, 0.4, 0.0)])
    columns = [(render(moved, Pose(a, 0.0, 1.5), 64)[..., 3] > 0).any(0).nonzero() for a in (0, math.pi / 2)]
    assert columns[0].min() > 32
    assert columns[1].float().mean() == pytest.approx(31.5, abs=1)


def test_a_higher_camera_sees_the_object_from_above():
    two = body(box((0.2, 0.2, 0.02)), box((0.2, 0.2, 0.02)), at=[(0.0, 0.0, 0.2), (0.0, 0.0, -0.2)])
    two.materials[1, :3] = (0.0, 1.0, 0.0)
    for elevation, shown in ((1.5, 0), (-1.5, 1)):
        assert render(two, Pose(0.3, elevation, 1.5), 32)[16, 16, :3].argmax() == shown


def test_a_batch_is_its_single_pictures():
    objects = [random_object(seed, family) for seed, family in enumerate(("car", "animal", "vase", "chair"))]
    objects = [obj for obj in objects for _ in range(2)]
    poses = [Pose(0.9 * i, 0.1 * i, 1.4 + 0.05 * i) for i in range(8)]
    batch = render_batch(objects, poses, 64)
    for picture, obj, pose in zip(batch, objects, poses, strict=True):
        # The last bits of exp and pow depend on where in a vector a number stands.
        difference = (picture.int() - render(obj, pose, 64).int()).abs()
        assert (difference > 1).float().mean() < 1e-3


# Objects.


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_makes_whole_objects(family):
    for seed in range(3):
        obj = random_object(seed, family)
        again = random_object(seed, family)
        poses = [Pose(0.5, e, 1.5) for e in (-0.15, 0.4, 1.2)]
        images = render_batch([obj] * 3, poses, 48)
        assert images.shape == (3, 48, 48, 4)
        assert images.dtype == torch.uint8
        alpha = images[..., 3]
        covered = (alpha > 127).float().mean((1, 2))
        assert covered.min() > 0.02
        assert covered.max() < 0.8
        border = torch.cat([alpha[:, 0], alpha[:, -1], alpha[:, :, 0], alpha[:, :, -1]])
        assert border.max() == 0
        assert images[alpha > 0][:, :3].float().std() > 2
        for name in ("solids", "rotations", "centres", "materials", "groups", "smoothness", "light"):
            assert np.array_equal(getattr(obj, name), getattr(again, name)), name


def test_families_vary():
    for family in FAMILIES:
        first, second = random_object(0, family), random_object(1, family)
        assert first.family == family
        assert first.solids.shape != second.solids.shape or not np.allclose(first.solids, second.solids)


def test_objects_are_centred_and_about_one_long():
    for seed in range(40):
        obj = random_object(seed)
        low, high = world_extent(obj.solids, obj.rotations, obj.centres)
        low, high = low.min(0), high.max(0)
        assert low + high == pytest.approx(0, abs=1e-4)
        assert np.ptp([low, high], axis=0).max() <= 1.0001
        assert np.linalg.norm(high - low) <= 1.2501
        assert np.ptp([low, high], axis=0).max() == pytest.approx(1, abs=1e-4) or np.linalg.norm(
            high - low
        ) == pytest.approx(1.25, abs=1e-4)


def test_rods_and_mirrors_go_where_they_are_told():
    b = Builder(np.random.default_rng(0))
    with b.mirrored("xy"):
        b.rod((0.1, 0.2, 0.0), (0.4, 0.6, 1.2), 0.05, material())
    obj = assemble("test", b, 0.0, light())
    assert len(obj.solids) == 4
    # Ends of the axes, in the solids' frames, taken to the world, and scaled back.
    half = obj.solids[:, 2] - obj.solids[:, 3]
    ends = (
        obj.centres[:, None] + np.array([-1, 1])[:, None] * (half[:, None] * obj.rotations[:, :, 2])[:, None]
    )
    scale = 2 * half[0] / 1.3  # the way from start to end is (0.3, 0.4, 1.2), 1.3 long
    found = sorted(tuple(round(float(v), 3) for v in end) for end in ends.reshape(-1, 3) / scale)
    wanted = itertools.product((0.1, -0.1), (0.2, -0.2)), itertools.product((0.4, -0.4), (0.6, -0.6))
    points = [(x, y, z) for pairs, z in zip(wanted, (-0.6, 0.6), strict=True) for x, y in pairs]
    assert np.array(found) == pytest.approx(np.array(sorted(points)), abs=2e-3)


def test_turns_are_about_x_then_y_then_z():
    b = Builder(np.random.default_rng(0))
    b.box((0, 0, 0), (0.3, 0.2, 0.1), material(), turn=(math.pi / 2, math.pi / 2, 0))
    rotation = assemble("test", b, 0.0, light()).rotations[0]
    # y goes to z and then to x; x goes to -z.
    assert rotation @ (0, 1, 0) == pytest.approx((1, 0, 0), abs=1e-6)
    assert rotation @ (1, 0, 0) == pytest.approx((0, 0, -1), abs=1e-6)


# Surfaces.


def shown(*args, at, photos=None):
    """Colours (N, 3) of a material at points."""
    points = torch.tensor(at).T
    rows = torch.tensor(material(*args))[:, None].expand(-1, points.shape[1])
    return colour(rows, points, torch.tensor([[0.0], [0.0], [1.0]]).expand_as(points), photos).T


def test_patterns_by_hand():
    red, blue = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]
    assert shown(SOLID, at=[(0.3, 0.1, 0.2)]).tolist() == [red]
    points = [(0.1, 0.0, 0.0), (0.3, 0.0, 0.0), (0.3, 0.3, 0.0), (0.3, 0.3, 0.3), (-0.1, 0.0, 0.0)]
    assert shown(STRIPES, (4.0, 0.0, 0.0), at=points).tolist() == [red, blue, blue, blue, blue]
    assert shown(CHECKS, (4.0, 4.0, 4.0), at=points).tolist() == [red, blue, red, blue, blue]
    assert shown(DOTS, (1.0, 1.0, 1.0), at=[(0.5, 0.5, 0.6), (0.0, 0.0, 0.0)]).tolist() == [blue, red]
    half = shown(GRADIENT, (0.0, 0.0, 1.0), at=[(0.0, 0.0, 0.25), (0.0, 0.0, -2.0)])
    assert half.tolist() == [[0.25, 0.0, 0.75], red]
    grain = shown(NOISE, (9.0, 9.0, 9.0), at=[(0.03 * i, 0.0, 0.0) for i in range(200)])
    assert 0 < grain[:, 2].min() < 0.35
    assert 0.65 < grain[:, 2].max() < 1
    blotches = shown(BLOTCHES, (5.0, 5.0, 5.0), at=[(0.03 * i, 0.0, 0.0) for i in range(200)])
    assert set(blotches[:, 2].tolist()) == {0.0, 1.0}


def test_noise_is_smooth_fair_and_the_same_everywhere():
    points = torch.rand(3, 20000, generator=torch.Generator().manual_seed(0)) * 60 - 30
    values = noise(points)
    assert values.min() >= 0
    assert values.max() <= 1
    assert values.mean().item() == pytest.approx(0.5, abs=0.02)
    # On the grid it is the hash, worked out here in whole numbers.
    mixed = (3 * 374761393 - 5 * 668265263 + 7 * 1440662683) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 1274126177) & 0xFFFFFFFF
    expected = ((mixed ^ (mixed >> 16)) & 0xFFFF) / 65535
    assert noise(torch.tensor([[3.0], [-5.0], [7.0]])).item() == pytest.approx(expected, abs=1e-6)
    nudged = noise(points + 1e-3)
    assert (values - nudged).abs().max() < 0.01


def test_photographs_are_shown_only_when_asked_for(tmp_path):
    for name, values in (("dark", (0, 60)), ("bright", (200, 255))):
        ramp = np.linspace(*values, 300).astype(np.uint8)[None].repeat(200, 0)
        Image.fromarray(ramp).save(tmp_path / f"{name}.png")
    photos = load_photos([tmp_path / "dark.png", tmp_path / "bright.png"])
    assert photos.shape == (2, 256, 256, 3)
    assert photos.amin() == 0  # contrast is stretched
    assert photos.amax() == 1
    # Seen along z: x to the right; red where the picture is dark, blue where it is bright, mirrored beyond 1.
    left, right, beyond = shown(
        PHOTO, at=[(0.05, 0.5, 0.0), (0.95, 0.5, 0.0), (1.95, 0.5, 0.0)], photos=photos
    )
    assert left[0] > 0.8
    assert right[2] > 0.8
    assert torch.allclose(beyond, left, atol=1e-5)
    plain, pictured = ([random_object(seed, "chair", photos=count) for seed in range(12)] for count in (0, 2))
    assert not any((obj.materials[:, 6] == PHOTO).any() for obj in plain)
    chosen = [obj for obj in pictured if (obj.materials[:, 6] == PHOTO).any()]
    assert chosen
    for a, b in zip(plain, pictured, strict=True):
        assert np.array_equal(a.solids, b.solids)
    with pytest.raises(ValueError, match="hand the renderer the photos"):
        render(chosen[0], Pose(0, 0.3, 1.5), 16)
    with_photos = render(chosen[0], Pose(0, 0.3, 1.5), 32, photos=photos)
    without = render(plain[pictured.index(chosen[0])], Pose(0, 0.3, 1.5), 32)
    assert torch.equal(with_photos[..., 3], without[..., 3])
    assert not torch.equal(with_photos, without)


def test_free_photographs_are_read_where_scikit_image_keeps_them(tmp_path, monkeypatch):
    package = tmp_path / "skimage"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('its code is not needed')")
    monkeypatch.delitem(sys.modules, "skimage", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"lacks brick\.png, grass\.png"):
        free_photos()
    for name in ("brick", "grass", "gravel", "coffee", "chelsea"):
        (package / "data" / f"{name}.png").touch()
    assert [path.name for path in free_photos()][:2] == ["brick.png", "grass.png"]


def test_an_unreadable_photograph_is_one_line(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name in ("broken.png", "absent.png"):
        with pytest.raises(SystemExit, match=f"--photos: .*{name}"):
            make_dataset.chosen_photos([str(tmp_path / name)])


# Data.


def test_endless_batches_are_what_their_seeds_say():
    batches = endless_batches(seed=3, objects=2, views=2, size=24)
    images, poses, seeds = next(batches)
    assert images.shape == (2, 2, 24, 24, 3)
    assert poses.shape == (2, 2, 3)
    assert (seeds < SPLITS["validation"]).all()
    for row, view in itertools.product(range(2), range(2)):
        single = render(random_object(int(seeds[row])), Pose(*poses[row, view].tolist()), 24)
        assert ((over_white(single).int() - images[row, view].int()).abs() > 1).float().mean() < 1e-3
    again = next(endless_batches(seed=3, objects=2, views=2, size=24))
    assert torch.equal(again[0], images)
    assert not torch.equal(next(batches)[2], seeds)
    assert not torch.equal(next(endless_batches(seed=4, objects=2, views=2, size=24))[2], seeds)


def test_workers_draw_different_objects():
    batches = endless_batches(seed=0, objects=3, views=1, size=8, workers=2)
    seeds = torch.cat([next(batches)[2] for _ in range(4)])
    assert len(seeds.unique()) == 12


def test_over_white():
    rgba = torch.tensor([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 51]]], dtype=torch.uint8)
    assert over_white(rgba).tolist() == [[[255, 255, 255], [10, 20, 30], [204, 204, 204]]]


def test_poses_are_zero123s():
    poses = random_poses(np.random.default_rng(0), 200)
    assert all(1.3 <= pose.radius <= 2.2 for pose in poses)
    assert all(-15 <= pose.elevation_deg <= 75 for pose in poses)
    assert np.ptp([pose.azimuth_deg for pose in poses]) > 300


def test_a_finished_shard_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("make_dataset.SHARD", 2)
    name = write_shard(0, tmp_path, views=2, size=16, first_seed=5)
    shard = np.load(tmp_path / name)
    assert shard["images"].shape == (2, 2, 16, 16, 3)
    assert shard["poses"].shape == (2, 2, 3)
    truth = render(random_object(6), Pose(*shard["poses"][1, 0].tolist()), 16)
    assert (
        (over_white(truth).int() - torch.from_numpy(shard["images"][1, 0])).abs() > 1
    ).float().mean() < 0.01
    (tmp_path / name).write_bytes(b"kept")
    assert write_shard(0, tmp_path, views=2, size=16, first_seed=5) == name
    assert (tmp_path / name).read_bytes() == b"kept"


def test_a_split_holds_its_own_objects_only(tmp_path, monkeypatch, capsys):
    most = str(SPLITS["validation"] + 1)
    monkeypatch.setattr(sys, "argv", ["make_dataset.py", "--out", str(tmp_path), "--objects", most])
    with pytest.raises(SystemExit):
        make_dataset.main()
    assert "--objects must be" in capsys.readouterr().err
