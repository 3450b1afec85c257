"""What training minimises: rendered rays and what was seen go in, numbers come out.

Equations 14 to 17 of NeuS (arXiv 2106.10689), two of them as in the method's own reconstruction: a smoothed
length instead of the L1 norm for colours, and squares for masks. Each is a mean over all rays of a step, and
may be summed up over parts of them: ``of`` is what the whole is divided by.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .pixels import Pixels
from .rendering import Rendered

_SMOOTHING = 0.001


def colour_loss(rgb: Tensor, truth: Tensor, weights: Tensor | None = None, of: float | None = None) -> Tensor:
    """Mean of ``weight * sqrt(|rgb - truth|^2 + 0.001)``, equation 15 made smooth at 0.

    Args:
        rgb: (R, 3).
        truth: (R, 3).
        weights: (R, 1) of the views that the rays come from; None: 1.
        of: rays of the whole; None: R.
    """
    length = torch.sqrt(((rgb - truth) ** 2).sum(-1, keepdim=True) + _SMOOTHING)
    return (length if weights is None else weights * length).sum() / (of or len(rgb))


def mask_loss(mask: Tensor, truth: Tensor, of: float | None = None) -> Tensor:
    """Mean squared difference of (R, 1) and (R, 1), in the place of equation 17."""
    return ((mask - truth) ** 2).sum() / (of or len(mask))


def eikonal_loss(gradient_error: Tensor, inner_mask: Tensor, of: float | None = None) -> Tensor:
    """Mean of (length of the gradient - 1)^2 over the sections in the cube, equation 16; (R, S) both."""
    return (gradient_error * inner_mask).sum() / (of or sections_asked(inner_mask))


def sections_asked(inner_mask: Tensor) -> float:
    """What :func:`eikonal_loss` divides by: their number, and a little that keeps it from 0."""
    return float(inner_mask.sum()) + 1e-5 * inner_mask.numel()


@dataclass(frozen=True)
class Terms:
    """How much each loss counts in the total, equation 14."""

    colour: float = 0.5
    eikonal: float = 0.1
    mask: float = 1.0

    def of(
        self, rendered: Rendered, seen: Pixels, rays: float | None = None, sections: float | None = None
    ) -> dict[str, Tensor]:
        """ "colour", "eikonal", "mask" and the "total", of some rays.

        Args:
            rendered: R rays.
            seen: what they should show.
            rays: of the whole step; None: these are all.
            sections: :func:`sections_asked` of the whole step.
        """
        colour = colour_loss(rendered.rgb, seen.colours, seen.weights, rays)
        eikonal = eikonal_loss(rendered.gradient_error, rendered.inner_mask, sections)
        mask = mask_loss(rendered.mask, seen.masks, rays)
        total = self.colour * colour + self.eikonal * eikonal + self.mask * mask
        return {"colour": colour, "eikonal": eikonal, "mask": mask, "total": total}
