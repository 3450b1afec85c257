"""The recipe of the presets ``cpu`` and ``balanced``: a scene goes in, a :class:`GridField` that is learned comes out.

It starts from the visual hull and goes from a coarse lattice to a fine one. Rays are those through the object and
a rim about it; what no mask allows is never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .band import NO_FOG, band_samples, fog_samples, render_band
from .depth_hull import settle
from .grid_field import GridField, resample
from .hull import Lattice, hull_bounds, hull_distance, lattice_over, mask_distance
from .rays import Rays, pixel_rays
from .rendering import Rendered

if TYPE_CHECKING:
    from .fields import Field
    from .scene import Scene


FOG = -3.0


@dataclass(frozen=True)
class GridRecipe:
    """How a grid is fitted.

    Args:
        steps: how many.
        rays: of a step.
        probes: places of a ray that are looked up to find the surface.
        samples: places of a ray that are rendered.
        resolutions: cells along the longest side of the object, one stage after the other.
        starts: when each stage begins, as a share of the steps.
        relays: how often in a stage the band is laid anew.
        band: half the width of the band, in cells.
        rim: how far beyond the mask pixels are looked at, in pixels of a 256-pixel view.
        tolerance: share of views whose masks may err at a point.
        sharpness: inverse deviation at the start and at the end of its growth.
        sharpened: when it has grown, as a share of the steps.
        distance_rate: learning rate of distances, as a share of a cell.
        colour_rate: of colours.
        last_rate: by what rates are multiplied in the end.
        mask: weight of the loss of the mask.
        eikonal: of slopes that are not 1.
        smoothness: of curvature.
        regularised: points of the band whose slope and curvature are looked at in a step.
    """

    steps: int = 6000
    rays: int = 1024
    probes: int = 64
    samples: int = 16
    resolutions: tuple[int, ...] = (64, 112, 176)
    starts: tuple[float, ...] = (0.25, 0.45, 0.65)
    fog_rate: float = 0.1
    fog_samples: int = 40
    fog_smoothness: float = 1e-3
    seen_by: int = 6
    pressure: float = 1.0
    relays: int = 4
    band: float = 5.0
    rim: float = 4.0
    tolerance: float = 0.0
    sharpness: tuple[float, float] = (60.0, 500.0)
    sharpened: float = 0.8
    distance_rate: float = 0.05
    colour_rate: float = 0.02
    last_rate: float = 0.05
    mask: float = 0.5
    eikonal: float = 0.05
    smoothness: float = 0.02
    regularised: int = 24576
    _kept: dict = field(default_factory=dict, repr=False, compare=False)

    def make_field(self, scene: Scene, done: int = 0) -> GridField:
        lower, upper = hull_bounds(scene, self.tolerance)
        lattice = lattice_over(lower, upper, self.resolutions[0])
        hull = torch.from_numpy(hull_distance(scene, lattice.points(), self.tolerance)).view(lattice.shape)
        within = hull < 1.5 * lattice.spacing
        raw = torch.where(within, FOG, 2 * NO_FOG)
        made = GridField(lattice, raw, within, 0.5, fog=True)
        made.register_buffer("hull", hull)
        made.register_buffer("hull_spacing", made.spacing.clone())
        made.register_buffer("views", torch.as_tensor(scene.cameras[list(scene.trained)]).float())
        made.register_buffer("intrinsics", torch.as_tensor(scene.intrinsics).float())
        made.sharpness.fill_(self._sharpness(done))
        return made

    def optimiser(self, field: Field) -> torch.optim.Optimizer:
        assert isinstance(field, GridField)
        distance_rate = self.fog_rate if field.fog else self.distance_rate * float(field.spacing)
        groups = [
            {"params": [field.distances], "lr": distance_rate},
            {"params": [field.colours], "lr": self.colour_rate},
        ]
        return torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-12, fused=True)

    def rate(self, step: int) -> float:
        start = max(s for s in (0, *self._stage_steps()) if s <= step)
        warm = min(1.0, (step - start + 1) / 20)
        return warm * self.last_rate ** (step / self.steps)

    def _stage_steps(self) -> list[int]:
        return [round(share * self.steps) for share in self.starts]

    def _sharpness(self, step: int) -> float:
        low, high = self.sharpness
        return low * (high / low) ** min(1.0, max(0.0, step / self.steps - self.starts[0]) / (self.sharpened - self.starts[0]))

    def _relay_steps(self) -> dict[int, int]:
        """The steps before which the band is laid anew, with the resolution it has from there."""
        stages = [*self._stage_steps(), self.steps]
        return {
            stages[i] + round(part * (stages[i + 1] - stages[i]) / self.relays): resolution
            for i, resolution in enumerate(self.resolutions)
            for part in range(self.relays)
        }

    def before_step(self, field: Field, optimiser: torch.optim.Optimizer, step: int) -> torch.optim.Optimizer:
        assert isinstance(field, GridField)
        field.sharpness.fill_(self._sharpness(step))
        resolution = self._relay_steps().get(step)
        if resolution is None:
            return optimiser
        if field.fog:
            settle(field, self.seen_by, self.pressure)
        field.relay(resolution, self.band, lambda lattice: _allowed(field, lattice))
        return self.optimiser(field)

    def losses(self, field: Field, scene: Scene, step: int, generator: torch.Generator) -> Iterator[dict[str, Tensor]]:
        assert isinstance(field, GridField)
        if step % 4 == 0:  # where to look need not be the latest
            field.refresh()
        pixels = self._pixels(scene)
        chosen = pixels.draw(self.rays, generator)
        if field.fog:
            z_vals = fog_samples(field, chosen.rays, self.probes, self.fog_samples, generator)
        else:
            z_vals = band_samples(field, chosen.rays, self.probes, self.samples, generator)
        rendered = render_band(field, chosen.rays, z_vals)
        colour = torch.sqrt((rendered.rgb - chosen.colours).square().sum(-1) + 1e-4)
        colour = (colour * chosen.weights).mean()
        mask = ((rendered.mask[:, 0] - chosen.masks).square() * chosen.weights).mean()
        eikonal, smoothness = self._shape(field, generator)
        if field.fog:
            total = colour + self.mask * mask + self.fog_smoothness * smoothness * field.spacing**2
        else:
            total = colour + self.mask * mask + self.eikonal * eikonal + self.smoothness * smoothness
        yield {"total": total, "colour": colour, "mask": mask, "eikonal": eikonal, "smoothness": smoothness}

    def _shape(self, field: GridField, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """How far some points of the band are from slope 1, and how curved the distance is there."""
        rows, around = self._neighbours(field)
        some = torch.randint(len(rows), (min(self.regularised, len(rows)),), generator=generator).to(rows.device)
        here = _take(field.distances, rows.index_select(0, some))
        beside = _take(field.distances, around.index_select(0, some))
        slopes = (beside[:, 1::2] - beside[:, ::2]) / (2 * field.spacing)
        eikonal = ((slopes.square().sum(-1) + 1e-8).sqrt() - 1).square().mean()
        curvature = ((beside.mean(-1) - here) / field.spacing).square().mean()
        return eikonal, 36 * curvature

    def _neighbours(self, field: GridField) -> tuple[Tensor, Tensor]:
        if self._kept.get("laid") is not field.band_points:
            self._kept.update(laid=field.band_points, neighbours=field.neighbours())
        return self._kept["neighbours"]

    def _pixels(self, scene: Scene) -> _Pixels:
        if self._kept.get("scene") is not scene:
            self._kept.update(scene=scene, pixels=_Pixels(scene, self.rim))
        return self._kept["pixels"]

    def render(self, field: Field, rays: Rays) -> Rendered:
        assert isinstance(field, GridField)
        with torch.no_grad():
            field.refresh()
            if field.fog:
                z_vals = fog_samples(field, rays, 2 * self.probes, 2 * self.fog_samples)
            else:
                z_vals = band_samples(field, rays, 2 * self.probes, 2 * self.samples)
            return render_band(field, rays, z_vals, normals=True)

    def trial(self) -> tuple[GridRecipe, float]:
        return replace(self, rays=max(1, self.rays // 8)), 4.0


@dataclass(frozen=True, eq=False)
class _Chosen:
    rays: Rays
    colours: Tensor
    masks: Tensor
    weights: Tensor


class _Pixels:
    """The pixels of the trained views on the object and a rim about it."""

    def __init__(self, scene: Scene, rim: float) -> None:
        views, rows, columns = [], [], []
        reach = rim * scene.masks.shape[-1] / 256
        for view in scene.trained:
            y, x = np.nonzero(mask_distance(np.asarray(scene.masks[view])) < reach)
            views.append(np.full(len(y), view))
            rows.append(y)
            columns.append(x)
        self.views, self.y, self.x = (torch.from_numpy(np.concatenate(part)) for part in (views, rows, columns))
        self.cameras = torch.as_tensor(scene.cameras).float()
        self.intrinsics = torch.as_tensor(scene.intrinsics).float()
        self.colours = torch.as_tensor(scene.images)[self.views, :, self.y, self.x]
        self.masks = torch.as_tensor(scene.masks)[self.views, self.y, self.x]
        weights = torch.as_tensor(scene.weights).float()
        self.weights = (weights / weights[list(scene.trained)].mean())[self.views]

    def draw(self, count: int, generator: torch.Generator) -> _Chosen:
        rows = torch.randint(len(self.views), (count,), generator=generator)
        rays = pixel_rays(self.cameras, self.intrinsics, self.views[rows], self.x[rows] + 0.5, self.y[rows] + 0.5)
        return _Chosen(rays, self.colours[rows], self.masks[rows], self.weights[rows])


def _take(table: Tensor, rows: Tensor) -> Tensor:
    """(...) of the one column of ``table`` at ``rows``, with a quick way back."""
    return _Take.apply(table, rows)


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.size = len(table)
        return table[:, 0].index_select(0, rows.reshape(-1)).view(rows.shape)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[override]
        (rows,) = ctx.saved_tensors
        out = gradient.new_zeros(ctx.size)
        return out.index_add_(0, rows.reshape(-1), gradient.reshape(-1))[:, None], None


def _allowed(field: GridField, lattice: Lattice) -> Tensor:
    """(I, J, K) bool: points inside of the hull or near it."""
    shape = field.hull.shape
    old = Lattice(tuple(field.lower.tolist()), float(field.hull_spacing), tuple(shape))
    return resample(field.hull[..., None], old, lattice)[..., 0] < 3 * field.hull_spacing
