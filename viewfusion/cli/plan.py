"""``plan``: what a run would do, without a checkpoint."""

from __future__ import annotations

import json
import math
from typing import Any

import typer

from viewfusion.config import load_config
from viewfusion.errors import ViewFusionError
from viewfusion.fusion import schedule
from viewfusion.geometry import FAMILIES, pose_embedding, wrap_angle


def print_plan(preset: str, overrides: list[str], family: str, as_json: bool) -> None:
    """Print the schedule of a ring as a table or as JSON.

    Raises:
        ViewFusionError: bad options.
    """
    if family not in FAMILIES:
        raise ViewFusionError(f"--family must be one of {', '.join(FAMILIES)}, got {family!r}")
    config = load_config(preset, overrides)
    trajectory = config.trajectory()
    rows = []
    for place, target in enumerate(schedule(trajectory, config.rules()), start=1):
        pose = trajectory.views[target.view]
        references = [trajectory.views[index] for index in target.references]
        rows.append(
            {
                "order": place,
                "view": target.view,
                "azimuth_deg": _degrees(pose.azimuth),
                "references": list(target.references),
                "reference_azimuths_deg": [_degrees(reference.azimuth) for reference in references],
                "weights": list(target.weights),
                "pose_embeddings": pose_embedding(pose, references, family).tolist(),
            }
        )
    if as_json:
        typer.echo(json.dumps({"config": config.to_dict(), "family": family, "targets": rows}, indent=2))
    else:
        typer.echo("\n".join(_table(rows)))


def _degrees(angle: float) -> float:
    return round(math.degrees(wrap_angle(angle)), 9)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """A line per target, then one per reference: azimuth, weight, pose embedding."""
    lines = ["order  view  azimuth  reference  weight  [d_polar, sin d_azimuth, cos d_azimuth, d_radius]"]
    for row in rows:
        head = f"{row['order']:5d}  {row['view']:4d}  {row['azimuth_deg']:+7.1f}"
        for index, (azimuth, weight, pose) in enumerate(
            zip(row["reference_azimuths_deg"], row["weights"], row["pose_embeddings"], strict=True)
        ):
            numbers = ", ".join(f"{value:+.3f}" for value in pose)
            left = head if index == 0 else " " * len(head)
            lines.append(f"{left}  {azimuth:+9.1f}  {weight:6.3f}  [{numbers}]")
    return lines
