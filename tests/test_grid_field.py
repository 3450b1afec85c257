"""Is a grid trilinear, with slopes and gradients worked out by hand, and the same surface when laid anew?"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from viewfusion.reconstruction.grid_field import GridField, density, resample
from viewfusion.reconstruction.hull import Lattice, lattice_over

SIDE = 0.5


def ball_field(resolution: int = 20, radius: float = 0.3, band: float = 3.0) -> GridField:
    lattice = lattice_over(np.full(3, -SIDE), np.full(3, SIDE), resolution)
    points = torch.from_numpy(lattice.points())
    distances = (points.norm(dim=1) - radius).view(lattice.shape)
    colours = (points / (2 * SIDE) + 0.5).view(*lattice.shape, 3)
    return GridField(lattice, distances, distances.abs() < band * lattice.spacing, colours)


def cube_field() -> GridField:
    """One cell of side 0.5 at (1, 2, 3) whose corner (i, j, k) has the number 4 i + 2 j + k + i j k."""
    i, j, k = torch.meshgrid(*[torch.arange(2.0)] * 3, indexing="ij")
    numbers = 4 * i + 2 * j + k + i * j * k
    lattice = Lattice((1.0, 2.0, 3.0), 0.5, (2, 2, 2))
    return GridField(lattice, numbers, torch.ones(2, 2, 2, dtype=torch.bool))


def test_values_and_slopes_of_a_cell_are_those_of_its_polynomial():
    field = cube_field()
    at = torch.tensor([[0.25, 0.5, 0.75], [0.0, 0.0, 0.0], [0.9, 0.1, 0.4]])
    points = torch.tensor([1.0, 2.0, 3.0]) + 0.5 * at
    x, y, z = at.T
    assert torch.allclose(field.sdf(points)[:, 0], 4 * x + 2 * y + z + x * y * z, atol=1e-5)
    slopes = torch.stack([4 + y * z, 2 + x * z, 1 + x * y], 1) / 0.5
    surface = field.surface(points, points)
    assert torch.allclose(surface.gradients, slopes, atol=1e-4)
    assert torch.equal(surface.sdf, field.sdf(points))
    assert torch.allclose(surface.colours, torch.full((3, 3), 0.5))


def test_gradients_of_the_numbers_are_the_weights():
    field = cube_field()
    field.sdf(torch.tensor([[1.125, 2.25, 3.375]])).backward()
    x, y, z = 0.25, 0.5, 0.75
    expected = [a * b * c for a in (1 - x, x) for b in (1 - y, y) for c in (1 - z, z)]
    assert torch.allclose(field.distances.grad[:-1, 0], torch.tensor(expected), atol=1e-6)
    assert field.distances.grad[-1] == 0


def test_gradients_reach_points_and_slopes_reach_numbers():
    field = cube_field().double()
    points = torch.tensor([[1.1, 2.2, 3.3], [1.4, 2.3, 3.05]], dtype=torch.float64, requires_grad=True)
    value = field.sdf(points)
    (by_point,) = torch.autograd.grad(value.sum(), points)
    surface = field.surface(points, points)
    assert torch.allclose(by_point, surface.gradients, atol=1e-5)
    surface.gradients[:, 0].sum().backward()
    # The slope along x grows by weight / 0.5 with each far corner, and falls with each near one.
    assert field.distances.grad[:4].sum() == pytest.approx(-4.0, abs=1e-5)
    assert field.distances.grad[4:8].sum() == pytest.approx(4.0, abs=1e-5)


def test_only_a_band_is_learned_and_the_rest_remembered():
    field = ball_field()
    learned = field.everywhere.view(-1)[field.band_points]
    assert 0.2 < len(learned) / field.everywhere.numel() < 0.7
    # A cell is in the band if a corner is nearer than 3 cells: others are a diagonal farther at most.
    assert learned.abs().max() < (3 + 3**0.5) * 0.05
    centre, corner, away = field.sdf(torch.tensor([[0.0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.8]])).tolist()
    assert centre == pytest.approx([-0.3], abs=1e-6)
    assert corner == pytest.approx([0.75**0.5 - 0.3], abs=1e-6)
    assert away == pytest.approx([corner[0] + 0.3], abs=1e-5)  # beyond the box: farther by as much


def test_a_ball_stays_a_ball_when_its_band_is_laid_anew():
    field = ball_field()
    with torch.no_grad():
        field.distances.mul_(1.5)  # no distance any more, but zero at the same places
    field.refresh()
    points = torch.nn.functional.normalize(
        torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), dim=1
    )
    for resolution in (20, 30):
        field.relay(lattice_over(np.full(3, -SIDE), np.full(3, SIDE), resolution), 3.0)
        assert (field.sdf(0.3 * points).abs() < 0.006).all()
        assert torch.allclose(field.sdf(0.33 * points), torch.tensor(0.03), atol=0.01)
        lengths = field.surface(0.3 * points, points).gradients.norm(dim=1)
        assert 0.75 < lengths.min() < lengths.max() < 1.33
        colours = field.surface(0.3 * points, points).colours
        assert torch.allclose(colours, 0.3 * points / (2 * SIDE) + 0.5, atol=0.02)
    assert field.everywhere.shape == (31, 31, 31)


def test_neighbours_are_a_cell_away():
    field = ball_field()
    rows, around = field.neighbours()
    place = torch.stack(torch.unravel_index(field.band_points, field.everywhere.shape), 1)
    steps = place[around] - place[rows][:, None]
    expected = torch.tensor([[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]])
    assert len(rows) > 1000
    assert (steps == expected).all()
    assert torch.equal(field.at(rows), field.distances[rows, 0])


def test_it_is_loaded_whatever_its_size():
    field, other = ball_field(24, 0.25), ball_field()
    learned = other.distances
    other.load_state_dict(field.state_dict())
    assert other.distances is learned  # an optimiser that has it still does
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    assert torch.equal(field.sdf(points), other.sdf(points))


def test_what_is_no_number_is_somewhere_and_gives_none():
    """So that a training which diverges ends in words about its loss, and not in an index out of range."""
    field = ball_field()
    points = torch.tensor([[math.nan, 0, 0], [math.inf, 0, 0], [0, -math.inf, 0], [1e38, -1e38, 0]])
    assert field.nearest(points).isfinite().all()
    distances = field.sdf(points)
    assert distances[0].isnan()
    assert distances[1:].isinf().all()


def test_a_damaged_state_is_refused():
    field = ball_field()
    for name, change in (
        ("cell_corners", lambda table: table + 1),
        ("band_points", lambda table: -table - 1),
        ("cell_rows", lambda table: table[:-1]),
        ("colours", lambda table: table[:, :2]),
        ("colours", lambda table: table.double()),
        ("distances", lambda table: table.half()),
        ("everywhere", lambda table: table.double()),
        ("spacing", lambda number: number * 0),
        ("lower", lambda corner: corner * 1e30),
    ):
        state = dict(field.state_dict())
        state[name] = change(state[name])
        with pytest.raises((ValueError, RuntimeError), match=r"band|size mismatch|in the cube"):
            ball_field().load_state_dict(state)


def test_resampling_keeps_what_is_linear():
    old = lattice_over(np.zeros(3), np.array([1.0, 0.5, 0.5]), 4)
    new = lattice_over(np.zeros(3), np.array([1.0, 0.5, 0.5]), 10)
    points = torch.from_numpy(old.points())
    values = (points @ torch.tensor([[1.0], [2.0], [3.0]])).view(*old.shape, 1)
    expected = torch.from_numpy(new.points()) @ torch.tensor([[1.0], [2.0], [3.0]])
    assert torch.allclose(resample(values, old, new).view(-1, 1), expected, atol=1e-5)


def test_fog_is_never_negative():
    fog = density(torch.tensor([-30.0, 0.0, 2.0]))
    assert fog[0] < 1e-9
    assert fog[1] == pytest.approx(50 * np.log(2), rel=1e-5)
