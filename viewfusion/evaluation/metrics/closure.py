"""Loop closure: the steps of a turn go in, how much larger than the others the closing one is comes out."""

from __future__ import annotations

import torch

from viewfusion.errors import ViewFusionError


def loop_closure(distances: torch.Tensor, seam: int = -1) -> float:
    """``distances[seam] / median(all others)``, 0 or more: 1 where the turn closes as smoothly as it goes on,
    3 where its ends are three times as far apart as neighbours usually are. Of torch's own functions; a ratio
    of viewfusion's own making, so compare it within one protocol only.

    Lower is better, but a turn that changes too much everywhere closes well: read it beside the distances.
    NaN where the others' median is 0, as of a turn that stands still.

    Args:
        distances: (V,) of the pairs (i, i + 1 mod V), as :meth:`.lpips.Lpips.around` gives them.
        seam: the pair at which the ends meet. -1: the last view and the first, the seam of views made in one
            direction. Views made outwards on both sides, as viewfusion's, meet at V // 2 instead.

    Raises:
        ViewFusionError: fewer than three distances, one that is below 0 or not finite, or no such pair.
    """
    count = distances.numel()
    if distances.ndim != 1 or count < 3 or not bool((distances.isfinite() & (distances >= 0)).all()):
        raise ViewFusionError(
            "loop closure wants three distances or more in a row, finite and 0 or above, got "
            f"{tuple(distances.shape)} with {int((~(distances.isfinite() & (distances >= 0))).sum())} others"
        )
    if not -count <= seam < count:
        raise ViewFusionError(f"loop closure wants a seam among the {count} pairs, got {seam}")
    steps = distances.double()
    others = torch.cat([steps[: seam % count], steps[seam % count + 1 :]])
    typical = float(others.quantile(0.5))
    return float(steps[seam]) / typical if typical > 0 else float("nan")
