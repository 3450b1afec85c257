"""What a mesh is worth: the mesh, the true one and true pictures go in, numbers come out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viewfusion.datasets import Light, Mesh, Renderer
from viewfusion.evaluation.meshes import MeshSettings, Triangles, cleaned, score_meshes, topology
from viewfusion.evaluation.metrics import psnr, unit_images
from viewfusion.evaluation.protocols import load_protocol
from viewfusion.geometry import Pose
from viewfusion.preprocessing import over_white

from .outsides import hidden_iou

IN_PLACE = "mesh-in-place"
PROTOCOLS = (IN_PLACE, "mesh-viewfusion", "mesh-syncdreamer")
"""The first moves nothing; the others do what the papers do."""

AS_IT_IS = Light(ambient=1.0)
"""A texture that was baked from lit views shows their light already."""

DIGITS = 6
_IN_UNITS = "mesh-syncdreamer"  # it takes predictions to be in units of the truth's longest side
_MOST_DB = 60.0  # of equal pictures, whose PSNR is infinite


def mesh_scores(shape: Triangles, truth: Triangles) -> tuple[dict[str, dict[str, float | None]], list[str]]:
    """The metrics of each of :data:`PROTOCOLS`, ``hidden_iou`` besides, and notes on either mesh.

    Raises:
        ViewFusionError: one cannot be measured, or SciPy is missing.
    """
    scores, notes = {}, {}
    for name in PROTOCOLS:
        settings = MeshSettings.from_data(load_protocol(name).mesh)
        ours = in_units_of(truth, shape) if name == _IN_UNITS else shape
        found, told = score_meshes(ours, truth, settings)
        scores[name] = {
            metric: None if value is None else round(value, DIGITS) for metric, value in found.items()
        }
        notes |= dict.fromkeys(told)
        if name == IN_PLACE and settings.volume is not None:
            outside = hidden_iou(shape, truth, settings.volume)
            scores[name]["hidden_iou"] = None if outside is None else round(outside, DIGITS)
    return scores, list(notes)


def in_units_of(truth: Triangles, shape: Triangles) -> Triangles:
    """``shape`` moved and scaled as :func:`aligned` centres and scales ``truth`` to a longest side of 1."""
    used = truth.vertices[truth.faces.reshape(-1)]
    low, high = used.min(0), used.max(0)
    return Triangles((shape.vertices - (low + high) / 2) / (high - low).max(), shape.faces)


def picture_scores(mesh: Mesh, poses: Sequence[Pose], truth: Iterable[np.ndarray]) -> list[float]:
    """PSNR in dB of ``mesh`` over white from each pose.

    Args:
        truth: (S, S, 4) uint8 RGBA from the same poses.
    """
    renderer, found = Renderer(mesh), []
    for pose, wanted in zip(poses, truth, strict=True):
        ours = renderer.render(pose, len(wanted), AS_IT_IS)
        pair = (unit_images(over_white(each)[None]) for each in (ours, wanted))
        found.append(round(min(_MOST_DB, float(psnr(*pair))), 4))
    return found


def form(shape: Triangles) -> dict[str, Any]:
    """How a surface hangs together. Vertices at one place are one.

    Returns:
        ``faces``, ``components``, ``watertight``, and ``genus``: handles of all components together, None
        where the surface is not closed.
    """
    clean, _ = cleaned(shape)
    joins = topology(clean)
    components = _components(clean)
    holes = components - (len(clean.vertices) - joins.edges + len(clean.faces)) / 2
    whole = joins.watertight and not joins.crowded
    return {
        "faces": len(clean.faces),
        "components": components,
        "watertight": joins.watertight,
        "genus": int(holes) if whole else None,
    }


def _components(mesh: Triangles) -> int:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.vertices)
    starts, ends = mesh.faces.reshape(-1), np.roll(mesh.faces, -1, axis=1).reshape(-1)
    graph = coo_matrix((np.ones(len(starts), np.int8), (starts, ends)), shape=(count, count))
    return int(connected_components(graph, directed=False)[0])


def read_pictures(folder: Path) -> list[np.ndarray]:
    """The (S, S, 4) RGBA of a folder that :func:`viewfusion.datasets.write_layout` wrote, in order."""
    pictures = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture.convert("RGBA")))
    return pictures
