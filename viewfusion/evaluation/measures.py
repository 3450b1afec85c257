"""The metrics by name: what each is of, what it needs, and how it is taken of a turn.

A :class:`Turn` and settings go in, one number for each picture, pair or object comes out. The metrics
themselves are functions in :mod:`viewfusion.evaluation.metrics`; here is what a protocol can ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from viewfusion.errors import ViewFusionError

from .summary import AVERAGINGS

if TYPE_CHECKING:
    from viewfusion.geometry import Pose

    from .metrics import Clip, Lpips, Raft, Rife

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
        from .metrics import epipolar_consistency

        return epipolar_consistency(self.ours.cpu(), self.poses, self.fov)


@dataclass(frozen=True)
class Tools:
    """The networks that some metrics look with, loaded when first asked for.

    Args:
        clip_path, raft_path: of CLIP's and RAFT's weights; None: nobody said.
        device: where they work.
    """

    clip_path: Path | None = None
    raft_path: Path | None = None
    device: str = "cpu"
    _loaded: dict[str, nn.Module] = field(default_factory=dict)

    def network(self, name: str) -> nn.Module:
        """One of a measure's ``networks``.

        Raises:
            ViewFusionError: its weights are not here, or are another network's.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name).to(self.device)
        return self._loaded[name]

    def _load(self, name: str) -> nn.Module:
        from .metrics import load_clip, load_lpips, load_raft, load_rife

        if name.startswith("lpips-"):
            return load_lpips(name.removeprefix("lpips-"))
        if name == "rife":
            return load_rife()
        path, wanted = (self.raft_path, _RAFT_WANTED) if name == "raft" else (self.clip_path, _CLIP_WANTED)
        if path is None:
            raise ViewFusionError(wanted.format(name))
        if name == "raft":
            return load_raft(path)
        clip = load_clip(path)
        if clip.name != name:
            raise ViewFusionError(f"{path}: CLIP's {clip.name}, where {name} is wanted; give --clip that one")
        return clip

    def weights(self, name: str) -> dict[str, str] | None:
        """What tells a network whose weights the user gives from others; those fetched are pinned."""
        network = self.network(name)
        return {"name": name, "sha256": str(network.sha256)} if name in (*CLIPS, "raft") else None


_CLIP_WANTED = "CLIP wants its weights; give --clip a file or a folder of {}"
_RAFT_WANTED = "RAFT wants its weights; give --raft a file of torchvision's raft_large or raft_small"


@dataclass(frozen=True)
class Measure:
    """A metric a protocol can name.

    Args:
        title, unit: for people.
        better: "higher" or "lower".
        of: "images", "pairs" (i, i + 1 mod V) or "object".
        tasks: that it can be taken of.
        library: whose code it is.
        compute: of a turn, the network if it looks with one, and its settings: one number for each scored
            view, each pair, or (1,); None: of meshes, where all come at once.
        settings: that a protocol may state.
        networks: it looks with one of these: the first, unless a protocol's setting ``network`` says another.
    """

    title: str
    unit: str
    better: str
    of: str
    tasks: tuple[str, ...]
    library: str
    compute: Callable[..., torch.Tensor] | None = None
    settings: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    @property
    def allowed(self) -> dict[str, tuple[Any, ...] | None]:
        """The settings a protocol may state, and the values they can have where these are few."""
        chosen = {"network": self.networks} if len(self.networks) > 1 else {}
        return {
            "optional": (False, True),
            "averaging": AVERAGINGS,
            **chosen,
            **dict.fromkeys(self.settings),
        }

    def network(self, settings: Mapping[str, Any]) -> str | None:
        """The name of what it looks with."""
        return str(settings.get("network", self.networks[0])) if self.networks else None

    def taken(self, turn: Turn, tools: Tools, settings: Mapping[str, Any]) -> torch.Tensor:
        """One number for each scored view, each pair, or (1,)."""
        assert self.compute is not None
        name = self.network(settings)
        looking = [tools.network(name)] if name else []
        return self.compute(
            turn, *looking, **{key: settings[key] for key in self.settings if key in settings}
        )

    def described(self, settings: Mapping[str, Any], tools: Tools) -> dict[str, Any]:
        """For results."""
        given = {key: settings[key] for key in self.settings if key in settings}
        name = self.network(settings)
        if len(self.networks) > 1:
            given["network"] = name
        told: dict[str, Any] = {"title": self.title, "unit": self.unit, "better": self.better, "of": self.of}
        told |= {"settings": given, "library": self.library}
        if "averaging" in settings:
            told["averaging"] = settings["averaging"]
        if weights := name and tools.weights(name):
            told["weights"] = weights
        return told


def _compared(turn: Turn, network: nn.Module) -> torch.Tensor:
    """LPIPS or CLIP of views and true views."""
    found: torch.Tensor = network(*turn.pairs)
    return found


def _around(turn: Turn, network: Lpips | Clip) -> torch.Tensor:
    """LPIPS or CLIP of neighbours."""
    return network.around(turn.ours)


def _psnr(turn: Turn) -> torch.Tensor:
    from .metrics import psnr

    return psnr(*turn.pairs)


def _ssim(turn: Turn, **settings: Any) -> torch.Tensor:
    from .metrics import ssim

    return ssim(*turn.pairs, **settings)


def _mask_iou(turn: Turn) -> torch.Tensor:
    from .metrics import outline_overlap

    # Of both sides what is not nearly white, so that the true views themselves have 1, whatever their alpha.
    return outline_overlap(*turn.pairs)


def _sift(turn: Turn) -> torch.Tensor:
    from .metrics import sift_matches_around

    return sift_matches_around(turn.ours.cpu())


def _flow(turn: Turn, network: Rife | Raft) -> torch.Tensor:
    from .metrics import each_with_next, flow_warp_error

    return flow_warp_error(network, *each_with_next(turn.ours))[0]


def _loop(turn: Turn, network: Lpips, seam: int = -1) -> torch.Tensor:
    from .metrics import loop_closure

    return torch.tensor([loop_closure(network.around(turn.ours), seam)])


_LPIPS = "viewfusion; weights of LPIPS 0.1"
CLIPS = ("ViT-B/32", "ViT-B/16", "ViT-L/14")
"""CLIP's towers that a protocol may look with."""

MEASURES = {
    "psnr": Measure("PSNR", "dB", "higher", "images", PICTURES, "viewfusion", _psnr),
    "ssim": Measure("SSIM", "", "higher", "images", PICTURES, "viewfusion", _ssim, ("data_range", "borders")),
    "lpips_alex": Measure(
        "LPIPS alex", "", "lower", "images", PICTURES, _LPIPS, _compared, networks=("lpips-alex",)
    ),
    "lpips_vgg": Measure(
        "LPIPS vgg", "", "lower", "images", PICTURES, _LPIPS, _compared, networks=("lpips-vgg",)
    ),
    "clip": Measure(
        "CLIP similarity", "", "higher", "images", PICTURES, "transformers", _compared, networks=CLIPS
    ),
    "mask_iou": Measure("mask IoU", "", "higher", "images", PICTURES, "viewfusion", _mask_iou),
    "adjacent_lpips_alex": Measure(
        "adjacent LPIPS alex", "", "lower", "pairs", TURNS, _LPIPS, _around, networks=("lpips-alex",)
    ),
    "adjacent_lpips_vgg": Measure(
        "adjacent LPIPS vgg", "", "lower", "pairs", TURNS, _LPIPS, _around, networks=("lpips-vgg",)
    ),
    "adjacent_clip": Measure(
        "adjacent CLIP similarity", "", "higher", "pairs", TURNS, "transformers", _around, networks=CLIPS
    ),
    "adjacent_sift": Measure("adjacent SIFT matches", "matches", "higher", "pairs", TURNS, "OpenCV", _sift),
    "flow_warp_error": Measure(
        "flow-warp error", "", "lower", "pairs", TURNS, "viewfusion", _flow, networks=("rife", "raft")
    ),
    "epipolar_share": Measure(
        "matches on their epipolar line", "", "higher", "pairs", TURNS, "OpenCV, viewfusion",
        lambda turn: turn.epipolar[0],
    ),
    "epipolar_residual": Measure(
        "epipolar residual", "px", "lower", "pairs", TURNS, "OpenCV, viewfusion",
        lambda turn: turn.epipolar[1],
    ),
    "loop_closure": Measure(
        "loop closure", "", "lower", "object", TURNS, _LPIPS, _loop, ("seam",), ("lpips-vgg",)
    ),
    "chamfer": Measure("Chamfer distance", "", "lower", "object", MESHES, "SciPy"),
    "f_score": Measure("F-score", "", "higher", "object", MESHES, "SciPy"),
    "precision": Measure("precision", "", "higher", "object", MESHES, "SciPy"),
    "recall": Measure("recall", "", "higher", "object", MESHES, "SciPy"),
    "volume_iou": Measure("volume IoU", "", "higher", "object", MESHES, "viewfusion"),
    "normal_consistency": Measure("normal consistency", "", "higher", "object", MESHES, "SciPy"),
}  # fmt: skip
