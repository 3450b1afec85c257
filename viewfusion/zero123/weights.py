"""Weights on disk, of either format, as names, shapes and a way to fetch one tensor at a time.

Enters: a :class:`WeightSource` and a config. Leaves: a frozen :class:`Zero123` whose parameters are the
source's tensors; nothing of the network's size is allocated before the shapes are known to agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.untrusted import shown

from .devices import vae_dtype
from .memory import check_loading
from .model import Zero123
from .pages import release

Shape = tuple[int, ...]

MOST_TENSORS = 20_000
"""More than any Zero123 has, its optimizer's among them; a list of millions would be walked for minutes."""

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class WeightSource:
    """Weights that lie in ``path``, under the names of :meth:`Zero123.state_dict`.

    Args:
        path: the file or folder, for messages.
        shapes: name -> shape, known without reading any tensor.
        fetch: name -> tensor on the CPU; may be a view of a memory-mapped file.
        unexpected: names in the file that no part of the model answers to.
        mapped: ``fetch`` gives tensors that nobody writes into; if they are views of a mapped file, its
            pages may be given back as soon as a weight has been copied.
        dtypes: name -> dtype in the file, such as "float16", where the reader knows it.
    """

    path: Path
    shapes: Mapping[str, Shape]
    fetch: Callable[[str], torch.Tensor]
    unexpected: tuple[str, ...] = ()
    dtypes: Mapping[str, str] = field(default_factory=dict)
    mapped: bool = False


def model_weights(model: Zero123) -> WeightSource:
    """The weights of a model in memory, wherever it lies, fetched to the CPU one at a time."""
    state = model.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    dtypes = {name: str(value.dtype)[6:] for name, value in state.items()}
    return WeightSource(Path("model"), shapes, lambda name: state[name].detach().cpu(), dtypes=dtypes)


def meta_model(config: Mapping[str, Any], path: Path) -> Zero123:
    """A model that has shapes and no memory.

    Raises:
        ViewFusionError: the libraries cannot build these networks (``path`` is named as the culprit), or
            one of them is missing.
    """
    try:
        with torch.device("meta"):
            return Zero123.from_config(config)
    except ViewFusionError:  # a package that these networks need is missing
        raise
    except Exception as error:  # whatever the libraries raise over an odd config
        raise ViewFusionError(
            f"{path}: its config describes no network that can be built ({shown([error])}); "
            "use the config the checkpoint was published with"
        ) from error


def check_shapes(source: WeightSource, model: Zero123) -> None:
    """Raise ViewFusionError unless ``source`` has exactly the weights of ``model``."""
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    missing = [name for name in wanted if name not in source.shapes]
    unexpected = [*source.unexpected, *(name for name in source.shapes if name not in wanted)]
    wrong = [
        f"{name} is {source.shapes[name]} where {shape} is wanted"
        for name, shape in wanted.items()
        if name in source.shapes and source.shapes[name] != shape
    ]
    found = [
        f"{len(names)} {kind} ({shown(names)})"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("wrongly shaped", wrong))
        if names
    ]
    if found:
        raise ViewFusionError(
            f"{source.path}: the weights do not fit the config: {'; '.join(found)}; "
            "this looks like a checkpoint of another model, or the config of another checkpoint"
        )


def load_weights(
    source: WeightSource, config: Mapping[str, Any], device: torch.device, dtype: torch.dtype
) -> Zero123:
    """The frozen model of ``config`` with the weights of ``source``, in eval mode.

    Raises:
        ViewFusionError: names or shapes disagree, a weight is not finite in ``dtype``, or ``device`` has
            too little memory.
    """
    skeleton = meta_model(config, source.path)
    check_shapes(source, skeleton)
    check_loading(skeleton, device, dtype)
    state = {}
    for name in skeleton.state_dict():
        tensor = read_weight(source, name, vae_dtype(dtype) if name.startswith("vae.") else dtype)
        state[name] = tensor.to(device)
        if source.mapped and state[name] is not tensor:
            release(tensor)
    skeleton.load_state_dict(state, strict=True, assign=True)
    embeddings: Any = skeleton.image_encoder.get_submodule("vision_model.embeddings")
    embeddings.position_ids = torch.arange(embeddings.num_positions, device=device)[None]
    # Made anew off the meta device, for the buffers that are computed and not stored.
    model = Zero123(
        skeleton.unet, skeleton.vae, skeleton.image_encoder, skeleton.cc_projection, skeleton.config
    ).to(device)
    unfilled = [name for name, value in [*model.named_parameters(), *model.named_buffers()] if value.is_meta]
    if unfilled:
        raise ViewFusionError(
            f"{source.path}: its config asks for parts that no checkpoint fills ({shown(unfilled)}); "
            "use the config the checkpoint was published with"
        )
    return model.eval().requires_grad_(False)


def read_weight(source: WeightSource, name: str, dtype: torch.dtype) -> torch.Tensor:
    """One weight as contiguous ``dtype``; ViewFusionError if it holds NaN, infinity or no floats."""
    try:
        tensor = source.fetch(name)
    except Exception as error:  # a file that changed or whose disk fails while it is read
        raise ViewFusionError(
            f"{source.path}: {name} cannot be read ({shown([error])}); fetch the checkpoint again"
        ) from error
    if tensor.dtype not in FLOATS:
        raise ViewFusionError(
            f"{source.path}: {name} holds {tensor.dtype} where floating-point numbers are wanted; "
            "quantised exports are not supported, use a float16 or float32 one"
        )
    converted = tensor.to(dtype).contiguous()
    if not _is_finite(converted):
        remedy = "the file is damaged or its training diverged, fetch it again"
        if _is_finite(tensor.double()):
            remedy = "use a wider dtype, such as float32"
        raise ViewFusionError(
            f"{source.path}: {name} holds a value that is not finite in {str(dtype)[6:]}; {remedy}"
        )
    if converted.data_ptr() % 64:
        # Kernels choose their arithmetic by alignment; so a model computes the same from any file.
        converted = converted.clone()
    if source.mapped and converted.data_ptr() != tensor.data_ptr():
        release(tensor)  # only the copy shall stay in memory
    return converted


def _is_finite(tensor: torch.Tensor) -> bool:
    # One pass without temporaries: the extremes are finite only where all is.
    return not tensor.numel() or bool(torch.stack(torch.aminmax(tensor)).isfinite().all())
