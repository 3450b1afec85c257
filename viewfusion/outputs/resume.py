"""Resuming: the latents and record of a finished view go in, a small file comes out, and the way back."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .files import write_bytes

if TYPE_CHECKING:
    from viewfusion.views import ViewRecord

Entry = tuple[np.ndarray, "ViewRecord | None"]
"""Latents (4, h, w) float32, and how they came about where that is known."""


def write_entry(path: Path, latents: np.ndarray, record: ViewRecord | None) -> None:
    """An ``.npz`` of the latents (4, h, w) and the record as JSON, written whole or not at all."""
    buffer = io.BytesIO()
    text = json.dumps(asdict(record) if record else None)
    np.savez(buffer, latents=np.asarray(latents, dtype=np.float32), record=np.array(text))
    write_bytes(path, buffer.getvalue())


def read_entry(path: Path, latent_shape: tuple[int, ...] | None = None) -> Entry | None:
    """What :func:`write_entry` wrote; None for anything else, so that the view is made again.

    Args:
        path: the file.
        latent_shape: (4, h, w) the latents must have; None takes any three lengths.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            latents, text = stored["latents"], str(stored["record"])
        record = _record(json.loads(text))
    except Exception:  # truncated, edited or foreign files fail in every way zip, numpy and json know
        return None
    shape_fits = latents.ndim == 3 if latent_shape is None else latents.shape == tuple(latent_shape)
    if not shape_fits or latents.dtype != np.float32 or not np.isfinite(latents).all():
        return None
    return latents, record


def _record(values: dict | None) -> ViewRecord | None:
    from viewfusion.views import ViewRecord

    if values is None:
        return None
    record = ViewRecord(
        tuple(int(index) for index in values.pop("references")),
        tuple(float(weight) for weight in values.pop("weights")),
        int(values.pop("solver_steps")),
        int(values.pop("network_evaluations")),
        float(values.pop("seconds")),
        int(values.pop("light_evaluations")),
    )
    if values or len(record.references) != len(record.weights):
        raise ValueError("not a record")
    return record
