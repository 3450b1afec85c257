"""Mesh files: what other programs read is upright, faces the right way and has its texture."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trimesh
from balls import ball_scene
from PIL import Image

from viewfusion.datasets import Light, Renderer, read_mesh, read_triangles
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, camera_to_world, intrinsics
from viewfusion.reconstruction.mesh_files import write_glb, write_obj, write_ply
from viewfusion.reconstruction.pictures import picture_of
from viewfusion.reconstruction.texture import Baking, baked
from viewfusion.reconstruction.textured import TexturedMesh
from viewfusion.reconstruction.triangles import Triangles, topology


@pytest.fixture(scope="module")
def egg() -> TexturedMesh:
    """0.5 to the front (+x), 0.4 to the left and right, 0.3 up; its bottom half dark, its left half red."""

    def colours(points):
        return np.stack([points[:, 1] > 0, points[:, 2] > 0, points[:, 2] > 0], axis=1) * 0.8

    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    triangles = Triangles(np.array(ball.vertices), np.array(ball.faces))
    mesh = baked(triangles, ball_scene(8, 64, 0.0, colours), Baking(256))
    return TexturedMesh(
        mesh.vertices * [1, 0.8, 0.6], mesh.faces, mesh.normals, mesh.colours, mesh.uv, mesh.texture
    )


def test_a_glb_is_y_up_and_faces_z(egg, tmp_path):
    """Read by trimesh: 0.5 along z, to the front; 0.4 along x; 0.3 along y, up."""
    write_glb(egg, tmp_path / "mesh.glb")
    read = trimesh.load(tmp_path / "mesh.glb", force="mesh", process=False)
    assert read.bounds[1] == pytest.approx([0.4, 0.3, 0.5], abs=1e-3)
    material = read.visual.material
    assert (material.metallicFactor, material.roughnessFactor) == (0, 1)
    assert np.array_equal(np.asarray(material.baseColorTexture.convert("RGB")), egg.texture)
    assert np.linalg.norm(read.vertex_normals, axis=1) == pytest.approx(1, abs=1e-5)
    assert (read.vertex_normals * read.vertices).sum(axis=1).min() > 0
    assert not read.is_watertight
    vertices, places = np.unique(read.vertices, axis=0, return_inverse=True)
    facts = topology(Triangles(vertices, places.reshape(-1)[read.faces]))
    assert (facts.watertight, facts.genus) == (True, 0)
    assert facts.volume > 0


def test_a_glb_holds_one_mesh_and_all_it_needs(egg, tmp_path):
    write_glb(egg, tmp_path / "mesh.glb")
    content = (tmp_path / "mesh.glb").read_bytes()
    header = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    (mesh,) = header["meshes"]
    (part,) = mesh["primitives"]
    assert set(part["attributes"]) >= {"POSITION", "NORMAL", "TEXCOORD_0"}
    (image,) = header["images"]
    assert image["mimeType"] == "image/png"
    assert not any("uri" in each for each in (*header["images"], *header["buffers"]))


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_another_reader_sees_the_same(egg, tmp_path, suffix):
    """Our reader of other people's meshes has the front of what is y up at azimuth -90 degrees."""
    path = tmp_path / f"mesh{suffix}"
    (write_glb if suffix == ".glb" else write_obj)(egg, path)
    left, unlit = Pose.from_degrees(-90, 20, 1.5), Light(ambient=1.0)
    seen = Renderer(read_mesh(path, scale="longest")).render(left, 64, unlit)
    camera = camera_to_world(Pose.from_degrees(0, 20, 1.5))
    ours = picture_of(egg, camera, intrinsics(64), (64, 64)).image.transpose(1, 2, 0)
    theirs = seen[..., :3] / 255 * (seen[..., 3:] / 255) + 1 - seen[..., 3:] / 255
    assert np.abs(ours - theirs).mean() < 0.01
    assert ours[24, 44] == pytest.approx([0.8, 0.8, 0.8], abs=0.03)  # left of it, right in the picture
    assert ours[24, 20] == pytest.approx([0, 0.8, 0.8], abs=0.03)


def test_an_obj_names_its_material_and_texture(egg, tmp_path):
    assert write_obj(egg, tmp_path / "mesh.obj") == ("mesh.obj", "mesh.mtl", "mesh.png")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mesh.mtl", "mesh.obj", "mesh.png"]
    assert "mtllib mesh.mtl" in (tmp_path / "mesh.obj").read_text().splitlines()
    material = (tmp_path / "mesh.mtl").read_text().splitlines()
    assert "map_Kd mesh.png" in material
    assert "Kd 1.00000000 1.00000000 1.00000000" in material
    with Image.open(tmp_path / "mesh.png") as picture:
        assert np.array_equal(np.asarray(picture), egg.texture)


def test_a_ply_is_the_world_and_watertight_as_it_is(egg, tmp_path):
    write_ply(egg, tmp_path / "mesh.ply")
    triangles = Triangles(*read_triangles(tmp_path / "mesh.ply"))
    assert topology(triangles).watertight
    assert triangles.vertices.max(axis=0) == pytest.approx([0.5, 0.4, 0.3], abs=1e-3)
    read = trimesh.load(tmp_path / "mesh.ply", process=False)
    left = read.vertices[:, 1] > 0.15
    above = np.abs(read.vertices[:, 2] - 0.15) < 0.05  # the poles are seen by no view
    assert read.visual.vertex_colors[left & above, :3].min() > 195
    assert read.visual.vertex_colors[(read.vertices[:, 1] < -0.15) & above, 0].max() < 10
    assert (read.vertex_normals * read.vertices).sum(axis=1).min() > 0


def test_without_a_texture_colours_of_vertices_are_written(egg, tmp_path):
    welded = egg.welded()
    write_glb(welded, tmp_path / "mesh.glb")
    assert write_obj(welded, tmp_path / "mesh.obj") == ("mesh.obj",)
    for name in ("mesh.glb", "mesh.obj"):
        read = trimesh.load(tmp_path / name, force="mesh", process=False)
        assert np.array_equal(read.visual.vertex_colors[:, :3], welded.colours)


def test_a_folder_that_is_not_there_is_one_line(egg, tmp_path):
    with pytest.raises(ViewFusionError, match=r"mesh\.glb cannot be written"):
        write_glb(egg, tmp_path / "no" / "mesh.glb")
