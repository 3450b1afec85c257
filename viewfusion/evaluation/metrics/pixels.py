"""PSNR and SSIM: two batches of pictures go in, a number for each pair comes out.

Both are means per picture; a table's number is the mean over pictures of these, which for PSNR is not the
PSNR of all pixels together.
"""

from __future__ import annotations

import torch

from viewfusion.errors import ViewFusionError

from .pictures import check_pair

_HALF_WINDOW = 5
"""Of SSIM: 11 x 11 pixels, as far as a Gaussian of 1.5 pixels is followed."""


def psnr(images: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(B,) decibels: -10 log10(mean squared error), data range 1; equal pictures give infinity.

    Args:
        images: (B, 3, H, W) in [0, 1].
        truth: the same.
    """
    check_pair(images, truth)
    return -10 * (images - truth).square().flatten(1).mean(1).log10()


def ssim(images: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(B,) structural similarity in [-1, 1] of (B, 3, H, W) in [0, 1]; needs torchmetrics.

    Gaussian window 11 x 11 (sigma 1.5), K1 = 0.01, K2 = 0.03, data range 1, each colour for itself, the mean
    over windows that lie wholly in the picture (Wang et al., 2004; scikit-image; torchmetrics up to 1.4.1).
    Later ones average windows mirrored at the border too, which is another number: we take its map
    and cut the border off.
    """
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except ImportError as error:
        raise ViewFusionError("SSIM needs torchmetrics; run `pip install torchmetrics`") from error

    check_pair(images, truth, 2 * _HALF_WINDOW + 1)
    # In single precision the variance of a white background comes out wrong by a tenth of K2's share.
    exact = (batch.cpu().double() for batch in (images, truth))
    _, full = structural_similarity_index_measure(*exact, data_range=1.0, return_full_image=True)
    inner = slice(_HALF_WINDOW, -_HALF_WINDOW)
    return full[..., inner, inner].flatten(1).mean(1).to(images)
