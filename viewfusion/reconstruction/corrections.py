"""What is wrong with a view's camera or exposure: a few learned numbers go in, better cameras come out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

POSE_SCALE = 0.01
"""How far, in radians and scene units, costs as much as a tone of TONE_SCALE."""

TONE_SCALE = 0.05


class ViewCorrections(nn.Module):
    """A small rigid motion and a gain and shift of colours for each of V views; none at the start.

    Args:
        views: how many.
        fixed: the view that is right by definition, or None.
        poses: whether cameras are corrected.
        exposure: whether colours are.
    """

    free: Tensor

    def __init__(self, views: int, fixed: int | None, poses: bool, exposure: bool) -> None:
        super().__init__()
        self.poses, self.exposure = poses, exposure
        free = torch.ones(views, 1)
        if fixed is not None:
            free[fixed] = 0
        self.register_buffer("free", free, persistent=False)
        self.motions = nn.Parameter(torch.zeros(views, 6), requires_grad=poses)
        self.tones = nn.Parameter(torch.zeros(views, 6), requires_grad=exposure)

    def cameras(self, cameras: Tensor) -> Tensor:
        """(V, 4, 4) the camera-to-world matrices moved, about their own centres."""
        if not self.poses:
            return cameras
        motion = (POSE_SCALE * self.free * self.motions).to(cameras)
        zero = torch.zeros_like(motion[:, 0])
        x, y, z = motion[:, :3].T
        turn = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(-1, 3, 3)
        turned = torch.linalg.matrix_exp(turn) @ cameras[:, :3, :3]
        moved = cameras[:, :3, 3:] + motion[:, 3:, None]
        return torch.cat([torch.cat([turned, moved], -1), cameras[:, 3:]], 1)

    def tone(self, colours: Tensor, masks: Tensor, views: Tensor) -> Tensor:
        """(R, 3) colours over white as the views (R,) have them; the ground, ``masks`` (R, 1) 0, stays."""
        if not self.exposure:
            return colours
        tones = (TONE_SCALE * self.free * self.tones)[views]
        return colours + masks * (tones[:, 3:] + colours * torch.expm1(tones[:, :3]))

    def cost(self) -> Tensor:
        """() how much is corrected, to keep it little."""
        return (self.free * self.motions).square().mean() + (self.free * self.tones).square().mean()
