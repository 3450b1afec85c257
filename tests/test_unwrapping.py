"""Unwrapping: charts cover what they should, keep shape, and lie apart."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from viewfusion.reconstruction import unwrapping
from viewfusion.reconstruction.rasters import rasterised
from viewfusion.reconstruction.triangles import Triangles
from viewfusion.reconstruction.unwrapping import unwrapped


def shape(mesh: trimesh.Trimesh) -> Triangles:
    return Triangles(np.array(mesh.vertices), np.array(mesh.faces))


def flat_areas(charts: unwrapping.Unwrapped) -> np.ndarray:
    corners = charts.uv[charts.faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2


def test_a_box_keeps_its_areas():
    """Sides 1, 2 and 3: charts are true to scale, so a side of six has thrice the texels of one of two."""
    box = trimesh.creation.box(extents=(1, 2, 3))
    charts = unwrapped(shape(box), 256)
    assert (charts.origin[charts.faces] == box.faces).all()
    shares = np.abs(flat_areas(charts)) / np.array(box.area_faces)
    assert shares == pytest.approx(shares.mean(), rel=0.05)
    assert 0.4 < np.abs(flat_areas(charts)).sum() < 1
    assert charts.uv.min() >= 0
    assert charts.uv.max() <= 1


@pytest.mark.parametrize("part", [15_000, 300])
def test_no_two_faces_share_a_texel(part, monkeypatch):
    """In one piece or in blocks. Texels show one face: where some overlap, fewer than their areas."""
    monkeypatch.setattr(unwrapping, "PART", part)
    ball = shape(trimesh.creation.icosphere(subdivisions=3, radius=0.5))
    charts = unwrapped(ball, 512)
    assert (charts.origin[charts.faces] == ball.faces).all()
    corners = np.concatenate([charts.uv * 512, np.ones((len(charts.uv), 1))], axis=1)[charts.faces]
    shown = (rasterised(corners, (512, 512)).faces >= 0).sum()
    assert shown == pytest.approx(np.abs(flat_areas(charts)).sum() * 512**2, rel=0.01)


def test_blocks_hold_every_face_once():
    centres = np.random.default_rng(0).normal(size=(40_000, 3)) * [1, 5, 1]
    parts = unwrapping._parts(centres)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(40_000))
    assert [len(part) for part in parts] == [10_000] * 4
    assert all(np.ptp(centres[part, 1]) < np.ptp(centres[:, 1]) for part in parts)
