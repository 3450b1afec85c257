"""The recipe of the presets ``cpu`` and ``balanced``: settings go in, what training does with them comes out.

Within the visual hull a coarse lattice of fog learns what views see through; what is left, closed where no
view sees, is the start of a signed distance, learned in a band about its zero on ever finer lattices. Rays
are those through the object and a rim about it; what no mask allows is never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from .band import NO_FOG, render_band, samples
from .corrections import ViewCorrections
from .depth_hull import Limits, settle
from .fields import Field
from .grid_field import GridField, resample
from .hull import Lattice, hull_bounds, hull_distance, lattice_over, mask_distance
from .rays import Rays, pixel_rays
from .rendering import Rendered
from .scene import Scene
from .settings import GridSettings

FOG = -3.0
"""Raw fog at the start: about 2.4 a unit, so that the far side of an object is seen dimly."""

_WARM_UP = 20  # steps after the band was laid until rates are whole: moments of the optimiser begin anew
_HULL_MARGIN = 3  # coarse cells about the hull where the surface may be


class SceneField(GridField):
    """A grid with what it must know of its scene: the hull, the cameras and how they are corrected."""

    hull: Tensor
    views: Tensor
    intrinsics: Tensor
    coarse: Tensor
    trained: Tensor
    corrections: ViewCorrections

    def know(self, hull: Tensor, scene: Scene, settings: GridSettings) -> None:
        """Take the hull (I, J, K) on the lattice as it is now, and the scene's cameras."""
        known = {
            "hull": hull,
            "coarse": self.spacing.clone(),
            "views": scene.cameras.float(),
            "trained": torch.tensor(scene.trained),
            "intrinsics": scene.intrinsics.float(),
        }
        for name, value in known.items():  # worked out anew by whoever goes on, so no file may say otherwise
            self.register_buffer(name, value, persistent=False)
        self.corrections = ViewCorrections(
            len(scene.images), scene.input_index, settings.refine_poses, settings.refine_exposure
        )

    def finer(self, resolution: int) -> Lattice:
        """A lattice over the box of the hull."""
        lower = self.lower.cpu().double().numpy()
        sides = torch.tensor(self.hull.shape, dtype=torch.float64) - 1
        return lattice_over(lower, lower + float(self.coarse) * sides.numpy(), resolution)

    def hull_on(self, lattice: Lattice) -> Tensor:
        """(I, J, K) distances to the hull on another lattice over its box."""
        first = Lattice(lattice.lower, float(self.coarse), tuple(self.hull.shape))  # type: ignore[arg-type]
        return resample(self.hull[..., None], first, lattice)[..., 0]


class GridRecipe:
    """See :class:`.training.Recipe`."""

    def __init__(self, settings: GridSettings) -> None:
        self.settings = settings
        self.steps = settings.steps
        self._pixels: tuple[Scene, RimPixels] | None = None

    def described(self) -> dict[str, object]:
        return {"recipe": "grid", **asdict(self.settings)}

    def make_field(self, scene: Scene, done: int = 0) -> SceneField:
        known = self.settings
        lower, upper = hull_bounds(scene, known.tolerance)
        lattice = lattice_over(lower, upper, known.resolutions[0])
        hull = torch.from_numpy(hull_distance(scene, lattice.points(), known.tolerance)).view(lattice.shape)
        within = hull < 1.5 * lattice.spacing
        made = SceneField(lattice, torch.where(within, FOG, 2 * NO_FOG), within, fog=True)
        made.know(hull, scene, known)
        stages = [n for n, start in zip(known.resolutions, self._starts(), strict=True) if start <= done]
        if stages:
            finer = made.finer(stages[-1])
            distances = made.hull_on(finer)
            made.lay(finer, distances, distances.abs() < known.band * finer.spacing, 0.5)
        made.sharpness.fill_(self._sharpness(done))
        return made

    def optimiser(self, field: Field) -> torch.optim.Optimizer:
        known = self.settings
        assert isinstance(field, SceneField)
        rate = known.fog_rate if field.fog else known.distance_rate * float(field.spacing)
        corrections = [each for each in field.corrections.parameters() if each.requires_grad]
        groups = [
            {"params": [field.distances], "lr": rate},
            {"params": [field.colours], "lr": known.colour_rate},
        ]
        if corrections:
            groups.append({"params": corrections, "lr": known.correction_rate})
        return torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-12, fused=True)

    def rate(self, step: int) -> float:
        laid = max(at for at in (0, *self._relays()) if at <= step)
        return min(1.0, (step - laid + 1) / _WARM_UP) * self.settings.last_rate ** (step / self.steps)

    def losses(
        self, field: Field, scene: Scene, step: int, generator: torch.Generator
    ) -> Iterator[dict[str, Tensor]]:
        known = self.settings
        assert isinstance(field, SceneField)
        pixels = self._pixels_of(scene).draw(field, known.rays, generator)
        count = known.fog_samples if field.fog else known.samples
        z_vals = samples(field, pixels.rays, known.probes, count, generator)
        rendered = render_band(field, pixels.rays, z_vals)
        rgb = field.corrections.tone(rendered.rgb, rendered.mask, pixels.views)
        # Square near 0 and straight beyond: a view that errs pulls, but not by how much it errs.
        error = ((rgb - pixels.colours).square().sum(-1) + known.colour_scale**2).sqrt()
        terms = {
            "colour": (error * pixels.weights).mean(),
            "mask": ((rendered.mask[:, 0] - pixels.masks).square() * pixels.weights).mean(),
        }
        total = terms["colour"] + known.mask_weight * terms["mask"]
        slope, curvature = self._shape(field, generator)
        if field.fog:
            total = total + known.fog_smoothness_weight * curvature * field.spacing**2
        else:
            terms |= {"eikonal": slope, "smoothness": curvature}
            total = total + known.eikonal_weight * slope + known.smoothness_weight * curvature
        if known.refine_poses or known.refine_exposure:
            terms["corrections"] = field.corrections.cost()
            total = total + known.correction_weight * terms["corrections"]
        yield {"total": total, **terms}

    def after_step(self, field: Field, optimiser: torch.optim.Optimizer, done: int) -> torch.optim.Optimizer:
        known = self.settings
        assert isinstance(field, SceneField)
        field.refresh()
        field.sharpness.fill_(self._sharpness(done))
        resolution = self._relays().get(done)
        if resolution is None:
            return optimiser
        lattice = field.finer(resolution)
        hull = field.hull_on(lattice)
        if done in self._starts()[:2]:  # after fog, and once more when edges are known better
            limits = Limits(known.seen_by, known.shell, known.pressure)
            with torch.no_grad():
                cameras = field.corrections.cameras(field.views)[field.trained]
            settle(field, lattice, hull, cameras, field.intrinsics, limits)
        field.relay(lattice, known.band, hull < _HULL_MARGIN * field.coarse)
        return self._carried(optimiser, self.optimiser(field))

    def _carried(self, old: torch.optim.Optimizer, new: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """The new optimiser with the moments of what is as it was."""
        for parameter, state in old.state.items():
            if any(parameter is each for group in new.param_groups for each in group["params"]):
                new.state[parameter] = state
        return new

    def render(self, field: Field, rays: Rays) -> Rendered:
        assert isinstance(field, GridField)
        count = self.settings.fog_samples if field.fog else self.settings.samples
        with torch.no_grad():
            z_vals = samples(field, rays, 2 * self.settings.probes, 2 * count)
            return render_band(field, rays, z_vals, normals=True)

    def trial(self) -> tuple[GridRecipe, float]:
        """The same: its steps are quick."""
        return self, 1.0

    def _shape(self, field: GridField, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """How far slopes are from 1 and how curved the field is, (), at some points of the band."""
        rows, around = field.neighbours()
        count = min(self.settings.regularised, len(rows))
        some = torch.randint(max(1, len(rows)), (count,), generator=generator).to(rows.device)
        here = field.at(rows.index_select(0, some))
        beside = field.at(around.index_select(0, some))
        slopes = (beside[:, 1::2] - beside[:, ::2]) / (2 * field.spacing)
        eikonal = ((slopes.square().sum(-1) + 1e-8).sqrt() - 1).square()
        curvature = (6 * (beside.mean(-1) - here) / field.spacing).square()
        return eikonal.sum() / max(1, count), curvature.sum() / max(1, count)

    def _starts(self) -> list[int]:
        return [max(1, round(share * self.steps)) for share in self.settings.starts]

    def _relays(self) -> dict[int, int]:
        """After how many steps the band is laid anew, and the resolution it has from there."""
        known, ends = self.settings, [*self._starts(), self.steps]
        return {
            begin + (end - begin) * part // known.relays: resolution
            for begin, end, resolution in zip(ends, ends[1:], known.resolutions, strict=False)
            for part in range(known.relays)
        }

    def _sharpness(self, done: int) -> float:
        (low, high), begin = self.settings.sharpness, self.settings.starts[0]
        share = (done / self.steps - begin) / (self.settings.sharpened - begin)
        return low * (high / low) ** min(1.0, max(0.0, share))

    def _pixels_of(self, scene: Scene) -> RimPixels:
        if self._pixels is None or self._pixels[0] is not scene:
            self._pixels = scene, RimPixels(scene, self.settings.rim)
        return self._pixels[1]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Some pixels: R rays and what was seen along them, from which views.

    Args:
        rays: R of them.
        views: (R,).
        colours: (R, 3) in [0, 1], over white.
        masks: (R,) in [0, 1].
        weights: (R,) how far the view is trusted.
    """

    rays: Rays
    views: Tensor
    colours: Tensor
    masks: Tensor
    weights: Tensor


class RimPixels:
    """The pixels of the trained views on the object and a rim about it.

    Args:
        scene: with its pictures.
        rim: how far beyond the mask, in pixels of a view 256 wide.
    """

    def __init__(self, scene: Scene, rim: float) -> None:
        reach = rim * scene.masks.shape[-1] / 256
        near = torch.zeros_like(scene.masks, dtype=torch.bool)
        for view in scene.trained:
            near[view] = torch.from_numpy(mask_distance(scene.masks[view].numpy()) < reach)
        self.views, self.y, self.x = near.nonzero().T
        self.colours = scene.images.permute(0, 2, 3, 1)[self.views, self.y, self.x]
        self.masks = scene.masks[self.views, self.y, self.x]
        # Of mean 1, so that weights of losses mean the same whatever views are trusted.
        self.weights = (scene.weights / scene.weights[list(scene.trained)].mean())[self.views]

    def draw(self, field: SceneField, count: int, generator: torch.Generator) -> Drawn:
        """``count`` of them, on the field's device; rays are those of its cameras, as corrected by now."""
        rows = torch.randint(len(self.views), (count,), generator=generator)
        device = field.lower.device
        views, x, y = (part[rows].to(device) for part in (self.views, self.x, self.y))
        cameras = field.corrections.cameras(field.views)
        rays = pixel_rays(cameras, field.intrinsics, views, x + 0.5, y + 0.5)
        seen = (part[rows].to(device) for part in (self.colours, self.masks, self.weights))
        return Drawn(rays, views, *seen)
