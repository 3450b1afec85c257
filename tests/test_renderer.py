"""The ray caster for meshes, against silhouettes, sides and shades worked out by hand."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from PIL import Image
from test_meshes import COLOURS, QUAD, QUAD_UV, glb, lines, png, quad_gltf, write_cube, write_quad

from viewfusion.datasets import Light, Renderer, read_mesh
from viewfusion.datasets.renderer import touches_frame
from viewfusion.datasets.textures import Texture
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose

PLAIN = Light(ambient=1.0)


def deg(azimuth: float, elevation: float = 0.0, radius: float = 1.5) -> Pose:
    return Pose.from_degrees(azimuth, elevation, radius)


def middle(path, pose: Pose, light: Light = PLAIN, up: str = "z", size: int = 17) -> list[int]:
    """RGBA in the middle of the picture."""
    return Renderer(read_mesh(path, up)).render(pose, size, light)[size // 2, size // 2].tolist()


def write_ball(path, radius: float = 5.0, centre=(30.0, -20.0, 7.0), rows: int = 64):
    """A fine ball far from the origin."""
    around, down = np.linspace(0, 2 * math.pi, 2 * rows + 1), np.linspace(0, math.pi, rows + 1)
    a, d = np.meshgrid(around, down)
    points = np.stack([np.sin(d) * np.cos(a), np.sin(d) * np.sin(a), np.cos(d)], -1).reshape(-1, 3)
    first = (np.arange(rows)[:, None] * (2 * rows + 1) + np.arange(2 * rows)).reshape(-1) + 1
    faces = np.stack([first, first + 1, first + 2 * rows + 2, first + 2 * rows + 1], axis=1)
    path.write_text(lines("v", points * radius + centre) + lines("f", faces))
    return path


def test_each_azimuth_shows_the_side_that_faces_it(tmp_path):
    path = write_cube(tmp_path)
    for azimuth, side in ((0, "+x"), (90, "+y"), (180, "-x"), (270, "-y")):
        assert middle(path, deg(azimuth)) == [*COLOURS[side], 255]
    assert middle(path, deg(0, 90)) == [*COLOURS["+z"], 255]
    assert middle(path, deg(0, -90)) == [*COLOURS["-z"], 255]
    # With y up in the file: its y is the world's z, and its z, glTF's front, the world's -y.
    assert middle(path, deg(0, 90), up="y") == [*COLOURS["+y"], 255]
    assert middle(path, deg(270), up="y") == [*COLOURS["+z"], 255]
    assert middle(path, deg(0), up="y") == [*COLOURS["+x"], 255]


def test_positive_azimuth_turns_the_camera_counter_clockwise(tmp_path):
    """At azimuth 45 the side +y is right of +x: the camera has gone towards it."""
    picture = Renderer(read_mesh(write_cube(tmp_path), "z")).render(deg(45), 32, PLAIN)
    assert picture[16, 12].tolist() == [*COLOURS["+x"], 255]
    assert picture[16, 19].tolist() == [*COLOURS["+y"], 255]


def test_a_ball_has_the_silhouette_of_perspective(tmp_path):
    """Tangent rays leave at asin(r / d) = asin(1/3), whose tangent is 1 / sqrt(8); the focal length: 280."""
    mesh = read_mesh(write_ball(tmp_path / "ball.obj"), "z", scale="longest")
    picture = Renderer(mesh).render(deg(40, 25), 256)
    radius = 280 / math.sqrt(8)
    alpha = picture[..., 3].astype(float) / 255
    assert alpha.sum() == pytest.approx(math.pi * radius**2, rel=2e-3)
    assert alpha[128].sum() == pytest.approx(2 * radius, abs=0.5)
    assert alpha[:, 128].sum() == pytest.approx(2 * radius, abs=0.5)
    rows, columns = np.nonzero(alpha)
    assert (rows.mean(), columns.mean()) == (pytest.approx(127.5, abs=0.1),) * 2


def test_a_fitted_ball_and_box_are_whole_at_radius_one_and_a_half(tmp_path):
    for path in (write_ball(tmp_path / "ball.obj"), write_cube(tmp_path)):
        renderer = Renderer(read_mesh(path))
        assert not any(touches_frame(renderer.render(deg(a, e), 64)) for a, e in ((0, 0), (45, 35), (45, 0)))
    longest = Renderer(read_mesh(path, scale="longest"))
    assert touches_frame(longest.render(deg(0), 64))  # its near side, 1 wide at distance 1, fills 70 of 64


def test_edges_are_smooth_in_alpha_and_pure_in_colour(tmp_path):
    path = write_quad(tmp_path, None, "Kd 1 0 0\n")
    renderer = Renderer(read_mesh(path, "z"))
    picture = renderer.render(deg(20, 10), 48, PLAIN)
    alpha = picture[..., 3]
    assert ((alpha > 0) & (alpha < 255)).sum() > 20
    assert (picture[alpha > 0][:, :3] == (255, 0, 0)).all()
    assert (picture[alpha == 0] == (255, 255, 255, 0)).all()
    assert np.array_equal(picture, renderer.render(deg(20, 10), 48, PLAIN))
    assert np.array_equal(picture, Renderer(read_mesh(path, "z")).render(deg(20, 10), 48, PLAIN))


def test_big_pictures_are_made_in_pieces(tmp_path, monkeypatch):
    renderer = Renderer(read_mesh(write_cube(tmp_path)))
    whole = renderer.render(deg(30, 30), 40)
    monkeypatch.setattr("viewfusion.datasets.renderer._RAYS", 1000)  # 1 row at once
    assert np.array_equal(renderer.render(deg(30, 30), 40), whole)


def test_a_texture_stands_upright(tmp_path):
    """The quad is 1 wide at distance 1.5 and 70 x 35/32 / 1.5 = 51 pixels of 70: quarters at 35 +- 12.8."""
    (tmp_path / "quad.glb").write_bytes(glb(*quad_gltf(png(np.array(FOUR_RGB, np.uint8)))))
    for path, up in ((write_quad(tmp_path), "z"), (tmp_path / "quad.glb", "y")):
        picture = Renderer(read_mesh(path, up, scale="longest")).render(deg(0), 70, PLAIN).astype(int)
        assert (picture[35, 35 - 26 : 35 + 26, 3] > 0).sum() in (51, 52)
        for row, column, colour in (
            (22, 22, (255, 0, 0)),
            (22, 47, (0, 255, 0)),
            (47, 22, (0, 0, 255)),
            (47, 47, (255, 255, 255)),
        ):
            assert np.abs(picture[row, column, :3] - colour).max() <= 15
        behind = Renderer(read_mesh(path, up, scale="longest")).render(deg(180), 70, PLAIN)
        assert np.abs(behind[22, 47, :3].astype(int) - (255, 0, 0)).max() <= 15  # mirrored from the back


FOUR_RGB = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]]


def test_a_fine_texture_seen_small_is_its_mean(tmp_path):
    path = write_quad(tmp_path)
    board = np.indices((256, 256)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "four.png")
    picture = Renderer(read_mesh(path, "z")).render(deg(15, 20), 24, PLAIN)
    inside = picture[9:15, 9:15, :3].astype(int)
    assert np.abs(inside - 127.5).max() <= 3


def test_a_texture_between_its_texels_and_beyond_its_edge():
    texture = Texture.from_rgba(np.array([[[0, 0, 0, 255], [200, 100, 50, 255]]], np.uint8))
    uv = np.array([(0.25, 0.5), (0.75, 0.5), (0.5, 0.5), (0.0, 0.5), (1.25, -3.2)])
    seen = texture.sample(uv, np.zeros(5)) * 255
    # Texel centres at 1/4 and 3/4; half way between them the mean; at 0 the mean with the other end.
    assert seen[:, 0] == pytest.approx([0, 200, 100, 100, 0], abs=0.01)
    assert seen[1] == pytest.approx([200, 100, 50, 255], abs=0.01)


def test_transparent_texels_lend_no_colour():
    texture = Texture.from_rgba(np.array([[[0, 0, 0, 0], [200, 100, 50, 255]]], np.uint8))
    assert (texture.sample(np.array([(0.5, 0.5)]), np.zeros(1)) * 255)[0] == pytest.approx(
        [200, 100, 50, 127.5], abs=0.01
    )
    smaller = texture.levels[1].astype(int)
    assert np.abs(smaller - (200, 100, 50, 128)).max() <= 1


def test_faces_are_lit_by_lamberts_law_on_both_sides(tmp_path):
    path = write_quad(tmp_path, None, "Kd 1 0 0\n")

    def red(light, azimuth=0.0):
        return middle(path, deg(azimuth), light)[0]

    assert red(Light((1, 0, 0), 0.5)) == 255
    assert red(Light((0.6, 0.8, 0), 0.5)) == 204  # 0.5 + 0.5 x 0.6
    assert red(Light((-1, 0, 0), 0.5)) == 128  # from behind
    assert red(Light((-1, 0, 0), 0.5), 180) == 255  # the back is a surface too
    assert red(Light(None, 0.0), 60) in (127, 128)  # headlight: the cosine of 60 degrees
    assert red(Light.from_angles(0.0, math.pi / 3, 0.0)) in (127, 128)  # 60 degrees above the normal
    path.write_text(path.read_text().replace("f 1/1 2/2 3/3 4/4", "f 4/4 3/3 2/2 1/1"))
    assert red(Light((1, 0, 0), 0.5)) == 255  # whichever way its corners run


def test_normals_of_the_file_are_used_and_turned(tmp_path):
    path = tmp_path / "quad.obj"
    text = lines("v", QUAD) + lines("vt", QUAD_UV) + "vn 3 0 4\n"
    path.write_text(text + "f 1/1/1 2/2/1 3/3/1 4/4/1\n")
    grey = 0.7 * 255
    assert middle(path, deg(0), Light((1, 0, 0), 0.0))[0] == pytest.approx(0.6 * grey, abs=1)
    assert middle(path, deg(0), Light((0, 0, 1), 0.0))[0] == pytest.approx(0.8 * grey, abs=1)


def test_what_is_transparent_shows_what_is_behind(tmp_path):
    points = [*QUAD, *(QUAD - (0.3, 0, 0)) * (1, 2, 2)]
    (tmp_path / "glass.mtl").write_text("newmtl glass\nKd 1 0 0\nd 0.5\nnewmtl wall\nKd 0 0 1\n")
    path = tmp_path / "glass.obj"
    path.write_text(
        "mtllib glass.mtl\n" + lines("v", points) + "usemtl glass\nf 1 2 3 4\nusemtl wall\nf 5 6 7 8\n"
    )
    red, green, blue, alpha = middle(path, deg(0, radius=2.0))
    assert (red, green, blue, alpha) == (128, 0, 128, 255)
    path.write_text("mtllib glass.mtl\n" + lines("v", points) + "usemtl glass\nf 1 2 3 4\n")
    assert middle(path, deg(0)) == [255, 0, 0, 128]


def test_sides_of_a_surface_nobody_would_print_are_drawn(tmp_path):
    """Three triangles on one edge, one of them twice, and one that is a line."""
    path = tmp_path / "fan.obj"
    path.write_text(
        "v 0 0 0\nv 0 0 1\nv 0 1 0\nv 0 -1 0\nv 1 0 0\nf 1 2 3\nf 1 2 3\nf 2 1 4\nf 1 2 5\nf 1 2 2\n"
    )
    picture = Renderer(read_mesh(path, "z", scale="longest")).render(deg(180), 64, PLAIN)
    assert set(picture[picture[..., 3] == 255][:, 0]) <= {178, 179}  # 0.7 grey, 178.5
    assert 0.05 < (picture[..., 3] > 0).mean() < 0.5


def test_lights_that_are_none(tmp_path):
    for arguments in (((0, 0, 0), 0.5), ((math.nan, 0, 0), 0.5), ((1, 0, 0), 1.5), ((1, 0, 0), math.nan)):
        with pytest.raises(ViewFusionError):
            Light(*arguments)


def test_a_missing_ray_caster_is_named_with_its_remedy(tmp_path, monkeypatch):
    mesh = read_mesh(write_cube(tmp_path))
    monkeypatch.setitem(sys.modules, "embreex.rtcore_scene", None)
    with pytest.raises(ViewFusionError, match=r"pip install 'viewfusion\[render\]'"):
        Renderer(mesh)
