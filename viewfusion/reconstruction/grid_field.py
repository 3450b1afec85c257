"""Distances and colours on a lattice: a band of cells at the surface goes in, a :class:`Field` comes out.

Between its points the lattice is trilinear. Only the points of a band about the surface are learned, so
memory and time follow the surface, not the volume; farther away a signed distance is remembered, which says
what is inside. When the surface has moved, or a finer lattice is wanted, the band is laid anew
(:meth:`GridField.relay`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .fields import Field, Surface
from .hull import Lattice

_BAND = ("everywhere", "cell_rows", "cell_corners", "band_points")
_OWN_COLOURS = 3.5  # cells from the surface to which colours were learned, and are kept
_CORNERS = ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))


class _Gather(torch.autograd.Function):
    """(P, C) weighted sums of rows: ``sum_k weights[p, k] * table[rows[p, k]]``.

    On the CPU torch's own embedding_bag is fast forwards and slow backwards, indexing the other way round.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(table, rows, weights)
        return nn.functional.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        table, rows, weights = ctx.saved_tensors
        for_table = for_weights = None
        if ctx.needs_input_grad[0]:
            spread = (gradient[:, None, :] * weights[..., None]).reshape(-1, gradient.shape[-1])
            for_table = torch.zeros_like(table).index_add_(0, rows.reshape(-1), spread)
        if ctx.needs_input_grad[2]:
            for_weights = (nn.functional.embedding(rows, table) @ gradient[..., None])[..., 0]
        return for_table, None, for_weights


class _Take(torch.autograd.Function):
    """The one column of a table at ``rows`` (...)."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.size = len(table)
        return table[:, 0].index_select(0, rows.reshape(-1)).view(rows.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        out = gradient.new_zeros(ctx.size)
        return out.index_add_(0, rows.reshape(-1), gradient.reshape(-1))[:, None], None


class GridField(Field):
    """Distances and colours at the points of a lattice, learned in a band.

    Args:
        lattice: over the object.
        distances: (I, J, K) signed distances at its points.
        near: (I, J, K) bool, the points of which every cell is in the band.
        colours: (I, J, K, 3) in [0, 1], or one grey.
        fog: whether numbers are not distances yet but how dense a fog is (:func:`density`).
    """

    lower: Tensor
    spacing: Tensor
    everywhere: Tensor
    cell_rows: Tensor
    cell_corners: Tensor
    band_points: Tensor
    sharpness: Tensor
    fog: Tensor

    def __init__(
        self,
        lattice: Lattice,
        distances: Tensor,
        near: Tensor,
        colours: Tensor | float = 0.5,
        fog: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("lower", torch.tensor(lattice.lower))
        self.register_buffer("spacing", torch.tensor(lattice.spacing))
        self.register_buffer("sharpness", torch.tensor(1.0))
        self.register_buffer("fog", torch.tensor(fog))
        for name in _BAND:
            self.register_buffer(name, torch.zeros(0))
        self.distances = nn.Parameter(torch.zeros(0))
        self.colours = nn.Parameter(torch.zeros(0))
        self.lay(lattice, distances, near, colours, fog)

    def lay(
        self, lattice: Lattice, distances: Tensor, near: Tensor, colours: Tensor | float, fog: bool = False
    ) -> None:
        """Begin anew with other numbers, perhaps on another lattice; arguments as on construction."""
        self.lower.copy_(torch.tensor(lattice.lower))
        self.spacing.fill_(lattice.spacing)
        self.fog.fill_(fog)
        self._around: tuple[Tensor, Tensor] | None = None
        self._lay(distances.float(), near)
        if isinstance(colours, Tensor):
            rows = colours.reshape(-1, 3)[self.band_points].float()
        else:
            rows = torch.full((len(self.band_points), 3), colours, device=distances.device)
        self.colours = nn.Parameter(_with_empty(rows))

    def _lay(self, distances: Tensor, near: Tensor) -> None:
        """Choose the cells near the surface, and number their points."""
        shape = distances.shape
        cells = near[:-1, :-1, :-1].clone()
        for i, j, k in _CORNERS[1:]:
            cells |= near[i : shape[0] - 1 + i, j : shape[1] - 1 + j, k : shape[2] - 1 + k]
        first = cells.nonzero()
        corners = _flat(first[:, None] + torch.tensor(_CORNERS, device=first.device), shape)
        points = torch.zeros(distances.numel(), dtype=torch.bool, device=first.device)
        points[corners.reshape(-1)] = True
        self.band_points = points.nonzero()[:, 0]
        number = torch.zeros(distances.numel(), dtype=torch.long, device=first.device)
        number[self.band_points] = torch.arange(len(self.band_points), device=first.device)
        empty = torch.full((1, 8), len(self.band_points), device=first.device)
        self.cell_corners = torch.cat([number[corners], empty])
        rows = torch.full(shape, len(first), dtype=torch.int32, device=first.device)
        rows[tuple(first.T)] = torch.arange(len(first), dtype=torch.int32, device=first.device)
        self.cell_rows = rows
        self.everywhere = distances.clone()
        self.distances = nn.Parameter(_with_empty(distances.reshape(-1)[self.band_points][:, None]))

    def lattice(self) -> Lattice:
        shape = tuple(self.everywhere.shape)
        return Lattice(tuple(self.lower.tolist()), float(self.spacing), shape)  # type: ignore[arg-type]

    def refresh(self) -> Tensor:
        """(I, J, K) signed distances everywhere, those of the band as they are learned by now."""
        with torch.no_grad():
            self.everywhere.view(-1).index_copy_(0, self.band_points, self.distances[:-1, 0])
        return self.everywhere

    def _place(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(P, 3) cell and (P, 3) position in it of the nearest place on the lattice; (P,) how far it is."""
        last = torch.tensor(self.everywhere.shape, device=points.device) - 2
        wanted = (points - self.lower) / self.spacing
        scaled = torch.minimum(wanted.clamp(min=0), (last + 1).to(wanted))
        # What is no number lies in some cell as well, and the loss says that it is none.
        cell = torch.minimum(scaled.detach().long(), last).clamp(min=0)
        away = (wanted - scaled).norm(dim=-1) * self.spacing
        return cell, scaled - cell, away

    def _corners(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(P, 8) rows of the tables, (P, 8) weights; (P,) in the band; (P, 3) and (P,) of the place."""
        cell, at, away = self._place(points)
        row = self.cell_rows.reshape(-1).index_select(0, _flat(cell, self.everywhere.shape))
        rows = nn.functional.embedding(row, self.cell_corners)
        return rows, _trilinear(at), row < len(self.cell_corners) - 1, at, away

    def values(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """(P, 1) signed distances and (P, 3) colours; what is learned gets gradients."""
        rows, weights, known, _, away = self._corners(points)
        return self._distance(rows, weights, known, away, points), _Gather.apply(self.colours, rows, weights)

    def _distance(self, rows: Tensor, weights: Tensor, known: Tensor, away: Tensor, points: Tensor) -> Tensor:
        near = _Gather.apply(self.distances, rows, weights)
        far = self.nearest(points)[:, None]
        return torch.where(known[:, None], near, far) + away[:, None]

    def at(self, rows: Tensor) -> Tensor:
        """(...) the numbers of the band's points ``rows`` (...)."""
        return _Take.apply(self.distances, rows)

    def sdf(self, points: Tensor) -> Tensor:
        rows, weights, known, _, away = self._corners(points)
        return self._distance(rows, weights, known, away, points)

    def nearest(self, points: Tensor) -> Tensor:
        """(P,) the remembered distance at the nearest point of the lattice; cheap, and without gradients."""
        with torch.no_grad():
            shape = self.everywhere.shape
            last = torch.tensor(shape, device=points.device) - 1
            wanted = (points - self.lower) / self.spacing + 0.5
            index = torch.minimum(wanted, last.to(wanted)).long().clamp(min=0)
            return self.everywhere.view(-1).index_select(0, _flat(index, shape))

    def surface(self, points: Tensor, directions: Tensor) -> Surface:
        rows, weights, known, at, away = self._corners(points)
        slopes = _trilinear_slopes(at) / self.spacing
        near = nn.functional.embedding(rows, self.distances)[..., 0]
        gradients = (slopes @ near[..., None])[..., 0] * known[:, None]
        sdf = self._distance(rows, weights, known, away, points)
        return Surface(sdf, gradients, _Gather.apply(self.colours, rows, weights).clamp(0, 1))

    def inverse_deviation(self) -> Tensor:
        return self.sharpness

    def relay(self, lattice: Lattice, band: float, allowed: Tensor | None = None) -> None:
        """Lay the band anew about where the surface is now, perhaps on another lattice over the same box.

        Distances become distances to the surface again; colours spread from it.

        Args:
            lattice: from then on.
            band: half its width, in cells.
            allowed: (I, J, K) bool, the points that may belong to it; all without.
        """
        distances, colours = from_surface(self)
        old = self.lattice()
        if lattice.shape != old.shape:
            distances = resample(distances[..., None], old, lattice)[..., 0]
            colours = resample(colours, old, lattice)
        near = distances.abs() < band * lattice.spacing
        if allowed is not None:
            near &= allowed
        self.lay(lattice, distances, near, colours)

    def neighbours(self) -> tuple[Tensor, Tensor]:
        """(M,) rows of the band's points that have six neighbours, and (M, 6) theirs, along x, y and z."""
        if self._around is not None:
            return self._around
        shape = self.everywhere.shape
        device = self.band_points.device
        count = len(self.band_points)
        number = torch.full(shape, count, device=device)
        number.view(-1)[self.band_points] = torch.arange(count, device=device)
        number = nn.functional.pad(number, (1, 1, 1, 1, 1, 1), value=count)
        k = self.band_points % shape[2]
        j = self.band_points // shape[2] % shape[1]
        i = self.band_points // (shape[1] * shape[2])
        here = _flat(torch.stack([i, j, k], 1) + 1, number.shape)
        steps = (number.stride(0), number.stride(1), 1)
        around = torch.stack([number.view(-1)[here + sign * step] for step in steps for sign in (-1, 1)], 1)
        whole = (around < count).all(1).nonzero()[:, 0]
        self._around = whole, around[whole]
        return self._around

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        # The band has the size that training gave it. An optimiser has the parameters, which stay the same.
        self._around = None
        device = self.lower.device
        for name in ("distances", "colours"):
            if prefix + name in state_dict:
                getattr(self, name).data = torch.empty_like(state_dict[prefix + name], device=device)
        for name in _BAND:
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=device))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._check()

    def _check(self) -> None:
        """Raise ValueError unless the band's tables point into each other."""
        count, cells = len(self.distances) - 1, len(self.cell_corners) - 1
        sizes = [
            self.distances.shape == (count + 1, 1),
            self.colours.shape == (count + 1, 3),
            self.band_points.shape == (count,),
            self.cell_corners.shape == (cells + 1, 8),
            self.everywhere.ndim == 3 and self.cell_rows.shape == self.everywhere.shape,
            self.cell_corners.dtype == self.band_points.dtype == torch.int64,
            self.cell_rows.dtype == torch.int32,
            self.distances.dtype == self.colours.dtype == self.everywhere.dtype == torch.float32,
        ]
        if not all(sizes) or min(self.everywhere.shape) < 2:
            raise ValueError("a band of other shapes than a grid's")
        if not (0 < float(self.spacing) <= 1 and float(self.lower.abs().max()) <= 1):
            raise ValueError("a grid that is not in the cube, or without width")
        limits = [
            (self.cell_corners, count + 1),
            (self.band_points, self.everywhere.numel()),
            (self.cell_rows, cells + 1),
        ]
        if any(len(table) and not 0 <= int(table.min()) <= int(table.max()) < end for table, end in limits):
            raise ValueError("a band that points outside of itself")


def density(raw: Tensor) -> Tensor:
    """How much fog of this number stops in a unit of length."""
    return 50 * nn.functional.softplus(raw)


def _with_empty(rows: Tensor) -> Tensor:
    """One more row, of zeros, which cells outside of the band point to."""
    return torch.cat([rows, rows.new_zeros(1, rows.shape[1])])


def _flat(index: Tensor, shape: Any) -> Tensor:
    """(...) position in an array of ``shape``, the last axis fastest, of (..., 3) indices."""
    return (index[..., 0] * shape[1] + index[..., 1]) * shape[2] + index[..., 2]


def _trilinear(at: Tensor) -> Tensor:
    """(P, 8) weights of a cell's corners at the places ``at`` (P, 3) in [0, 1]; they sum to 1."""
    both = torch.stack([1 - at, at], -1)  # (P, 3, 2)
    plane = both[:, 1, :, None] * both[:, 2, None, :]
    return (both[:, 0, :, None, None] * plane[:, None]).reshape(-1, 8)


def _trilinear_slopes(at: Tensor) -> Tensor:
    """(P, 3, 8) derivatives of those weights by the place."""
    both = torch.stack([1 - at, at], -1)
    step = torch.tensor([-1.0, 1.0], device=at.device).expand(len(at), 2)
    slopes = []
    for axis in range(3):
        x, y, z = (step if other == axis else both[:, other] for other in range(3))
        slopes.append((x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]).reshape(-1, 8))
    return torch.stack(slopes, 1)


def from_surface(field: GridField) -> tuple[Tensor, Tensor]:
    """(I, J, K) distances to the surface as it is, and (I, J, K, 3) colours of its nearest place.

    Points next to the surface are moved onto it along the slope; others are as far from it as from the place
    where the nearest of those came to lie.
    """
    from scipy.ndimage import distance_transform_edt

    values, device = field.everywhere.cpu().numpy(), field.everywhere.device
    banded = np.zeros(values.size, dtype=bool)
    banded[field.band_points.cpu().numpy()] = True
    beside = _beside_zero(values) & banded.reshape(values.shape)
    number = np.zeros(values.size, dtype=np.int64)
    number[field.band_points.cpu().numpy()] = np.arange(len(field.band_points))
    if not beside.any():  # the surface may yet appear
        rows, distances = np.where(banded, number, len(field.band_points)), values
    else:
        steps, source = distance_transform_edt(~beside, return_indices=True)
        slopes = np.stack(np.gradient(values, float(field.spacing)))[:, beside]
        feet = np.zeros((3, *values.shape), dtype=np.float32)
        feet[:, beside] = -values[beside] * slopes / np.maximum((slopes**2).sum(0), 0.25)
        away = (np.indices(values.shape, dtype=np.float32) - source) * float(field.spacing) - feet[
            (slice(None), *source)
        ]
        distances = np.where(np.signbit(values), -1, 1) * np.sqrt((away**2).sum(0))
        flat = np.ravel_multi_index(tuple(source), values.shape).reshape(-1)
        own = banded & (steps.reshape(-1) <= _OWN_COLOURS)
        rows = np.where(own, number, number[flat])
    colours = field.colours.detach()[torch.from_numpy(rows).to(device)].view(*values.shape, 3)
    return torch.from_numpy(distances.astype(np.float32)).to(device), colours


def _beside_zero(values: np.ndarray) -> np.ndarray:
    """(I, J, K) bool: points with a neighbour of the other sign."""
    beside = np.zeros(values.shape, dtype=bool)
    for axis in range(3):
        change = np.diff(np.signbit(values), axis=axis)
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        beside[tuple(low)] |= change
        beside[tuple(high)] |= change
    return beside


def resample(values: Tensor, old: Lattice, new: Lattice) -> Tensor:
    """(I', J', K', C) of (I, J, K, C), trilinear; beyond the old lattice as at its border."""
    grids = []
    for n_new, n_old in zip(new.shape, old.shape, strict=True):
        at = torch.arange(n_new, dtype=torch.float32) * (new.spacing / old.spacing)
        grids.append((at / (n_old - 1) * 2 - 1).to(values.device))
    out = []
    for x in grids[0].split(32):  # in slabs, so that memory stays a small part of the result's
        grid = torch.stack(torch.meshgrid(grids[2], grids[1], x, indexing="ij"), -1).permute(2, 1, 0, 3)
        slab = nn.functional.grid_sample(
            values.permute(3, 0, 1, 2)[None], grid[None], align_corners=True, padding_mode="border"
        )
        out.append(slab[0].permute(1, 2, 3, 0))
    return torch.cat(out)
