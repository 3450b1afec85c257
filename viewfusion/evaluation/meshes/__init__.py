"""Mesh metrics: two meshes as arrays go in, how well one shows the shape of the other comes out.

What each number means, and how the two protocols differ: docs/mesh-metrics.md.
"""

from __future__ import annotations

from .alignment import aligned
from .depth_maps import depth_samples
from .distances import Matches, f_score, matched, mean_of_distances, normal_consistency, sum_of_squares
from .occupancy import occupied, volume_iou
from .samples import Samples, surface_samples
from .scores import MESH_METRICS, score_meshes
from .settings import Alignment, DepthMaps, MeshSettings, Surface, Volume
from .topology import Topology, topology
from .triangles import Triangles, cleaned

__all__ = [
    "MESH_METRICS",
    "Alignment",
    "DepthMaps",
    "Matches",
    "MeshSettings",
    "Samples",
    "Surface",
    "Topology",
    "Triangles",
    "Volume",
    "aligned",
    "cleaned",
    "depth_samples",
    "f_score",
    "matched",
    "mean_of_distances",
    "normal_consistency",
    "occupied",
    "score_meshes",
    "sum_of_squares",
    "surface_samples",
    "topology",
    "volume_iou",
]
