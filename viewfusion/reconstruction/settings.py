"""What can be set about a reconstruction: a preset and dotted overrides go in, checked settings come out.

Every default and what it may be stands here once; a preset (configs/reconstruction/) states departures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from viewfusion.errors import ViewFusionError, did_you_mean
from viewfusion.resources import resource_folder
from viewfusion.yaml_files import parse_yaml, preset_path, read_yaml

from .finishing import Finishing
from .scene import SceneSettings
from .texture import Baking

if TYPE_CHECKING:
    from .training import Recipe

PRESETS = ("cpu", "balanced", "paper")
RECIPES = ("grid", "paper")

_Settings = TypeVar("_Settings")


def within(default: Any, least: float, most: float = math.inf) -> Any:
    """A field that holds a number (whole if the default is) or, for a tuple, several, from least to most."""
    return field(default=default, metadata={"range": (least, most)})


def one_of(default: str, words: tuple[str, ...]) -> Any:
    """A field that holds one of some words."""
    return field(default=default, metadata={"words": words})


@dataclass(frozen=True)
class PaperSettings:
    """The recipe of the paper's networks.

    Args:
        steps: of training.
        rays: of a step, from anywhere in the views.
        foreground_rays: of a step, from the object.
        rays_at_once: for memory; a step's rays are rendered and differentiated in such parts.
        coarse: samples spread evenly over a ray.
        fine: samples added where the surface is, in ``rounds``.
        anneal_steps: until surfaces count from the front only.
        learning_rate: of AdamW.
        warm_up_steps: until it is reached.
        rate_floor: share of it that training begins with, and that would be reached at its end: halfway
            there, in logarithms, the second half is trained with.
        colour_weight: of the losses in the total.
        width: of the hidden layers of both networks.
        features: from the distance's network to the colours'.
        layers: hidden ones of the distance's network; the point enters again at ``skip``.
        frequencies: octaves of waves of the point; of the direction: ``direction_frequencies``.
        radius: of the sphere that it begins as.
        deviation: v at the start, of the inverse deviation exp(10 v).
        pixel_centre: where in a pixel its ray goes through: 0.5 the middle; 0, the corner, is what the
            method's own reconstruction takes.
    """

    steps: int = within(2000, 1)
    rays: int = within(3584, 1)
    foreground_rays: int = within(512, 0)
    rays_at_once: int = within(512, 1)
    coarse: int = within(64, 2)
    fine: int = within(64, 0)
    rounds: int = within(4, 1)
    anneal_steps: int = within(200, 0)
    learning_rate: float = within(5e-4, 1e-9, 1)
    warm_up_steps: int = within(100, 0)
    rate_floor: float = within(0.02, 1e-9, 1)
    colour_weight: float = within(0.5, 0)
    eikonal_weight: float = within(0.1, 0)
    mask_weight: float = within(1.0, 0)
    width: int = within(256, 1, 4096)
    features: int = within(256, 0)
    layers: int = within(8, 1, 100)
    skip: int = within(4, 1)
    frequencies: int = within(6, 0, 20)
    colour_layers: int = within(4, 1, 100)
    direction_frequencies: int = within(4, 0, 20)
    radius: float = within(0.5, 0.01, 0.6)
    deviation: float = within(0.3, -1, 1)
    pixel_centre: float = within(0.5, 0, 1)

    def __post_init__(self) -> None:
        encoded = 3 + 6 * self.frequencies  # the encoded point is part of the layer at the skip
        if self.width <= encoded:
            raise ViewFusionError(
                f"paper.width must be more than {encoded} with these frequencies, got {self.width}"
            )
        if self.fine % self.rounds:
            raise ViewFusionError(
                f"paper.fine must be a multiple of paper.rounds, got {self.fine} and {self.rounds}"
            )


@dataclass(frozen=True)
class GridSettings:
    """The recipe of a grid that is learned in a band about the surface.

    Args:
        steps: of training.
        rays: of a step.
        probes: places of a ray that are looked up to find what stops it.
        samples: places of a ray that are rendered; in fog: ``fog_samples``.
        resolutions: cells along the longest side of the object, one stage after the other; fog has the first.
        starts: when each stage begins, as a share of the steps; before the first there is fog.
        relays: how often in a stage the band is laid anew.
        band: half its width, in cells.
        rim: how far beyond a mask pixels are looked at, in pixels of a view 256 wide.
        tolerance: share of the views whose masks may err at a point of the hull.
        seen_by: share of the views that must see through what is empty.
        shell: how deep behind what is seen the object is solid, in cells.
        pressure: curvature up to which surfaces that no view sees bulge, in 1 / scene units.
        sharpness: inverse deviation at the beginning of the first stage and at the end of its growth.
        sharpened: when that is, as a share of the steps.
        fog_rate: learning rate of fog; of distances ``distance_rate``, in cells; of colours ``colour_rate``.
        last_rate: what rates are multiplied by in the end.
        colour_scale: beyond about this error colours count by its size, not its square.
        mask_weight: of the mask's loss.
        eikonal_weight: of slopes that are not 1.
        smoothness_weight: of curvature; in fog: ``fog_smoothness_weight``.
        regularised: points of the band whose slope and curvature are looked at in a step.
        refine_poses: whether cameras are corrected, all but the input's.
        refine_exposure: whether the colours of views are.
        correction_rate: learning rate of both; kept small by ``correction_weight``.
    """

    steps: int = within(3000, 4)
    rays: int = within(1024, 1)
    probes: int = within(64, 2)
    samples: int = within(16, 2)
    fog_samples: int = within(40, 2)
    resolutions: tuple[int, ...] = within((64, 112, 176), 8, 512)
    starts: tuple[float, ...] = within((0.2, 0.4, 0.65), 0.01, 0.99)
    relays: int = within(2, 1, 100)
    band: float = within(4.0, 2, 50)
    rim: float = within(4.0, 0, 1000)
    tolerance: float = within(0.0, 0, 0.9)
    seen_by: float = within(0.16, 0, 1)
    shell: float = within(2.0, 0.5, 100)
    pressure: float = within(0.3, -100, 100)
    sharpness: tuple[float, ...] = within((150.0, 1000.0), 1, 1e5)
    sharpened: float = within(0.8, 0.01, 1)
    fog_rate: float = within(0.1, 0, 10)
    distance_rate: float = within(0.05, 0, 10)
    colour_rate: float = within(0.02, 0, 10)
    last_rate: float = within(0.05, 1e-9, 1)
    colour_scale: float = within(0.01, 1e-6, 10)
    mask_weight: float = within(0.5, 0)
    eikonal_weight: float = within(0.05, 0)
    smoothness_weight: float = within(0.02, 0)
    fog_smoothness_weight: float = within(1e-3, 0)
    regularised: int = within(24576, 1)
    refine_poses: bool = False
    refine_exposure: bool = False
    correction_rate: float = within(0.01, 0, 10)
    correction_weight: float = within(1e-3, 0)

    def __post_init__(self) -> None:
        if len(self.starts) != len(self.resolutions) or list(self.starts) != sorted(set(self.starts)):
            raise ViewFusionError(
                f"grid.starts must be ascending, one for each of grid.resolutions, got {self.starts} and "
                f"{self.resolutions}"
            )
        if list(self.resolutions) != sorted(self.resolutions):
            raise ViewFusionError(f"grid.resolutions must be ascending, got {self.resolutions}")
        if len(self.sharpness) != 2 or self.sharpened <= self.starts[0]:
            raise ViewFusionError(
                "grid.sharpness must be two numbers and grid.sharpened after the first of grid.starts, got "
                f"{self.sharpness}, {self.sharpened} and {self.starts}"
            )


@dataclass(frozen=True)
class Settings:
    """Everything that decides a reconstruction, besides the views.

    Args:
        recipe: what is trained and how.
        seed: of all that is left to chance.
        resolution: points along a side of the grid that the surface is read off.
        scene: how views become a scene.
        finishing: of the surface.
        texture: how it is coloured.
        stated: dotted names of what a person stated; the rest may be made to suit the views
            (:mod:`.tailoring`).
    """

    recipe: str = one_of("paper", RECIPES)
    seed: int = within(0, 0, 2**63 - 1)
    resolution: int = within(256, 16, 1024)
    paper: PaperSettings = PaperSettings()
    grid: GridSettings = GridSettings()
    scene: SceneSettings = field(default_factory=SceneSettings)
    finishing: Finishing = field(default_factory=Finishing)
    texture: Baking = field(default_factory=Baking)
    stated: frozenset[str] = field(default=frozenset(), compare=False, metadata={"hidden": True})


def make_recipe(settings: Settings) -> Recipe:
    """The recipe that the settings name."""
    if settings.recipe == "grid":
        from .grid import GridRecipe

        return GridRecipe(settings.grid)
    from .paper import PaperRecipe

    return PaperRecipe(settings.paper)


def load_settings(preset: str | Path = "paper", overrides: Iterable[str] = ()) -> Settings:
    """Defaults, then a preset, then ``name=value`` overrides as "paper.steps=500".

    Args:
        preset: one of PRESETS, or a YAML file.

    Raises:
        ViewFusionError: no such preset, an unknown name, or a value that cannot be.
    """
    path = preset_path(preset, PRESETS, resource_folder("configs") / "reconstruction")
    known = read_yaml(path, "preset", "--preset") or {}
    settings = changed(Settings(), known, str(path))
    told = tuple(overrides)
    values: dict[str, Any] = {}
    for override in told:
        name, equals, text = override.partition("=")
        if not equals or not name.strip():
            raise ViewFusionError(f"{override[:80]!r} is no setting; write NAME=VALUE, as seed=1")
        value = parse_yaml(text, override[:80], "write NAME=VALUE, as seed=1")
        values = _with(values, name.strip().split("."), value)
    # All at once: some fit each other only.
    settings = changed(settings, values, " ".join(told)[:80])
    stated = {*_names(values), *(() if str(preset) in PRESETS else _names(known))}
    return replace(settings, stated=frozenset(stated))


def _names(values: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of what nested ``values`` hold."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _with(values: Any, names: list[str], value: Any) -> Any:
    """A copy of nested ``values`` with one more, or with another in its place."""
    if not names:
        return value
    known = values if isinstance(values, dict) else {}
    return {**known, names[0]: _with(known.get(names[0]), names[1:], value)}


def changed(settings: _Settings, values: object, source: str, prefix: str = "") -> _Settings:
    """A copy with some values replaced; names and values come from anybody.

    Args:
        settings: a frozen dataclass of :func:`within`, :func:`one_of` and dataclasses like it.
        values: name -> value.
        source: where they come from, for messages.
    """
    known = {each.name: each for each in fields(settings) if "hidden" not in each.metadata}  # type: ignore[arg-type]
    if not isinstance(values, dict):
        raise ViewFusionError(f"{source}: {prefix or 'a preset'} holds keys of its own: {', '.join(known)}")
    changes = {}
    for key, value in values.items():
        name = prefix + str(key)[:80]
        if key not in known:
            hint = did_you_mean(key, known) or f"; known: {', '.join(known)}"
            raise ViewFusionError(f"{source}: unknown key {name!r}{hint}")
        old = getattr(settings, key)
        if is_dataclass(old):
            changes[key] = changed(old, value, source, f"{name}.")
        else:
            changes[key] = _checked(known[key], old, value, f"{source}: {name}")
    return replace(settings, **changes)  # type: ignore[type-var]


def _checked(known: Field, old: Any, value: Any, name: str) -> Any:
    """``value`` as the kind of ``old``, if the field may hold it."""
    if "words" in known.metadata:
        words = known.metadata["words"]
        if value not in words:
            hint = did_you_mean(value, words)
            raise ViewFusionError(f"{name} must be one of {', '.join(words)}, got {str(value)[:80]!r}{hint}")
        return value
    if isinstance(old, tuple):
        if not isinstance(value, list) or not value:
            raise ViewFusionError(f"{name} must be numbers in [], got {str(value)[:80]}")
        return tuple(_checked(known, old[0], each, name) for each in value)
    if isinstance(old, bool):
        if not isinstance(value, bool):
            raise ViewFusionError(f"{name} must be true or false, got {str(value)[:80]}")
        return value
    whole = isinstance(old, int)
    least, most = known.metadata.get("range", (-math.inf, math.inf))  # else checked where it is defined
    fits = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not fits or not math.isfinite(value) or not least <= value <= most:
        kind = "a whole number" if whole else "a number"
        bounds = f"of {least:g} or more" if most == math.inf else f"from {least:g} to {most:g}"
        bounds = "" if least == -math.inf else f" {bounds}"
        raise ViewFusionError(f"{name} must be {kind}{bounds}, got {str(value)[:80]}")
    return value if whole else float(value)
