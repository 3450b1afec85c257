"""Scores of a turn: its pictures and the true ones go in, numbers for each view and each pair come out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from viewfusion.evaluation.metrics import (
    Lpips,
    Rife,
    each_with_next,
    flow_warp_error,
    load_lpips,
    load_rife,
    outline_overlap,
    psnr,
    sift_matches_around,
    ssim,
)

WEIGHTS = ("lpips-alex", "lpips-vgg", "rife")
"""What :class:`Networks` need, as `viewfusion metrics fetch` names it."""
TO_TRUTH = ("psnr", "ssim", "lpips_alex", "lpips_vgg", "outline", "outline_other_way")
"""Of each view but the input; the last against the true view at the mirrored azimuth."""
ADJACENT = ("adjacent_lpips_alex", "adjacent_lpips_vgg", "sift", "flow_error", "flow_share")
"""Of each view and the next, all around, the input among them."""

MOST_DB = 60.0
"""Of equal pictures, whose PSNR is infinite. 8-bit pictures that are one level off everywhere have 48 dB."""

Taps = list[torch.Tensor]


@dataclass(frozen=True)
class Networks:
    """What some metrics look with."""

    lpips: dict[str, Lpips]
    rife: Rife

    @classmethod
    def load(cls) -> Networks:
        """With the weights that ``viewfusion metrics fetch`` brought.

        Raises:
            ViewFusionError: they are not here.
        """
        return cls({name: load_lpips(name) for name in ("alex", "vgg")}, load_rife())


@dataclass(frozen=True)
class Judge:
    """Compares turns of one object with the true one.

    Args:
        networks: see :class:`Networks`.
        truth: (V, 3, H, W) in [0, 1], the input first.
    """

    networks: Networks
    truth: torch.Tensor

    @cached_property
    def _true_taps(self) -> dict[str, Taps]:
        return {name: lpips.features(self.truth) for name, lpips in self.networks.lpips.items()}

    def scores(self, made: torch.Tensor, with_ssim: bool) -> dict[str, list[float | None]]:
        """The numbers of :data:`TO_TRUTH` (V - 1 each) and of :data:`ADJACENT` (V each).

        A number that does not exist is None: a flow error where no pixel is seen in both views.
        """
        ours, true = made[1:], self.truth[1:]
        error, share = flow_warp_error(self.networks.rife, *each_with_next(made))
        values = {
            "psnr": psnr(ours, true).clamp(max=MOST_DB),
            "outline": outline_overlap(ours, true),
            "outline_other_way": outline_overlap(ours, true.flip(0)),
            "sift": sift_matches_around(made),
            "flow_error": error,
            "flow_share": share,
        }
        if with_ssim:
            values["ssim"] = ssim(ours, true)
        for name, lpips in self.networks.lpips.items():
            taps = lpips.features(made)  # looked at once, compared twice
            targets = [each[1:] for each in taps], [each[1:] for each in self._true_taps[name]]
            values[f"lpips_{name}"] = lpips.between(*targets)
            values[f"adjacent_lpips_{name}"] = lpips.between(taps, [each.roll(-1, 0) for each in taps])
        return {name: [_plain(value) for value in each.tolist()] for name, each in values.items()}


def _plain(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
