"""Solids as signed distances: negative inside, positive outside, never more than the way to the surface.

Enters: rows of ``FIELDS`` numbers, one per solid, and points in each solid's own frame. Leaves: distances.
Two formulas make every solid. A *prism* is a rounded rectangle in x and y, drawn out along z, which may
taper, have round edges and be hollow: boxes, cylinders, cones, tubes, capsules, roofs, and rings (a hollow
disc rounded until its section is a circle). A *superquadric* is the unit ball of a p-norm, stretched:
ellipsoids, pillows, octahedra. Either may be cut by a plane.
"""

from __future__ import annotations

import math

import numpy as np
import torch

FIELDS = (
    *("x", "y", "z"),  # half sizes: a prism's x and y without ``corner``, or a superquadric's radii
    *(
        "corner",
        "edge",
        "wall",
    ),  # radii in the x-y plane and of the edges above and below; half the thickness
    *("slope_x", "slope_y", "slope_r"),  # how much x, y and ``corner`` shrink per unit of z
    *("cut_x", "cut_y", "cut_z", "cut_at"),  # what lies beyond this plane is missing
    "power",  # a superquadric's, 2 an ellipsoid's; 0 for prisms
    *("upright", "caution"),  # keep slanted sides from overstating distances, see ``prism``
)
LENGTHS = [FIELDS.index(name) for name in ("x", "y", "z", "corner", "edge", "wall", "cut_at")]
POWER = FIELDS.index("power")
MASSIVE, UNCUT = 4.0, (0.0, 0.0, 0.0, 9.0)

Row = tuple[float, ...]


def prism(x, y, z, corner=0.0, edge=0.0, wall=MASSIVE, slope=(0.0, 0.0, 0.0), cut=UNCUT) -> Row:
    """The row of a prism.

    Slanted sides measured across are farther than they are: ``upright`` is their cosine. Where they meet
    the lid at an acute angle, the corner's distance overstates by sqrt(1 + sine): ``caution`` takes it back.
    """
    steepness = math.hypot(*slope)
    upright = 1 / math.hypot(1, steepness)
    caution = 1 / math.sqrt(1 + steepness * upright)
    return (x, y, z, corner, edge, wall, *slope, *cut, 0.0, upright, caution)


def superquadric(radii, power=2.0, cut=UNCUT) -> Row:
    """The row of a superquadric; convex, so ``power`` is at least 1."""
    return (*radii, 0.0, 0.0, MASSIVE, 0.0, 0.0, 0.0, *cut, power, 1.0, 1.0)


def box(half, edge=0.0, taper=(0.0, 0.0), cut=UNCUT) -> Row:
    """``half`` sizes; ``taper`` is the share of x and of y that is gone at the top."""
    x, y, z = half
    edge = min(edge, 0.99 * min(half))
    slope_x, slope_y = x * taper[0] / (2 * z), y * taper[1] / (2 * z)
    x, y = x - slope_x * z, y - slope_y * z
    return prism(x - edge, y - edge, z, edge, edge, slope=(slope_x, slope_y, 0.0), cut=cut)


def disc(radius, half_height, top=None, edge=0.0, wall=None, cut=UNCUT) -> Row:
    """A cylinder; with ``top`` the radius above, a cone; with ``wall`` a tube of that thickness."""
    top = radius if top is None else top
    slope = (radius - top) / (2 * half_height)
    middle, edge = (radius + top) / 2, min(edge, half_height, max(radius, top))
    hollow = MASSIVE if wall is None else wall / 2
    return prism(0.0, 0.0, half_height, middle, edge, hollow, (0.0, 0.0, slope), cut)


def capsule(radius, half_length) -> Row:
    """``half_length`` without the round ends."""
    return prism(0.0, 0.0, half_length + radius, radius, radius)


def ring(radius, thickness, cut=UNCUT) -> Row:
    """A torus about z: ``thickness`` is the radius of its section."""
    return prism(0.0, 0.0, thickness, radius + thickness, thickness, thickness, cut=cut)


def distance(rows: torch.Tensor, point: torch.Tensor, kinds: str = "both") -> torch.Tensor:
    """Signed distances (...) of points (3, ...) to solids (FIELDS, ...).

    Args:
        kinds: "prisms" or "superquadrics" where all rows are of one kind, which takes half the time.
    """
    if kinds == "prisms":
        whole = _to_prism(rows, point)
    elif kinds == "superquadrics":
        whole = _to_superquadric(rows, point)
    else:
        power = rows[POWER]
        whole = torch.where(power > 0, _to_superquadric(rows, point), _to_prism(rows, point))
    cut = rows[9] * point[0] + rows[10] * point[1] + rows[11] * point[2] - rows[12]
    return torch.maximum(whole, cut)


def _to_prism(rows: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    half_x, half_y, half_z, corner, edge, wall, slope_x, slope_y, slope_r = rows[:9]
    x, y, z = point
    dx = x.abs() - half_x + slope_x * z
    dy = y.abs() - half_y + slope_y * z
    across = _corner(dx, dy) - corner + slope_r * z
    across = across * rows[-2] + wall
    across = across.abs() - wall + edge
    return (_corner(across, z.abs() - half_z + edge) - edge) * rows[-1]


def _corner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Distance to the quarter plane a < 0, b < 0."""
    inside = torch.maximum(a, b).clamp(max=0)
    return torch.sqrt(a.clamp(min=0).square() + b.clamp(min=0).square()) + inside


def _to_superquadric(rows: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """(f - 1) / |f's gradient| of the norm f: it is convex, so this is at most the distance."""
    power = rows[POWER].clamp(min=1)
    unit = (point / rows[:3]).abs().clamp(min=1e-4)
    steep = torch.exp((power - 1) * unit.log())  # half the time of unit ** (power - 1)
    total = (steep * unit).sum(0)
    norm = torch.exp(total.log() / power)
    gradient = (steep / rows[:3]).square().sum(0).sqrt()
    return (norm - 1) * total / (norm * gradient)


def extent(rows: np.ndarray) -> np.ndarray:
    """(P, 2, 3) lower and upper corners of the boxes around solids (P, FIELDS), in their own frames."""
    half = rows[:, :3].copy()
    reach = np.abs(rows[:, 6:8]) * rows[:, 2:3] + (rows[:, 3] + np.abs(rows[:, 8]) * rows[:, 2])[:, None]
    half[:, :2] += reach * (rows[:, POWER] == 0)[:, None]
    normal, at = rows[:, 9:12], rows[:, 12:13]
    low = np.where(normal < 0, np.maximum(-half, -at), -half)
    return np.stack([low, np.where(normal > 0, np.minimum(half, at), half)], 1)
