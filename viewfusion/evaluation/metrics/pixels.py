"""PSNR and SSIM: two batches of pictures go in, a number for each pair comes out.

Both are means per picture; a table's number is the mean over pictures of these, which for PSNR is not the
PSNR of all pixels together.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from viewfusion.errors import ViewFusionError

from .pictures import check_pair

_HALF_WINDOW = 5
"""Of SSIM: 11 x 11 pixels, as far as a Gaussian of 1.5 pixels is followed."""
_SIGMA = 1.5


def psnr(images: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(B,) decibels: -10 log10(mean squared error), data range 1; equal pictures give infinity.

    The definition itself, in torch; torchmetrics' number of one picture with data_range 1.

    Args:
        images: (B, 3, H, W) in [0, 1].
        truth: the same.
    """
    check_pair(images, truth)
    return -10 * (images - truth).square().flatten(1).mean(1).log10()


def ssim(
    images: torch.Tensor, truth: torch.Tensor, data_range: float | None = 1.0, borders: bool = False
) -> torch.Tensor:
    """(B,) structural similarity in [-1, 1]: the mean over windows and colours of

    ``(2 ma mb + C1) (2 cov + C2) / ((ma² + mb² + C1) (va + vb + C2))`` with means, variances and covariance
    under a Gaussian window of 11 x 11 pixels (sigma 1.5), C1 = (0.01 data_range)², C2 = (0.03 data_range)²
    (Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004). Computed
    here, in double precision: in single, the variance of a white background is wrong by a tenth of C2.

    Args:
        images: (B, 3, H, W) in [0, 1].
        truth: the same.
        data_range: None takes, pair by pair, the larger of both pictures' own ranges, as torchmetrics does
            with data_range unset when it is called for one picture at a time. NaN if both are of one colour.
        borders: average windows mirrored at the border too, as torchmetrics does from 1.4.2 on; without, the
            windows that lie wholly in the picture, as the paper, scikit-image and torchmetrics before it.

    Raises:
        ViewFusionError: no pictures in [0, 1], or too small for a window, or a data_range of 0 or less.
    """
    check_pair(images, truth, 2 * _HALF_WINDOW + 1)
    if data_range is not None and not data_range > 0:
        raise ViewFusionError(f"SSIM wants a data_range above 0 or None, got {data_range:g}")
    pairs = zip(images.cpu().double(), truth.cpu().double(), strict=True)
    return torch.stack([_ssim_of(a, b, data_range, borders) for a, b in pairs]).to(images)


def _ssim_of(a: torch.Tensor, b: torch.Tensor, data_range: float | None, borders: bool) -> torch.Tensor:
    """Of two (3, H, W); one pair at a time stays in the processor's cache."""
    span = max(float(each.max() - each.min()) for each in (a, b)) if data_range is None else data_range
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    if borders:
        a, b = (F.pad(each, (_HALF_WINDOW,) * 4, mode="reflect") for each in (a, b))
    height, width = (_windows(side, a) for side in a.shape[-2:])
    ma, mb, aa, bb, ab = height @ torch.stack([a, b, a * a, b * b, a * b]) @ width.T
    va, vb = (aa - ma * ma).clamp(min=0), (bb - mb * mb).clamp(min=0)
    shares = (2 * ma * mb + c1) * (2 * (ab - ma * mb) + c2)
    return (shares / ((ma * ma + mb * mb + c1) * (va + vb + c2))).mean()


def _windows(side: int, like: torch.Tensor) -> torch.Tensor:
    """(side - 10, side): a row for each window along one side. The Gaussian is the product of two lines, and
    two products of matrices are thirty times faster than its convolution."""
    offsets = torch.arange(-_HALF_WINDOW, _HALF_WINDOW + 1).to(like)
    line = (-offsets.square() / (2 * _SIGMA**2)).exp()
    rows = like.new_zeros(side - 2 * _HALF_WINDOW, side)
    for place, weight in enumerate(line / line.sum()):
        rows.diagonal(place).fill_(float(weight))
    return rows
