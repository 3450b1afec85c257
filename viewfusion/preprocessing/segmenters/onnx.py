"""Segmenters "u2net", "isnet-general-use" and others: networks for what stands out, run by onnxruntime.

The models are those that rembg uses, by the names it gives them; a file of one's own is called like the one
it is shaped like. onnxruntime alone is enough for them: rembg would bring numba, scipy and scikit-image.
"""

from __future__ import annotations

import importlib.util
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ...errors import ViewFusionError
from ...machine import usable_cores, usable_memory
from . import Hints, Segmentation, Segmenter
from .networks import brief, segmented
from .onnx_files import read_model
from .weights import file_bytes, find_weights, here, is_published

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MEMORY_SHARE = 0.75
"""Of the memory that may be used, at most, for a model's weights and pictures; without a limit, a file that
asks for more than there is would end the process."""


@dataclass(frozen=True)
class Network:
    """What a network expects of its input and gives as its first output.

    Args:
        side: pixels of the square picture it looks at.
        mean, std: of each colour in 0 to 1, after division by the brightest value.
        logits: whether the output still wants a sigmoid.
    """

    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    logits: bool = False


_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
NETWORKS = {
    "u2net": Network(320, _MEAN, _STD),
    "u2netp": Network(320, _MEAN, _STD),
    "isnet-general-use": Network(1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    "birefnet-general": Network(1024, _MEAN, _STD, logits=True),
    "birefnet-general-lite": Network(1024, _MEAN, _STD, logits=True),
}
"""Sources: the test scripts of U-2-Net (RescaleT(320), ToTensorLab: division by the maximum, ImageNet's mean
and deviation; the network ends in a sigmoid), of DIS for IS-Net (1024, mean 0.5, deviation 1; a sigmoid) and
of BiRefNet (1024, ImageNet's; logits). rembg 2.0.86 does the same, and resizes with Lanczos as we do."""

_WANTED = "onnxruntime runs this model and is not installed; run `pip install 'viewfusion[segmentation]'`"


def available(name: str) -> bool:
    """Whether the model called ``name`` could be run now: onnxruntime and a file of it are here."""
    return importlib.util.find_spec("onnxruntime") is not None and here(name) is not None


def segmenter(model: str | Path) -> Segmenter:
    """The model called ``model``, or in a file of one's own, as a segmenter; nothing is loaded yet."""
    return partial(segment, model=model)


def segment(rgb: np.ndarray, hints: Hints, model: str | Path = "u2net") -> Segmentation:
    """What stands out in ``rgb`` (H, W, 3) uint8, or in and around the box of ``hints``.

    Args:
        model: a name of :data:`NETWORKS`, or the path of an ONNX file whose name begins with one.

    Raises:
        ViewFusionError: no onnxruntime, no such file, not such a model, or no object.
    """
    name = kind_of(model)
    path = find_weights(name) if model == name else Path(model)
    session = loaded(path, name, model == name)
    return segmented(rgb, hints, name, partial(look, session, path, NETWORKS[name]))


def kind_of(model: str | Path) -> str:
    """Which of :data:`NETWORKS` a name or a file is: the longest that the file's name begins with.

    Raises:
        ViewFusionError: none.
    """
    file = Path(model).name
    known = [name for name in NETWORKS if file.startswith(name)]
    if not known:
        raise ViewFusionError(
            f"{model}: its name says not what model it is; let it begin with one of {', '.join(NETWORKS)}"
        )
    return max(known, key=len)


def look(session: InferenceSession, path: Path, network: Network, rgb: np.ndarray) -> np.ndarray:
    """(h, w) float32 probabilities of ``rgb`` (h, w, 3) uint8.

    Raises:
        ViewFusionError: the model at ``path`` cannot be run, or gives something else.
    """
    name = session.get_inputs()[0].name
    try:
        (output,) = session.run([session.get_outputs()[0].name], {name: _input(rgb, network)})
        values = np.asarray(output, np.float32)
    except Exception as error:  # onnxruntime's own for each kind of trouble; words are no numbers
        raise ViewFusionError(f"{path}: cannot be run ({brief(error)}); use another segmenter") from None
    if values.ndim != 4 or values.shape[:2] != (1, 1) or min(values.shape[2:]) < 2:
        raise ViewFusionError(
            f"{path}: gives an array of shape {list(values.shape)}, one map of probabilities wanted; "
            "use another segmenter"
        )
    return _resized(_probabilities(values[0, 0], network), rgb.shape[1::-1])


def _input(rgb: np.ndarray, network: Network) -> np.ndarray:
    """(1, 3, side, side) float32."""
    size = network.side, network.side
    pixels = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS), np.float32)
    scaled = pixels / max(float(pixels.max()), 1.0)
    normal = (scaled - np.array(network.mean, np.float32)) / np.array(network.std, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])


def _probabilities(values: np.ndarray, network: Network) -> np.ndarray:
    """(s, s) in 0 to 1. Their authors stretch the output to the whole range; what is nowhere above a half,
    so that nothing stands out, is left as it is."""
    if network.logits:
        values = 1 / (1 + np.exp(-np.clip(values, -50, 50)))
    low, high = float(values.min()), float(values.max())
    stretched = (values - low) / (high - low) if high - low >= 0.5 else values
    return np.clip(stretched, 0, 1)


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR), np.float32)


def loaded(path: Path, name: str, published: bool) -> InferenceSession:
    """A session of the model at ``path``.

    Args:
        name: which of :data:`NETWORKS` it is.
        published: whether its bytes must be those published under that name; else they are looked through.

    Raises:
        ViewFusionError: no onnxruntime, no such file, or not such a model.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise ViewFusionError(f"{path.name}: {_WANTED}")
    try:
        status = path.stat()
    except OSError as error:
        raise ViewFusionError(f"{path}: {error.strerror}; check the path") from None
    return _kept(path.resolve(), name, published, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)
def _kept(path: Path, name: str, published: bool, size: int, changed: int) -> InferenceSession:
    """Kept while the file stays as it is."""
    content = file_bytes(path)
    if published and not is_published(content, name):
        raise ViewFusionError(
            f"{path}: is not the published {name} (another hash); run `viewfusion segmenters fetch {name}`, "
            "or give its path if you mean this file"
        )
    if not published:
        try:
            read_model(content)
        except ViewFusionError as error:
            raise ViewFusionError(f"{path}: {error}") from None
    try:
        session = _new_session(content)
    except Exception as error:  # as above
        raise ViewFusionError(f"{path}: onnxruntime cannot load it ({brief(error)})") from None
    _check_shape(session, path, name)
    return session


def _new_session(content: bytes) -> InferenceSession:
    """On the CPU, with limited memory, threads that sleep when idle, and no word on standard error."""
    import onnxruntime

    _limit_memory()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = _threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _threads() -> int:
    """As many as other libraries are told to use, of a list ("4,2") the first; else one for each core.

    Left to itself, onnxruntime would take one for each core of the machine, whatever a container may use.
    """
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdecimal() and int(told) else usable_cores()


@lru_cache(maxsize=1)
def _limit_memory() -> None:
    """Register what sessions that say so allocate from, once a process.

    onnxruntime takes a limit for a whole process only; sessions of others that do not ask for it go without.
    """
    import onnxruntime

    total = usable_memory() or 2**34
    kind, default = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    # As much as is asked for, no doubling: the limit is on what the arena holds.
    arena = onnxruntime.OrtArenaCfg({"max_mem": int(MEMORY_SHARE * total), "arena_extend_strategy": 1})
    with suppress(RuntimeError):  # older ones refuse where somebody else was first, whose one serves then
        onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", kind, 0, default), arena)


def _check_shape(session: InferenceSession, path: Path, name: str) -> None:
    wanted = (3, NETWORKS[name].side, NETWORKS[name].side)
    inputs = session.get_inputs()
    got = list(inputs[0].shape[1:]) if inputs else []
    fits = len(got) == 3 and all(not isinstance(a, int) or a == b for a, b in zip(got, wanted, strict=True))
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or not fits or not session.get_outputs():
        raise ViewFusionError(
            f"{path}: takes {len(inputs)} inputs, the first of shape {got}, and {name} takes one picture of "
            f"shape {list(wanted)}; name the file like the model it is"
        )
