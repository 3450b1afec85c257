"""Settings compared for speed: what suits the checkpoint goes in, named configurations come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from viewfusion.config import Config, changed

EXACT = "exact"
"""What every other setting is compared with: the steps that the released code runs, the guidance that suits
the checkpoint."""

IN_ORDER = ("DDIM", "DPM-Solver++", "leap")
"""Lines of the chart along which steps get fewer."""

_DDIM = {"spacing": "timesteps", "leap_sigma": 0.0}
_NO_LEAP = {"spacing": "karras", "leap_sigma": 0.0}
_SIX = {"num_inference_steps": 6}


@dataclass(frozen=True)
class Setting:
    """One way to sample.

    Args:
        words: for people.
        line: of the chart, which joins settings of the same one.
        changes: to what suits the checkpoint, as :func:`viewfusion.config.changed` takes them.
        reuse: how many steps the UNet's deep features last; 1: each has its own.
    """

    words: str
    line: str
    changes: dict[str, Any] = field(default_factory=dict)
    reuse: int = 1

    def config(self, suits: Config) -> Config:
        return changed(suits, **self.changes)


def _ddim(steps: int) -> dict[str, Any]:
    return {"solver": "ddim", "num_inference_steps": steps, **_DDIM}


def _solver(solver: str, steps: int) -> dict[str, Any]:
    return {"solver": solver, "num_inference_steps": steps, **_NO_LEAP}


_EXACT = {"solver": "ddim-reference", "num_inference_steps": 75, **_DDIM}

SETTINGS = {
    EXACT: Setting("DDIM, 76 steps of the released code", "DDIM", _EXACT),
    "balanced": Setting("DDIM, 50 steps", "DDIM", _ddim(50)),
    "ddim-25": Setting("DDIM, 25 steps", "DDIM", _ddim(25)),
    "dpm-20": Setting("DPM-Solver++ 2M, 20 steps", "DPM-Solver++", _solver("dpm++", 20)),
    "dpm-10": Setting("DPM-Solver++ 2M, 10 steps", "DPM-Solver++", _solver("dpm++", 10)),
    "dpm-6": Setting("DPM-Solver++ 2M, 6 steps", "DPM-Solver++", _solver("dpm++", 6)),
    "sde-10": Setting("DPM-Solver++ 2M SDE, 10 steps", "others", _solver("dpm++-sde", 10)),
    "unipc-10": Setting("UniPC, 10 steps", "others", _solver("unipc", 10)),
    "leap-15": Setting("leap, 15 steps", "leap", {"num_inference_steps": 15}),
    "leap-10": Setting("leap, 10 steps: as the checkpoint states", "leap"),
    "leap-6": Setting("leap, 6 steps", "leap", _SIX),
    "leap-4": Setting("leap, 4 steps", "leap", {"num_inference_steps": 4}),
    "leap-3": Setting("leap, 3 steps", "leap", {"num_inference_steps": 3}),
    "leap-2": Setting("leap, 2 steps", "leap", {"num_inference_steps": 2}),
    "unguided": Setting("leap, 6 steps, no guidance", "leap-6, less", {**_SIX, "guidance_scale": 1.0}),
    "guided-early": Setting(
        "leap, 6 steps, guidance above noise 0.9", "leap-6, less", {**_SIX, "guidance_low": 0.9}
    ),
    "guided-late": Setting(
        "leap, 6 steps, guidance below noise 0.9", "leap-6, less", {**_SIX, "guidance_high": 0.9}
    ),
    "nearest-3": Setting(
        "leap, 6 steps, at most 3 references", "leap-6, less", {**_SIX, "max_references": 3}
    ),
    "nearest-5": Setting(
        "leap, 6 steps, at most 5 references", "leap-6, less", {**_SIX, "max_references": 5}
    ),
    "heavy": Setting("leap, 6 steps, weights from 0.1", "leap-6, less", {**_SIX, "min_weight": 0.1}),
    "window": Setting("leap, 6 steps, window of 60°", "leap-6, less", {**_SIX, "window_deg": 60.0}),
    "exact-reuse": Setting("as exact, deep features last 2 steps", "reuse", _EXACT, reuse=2),
    "leap-10-reuse": Setting("leap, 10 steps, deep features last 2 steps", "reuse", reuse=2),
}
