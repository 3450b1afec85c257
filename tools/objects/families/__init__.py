"""What there is, and how often."""

from __future__ import annotations

from collections.abc import Callable

from ..builder import Builder
from .compositions import composition
from .furniture import chair, lamp, shelf, sofa, table
from .living import animal, person, plant
from .things import house, shoe, tool, toy
from .vehicles import boat, car, plane, truck
from .vessels import bottle, bucket, mug, vase

FAMILIES: dict[str, tuple[Callable[[Builder], None], float]] = {
    "chair": (chair, 0.12),
    "sofa": (sofa, 0.07),
    "table": (table, 0.06),
    "lamp": (lamp, 0.04),
    "shelf": (shelf, 0.05),
    "car": (car, 0.08),
    "truck": (truck, 0.05),
    "plane": (plane, 0.04),
    "boat": (boat, 0.03),
    "mug": (mug, 0.05),
    "bottle": (bottle, 0.03),
    "vase": (vase, 0.04),
    "bucket": (bucket, 0.03),
    "shoe": (shoe, 0.03),
    "plant": (plant, 0.04),
    "animal": (animal, 0.06),
    "person": (person, 0.04),
    "house": (house, 0.04),
    "toy": (toy, 0.05),
    "tool": (tool, 0.04),
    "composition": (composition, 0.08),
}
