"""What can be set: one dataclass holds every default, a preset states departures from them.

Enters: a preset's name or file and dotted overrides. Leaves: a checked :class:`Config`. Angles here end in
``_deg``; they become radians in :meth:`Config.rules` and where poses are made.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfusion.errors import ViewFusionError
from viewfusion.resources import resource_folder

if TYPE_CHECKING:
    from viewfusion.fusion import FusionRules

PRESETS = ("fast", "balanced", "reference")


@dataclass
class SamplingConfig:
    """The solver around the fused denoiser."""

    solver: str = "ddim"
    num_inference_steps: int = 50
    guidance_scale: float = 3.0
    eta: float = 1.0
    noise: str = "shared"


@dataclass
class FusionConfig:
    """The method's constants; see :class:`viewfusion.fusion.FusionRules`."""

    window_deg: float = 125.0
    input_temperature: float = 0.5
    reference_temperature: float = 1.0
    weight_form: str = "max"


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
        sampling, fusion = self.sampling, self.fusion
        finite = {
            "elevation_deg": self.elevation_deg,
            "radius": self.radius,
            "sampling.guidance_scale": sampling.guidance_scale,
            "sampling.eta": sampling.eta,
            "fusion.window_deg": fusion.window_deg,
            "fusion.input_temperature": fusion.input_temperature,
            "fusion.reference_temperature": fusion.reference_temperature,
        }
        for name, value in finite.items():
            _need(math.isfinite(value), name, value, "a finite number")
        _need(2 <= self.views <= 1000, "views", self.views, "2 to 1000, the input among them")
        _need(0 <= self.seed < 2**63, "seed", self.seed, "0 to 2^63 - 1")
        _need(abs(self.elevation_deg) <= 90, "elevation_deg", self.elevation_deg, "-90 to 90")
        _need(self.radius > 0, "radius", self.radius, "more than 0")
        steps = sampling.num_inference_steps
        # One step of the reference's timesteps would be none: it leaves the noisiest out.
        least = 2 if sampling.solver == "ddim-reference" else 1
        _need(least <= steps <= 1000, "sampling.num_inference_steps", steps, f"{least} to 1000")
        _need(sampling.eta >= 0, "sampling.eta", sampling.eta, "0 or more")
        _need(fusion.window_deg > 0, "fusion.window_deg", fusion.window_deg, "more than 0")
        for name in ("input_temperature", "reference_temperature"):
            _need(getattr(fusion, name) > 0, f"fusion.{name}", getattr(fusion, name), "more than 0")
        _choice("sampling.solver", sampling.solver, ("ddim", "dpm++", "ddim-reference"))
        _choice("sampling.noise", sampling.noise, ("shared", "independent"))
        _choice("fusion.weight_form", fusion.weight_form, ("max", "pi"))

    def rules(self) -> FusionRules:
        """The fusion constants in the method's own units."""
        from viewfusion.fusion import FusionRules

        fusion = self.fusion
        return FusionRules(
            math.radians(fusion.window_deg),
            fusion.input_temperature,
            fusion.reference_temperature,
            fusion.weight_form,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_config(preset: str | Path = "balanced", overrides: Iterable[str] = ()) -> Config:
    """Defaults, then the preset (a name or a YAML file), then ``key.subkey=value`` overrides.

    Raises:
        ViewFusionError: unknown preset or key (with the nearest known one), or an impossible value.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    path = _preset_path(preset)
    overrides = list(overrides)
    for override in overrides:
        if "=" not in override:
            raise ViewFusionError(f"override {override!r} must look like key=value")
    try:
        merged = OmegaConf.structured(Config())
        for source, layer in ((path, OmegaConf.load(path)), ("overrides", OmegaConf.from_dotlist(overrides))):
            values = OmegaConf.to_container(layer)
            if not isinstance(values, dict):
                raise ViewFusionError(f"{source}: expected keys and values")
            _check_keys(values, Config, str(source))
            merged = OmegaConf.merge(merged, layer)
        config = OmegaConf.to_object(merged)
    except ViewFusionError:
        raise
    except (OmegaConfBaseException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ViewFusionError(f"{path.name} or an override cannot be read: {reason}") from error
    except Exception as error:
        # PyYAML's errors have no common base that can be imported without importing yaml here.
        if type(error).__module__.partition(".")[0] != "yaml":
            raise
        raise ViewFusionError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error
    assert isinstance(config, Config)
    config.validate()
    return config


def changed(config: Config, **changes: Any) -> Config:
    """A checked copy of ``config`` with some top-level fields set otherwise."""
    for key in changes:
        if key not in {f.name for f in fields(Config)}:
            raise ViewFusionError(f"unknown setting {key!r}{_hint(key, [f.name for f in fields(Config)])}")
    copy = replace(config, **changes)
    copy.validate()
    return copy


def _preset_path(preset: str | Path) -> Path:
    if str(preset) in PRESETS:
        return resource_folder("configs") / f"{preset}.yaml"
    path = Path(preset)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    known = ", ".join(PRESETS)
    raise ViewFusionError(
        f"no preset {str(preset)!r}; use one of {known}, or a .yaml file{_hint(preset, PRESETS)}"
    )


def _check_keys(values: dict, kind: type, source: str, prefix: str = "") -> None:
    known = {f.name: f for f in fields(kind)}
    for key, value in values.items():
        if key not in known:
            raise ViewFusionError(f"{source}: unknown key {prefix + str(key)!r}{_hint(key, known)}")
        default = known[key].default_factory
        if is_dataclass(default) and isinstance(default, type):
            if not isinstance(value, dict):
                raise ViewFusionError(f"{source}: {prefix + key} holds keys of its own, not {value!r}")
            _check_keys(value, default, source, f"{prefix}{key}.")


def _hint(wrong: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(wrong), list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def _need(good: bool, name: str, value: object, wanted: str) -> None:
    if not good:
        raise ViewFusionError(f"{name} must be {wanted}, got {value}")


def _choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ViewFusionError(f"{name} must be one of {', '.join(known)}, got {value!r}{_hint(value, known)}")
