"""Renders objects by sphere tracing: the same tensor code on CPU and GPU, for many views at once.

Enters: objects (or a packed ``Scene``) and cameras. Leaves: straight-alpha RGBA pictures. Only pairs of a
ray and a group whose box it crosses are traced, from where it enters the box; each pair marches by itself,
and each ray keeps the nearest of its hits. No loop runs over objects, rays or solids.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from viewfusion.geometry import FOV, Pose, camera_to_world

from .lights import shade
from .primitives import distance
from .scene import JOINED, PRISM, SUPERQUADRIC, ProceduralObject, Scene, pack
from .textures import PHOTO, colour

KIND_NAMES = {PRISM: "prisms", SUPERQUADRIC: "superquadrics", JOINED: "both"}
STEPS, STRIDE = 36, 4
"""Sphere tracing steps at most, and how many go by before finished rays are sorted out."""
NEAR_ENOUGH = 8e-4  # a twelfth of a subpixel at 64 pixels
GRAZING = 4 * NEAR_ENOUGH
NUDGE = 1e-3  # for gradients by differences
RAYS_AT_ONCE = {"cpu": 2**15, "cuda": 2**22}


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
    at_once = max(1, RAYS_AT_ONCE[scene.solids.device.type] // n**2)
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
    return rays.reshape(1, -1, 3) @ cameras[:, :3, :3].mT


def _resolve(colours: torch.Tensor, hit: torch.Tensor, size: int, supersample: int) -> torch.Tensor:
    """(V, size, size, 4) uint8 from colours (3, V * n * n), zero where ``hit`` (V * n * n,) is false."""
    blocks = (-1, size, supersample, size, supersample)
    alpha = hit.float().reshape(blocks).mean((2, 4))
    straight = colours.reshape(3, *blocks).mean((3, 5)) / alpha.clamp(min=1e-6)
    return (torch.cat([straight, alpha[None]]) * 255).round().clamp(0, 255).byte().movedim(0, -1)


@dataclass(frozen=True)
class Pairs:
    """Q rays, each with one group of K solids, in the solids' frames; ``ray`` counts all views' rays."""

    start: torch.Tensor  # (3, K, Q)
    move: torch.Tensor  # (3, K, Q)
    rows: torch.Tensor  # (FIELDS, K, Q)
    smoothness: torch.Tensor  # (Q,)
    near: torch.Tensor  # (Q,) where the ray enters the group's box
    far: torch.Tensor
    ray: torch.Tensor  # (Q,)
    solid: torch.Tensor  # (K, Q) into the scene's flattened solids
    kind: int

    def take(self, which: torch.Tensor) -> Pairs:
        tensors = (name for name in self.__dataclass_fields__ if name != "kind")
        return replace(self, **{name: getattr(self, name).index_select(-1, which) for name in tensors})

    def distance(self, point: torch.Tensor) -> torch.Tensor:
        """(..., Q) signed distances of points (3, ..., K, Q) to the groups."""
        each = distance(self.rows if point.dim() == 3 else self.rows[:, None], point, KIND_NAMES[self.kind])
        if each.shape[-2] == 1:
            return each.squeeze(-2)
        least = each.amin(-2, keepdim=True)
        nearness = torch.exp((least - each) / self.smoothness).sum(-2)
        return least.squeeze(-2) - self.smoothness * nearness.log()


def _trace(scene: Scene, owners, cameras, rays, photos) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours (3, R) and hits (R,) of all views' rays (V, n, 3)."""
    count = rays.shape[0] * rays.shape[1]
    buckets = [pairs for pairs in _pairs(scene, owners, cameras, rays) if len(pairs.ray)]
    depths = [_march(pairs) for pairs in buckets]
    nearest = rays.new_full((count,), torch.inf)
    for pairs, depth in zip(buckets, depths, strict=True):
        nearest.scatter_reduce_(0, pairs.ray, depth, "amin")
    colours = rays.new_zeros(3, count)
    for pairs, depth in zip(buckets, depths, strict=True):
        seen = (torch.isfinite(depth) & (depth == nearest[pairs.ray])).nonzero()[:, 0]
        winners = pairs.take(seen)
        view = winners.ray // rays.shape[1]
        lit = _shaded(scene, winners, depth[seen], owners[view], rays.reshape(-1, 3)[winners.ray].T, photos)
        colours[:, winners.ray] = lit
    return colours, torch.isfinite(nearest)


def _pairs(scene: Scene, owners, cameras, rays) -> Iterator[Pairs]:
    """What may meet, by kind of group: first by the sphere, then by the box around each group."""
    origin = cameras[:, :3, 3]
    centre = scene.box_centres[owners] - origin[:, None]
    radius = scene.box_halves[owners].norm(dim=-1) * 1.001
    used = radius > 0
    along = rays @ centre.mT  # (V, n, G)
    outside = centre.square().sum(-1) - radius.square()
    met = (along > 0) & (along.square() > outside[:, None]) & used[:, None]
    view, ray, group = met.nonzero().T
    owner, ray = owners[view], view * rays.shape[1] + ray
    box = owner * scene.kinds.shape[1] + group
    start, move = _local(scene.box_rotations, scene.box_centres, box, origin[view].T, _columns(rays, ray))
    near, far = _crossing(start, move, _columns(scene.box_halves, box))
    kind = scene.kinds.flatten()[box]
    for each in (PRISM, SUPERQUADRIC, JOINED):
        which = ((near < far) & (kind == each)).nonzero()[:, 0]
        members = scene.members[owner[which], group[which]].T
        solid = (members if each == JOINED else members[:1]) + owner[which] * scene.solids.shape[1]
        ends = near[which], far[which]
        yield _gather(scene, solid, origin[view[which]].T, rays, ray[which], box[which], ends, each)


def _gather(scene: Scene, solid, origin, rays, ray, box, ends, kind: int) -> Pairs:
    start, move = _local(scene.rotations, scene.centres, solid, origin[:, None], _columns(rays, ray)[:, None])
    smoothness = scene.smoothness.flatten()[box]
    return Pairs(start, move, _columns(scene.solids, solid), smoothness, *ends, ray, solid, kind)


def _columns(table: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """(C, ...) rows ``which`` (...) of a table (..., C), component by component."""
    return table.reshape(-1, table.shape[-1]).T.contiguous()[:, which]


def _local(rotations, centres, which, origin, direction) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays (3, ...) in the frames ``which`` (...) of rotations (..., 3, 3) and centres (..., 3)."""
    turn = _columns(rotations.flatten(-2), which).unflatten(0, (3, 3))
    offset = origin - _columns(centres, which)
    return (turn * offset[:, None]).sum(0), (turn * direction[:, None]).sum(0)


def _crossing(start: torch.Tensor, move: torch.Tensor, half: torch.Tensor):
    """Where rays (3, Q) enter and leave boxes of half sizes (3, Q)."""
    inverse = 1 / torch.where(move.abs() < 1e-9, 1e-9, move)
    first, second = (-half - start) * inverse, (half - start) * inverse
    return torch.minimum(first, second).amax(0).clamp(min=0), torch.maximum(first, second).amin(0)


def _march(pairs: Pairs) -> torch.Tensor:
    """(Q,) depths at which the rays meet their groups; inf for a miss."""
    depth = torch.full_like(pairs.near, torch.inf)
    index, at = torch.arange(len(depth), device=depth.device), pairs.near
    for step in range(STEPS):
        gap = pairs.distance(pairs.start + at * pairs.move)
        at = at + gap
        last = step == STEPS - 1
        if step % STRIDE == 0 or last:
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
    each = distance(pairs.rows, point, KIND_NAMES[pairs.kind])
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
    moved = torch.einsum("ijkq,ci->jckq", turn, corners)
    gaps = pairs.distance(point[:, None] + moved)
    return torch.nn.functional.normalize(torch.einsum("cq,ci->iq", gaps, corners), dim=0)
