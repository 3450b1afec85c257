"""Renders objects by sphere tracing: the same tensor code on CPU and GPU, for many views at once.

Enters: objects (or a packed ``Scene``) and cameras. Leaves: straight-alpha RGBA pictures. A ray is traced
against the solids whose boxes it crosses only, from where it enters them, and against each group of solids
by itself; it keeps the nearest of its hits. No loop runs over objects, rays or solids.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from viewfusion.geometry import FOV, Pose, camera_to_world

from .lights import shade
from .primitives import POWER, distance
from .scene import ProceduralObject, Scene, pack
from .textures import PHOTO, colour

STEPS, STRIDE = 48, 4
"""Sphere tracing steps at most, and how many go by before finished rays are sorted out."""
NEAR_ENOUGH, GRAZING = 4e-4, 1.2e-3  # a subpixel at 128 pixels is 5e-3; grazing: when steps run out
NUDGE = 1e-3  # for gradients by differences
TOGETHER = (1, 3, 6, 99)
"""How many solids of one group a ray meets: rays up to the same of these are traced together."""
FAR_AWAY = 50.0
RAYS_AT_ONCE = {"cpu": 2**16, "cuda": 2**22}


def render(
    obj: ProceduralObject, pose: Pose, size: int, supersample: int = 2, fov: float = FOV, photos=None
) -> torch.Tensor:
    """(size, size, 4) uint8 straight-alpha RGBA of ``obj`` seen from ``pose``."""
    return render_batch([obj], [pose], size, "cpu", supersample, fov, photos)[0]


def render_batch(
    objects: Sequence[ProceduralObject],
    poses: Sequence[Pose],
    size: int,
    device: torch.device | str = "cpu",
    supersample: int = 2,
    fov: float = FOV,
    photos: torch.Tensor | None = None,
) -> torch.Tensor:
    """(N, size, size, 4) uint8 straight-alpha RGBA on ``device``: object n seen from pose n."""
    different = list({id(obj): obj for obj in objects}.values())
    rows = {id(obj): row for row, obj in enumerate(different)}
    owners = torch.tensor([rows[id(obj)] for obj in objects], device=device)
    cameras = torch.from_numpy(np.stack([camera_to_world(pose) for pose in poses])).float().to(device)
    return render_scene(pack(different).to(device), owners, cameras, size, supersample, fov, photos)


@torch.no_grad()
def render_scene(
    scene: Scene,
    owners: torch.Tensor,
    cameras: torch.Tensor,
    size: int,
    supersample: int = 2,
    fov: float = FOV,
    photos: torch.Tensor | None = None,
) -> torch.Tensor:
    """(N, size, size, 4) uint8 straight-alpha RGBA: object ``owners[n]`` from ``cameras[n]``.

    Args:
        owners: (N,) rows of the scene; cameras: (N, 4, 4) camera-to-world, OpenGL axes.
        photos: what materials of kind PHOTO show.
    """
    if photos is None and bool((scene.materials[..., 6] == PHOTO).any()):
        raise ValueError("these objects show photographs; hand the renderer the photos they were drawn with")
    photos = None if photos is None else photos.to(scene.solids.device)
    n = size * supersample
    at_once = max(1, RAYS_AT_ONCE.get(scene.solids.device.type, 2**20) // n**2)
    pictures = []
    for part in torch.arange(len(owners), device=owners.device).split(at_once):
        colours, hit = _trace(scene, owners[part], cameras[part], _rays(cameras[part], n, fov), photos)
        pictures.append(_resolve(colours, hit, size, supersample))
    return torch.cat(pictures)


def _rays(cameras: torch.Tensor, n: int, fov: float) -> torch.Tensor:
    """(V, n * n, 3) unit directions in the world, row by row from the top left."""
    steps = (2 * (torch.arange(n, device=cameras.device) + 0.5) / n - 1) * math.tan(fov / 2)
    down, right = torch.meshgrid(-steps, steps, indexing="ij")
    rays = torch.nn.functional.normalize(torch.stack([right, down, -torch.ones_like(down)], -1), dim=-1)
    return _turned(cameras[:, None, :3, :3], rays.reshape(1, -1, 3))


def _turned(rotations: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """(..., 3) rotations (..., 3, 3) of vectors (..., 3), in full precision: no matrix product, as those
    may be told to round (autocast, TF32) by whoever trains."""
    return (rotations * vectors[..., None, :]).sum(-1)


def _resolve(colours: torch.Tensor, hit: torch.Tensor, size: int, supersample: int) -> torch.Tensor:
    """(V, size, size, 4) uint8 from colours (3, V * n * n), zero where ``hit`` (V * n * n,) is false."""
    blocks = (-1, size, supersample, size, supersample)
    alpha = hit.float().reshape(blocks).mean((2, 4))
    straight = colours.reshape(3, *blocks).mean((3, 5)) / alpha.clamp(min=1e-6)
    return (torch.cat([straight, alpha[None]]) * 255).round().clamp(0, 255).byte().movedim(0, -1)


def over_white(rgba: torch.Tensor) -> torch.Tensor:
    """(..., 4) uint8 straight alpha -> (..., 3) uint8 over white."""
    alpha = rgba[..., 3:].float() / 255
    return (rgba[..., :3] * alpha + 255 * (1 - alpha)).round().byte()


@dataclass(frozen=True)
class Touches:
    """T crossings of a ray and a solid's box, by ray and then by group; ``ray`` counts all views' rays."""

    start: torch.Tensor  # (3, T) the ray in the solid's frame
    move: torch.Tensor  # (3, T)
    near: torch.Tensor  # (T,) where the ray enters the box
    far: torch.Tensor
    ray: torch.Tensor
    solid: torch.Tensor  # (T,) into the scene's flattened solids


@dataclass(frozen=True)
class Pairs:
    """Q rays, each with up to K solids of one group."""

    start: torch.Tensor  # (3, K, Q) in the solids' frames
    move: torch.Tensor  # (3, K, Q)
    rows: torch.Tensor  # (FIELDS, K, Q)
    smoothness: torch.Tensor  # (Q,)
    near: torch.Tensor  # (Q,)
    far: torch.Tensor
    ray: torch.Tensor
    solid: torch.Tensor  # (K, Q)
    kinds: str  # of the solids, see ``distance``

    def take(self, which: torch.Tensor) -> Pairs:
        tensors = (name for name in self.__dataclass_fields__ if name != "kinds")
        return replace(self, **{name: getattr(self, name).index_select(-1, which) for name in tensors})

    def distance(self, point: torch.Tensor) -> torch.Tensor:
        """(..., Q) signed distances of points (3, ..., K, Q) to the groups."""
        each = distance(self.rows if point.dim() == 3 else self.rows[:, None], point, self.kinds)
        if each.shape[-2] == 1:
            return each.squeeze(-2)
        least = each.amin(-2, keepdim=True)
        nearness = torch.exp((least - each) / self.smoothness).sum(-2)
        return least.squeeze(-2) - self.smoothness * nearness.log()


def _trace(scene: Scene, owners, cameras, rays, photos) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours (3, R) and hits (R,) of all views' rays (V, n, 3)."""
    count = rays.shape[0] * rays.shape[1]
    traced = []
    nearest = rays.new_full((count,), torch.inf)
    for pairs in _pairs(scene, _touches(scene, owners, cameras, rays)):
        traced.append((pairs, _march(pairs, _take(nearest, pairs.ray))))
        nearest.scatter_reduce_(0, pairs.ray, traced[-1][1], "amin")
    colours = rays.new_zeros(3, count)
    for pairs, depth in traced:
        seen = (torch.isfinite(depth) & (depth == nearest[pairs.ray])).nonzero()[:, 0]
        winners = pairs.take(seen)
        directions = _columns(rays, winners.ray)
        owner = owners[winners.ray // rays.shape[1]]
        colours[:, winners.ray] = _shaded(scene, winners, depth[seen], owner, directions, photos)
    return colours, torch.isfinite(nearest)


def _touches(scene: Scene, owners, cameras, rays) -> Touches:
    """Which rays cross which boxes: a test of the spheres around all, then of the boxes they leave."""
    origin, solids = cameras[:, :3, 3], scene.solids.shape[1]
    middle = scene.centres + _turned(scene.rotations, (scene.lows + scene.highs) / 2)
    radius = (scene.highs - scene.lows).norm(dim=-1)[owners] * 0.5005
    centre = middle[owners] - origin[:, None]
    x, y, z = (rays[..., i, None] * centre[:, None, :, i] for i in range(3))
    along = x + y + z  # (V, n, P)
    outside = centre.square().sum(-1) - radius.square()
    met = (along > 0) & (along.square() > outside[:, None]) & (radius > 0)[:, None]
    view, ray, solid = met.nonzero().T.contiguous()
    ray, solid = view * rays.shape[1] + ray, owners[view] * solids + solid
    turn = _columns(scene.rotations.flatten(-2), solid).unflatten(0, (3, 3))
    offset = _columns(origin, view) - _columns(scene.centres, solid)
    start, move = (turn * offset[:, None]).sum(0), (turn * _columns(rays, ray)[:, None]).sum(0)
    near, far = _crossing(start, move, _columns(scene.lows, solid), _columns(scene.highs, solid))
    crossed = (near < far).nonzero()[:, 0]
    return Touches(*(x.index_select(-1, crossed) for x in (start, move, near, far, ray, solid)))


def _crossing(start: torch.Tensor, move: torch.Tensor, low: torch.Tensor, high: torch.Tensor):
    """Where rays (3, T) enter and leave boxes with corners ``low`` and ``high`` (3, T)."""
    inverse = 1 / torch.where(move.abs() < 1e-9, 1e-9, move)
    first, second = (low - start) * inverse, (high - start) * inverse
    return torch.minimum(first, second).amax(0).clamp(min=0), torch.maximum(first, second).amin(0)


def _pairs(scene: Scene, touches: Touches) -> Iterator[Pairs]:
    """Rays with single prisms, with single superquadrics, and with two and more solids of one group."""
    solids = scene.solids.shape[1]
    group = _take(scene.groups.flatten(), touches.solid)
    _, counts = torch.unique_consecutive(touches.ray * solids + group, return_counts=True)
    first = counts.cumsum(0) - counts
    power = scene.solids[..., POWER].flatten()[touches.solid[first]]
    buckets = [("prisms", (counts == 1) & (power == 0)), ("superquadrics", (counts == 1) & (power > 0))]
    for least, most in itertools.pairwise(TOGETHER):
        buckets.append(("both", (counts > least) & (counts <= most)))
    for kinds, chosen in buckets:
        which = chosen.nonzero()[:, 0]
        if len(which):
            yield _together(scene, touches, first[which], counts[which], kinds)


def _together(scene: Scene, touches: Touches, first, counts, kinds: str) -> Pairs:
    """Pairs of ``counts`` (Q,) touches each, which begin at ``first``; fewer than the most are filled up."""
    slot = torch.arange(int(counts.max()), device=first.device)[:, None]
    absent = slot >= counts
    index = torch.where(absent, first, first + slot)
    solid = _take(touches.solid, index)
    start = torch.where(absent, FAR_AWAY, _take(touches.start, index))
    rows, smoothness = _columns(scene.solids, solid), _take(scene.smoothness.flatten(), solid[0])
    ends = _take(touches.near, index).amin(0), _take(touches.far, index).amax(0)
    return Pairs(start, _take(touches.move, index), rows, smoothness, *ends, touches.ray[first], solid, kinds)


def _columns(table: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """(C, ...) rows ``which`` (...) of a table (..., C), component by component."""
    return _take(table.reshape(-1, table.shape[-1]).T.contiguous(), which)


def _take(table: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """``table[..., which]``, which takes twice as long."""
    return table.index_select(-1, which.flatten()).unflatten(-1, which.shape)


def _march(pairs: Pairs, nearest: torch.Tensor) -> torch.Tensor:
    """(Q,) depths at which the rays meet their groups; inf for a miss, or if beyond ``nearest`` (Q,)."""
    depth = torch.full_like(pairs.near, torch.inf)
    index, at = torch.arange(len(depth), device=depth.device), pairs.near
    pairs = replace(pairs, far=torch.minimum(pairs.far, nearest))
    sort_at = 0 if pairs.kinds == "prisms" else STRIDE - 1  # a box is met where its box is
    for step in range(STEPS):
        gap = pairs.distance(pairs.start + at * pairs.move)
        at = at + gap
        last = step == STEPS - 1
        if step % STRIDE == sort_at or last:
            met = gap < (GRAZING if last else NEAR_ENOUGH)
            depth[index] = torch.where(met, at, torch.inf)
            going = (~met & (at < pairs.far)).nonzero()[:, 0]
            if last or len(going) == 0:
                break
            pairs, index, at = pairs.take(going), index[going], at[going]
    return depth


def _shaded(scene: Scene, pairs: Pairs, depth, owner, rays, photos) -> torch.Tensor:
    """(3, Q) colours where ``pairs`` meet at ``depth`` (Q,); rays (3, Q) are the world's."""
    point = pairs.start + depth * pairs.move
    each = distance(pairs.rows, point, pairs.kinds)
    shown = each.argmin(0, keepdim=True)
    turn = _columns(scene.rotations.flatten(-2), pairs.solid).unflatten(0, (3, 3))
    normal = _normal(pairs, point, turn)
    solid = pairs.solid.gather(0, shown)[0]
    local = point.gather(1, shown.expand(3, 1, -1))[:, 0]
    turn = turn.gather(2, shown.expand(3, 3, 1, -1))[:, :, 0]
    materials = _columns(scene.materials, solid)
    base = colour(materials, local, (turn * normal[:, None]).sum(0), photos)
    return shade(_columns(scene.lights, owner), base, materials[11], normal, rays)


def _normal(pairs: Pairs, point: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """(3, Q) unit normals in the world: differences of the distance along a tetrahedron's corners."""
    corners = point.new_tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * NUDGE
    moved = (turn[:, :, None] * corners.T[:, None, :, None, None]).sum(0)
    gaps = pairs.distance(point[:, None] + moved)
    return torch.nn.functional.normalize((corners[..., None] * gaps[:, None]).sum(0), dim=0)
