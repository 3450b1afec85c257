"""``plan``: what a run would do, without a checkpoint."""

from __future__ import annotations

import json
import math
from typing import Any

import typer

from viewfusion.errors import ViewFusionError
from viewfusion.fusion import groups, schedule
from viewfusion.geometry import FAMILIES, pose_embedding, wrap_angle

from .wanted import Wanted


def print_plan(wanted: Wanted, family: str, as_json: bool) -> None:
    """Print the schedule of a run as a table or as JSON.

    Raises:
        ViewFusionError: bad options.
    """
    if family not in FAMILIES:
        raise ViewFusionError(f"--family must be one of {', '.join(FAMILIES)}, got {family!r}")
    if wanted.at_elevation:
        raise ViewFusionError("an elevation is estimated of a photo, and plan has none; give it in degrees")
    config, trajectory = wanted.config, wanted.trajectory
    rows, targets = [], schedule(trajectory, config.rules())
    at_once = groups(targets, config.parallel_views)
    rounds = {target.view: number for number, group in enumerate(at_once, start=1) for target in group}
    for place, target in enumerate(targets, start=1):
        pose = trajectory.views[target.view]
        references = [trajectory.views[index] for index in target.references]
        rows.append(
            {
                "order": place,
                "round": rounds[target.view],
                "view": target.view,
                "azimuth_deg": _degrees(pose.azimuth),
                "elevation_deg": round(pose.elevation_deg, 9),
                "radius": round(pose.radius, 9),
                "references": list(target.references),
                "reference_azimuths_deg": [_degrees(reference.azimuth) for reference in references],
                "weights": list(target.weights),
                "pose_embeddings": pose_embedding(pose, references, family).tolist(),
            }
        )
    if as_json:
        content = {"config": config.to_dict(), "trajectory": wanted.trajectory_json(), "family": family}
        typer.echo(json.dumps({**content, "targets": rows}, indent=2))
    else:
        typer.echo("\n".join(_table(rows)))


def _degrees(angle: float) -> float:
    return round(math.degrees(wrap_angle(angle)), 9)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """A line per target, then one per reference: azimuth, weight, pose embedding.

    Rounds stand there where some targets are made at once, elevation and radius where targets differ in them.
    """
    at_once = rows[-1]["round"] < len(rows)
    varied = len({(row["elevation_deg"], row["radius"]) for row in rows}) > 1
    more = "  elevation  radius" if varied else ""
    first = "order  round" if at_once else "order"
    told = "[d_polar, sin d_azimuth, cos d_azimuth, d_radius]"
    lines = [f"{first}  view  azimuth{more}  reference  weight  {told}"]
    for row in rows:
        head = f"{row['order']:5d}" + (f"  {row['round']:5d}" if at_once else "")
        head += f"  {row['view']:4d}  {row['azimuth_deg']:+7.1f}"
        head += f"  {row['elevation_deg']:+9.1f}  {row['radius']:6.2f}" if varied else ""
        for index, (azimuth, weight, pose) in enumerate(
            zip(row["reference_azimuths_deg"], row["weights"], row["pose_embeddings"], strict=True)
        ):
            numbers = ", ".join(f"{value:+.3f}" for value in pose)
            left = head if index == 0 else " " * len(head)
            lines.append(f"{left}  {azimuth:+9.1f}  {weight:6.3f}  [{numbers}]")
    return lines
