"""Put U-2-Net's published weights, which come as ONNX, into CarveKit's own network, as a file CarveKit reads.

    python tools/graft_carvekit.py --out FOLDER

FOLDER/u2net.pth is what CarveKit's downloader would fetch from hosts that cannot be reached from everywhere:
the same network with the same tensors. In the ONNX file, whose bytes are the published ones, normalisation is
folded into the convolutions before it; here it becomes the identity. Needs CarveKit and its torchvision.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import torch
from torch import nn

from viewfusion.outputs.files import write_bytes
from viewfusion.preprocessing.segmenters.onnx_files import array, read_model
from viewfusion.preprocessing.segmenters.weights import fetch_weights, file_bytes

Pair = tuple[torch.Tensor, torch.Tensor]

SIDES = 6
"""Convolutions that make a map of each stage; the ONNX file has them, first to last, before the final one."""


def convolutions(content: bytes) -> list[Pair]:
    """Kernel and bias of each convolution, in the order of computation."""
    model = read_model(content)
    found = [node.inputs[1:] for node in model.nodes if node.operator == "Conv"]
    return [(_tensor(model.weights[kernel]), _tensor(model.weights[bias])) for kernel, bias in found]


def _tensor(message: memoryview) -> torch.Tensor:
    return torch.from_numpy(array(message))


def grafted(network: nn.Module, weights: list[Pair]) -> dict[str, torch.Tensor]:
    """The state of CarveKit's U-2-Net ``network`` with ``weights``, in the order U-2-Net computes in.

    CarveKit computes stages in that order too, but the sides with their stages, the deepest first.
    """
    order: list[nn.Conv2d] = []
    names = {module: name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    hooks = [module.register_forward_hook(lambda module, *_: order.append(module)) for module in names]
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    ends = [f"side{number}" for number in range(1, SIDES + 1)] + ["outconv"]
    stages = [names[module] for module in order if names[module] not in ends]
    state = network.state_dict()
    for name, (kernel, bias) in zip([*stages, *ends], weights, strict=True):
        if state[f"{name}.weight"].shape != kernel.shape:
            raise SystemExit(f"{name} does not have the shape {list(kernel.shape)}")
        state[f"{name}.weight"], state[f"{name}.bias"] = kernel, bias
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            state[f"{name}.weight"].fill_(1)
            state[f"{name}.bias"].fill_(0)
            state[f"{name}.running_mean"].fill_(0)
            state[f"{name}.running_var"].fill_(1 - module.eps)
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder that u2net.pth appears in")
    folder = parser.parse_args().out
    from carvekit.ml.arch.u2net.u2net import U2NETArchitecture

    folder.mkdir(parents=True, exist_ok=True)
    state = grafted(U2NETArchitecture("full").eval(), convolutions(file_bytes(fetch_weights("u2net"))))
    saved = io.BytesIO()
    torch.save(state, saved)
    write_bytes(folder / "u2net.pth", saved.getvalue())
    print(folder / "u2net.pth")


if __name__ == "__main__":
    main()
