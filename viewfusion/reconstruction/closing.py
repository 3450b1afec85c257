"""What no view sees, closed: what is solid, empty and unseen goes in, how solid each place is comes out.

Cameras all around at one height never see below an object, nor into its depths, and masks allow a cone there.
Between what is seen, the surface of least area is taken: a flat bottom below a box, a plane under a seat. A
little pressure from within lets it bulge, as most things that are seen to curve away do.
"""

from __future__ import annotations

import torch
from torch import Tensor


def close_unseen(solid: Tensor, unseen: Tensor, pressure: float = 0.0, steps: int = 200) -> Tensor:
    """(I, J, K) in [0, 1]: 1 where the object is, with a boundary of least area through what is unseen.

    Minimises the total variation less ``pressure`` times the volume, which is convex, by the primal-dual
    method of Chambolle and Pock (2011); the boundary is where the result is 0.5.

    Args:
        solid: (I, J, K) bool, known to be inside; what is neither solid nor unseen is empty.
        unseen: (I, J, K) bool, to be decided.
        pressure: curvature, in 1 / cells, up to which an unseen surface bulges; 0 keeps it as flat as it can be.
        steps: of the minimisation; a boundary travels about a cell in ten.
    """
    u = (solid | unseen).float()
    free = unseen & ~solid
    fixed = solid.float()
    flow = [torch.zeros_like(u) for _ in range(3)]
    step = 12**-0.5
    ahead = u.clone()
    for _ in range(steps):
        for axis in range(3):
            flow[axis].narrow(axis, 0, u.shape[axis] - 1).add_(ahead.diff(dim=axis), alpha=step)
        length = torch.sqrt(flow[0] ** 2 + flow[1] ** 2 + flow[2] ** 2).clamp_(min=1)
        change = torch.full_like(u, pressure)
        for axis in range(3):
            flow[axis].div_(length)
            change += flow[axis]
            change.narrow(axis, 1, u.shape[axis] - 1).sub_(flow[axis].narrow(axis, 0, u.shape[axis] - 1))
        new = torch.where(free, (u + step * change).clamp_(0, 1), fixed)
        ahead = 2 * new - u
        u = new
    return u
