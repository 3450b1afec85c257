"""Pictures of meshes: what they show is what rays meet, in the colours of the texture."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from balls import ball_scene

from viewfusion.reconstruction.pictures import picture_of
from viewfusion.reconstruction.texture import Baking, baked
from viewfusion.reconstruction.textured import TexturedMesh
from viewfusion.reconstruction.triangles import Triangles, vertex_normals

FINE = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
BALL = Triangles(np.array(FINE.vertices), np.array(FINE.faces))


def test_a_textured_ball_looks_like_the_views_it_was_made_from():
    scene = ball_scene(12, 96)
    mesh = baked(BALL, scene, Baking(size=512))
    for view in (0, 5):
        picture = picture_of(mesh, scene.cameras[view].numpy(), scene.intrinsics.numpy(), scene.size, finer=3)
        assert picture.image.shape == (3, 96, 96)
        assert np.abs(picture.mask - scene.masks[view].numpy()).mean() < 2e-3
        error = ((picture.image - scene.images[view].numpy()) ** 2).mean()
        assert -10 * np.log10(error) > 30


def test_normals_point_where_they_should():
    """At the middle of the picture of a ball, towards the camera; outside it there are none."""
    colours = np.full((len(BALL.vertices), 3), 77, np.uint8)
    plain, scene = TexturedMesh(BALL.vertices, BALL.faces, vertex_normals(BALL), colours), ball_scene(4, 64)
    picture = picture_of(plain, scene.cameras[1].numpy(), scene.intrinsics.numpy(), (64, 64))
    camera = scene.cameras[1, :3, 3].numpy()
    assert picture.normals[:, 31:33, 31:33].mean(axis=(1, 2)) == pytest.approx(
        camera / np.linalg.norm(camera), abs=0.02
    )
    assert not picture.normals[:, picture.mask == 0].any()
    assert picture.image[:, 32, 32] == pytest.approx(77 / 255)
    assert picture.image[:, 0, 0] == pytest.approx(1)
