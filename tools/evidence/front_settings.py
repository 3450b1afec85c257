"""Settings compared for speed: what suits the checkpoint goes in, named configurations come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from viewfusion.config import Config, changed


@dataclass(frozen=True)
class Setting:
    """One way to sample.

    Args:
        words: for people.
        line: of the chart, which joins settings of the same one.
        changes: to what suits the checkpoint, as :func:`viewfusion.config.changed` takes them.
    """

    words: str
    line: str
    changes: dict[str, Any] = field(default_factory=dict)

    def config(self, suits: Config) -> Config:
        return changed(suits, **self.changes)


@dataclass(frozen=True)
class Comparison:
    """Settings that are measured side by side.

    Args:
        views: of the ring; 2, 4, 8 or 16.
        base: the setting that all others are compared with.
        settings: by name.
    """

    views: int
    base: str
    settings: Mapping[str, Setting]


def _ddim(steps: int, **changes: Any) -> dict[str, Any]:
    return {
        "solver": "ddim",
        "num_inference_steps": steps,
        "spacing": "timesteps",
        "leap_sigma": 0.0,
        **changes,
    }


def _solver(solver: str, steps: int, **changes: Any) -> dict[str, Any]:
    return {"solver": solver, "num_inference_steps": steps, "spacing": "karras", "leap_sigma": 0.0, **changes}


def _steps(steps: int, **changes: Any) -> dict[str, Any]:
    return {"num_inference_steps": steps, **changes}


_EXACT = {**_ddim(75), "solver": "ddim-reference"}

_SPEED = {
    "exact": Setting("DDIM, the released code's 76 steps", "DDIM", _EXACT),
    "ddim-50": Setting("DDIM, 50 steps", "DDIM", _ddim(50)),
    "ddim-25": Setting("DDIM, 25 steps", "DDIM", _ddim(25)),
    "dpm-20": Setting("DPM-Solver++ 2M, 20 steps", "DPM++", _solver("dpm++", 20)),
    "dpm-10": Setting("DPM-Solver++ 2M, 10 steps", "DPM++", _solver("dpm++", 10)),
    "sde-20": Setting("DPM-Solver++ 2M SDE, 20 steps", "SDE", _solver("dpm++-sde", 20)),
    "sde-10": Setting("DPM-Solver++ 2M SDE, 10 steps", "SDE", _solver("dpm++-sde", 10)),
    "unipc-10": Setting("UniPC, 10 steps", "UniPC", _solver("unipc", 10)),
    "leap-15": Setting("leap, 15 steps", "leap", _steps(15)),
    "leap-10": Setting("leap, 10 steps: as the checkpoint states", "leap"),
    "leap-6": Setting("leap, 6 steps", "leap", _steps(6)),
    "leap-4": Setting("leap, 4 steps", "leap", _steps(4)),
    "leap-3": Setting("leap, 3 steps", "leap", _steps(3)),
    "leap-2": Setting("leap, 2 steps", "leap", _steps(2)),
    "unguided": Setting("leap, 4 steps, no guidance", "leap", _steps(4, guidance_scale=1.0)),
    "guided-early": Setting("leap, 4 steps, guidance from noise 0.9 on", "leap", _steps(4, guidance_low=0.9)),
    "guided-late": Setting("leap, 4 steps, guidance up to noise 0.9", "leap", _steps(4, guidance_high=0.9)),
    "exact-reuse-2": Setting("as exact, features last 2 steps", "reuse", {**_EXACT, "reuse_steps": 2}),
    "exact-reuse-4": Setting("as exact, features last 4 steps", "reuse", {**_EXACT, "reuse_steps": 4}),
    "dpm-20-reuse-2": Setting(
        "DPM-Solver++ 2M, 20 steps, features last 2 steps", "reuse", _solver("dpm++", 20, reuse_steps=2)
    ),
}

_REFERENCES = {
    "all": Setting("all within 125°", "most", _steps(4)),
    "most-8": Setting("at most 8", "most", _steps(4, max_references=8)),
    "most-6": Setting("at most 6", "most", _steps(4, max_references=6)),
    "most-4": Setting("at most 4", "most", _steps(4, max_references=4)),
    "most-2": Setting("at most 2", "most", _steps(4, max_references=2)),
    "heavy": Setting("of a weight of 0.05 and more", "weight", _steps(4, min_weight=0.05)),
    "window-60": Setting("all within 60°", "window", _steps(4, window_deg=60.0)),
    "alone": Setting("the input alone", "alone", _steps(4, variant="zero123")),
}

_PRESETS = {
    "exact": _SPEED["exact"],
    "own": Setting("no preset, as the checkpoint states", "own"),
    "balanced": Setting("`balanced`", "balanced", {**_steps(10), "solver": "dpm++-sde"}),
    "fast": Setting("`fast`", "fast", _steps(4, max_references=8)),
}

COMPARISONS = {
    "front": Comparison(8, "exact", _SPEED),
    "references": Comparison(16, "all", _REFERENCES),
    "presets": Comparison(8, "exact", _PRESETS),
}
