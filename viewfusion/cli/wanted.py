"""What a command is to make: options go in, checked settings and trajectories come out. Needs no model."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfusion.config import Config, changed, load_config
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, Trajectory, around, elevation_sweep, path_to
from viewfusion.outputs.cameras import pose_json
from viewfusion.trajectory_files import PoseFile, checked_pose, read_poses, same_pose

if TYPE_CHECKING:
    from viewfusion.preprocessing.elevation import ElevationEstimate

AUTO = "elevation_deg=auto"
"""The setting that leaves the photo's elevation to be estimated. Until then it is what is set otherwise."""


@dataclass(frozen=True)
class Wanted:
    """One run's settings and views.

    Args:
        file: name of the file that the poses come from, if one does.
        at_elevation: the same for a photo at another elevation in degrees, where that was left open.
        estimate, estimate_of: of the elevation, and all that decided it, where it was.
    """

    config: Config
    trajectory: Trajectory
    file: str | None = None
    at_elevation: Callable[[float], Wanted] | None = field(default=None, compare=False)
    estimate: ElevationEstimate | None = None
    estimate_of: dict[str, Any] = field(default_factory=dict)

    def trajectory_hash(self) -> str:
        """SHA-256 (hex) of the poses and their order of generation."""
        trajectory = self.trajectory
        poses = [pose_json(pose) for pose in trajectory.views]
        text = json.dumps([trajectory.kind, trajectory.num_inputs, trajectory.order, poses])
        return hashlib.sha256(text.encode()).hexdigest()

    def trajectory_json(self) -> dict[str, Any]:
        """For manifests, in which the poses stand with the views."""
        return {"kind": self.trajectory.kind, "file": self.file, "order": list(self.trajectory.order)}

    def estimate_json(self) -> dict[str, Any]:
        """For manifests, the curve left out; nothing where the elevation was not estimated."""
        return {"elevation": self.estimate.to_dict(with_curve=False)} if self.estimate else {}


def wanted_turn(
    preset: str | None,
    overrides: list[str],
    file: Path | None = None,
    sweep_deg: tuple[float, float] | None = None,
) -> Wanted:
    """A ring; or the views of a trajectory ``file``; or a sweep over elevations.

    Raises:
        ViewFusionError: bad or contradictory options, or a bad file.
    """

    def made(settings: list[str]) -> list[Wanted]:
        return [_turn(preset, settings, file, sweep_deg)]

    return _left_open(made, overrides)[0]


def _turn(
    preset: str | None, overrides: list[str], file: Path | None, sweep_deg: tuple[float, float] | None
) -> Wanted:
    config = _loaded(preset, overrides)
    if file is None:
        return _swept(config, sweep_deg) if sweep_deg else Wanted(config, config.trajectory())
    if sweep_deg:
        raise ViewFusionError("--trajectory and --elevation-sweep-deg each say all views; give one of them")
    _refuse(overrides, ["views"], "--trajectory says how many views there are")
    config, found = _from_file(config, overrides, file)
    trajectory = around(found.source, found.targets)
    return Wanted(changed(config, views=len(trajectory.views)), trajectory, found.name)


def wanted_views(
    preset: str | None, overrides: list[str], target: dict[str, float | None], file: Path | None = None
) -> list[Wanted]:
    """Single targets, each with the path to it: one, or as many as ``file`` has.

    Args:
        target: azimuth_deg, elevation_deg and radius; None: the input's. All None with a ``file``.

    Raises:
        ViewFusionError: bad or contradictory options, or a bad file.
    """
    return _left_open(lambda settings: _views(preset, settings, target, file), overrides)


def _views(
    preset: str | None, overrides: list[str], target: dict[str, float | None], file: Path | None
) -> list[Wanted]:
    config = _loaded(preset, overrides)
    _refuse(overrides, ["views"], "the way to a single view has as many views as it needs")
    given = {key: value for key, value in target.items() if value is not None}
    if file is None:
        source = _input_pose(config)
        if not given:
            raise ViewFusionError(
                "no target given; add --azimuth-deg, --elevation-deg, --radius, or --poses FILE"
            )
        pose = checked_pose({"azimuth_deg": 0.0, **given}, source, "the target")
        if same_pose(pose, source):
            raise ViewFusionError("the target is where the input stands; give another pose")
        return [_approached(config, source, pose)]
    if given:
        options = ", ".join("--" + key.replace("_", "-") for key in given)
        raise ViewFusionError(f"--poses says the targets; leave {options} out")
    config, found = _from_file(config, overrides, file)
    return [_approached(config, found.source, pose, found.name) for pose in found.targets]


def _left_open(made: Callable[[list[str]], list[Wanted]], overrides: list[str]) -> list[Wanted]:
    """``made(overrides)``; if the last elevation set is :data:`AUTO`, each can be had at other ones too."""
    everything = made(overrides)
    if [each for each in overrides if each.partition("=")[0] == "elevation_deg"][-1:] != [AUTO]:
        return everything

    @lru_cache(maxsize=1)  # of many poses each will ask
    def remade(elevation_deg: float) -> list[Wanted]:
        return made([*overrides, f"elevation_deg={elevation_deg}"])

    def at(place: int, elevation_deg: float) -> Wanted:
        return remade(elevation_deg)[place]

    return [replace(one, at_elevation=partial(at, place)) for place, one in enumerate(everything)]


def _loaded(preset: str | None, overrides: list[str]) -> Config:
    return load_config(preset, [override for override in overrides if override != AUTO])


def _approached(config: Config, source: Pose, target: Pose, file: str | None = None) -> Wanted:
    trajectory = path_to(source, target)
    return Wanted(changed(config, views=len(trajectory.views)), trajectory, file)


def _swept(config: Config, sweep_deg: tuple[float, float]) -> Wanted:
    low, high = sweep_deg
    if not -90 <= low < high <= 90:
        raise ViewFusionError(
            f"--elevation-sweep-deg must be two elevations in -90 to 90, lower first, got {low:g} {high:g}"
        )
    if config.views < 3:
        raise ViewFusionError(
            f"--elevation-sweep-deg needs at least 3 views (the input and both ends), got {config.views}"
        )
    trajectory = elevation_sweep(_input_pose(config), math.radians(low), math.radians(high), config.views)
    return Wanted(config, trajectory)


def _from_file(config: Config, overrides: list[str], file: Path) -> tuple[Config, PoseFile]:
    """The poses in ``file``, and the settings with the input's pose that it states."""
    found = read_poses(file, _input_pose(config))
    if found.states_input:
        _refuse(overrides, ["elevation_deg", "radius"], f"{file} says the input's pose")
        pose = pose_json(found.source)
        config = changed(config, elevation_deg=pose["elevation_deg"], radius=pose["radius"])
    return config, found


def _refuse(overrides: list[str], keys: list[str], why: str) -> None:
    """Raise ViewFusionError if one of ``keys`` was set by hand (a preset's value gives way instead)."""
    for override in overrides:
        if override.partition("=")[0] in keys:
            raise ViewFusionError(f"{why}; leave {override[:80]} out")


def _input_pose(config: Config) -> Pose:
    return Pose.from_degrees(0.0, config.elevation_deg, config.radius)
