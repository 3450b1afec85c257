"""The metrics by name: what each is of, what it needs, and how it is taken of a turn.

A :class:`Turn` and settings go in, one number for each picture, pair or object comes out. The metrics
themselves are functions in :mod:`viewfusion.evaluation.metrics`; here is what a protocol can ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from viewfusion.errors import ViewFusionError

if TYPE_CHECKING:
    from viewfusion.evaluation.metrics import Clip, Lpips, Rife
    from viewfusion.geometry import Pose

PICTURES = ("targets", "ring")
TURNS = ("ring", "spin")
MESHES = ("mesh",)


@dataclass(frozen=True, eq=False)
class Turn:
    """The views of one object, ours and the true ones, at the size they are compared at.

    Args:
        ours: (V, 3, S, S) in [0, 1], the input among them.
        poses: V of them.
        scored: the places of the views that are compared with the truth; the input is not.
        truth: (V, 3, S, S) in [0, 1]; None where there are no true views.
        fov: radians.
    """

    ours: torch.Tensor
    poses: tuple[Pose, ...]
    scored: tuple[int, ...]
    truth: torch.Tensor | None = None
    fov: float = 0.0

    @cached_property
    def pairs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The scored views and the true ones, (T, 3, S, S) each."""
        if self.truth is None:
            raise ViewFusionError("there are no true views to compare with")
        places = list(self.scored)
        return self.ours[places], self.truth[places]

    @cached_property
    def epipolar(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Shares and residuals of the pairs, see :func:`.metrics.epipolar_consistency`."""
        from viewfusion.evaluation.metrics import epipolar_consistency

        return epipolar_consistency(self.ours.cpu(), self.poses, self.fov)


@dataclass(frozen=True)
class Tools:
    """The networks that some metrics look with, loaded when first asked for.

    Args:
        clip_path: of CLIP's weights; None: nobody said.
        device: where they work.
    """

    clip_path: Path | None = None
    device: str = "cpu"
    _lpips: dict[str, Lpips] = field(default_factory=dict)

    def lpips(self, network: str) -> Lpips:
        from viewfusion.evaluation.metrics import load_lpips

        if network not in self._lpips:
            self._lpips[network] = load_lpips(network).to(self.device)
        return self._lpips[network]

    @cached_property
    def clip(self) -> Clip:
        from viewfusion.evaluation.metrics import load_clip

        if self.clip_path is None:
            raise ViewFusionError("CLIP wants its weights; give --clip a file or a folder of ViT-B/32")
        return load_clip(self.clip_path).to(self.device)

    @cached_property
    def rife(self) -> Rife:
        from viewfusion.evaluation.metrics import load_rife

        return load_rife().to(self.device)


Compute = Callable[[Turn, Tools, dict[str, Any]], torch.Tensor]


@dataclass(frozen=True)
class Measure:
    """A metric a protocol can name.

    Args:
        title, unit: for people.
        better: "higher" or "lower".
        of: "images", "pairs" (i, i + 1 mod V) or "object".
        tasks: that it can be taken of.
        library: whose code it is.
        settings: that a protocol may state.
        compute: one number for each scored view, each pair, or (1,); None: of meshes, where all come at once.
        needs: raises what is missing on this machine.
    """

    title: str
    unit: str
    better: str
    of: str
    tasks: tuple[str, ...]
    library: str
    compute: Compute | None = None
    settings: tuple[str, ...] = ()
    needs: Callable[[Tools], Any] = lambda tools: None

    def described(self, settings: dict[str, Any]) -> dict[str, Any]:
        """For results."""
        given = {key: value for key, value in settings.items() if key != "optional"}
        told = {"title": self.title, "unit": self.unit, "better": self.better, "of": self.of}
        return {**told, "settings": given, "library": self.library}


def _psnr(turn: Turn, tools: Tools, settings: dict[str, Any]) -> torch.Tensor:
    from viewfusion.evaluation.metrics import psnr

    return psnr(*turn.pairs)


def _ssim(turn: Turn, tools: Tools, settings: dict[str, Any]) -> torch.Tensor:
    from viewfusion.evaluation.metrics import ssim

    return ssim(*turn.pairs, **settings)


def _lpips(network: str) -> Compute:
    return lambda turn, tools, settings: tools.lpips(network)(*turn.pairs)


def _clip(turn: Turn, tools: Tools, settings: dict[str, Any]) -> torch.Tensor:
    return tools.clip(*turn.pairs)


def _mask_iou(turn: Turn, tools: Tools, settings: dict[str, Any]) -> torch.Tensor:
    from viewfusion.evaluation.metrics import outline_overlap

    # Of both sides what is not nearly white, so that the true views themselves have 1, whatever their alpha.
    return outline_overlap(*turn.pairs)


def _adjacent_lpips(network: str) -> Compute:
    return lambda turn, tools, settings: tools.lpips(network).around(turn.ours)


def _adjacent_clip(turn: Turn, tools: Tools, settings: dict[str, Any]) -> torch.Tensor:
    return tools.clip.around(turn.ours)


def _adjacent_sift(turn: Turn, tools: Tools, settings: dict[str, Any]) -> torch.Tensor:
    from viewfusion.evaluation.metrics import sift_matches_around

    return sift_matches_around(turn.ours.cpu())


def _flow(turn: Turn, tools: Tools, settings: dict[str, Any]) -> torch.Tensor:
    from viewfusion.evaluation.metrics import each_with_next, flow_warp_error

    return flow_warp_error(tools.rife, *each_with_next(turn.ours))[0]


def _epipolar(which: int) -> Compute:
    return lambda turn, tools, settings: turn.epipolar[which]


def _loop(turn: Turn, tools: Tools, settings: dict[str, Any]) -> torch.Tensor:
    from viewfusion.evaluation.metrics import loop_closure

    distances = tools.lpips("vgg").around(turn.ours)
    return torch.tensor([loop_closure(distances, settings.get("seam", -1))])


def _needs_lpips(network: str) -> Callable[[Tools], Any]:
    return lambda tools: tools.lpips(network)


MEASURES = {
    "psnr": Measure("PSNR", "dB", "higher", "images", PICTURES, "viewfusion", _psnr),
    "ssim": Measure("SSIM", "", "higher", "images", PICTURES, "viewfusion", _ssim, ("data_range", "borders")),
    "lpips_alex": Measure(
        "LPIPS alex", "", "lower", "images", PICTURES, "viewfusion; weights of LPIPS 0.1",
        _lpips("alex"), needs=_needs_lpips("alex"),
    ),
    "lpips_vgg": Measure(
        "LPIPS vgg", "", "lower", "images", PICTURES, "viewfusion; weights of LPIPS 0.1",
        _lpips("vgg"), needs=_needs_lpips("vgg"),
    ),
    "clip": Measure(
        "CLIP similarity", "", "higher", "images", PICTURES, "transformers", _clip,
        needs=lambda tools: tools.clip,
    ),
    "mask_iou": Measure("mask IoU", "", "higher", "images", PICTURES, "viewfusion", _mask_iou),
    "adjacent_lpips_alex": Measure(
        "adjacent LPIPS alex", "", "lower", "pairs", TURNS, "viewfusion; weights of LPIPS 0.1",
        _adjacent_lpips("alex"), needs=_needs_lpips("alex"),
    ),
    "adjacent_lpips_vgg": Measure(
        "adjacent LPIPS vgg", "", "lower", "pairs", TURNS, "viewfusion; weights of LPIPS 0.1",
        _adjacent_lpips("vgg"), needs=_needs_lpips("vgg"),
    ),
    "adjacent_clip": Measure(
        "adjacent CLIP similarity", "", "higher", "pairs", TURNS, "transformers", _adjacent_clip,
        needs=lambda tools: tools.clip,
    ),
    "adjacent_sift": Measure(
        "adjacent SIFT matches", "matches", "higher", "pairs", TURNS, "OpenCV", _adjacent_sift
    ),
    "flow_warp_error": Measure(
        "flow-warp error", "", "lower", "pairs", TURNS, "viewfusion; weights of RIFE", _flow,
        needs=lambda tools: tools.rife,
    ),
    "epipolar_share": Measure(
        "matches on their epipolar line", "", "higher", "pairs", TURNS, "OpenCV, viewfusion", _epipolar(0)
    ),
    "epipolar_residual": Measure(
        "epipolar residual", "px", "lower", "pairs", TURNS, "OpenCV, viewfusion", _epipolar(1)
    ),
    "loop_closure": Measure(
        "loop closure", "", "lower", "object", TURNS, "viewfusion; weights of LPIPS 0.1", _loop, ("seam",),
        _needs_lpips("vgg"),
    ),
    "chamfer": Measure("Chamfer distance", "", "lower", "object", MESHES, "SciPy"),
    "f_score": Measure("F-score", "", "higher", "object", MESHES, "SciPy"),
    "precision": Measure("precision", "", "higher", "object", MESHES, "SciPy"),
    "recall": Measure("recall", "", "higher", "object", MESHES, "SciPy"),
    "volume_iou": Measure("volume IoU", "", "higher", "object", MESHES, "viewfusion"),
    "normal_consistency": Measure("normal consistency", "", "higher", "object", MESHES, "SciPy"),
}  # fmt: skip
