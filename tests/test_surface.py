"""The surface of fields in closed form: where it lies, that it is closed, and why there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from viewfusion.errors import ViewFusionError
from viewfusion.reconstruction import surface
from viewfusion.reconstruction.surface import extract_surface
from viewfusion.reconstruction.triangles import topology


def ball(points, radius=0.4, middle=(0.0, 0.0, 0.0)):
    return (points - torch.tensor(middle)).norm(dim=1, keepdim=True) - radius


def test_a_ball_has_its_volume_and_area():
    """Chords lie within the ball by at most cell² / 8 r, which is 0.1 % of the radius here."""
    found = extract_surface(ball, 64)
    facts = topology(found)
    assert facts.watertight
    assert (facts.components, facts.genus) == (1, 0)
    assert facts.volume == pytest.approx(4 / 3 * math.pi * 0.4**3, rel=4e-3)
    assert facts.area == pytest.approx(4 * math.pi * 0.4**2, rel=3e-3)
    assert np.linalg.norm(found.vertices, axis=1) == pytest.approx(0.4, abs=2e-4)


def test_a_ring_has_one_handle():
    def ring(points):
        around = points[:, :2].norm(dim=1, keepdim=True) - 0.35
        return torch.cat([around, points[:, 2:]], dim=1).norm(dim=1) - 0.1  # (P,) will do

    facts = topology(extract_surface(ring, 48))
    assert (facts.watertight, facts.genus) == (True, 1)
    assert facts.volume == pytest.approx(2 * math.pi**2 * 0.35 * 0.1**2, rel=0.02)


@pytest.mark.parametrize("resolution", [30, 33])
def test_the_fine_lattice_is_asked_near_the_surface_only(resolution, monkeypatch):
    """And gives what asking all of it gives, where blocks end within the lattice too."""
    asked = []

    def counted(points):
        asked.append(len(points))
        return ball(points, 0.2)

    some = extract_surface(counted, resolution)
    assert sum(asked) < 0.5 * resolution**3
    monkeypatch.setattr(surface, "REACH", 1e9)
    full = extract_surface(lambda points: ball(points, 0.2), resolution)
    assert some.vertices == pytest.approx(full.vertices, abs=1e-6)
    assert np.array_equal(some.faces, full.faces)


def test_no_more_points_are_asked_at_once_than_said():
    most = []
    extract_surface(lambda points: most.append(len(points)) or ball(points), 32, chunk=500)
    assert max(most) == 500


def test_what_leaves_the_cube_is_closed_at_its_faces():
    """All below z = -0.1 is solid: a box of 1.2 x 1.2 x 0.5, of which a twentieth of a cell goes a side.

    Its 11.6 of edges lose less than a triangle of half a cell squared.
    """
    facts = topology(extract_surface(lambda points: points[:, 2:] + 0.1, 41))
    cut = 0.03 / 20
    box = (1.2 - 2 * cut) ** 2 * (0.5 - cut)
    assert facts.watertight
    assert box - 11.6 * 0.03**2 / 2 < facts.volume < box


def test_a_surface_through_lattice_points_is_closed():
    """A box of side 0.6 whose faces lie on points 0.1 apart, and lose a thousandth of that."""
    facts = topology(extract_surface(lambda points: points.abs().amax(dim=1) - 0.3, 13))
    assert facts.watertight
    assert 0.599**3 - 7.2 * 0.1**2 / 2 < facts.volume < 0.6**3


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (lambda points: ball(points, -0.25), "positive (nothing) everywhere: its smallest value is 0.25,"),
        (lambda points: ball(points, 9.0), "negative (solid) everywhere: its largest value is -7.9"),
        (lambda points: 0.5999 - points[:, :1], "everywhere but at the faces of the cube"),
        (lambda points: ball(points) / 0, "no finite number at"),
    ],
)
def test_where_there_is_no_surface_the_reason_is_said(field, words):
    with pytest.raises(ViewFusionError, match="no surface can be extracted") as caught:
        extract_surface(field, 17)  # its middle is asked
    assert words in str(caught.value)


def test_a_resolution_out_of_range_is_refused():
    with pytest.raises(ViewFusionError, match="8 to 1024 points a side, got 4"):
        extract_surface(ball, 4)
