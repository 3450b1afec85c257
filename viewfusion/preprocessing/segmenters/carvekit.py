"""Segmenter "carvekit": CarveKit's Interface, with weights from files that are here.

Left to itself, CarveKit fetches its weights when it is first used, removes a file that has another hash, and
seeds everybody's random numbers when it is imported. So its networks are built empty and get their weights
here: its downloader is never called, no file of weights is written or removed, and what the import changed
is put back. Only an empty folder ``~/.cache/carvekit`` stays, which the import makes.
"""

from __future__ import annotations

import importlib.util
import io
import random
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ...errors import ViewFusionError
from . import Hints, Segmentation, Segmenter
from .networks import brief, segmented
from .weights import MOST_BYTES, WEIGHTS, file_bytes, here, is_published

if TYPE_CHECKING:
    from torch import nn

NETWORKS = ("carvekit-tracer", "carvekit-u2net")
"""What finds the object, the first of which there is a file: TRACER-B7 is CarveKit's own choice."""

MATTING = "carvekit-fba"
"""What refines the edges, where there is a file: FBA matting, with CarveKit's own numbers for the band."""

TRACER_SIDE, U2NET_SIDE = 640, 320
"""Pixels a side of what the networks look at, as CarveKit's documentation recommends."""

LEAST_SIDE = 33
"""CarveKit refuses pictures of 32 pixels a side."""

_PACKAGES = {
    "carvekit": "carvekit",
    "torchvision": "torchvision",
    "cv2": "opencv-python-headless",
    "requests": "requests",
    "tqdm": "tqdm",
}
"""Modules that CarveKit imports for what is used of it, and the packages that hold them. It asks for more:
a web server, and an OpenCV that gets in the way of another one."""


def available() -> bool:
    """Whether it could be run now: its packages and the file of a network are here."""
    return not _missing() and any(here(name) for name in NETWORKS)


def segmenter(folder: Path | None = None) -> Segmenter:
    """The segmenter, with the weights in ``folder``, see :func:`segment`; nothing is loaded yet."""
    return partial(segment, folder=folder)


def segment(rgb: np.ndarray, hints: Hints, folder: Path | None = None) -> Segmentation:
    """What CarveKit cuts out of ``rgb`` (H, W, 3) uint8, or of what is in and around the box of ``hints``.

    Args:
        folder: with files of one's own, called as CarveKit calls them (``tracer_b7.pth`` or ``u2net.pth``,
            and ``fba_matting.pth``); without it, the published ones are looked for.

    Raises:
        ViewFusionError: packages or files are missing or wrong, or there is no object.
    """
    if missing := _missing():
        verb = "is" if len(missing) == 1 else "are"
        raise ViewFusionError(
            f"carvekit: {', '.join(missing)} {verb} not installed; run `{install_command()}`"
        )
    files = _files(folder)
    stamps = tuple((path.stat().st_size, path.stat().st_mtime_ns) for path in files.values())
    interface = _interface(tuple(files.items()), folder is None, stamps)
    return segmented(rgb, hints, "carvekit", partial(_look, interface))


def install_command() -> str:
    """What brings all that CarveKit needs here and leaves torch alone."""
    major, minor = metadata.version("torch").split(".")[:2]
    # Versions of both go together, torch 2.n with torchvision 0.(n + 15).
    fitting = f"'torchvision==0.{int(minor) + 15}.*'" if major == "2" else "torchvision"
    others = (package for package in _PACKAGES.values() if package != "torchvision")
    return f"pip install --no-deps {' '.join(others)} {fitting}"


def _missing() -> list[str]:
    return [package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None]


def _files(folder: Path | None) -> dict[str, Path]:
    """The file of a network, and that of the matting if there is one, by name.

    Raises:
        ViewFusionError: there is none of a network.
    """
    names = (*NETWORKS, MATTING)
    if folder is None:
        found = {name: path for name in names if (path := here(name))}
        remedy = f"run `viewfusion segmenters fetch {NETWORKS[0]} {MATTING}`"
    else:
        own = {name: folder / Path(WEIGHTS[name].file).name for name in names}
        found = {name: path for name, path in own.items() if path.is_file()}
        wanted = " or ".join(own[name].name for name in NETWORKS)
        remedy = f"put {wanted} into {folder}"
    network = next((name for name in NETWORKS if name in found), None)
    if network is None:
        raise ViewFusionError(f"carvekit: there is no file of its weights; {remedy}")
    return {name: found[name] for name in (network, MATTING) if name in found}


@lru_cache(maxsize=1)
def _interface(
    files: tuple[tuple[str, Path], ...], published: bool, stamps: tuple[tuple[int, int], ...]
) -> Any:
    """CarveKit's Interface with its networks; kept while the files stay as they are.

    They lie on the first GPU that torch sees, if any: CarveKit's code knows no other one by its number.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with _undisturbed():
            return _built(dict(files), published, device)
    except ViewFusionError:
        raise
    except Exception as error:  # of CUDA: no memory left, or a GPU or driver that torch was not made for
        raise ViewFusionError(f"carvekit cannot be set up ({brief(error)}); {_remedy()}") from None


def _built(files: dict[str, Path], published: bool, device: str) -> Any:
    parts = _parts()
    built = {
        name: _filled(parts[name](device=device, batch_size=1, load_pretrained=False), path, name, published)
        for name, path in files.items()
    }
    matting = None
    if MATTING in built:
        matting = parts["method"](built[MATTING], parts["trimap"](), device=device)
    return parts["interface"](seg_pipe=next(iter(built.values())), post_pipe=matting, device=device)


def _remedy() -> str:
    """What to do where its networks do not run."""
    import torch

    other = "use another segmenter"
    if torch.cuda.is_available():
        return f"{other}, or set CUDA_VISIBLE_DEVICES to another GPU, or to -1 for the CPU"
    return other


def _parts() -> dict[str, Callable[..., Any]]:
    """What is used of CarveKit.

    Raises:
        ViewFusionError: it cannot be imported.
    """
    try:
        from carvekit.api.interface import Interface
        from carvekit.ml.wrap.fba_matting import FBAMatting
        from carvekit.ml.wrap.tracer_b7 import TracerUniversalB7
        from carvekit.ml.wrap.u2net import U2NET
        from carvekit.pipelines.postprocessing import MattingMethod
        from carvekit.trimap.generator import TrimapGenerator
    except Exception as error:  # a torchvision made for another torch fails in several ways
        raise ViewFusionError(
            f"carvekit: cannot be imported ({brief(error)}); install the torchvision that was made for the "
            f"torch here: `{install_command()}`"
        ) from error
    return {
        # The path is not opened; without one, CarveKit would fetch a file of its own.
        "carvekit-tracer": partial(TracerUniversalB7, model_path="given", input_image_size=TRACER_SIDE),
        "carvekit-u2net": partial(U2NET, input_image_size=U2NET_SIDE),
        MATTING: FBAMatting,
        "method": MattingMethod,
        "trimap": TrimapGenerator,
        "interface": Interface,
    }


def _filled(network: nn.Module, path: Path, name: str, published: bool) -> nn.Module:
    """``network`` with the weights in the file at ``path``, which are read as data."""
    import torch

    content = file_bytes(path)
    if published and not is_published(content, name):
        raise ViewFusionError(
            f"{path}: is not the published {name} (another hash), and was left as it is; run `viewfusion "
            f"segmenters fetch {name}`"
        )
    try:
        _check_unpacked(content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        missing, unexpected = network.load_state_dict(state, strict=False)
    except Exception as error:  # unpickling and copying can raise anything
        raise ViewFusionError(f"{path}: these are not weights of {name} ({brief(error)})") from None
    # TRACER's file holds an edge detector as well, which CarveKit does not use.
    odd = [*missing, *([] if name == "carvekit-tracer" else unexpected)]
    if odd:
        raise ViewFusionError(f"{path}: these are not weights of {name} ({odd[0]} is missing or too much)")
    return network.eval()


def _check_unpacked(content: bytes) -> None:
    """Refuse a small archive that unpacks to more than any file of weights has."""
    packed = io.BytesIO(content)
    if zipfile.is_zipfile(packed):  # files of old versions of torch are none
        with zipfile.ZipFile(packed) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise ValueError("unpacks to over 2 GiB")


def _look(interface: Any, rgb: np.ndarray) -> np.ndarray:
    """(h, w) float32: how much of each pixel of ``rgb`` (h, w, 3) uint8 is the object's."""
    if min(rgb.shape[:2]) < LEAST_SIDE:
        raise ViewFusionError(
            f"carvekit wants {LEAST_SIDE} pixels a side, got {rgb.shape[1]} x {rgb.shape[0]}; "
            "give a larger photo"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            (cut,) = interface([Image.fromarray(rgb)])
        except Exception as error:  # of torch, OpenCV or CarveKit; too little memory for one
            raise ViewFusionError(f"carvekit fails on this photo ({brief(error)}); {_remedy()}") from None
    return np.asarray(cut.getchannel("A"), np.float32) / 255


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put back what importing CarveKit changes for everybody: random numbers, warnings and cuDNN."""
    import torch

    numbers, cudnn = random.getstate(), torch.backends.cudnn
    flags = cudnn.deterministic, cudnn.benchmark
    # Also those that nobody has used yet: for them torch would keep the seed, and set it on first use.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    try:
        with torch.random.fork_rng(devices), warnings.catch_warnings():
            yield
    finally:
        random.setstate(numbers)
        cudnn.deterministic, cudnn.benchmark = flags
