"""What can be set: one dataclass holds every default, a preset states departures from them.

Enters: a preset's name or file and dotted overrides. Leaves: a checked :class:`Config`. Angles here end in
``_deg``; they become radians in :meth:`Config.rules` and where poses are made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfusion.errors import ViewFusionError, did_you_mean
from viewfusion.resources import resource_folder
from viewfusion.yaml_files import parse_yaml, preset_path, read_yaml

if TYPE_CHECKING:
    from viewfusion.fusion import FusionRules
    from viewfusion.geometry import Trajectory

PRESETS = ("fast", "balanced", "reference")


@dataclass
class SamplingConfig:
    """The solver around the fused denoiser.

    Guidance acts from the noise level ``guidance_low`` to ``guidance_high``: timesteps as a share of all of
    them, 0 clean and 1 pure noise. The network's deep features last for ``reuse_steps`` steps. Where
    ``num_inference_steps`` is left open, it is ``leap_steps`` with a leap and ``plain_steps`` without. None:
    what suits the checkpoint, see :meth:`viewfusion.ViewFusionPipeline.settled`.
    """

    solver: str | None = None
    num_inference_steps: int | None = None
    spacing: str | None = None
    leap_sigma: float | None = None
    guidance_scale: float | None = None
    eta: float = 1.0
    noise: str = "shared"
    guidance_low: float = 0.0
    guidance_high: float = 1.0
    reuse_steps: int = 1
    plain_steps: int | None = None
    leap_steps: int | None = None


@dataclass
class FusionConfig:
    """The method's constants; see :class:`viewfusion.fusion.FusionRules`."""

    window_deg: float = 125.0
    input_temperature: float = 0.5
    reference_temperature: float = 1.0
    weight_form: str = "max"
    variant: str = "viewfusion"
    min_weight: float = 0.0
    max_references: int | None = None
    schedule: str = "sequential"


@dataclass
class Config:
    """Everything that decides the pictures of a run, besides the photo and the checkpoint."""

    views: int = 16
    seed: int = 0
    elevation_deg: float = 30.0
    radius: float = 1.5
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)

    def validate(self) -> None:
        """Raise :class:`ViewFusionError` for the first value that cannot work, naming it."""
        from viewfusion.geometry import RADII

        _check_types(self)
        _finite({"elevation_deg": self.elevation_deg, "radius": self.radius})
        _need(2 <= self.views <= 1000, "views", self.views, "2 to 1000, the input among them")
        _need(0 <= self.seed < 2**63, "seed", self.seed, "0 to 2^63 - 1")
        _need(abs(self.elevation_deg) <= 90, "elevation_deg", self.elevation_deg, "-90 to 90")
        least, most = RADII
        _need(least <= self.radius <= most, "radius", self.radius, f"{least:g} to {most:g}")
        self._validate_solver()
        self._validate_sampling()
        self._validate_fusion()

    def _validate_sampling(self) -> None:
        """What is said of sampling besides the solver."""
        from viewfusion.fusion import NOISE_SHARING

        sampling = self.sampling
        low, high = sampling.guidance_low, sampling.guidance_high
        _finite({"sampling.guidance_scale": sampling.guidance_scale or 0, "sampling.eta": sampling.eta})
        _finite({"sampling.guidance_low": low, "sampling.guidance_high": high})
        # More than 1 takes the root of a negative number at some steps.
        _need(0 <= sampling.eta <= 1, "sampling.eta", sampling.eta, "0 (no noise) to 1")
        _need(0 <= low <= 1, "sampling.guidance_low", low, "0 (clean) to 1 (pure noise)")
        _need(low <= high <= 1, "sampling.guidance_high", high, f"from guidance_low, {low:g}, to 1")
        _need(sampling.reuse_steps >= 1, "sampling.reuse_steps", sampling.reuse_steps, "1 or more")
        reuses = sampling.reuse_steps == 1 or self.fusion.variant != "stochastic"
        _need(reuses, "sampling.reuse_steps", sampling.reuse_steps, "1 with the variant stochastic")
        _choice("sampling.noise", sampling.noise, NOISE_SHARING)

    def _validate_fusion(self) -> None:
        from viewfusion.fusion import SCHEDULES, VARIANTS, WEIGHT_FORMS

        fusion = self.fusion
        _finite({"fusion.window_deg": fusion.window_deg, "fusion.min_weight": fusion.min_weight})
        _need(fusion.window_deg > 0, "fusion.window_deg", fusion.window_deg, "more than 0")
        for name in ("input_temperature", "reference_temperature"):
            name, value = f"fusion.{name}", getattr(fusion, name)
            _finite({name: value})
            # So near 0 that the nearest view alone counts long before; below, quotients overflow.
            _need(value >= 1e-6, name, value, "0.000001 or more")
        _need(0 <= fusion.min_weight < 1, "fusion.min_weight", fusion.min_weight, "0 to less than 1")
        most = fusion.max_references
        _need(most is None or most >= 1, "fusion.max_references", most, "1 or more")
        _choice("fusion.weight_form", fusion.weight_form, WEIGHT_FORMS)
        _choice("fusion.variant", fusion.variant, VARIANTS)
        _choice("fusion.schedule", fusion.schedule, SCHEDULES)

    def _validate_solver(self) -> None:
        """What hangs together about the solver, as far as it is chosen."""
        from viewfusion.solvers import DRAWS_ITS_OWN_NOISE, LEAPING, SOLVERS, SPACED, SPACINGS, can_leap

        sampling = self.sampling
        solver, spacing = sampling.solver, sampling.spacing
        if solver is not None:
            _choice("sampling.solver", solver, SOLVERS)
        if spacing is not None:
            _choice("sampling.spacing", spacing, SPACINGS)
        # One step of the reference's timesteps would be none: it leaves the noisiest out.
        least = 2 if solver == "ddim-reference" else 1
        if (solver, spacing) == ("euler", "karras"):
            least = 2  # its only one would be the least noise
        # DDIM's timesteps end at 1 and go up evenly; the network knows none past 999.
        most = 999 if solver and solver.startswith("ddim") else 1000
        for name in ("num_inference_steps", "plain_steps", "leap_steps"):
            asked, fewest = getattr(sampling, name), 2 if name == "leap_steps" else least
            fits = asked is None or fewest <= asked <= most
            _need(fits, f"sampling.{name}", asked, f"{fewest} to {most}")
        fits = spacing != "karras" or solver in (None, *SPACED)
        _need(fits, "sampling.spacing", spacing, f"timesteps with the solver {solver}")
        leap = sampling.leap_sigma or 0
        _finite({"sampling.leap_sigma": leap})
        _need(leap >= 0, "sampling.leap_sigma", leap, "0 (no leap) or more")
        leaps = solver is None or spacing is None or can_leap(solver, spacing)
        wanted = f"0, or spacing karras with one of {', '.join(LEAPING)}"
        _need(not leap or leaps, "sampling.leap_sigma", leap, wanted)
        alone = solver in DRAWS_ITS_OWN_NOISE and sampling.noise != "shared"
        _need(not alone, "sampling.noise", sampling.noise, f"shared with the solver {solver}")

    def rules(self) -> FusionRules:
        """The fusion constants in the method's own units."""
        from viewfusion.fusion import FusionRules

        fusion = self.fusion
        return FusionRules(
            math.radians(fusion.window_deg),
            fusion.input_temperature,
            fusion.reference_temperature,
            fusion.weight_form,
            fusion.variant,
            fusion.min_weight,
            fusion.max_references,
            fusion.schedule == "paired",
        )

    def trajectory(self) -> Trajectory:
        """The ring asked for."""
        from viewfusion.geometry import ring

        return ring(self.views, math.radians(self.elevation_deg), self.radius)

    @property
    def parallel_views(self) -> int:
        """How many targets are made at once, where nobody says: as many as the schedule foresees."""
        return 2 if self.fusion.schedule == "paired" else 1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_config(preset: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Defaults, then the preset (a name, a YAML file or none), then ``key.subkey=value`` overrides.

    Raises:
        ViewFusionError: unknown preset or key (with the nearest known one), or an impossible value.
    """
    from omegaconf import OmegaConf

    merged = OmegaConf.structured(Config())
    if preset is not None:
        path = preset_path(preset, PRESETS, resource_folder("configs"))
        merged = _merged(merged, read_yaml(path, "preset YAML", "--preset"), path.name)
        try:
            _validated(merged)
        except ViewFusionError as error:
            raise ViewFusionError(f"{path.name}: {error}") from None
    for override in overrides:
        merged = _merged(merged, _from_override(override), repr(override[:80]))
    return _validated(merged)


def _validated(merged: Any) -> Config:
    """The OmegaConf ``merged`` as what it describes, checked."""
    from omegaconf import OmegaConf

    config = OmegaConf.to_object(merged)
    assert isinstance(config, Config)
    config.validate()
    return config


def _from_override(override: str) -> Any:
    """``{"a": {"b": 1}}`` of ``"a.b=1"``."""
    keys, equals, text = override.partition("=")
    if not equals:
        raise ViewFusionError(f"override {override[:80]!r} must look like key=value")
    value = parse_yaml(text, repr(override[:80]), "write key=value")
    for key in reversed(keys.split(".")):
        value = {key: value}
    return value


def _merged(config: Any, values: Any, source: str) -> Any:
    """The OmegaConf ``config`` with plain ``values`` in place of its own; ``source`` is for messages."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if values is None:  # an empty file
        return config
    if not isinstance(values, dict):
        raise ViewFusionError(f"{source}: expected keys and values")
    _check_keys(values, Config, source)
    try:
        return OmegaConf.merge(config, values)
    except OmegaConfBaseException as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise ViewFusionError(
            f"{source}: {getattr(error, 'full_key', None) or 'refused'}: {reason}"
        ) from error


def changed(config: Config, **changes: Any) -> Config:
    """A checked copy of ``config`` with some fields set otherwise, those of its parts by their own names."""
    homes = dict.fromkeys(_fields(Config), "")
    homes |= {name: part for part in ("sampling", "fusion") for name in _fields(type(getattr(config, part)))}
    whole: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in homes:
            hint = did_you_mean(key, homes) or f"; known: {', '.join(homes)}"
            raise ViewFusionError(f"unknown setting {key!r}{hint}")
        if homes[key]:
            part = whole.get(homes[key], getattr(config, homes[key]))
            key, value = homes[key], replace(part, **{key: value})
        whole[key] = value
    # The parts are copied too, so that to set a field of one copy changes no other.
    parts = {name: replace(getattr(config, name)) for name in ("sampling", "fusion")}
    copy = replace(config, **{**parts, **whole})
    copy.validate()
    return copy


def _check_keys(values: dict, kind: type, source: str, prefix: str = "") -> None:
    """Raise ViewFusionError unless ``values`` has keys of the dataclass ``kind`` only, and single values."""
    known = {f.name: f for f in fields(kind)}
    for key, value in values.items():
        name = prefix + str(key)[:80]
        if key not in known:
            hint = did_you_mean(key, known) or f"; known: {', '.join(known)}"
            raise ViewFusionError(f"{source}: unknown key {name!r}{hint}")
        default = known[key].default_factory
        if is_dataclass(default) and isinstance(default, type):
            if not isinstance(value, dict):
                raise ViewFusionError(
                    f"{source}: {name} holds keys of its own: {', '.join(_fields(default))}"
                )
            _check_keys(value, default, source, f"{name}.")
        elif value is None and known[key].default is None:
            continue  # open again, whatever a preset says
        elif not isinstance(value, (str, int, float)):
            raise ViewFusionError(f"{source}: {name} must be a number or a word")
        # OmegaConf would leave out "???" and look "${...}" up, in the environment too.
        elif isinstance(value, str) and (value == "???" or "${" in value):
            raise ViewFusionError(f"{source}: {name} must be a number or a word, got {value[:80]!r}")


def _check_types(config: Any, prefix: str = "") -> None:
    """Raise ViewFusionError for the first field that is not of its default's type."""
    for known in fields(config):
        value, name = getattr(config, known.name), prefix + known.name
        nested, kind = known.default_factory, str(known.type).removesuffix(" | None")
        if isinstance(nested, type):
            _need(isinstance(value, nested), name, value, f"a {nested.__name__}")
            _check_types(value, f"{name}.")
        elif value is None and known.default is None:
            continue
        elif kind == "str":
            _need(isinstance(value, str), name, value, "a word")
        else:
            whole = kind == "int"
            fits = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
            _need(fits, name, value, "a whole number" if whole else "a number")


def _fields(kind: type) -> list[str]:
    return [known.name for known in fields(kind)]


def _finite(values: Mapping[str, float]) -> None:
    for name, value in values.items():
        _need(math.isfinite(value), name, value, "a finite number")


def _need(good: bool, name: str, value: object, wanted: str) -> None:
    if not good:
        raise ViewFusionError(f"{name} must be {wanted}, got {str(value)[:80]}")


def _choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ViewFusionError(
            f"{name} must be one of {', '.join(known)}, got {value[:80]!r}{did_you_mean(value, known)}"
        )
