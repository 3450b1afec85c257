"""CLIP similarity: does every kind of file give the network it holds, and is anything else refused?"""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from test_lpips import crop
from test_pickles import GADGETS, named, text, written
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from viewfusion.clip_names import MEAN, STD
from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.metrics import load_clip, unit_images
from viewfusion.evaluation.metrics.clip import clip_pixels

WIDTH, PATCH, SIDE, OUT = 128, 8, 32, 24


class QuickGelu(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * torch.sigmoid(1.702 * values)


class Block(nn.Module):
    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(WIDTH, WIDTH // 64, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        fc, proj = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.mlp = nn.Sequential(OrderedDict(c_fc=fc, gelu=activation, c_proj=proj))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        seen = self.ln_1(values)
        values = values + self.attn(seen, seen, seen, need_weights=False)[0]
        return values + self.mlp(self.ln_2(values))


class Visual(nn.Module):
    """CLIP's vision transformer as its paper tells it, its weights under openai's names."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(WIDTH))
        self.positional_embedding = nn.Parameter(torch.randn((SIDE // PATCH) ** 2 + 1, WIDTH))
        self.ln_pre, self.ln_post = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        blocks = nn.Sequential(Block(activation), Block(activation))
        self.transformer = nn.Sequential(OrderedDict(resblocks=blocks))
        self.proj = nn.Parameter(torch.randn(WIDTH, OUT))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        places = self.conv1(pixels).flatten(2).mT
        first = self.class_embedding.expand(len(pixels), 1, WIDTH)
        values = self.ln_pre(torch.cat([first, places], 1) + self.positional_embedding)
        return self.ln_post(self.transformer(values)[:, 0]) @ self.proj


class Whole(nn.Module):
    """As the published archives: the image tower beside text, whose part nobody needs here."""

    def __init__(self, visual: Visual) -> None:
        super().__init__()
        self.visual = visual
        self.text_projection = nn.Parameter(torch.zeros(2, 2))
        self.input_resolution, self.context_length = SIDE, [77]

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + 1


def tower(activation: nn.Module) -> Visual:
    """With random weights that half precision holds exactly."""
    torch.manual_seed(0)
    return Visual(activation).half().float().requires_grad_(False).eval()


@pytest.fixture(scope="module")
def visual() -> Visual:
    return tower(QuickGelu())


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Three pieces of photos of CLIP's own size here."""
    places = (("bucket.png", 100, 70), ("bucket.png", 103, 72), ("chair.png", 60, 50))
    return unit_images(np.stack([crop(*place, SIDE) for place in places]))


def expected(visual: Visual, pictures: torch.Tensor) -> torch.Tensor:
    mean, deviation = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    return nn.functional.normalize(visual((pictures - mean) / deviation), dim=1)


def saved(kind: str, visual: Visual, folder: Path) -> Path:
    """``visual`` as a file or folder of a kind."""
    state = {f"visual.{name}": value for name, value in visual.state_dict().items()}
    beside = {"text_projection": torch.zeros(2, 2), "logit_scale": torch.tensor(4.6)}
    path = folder / "ViT-B-32.pt"
    if kind == "TorchScript":
        whole = Whole(visual).half()
        torch.jit.trace(whole, torch.zeros(1)).save(path)
        visual.float()
    elif kind == "state dict":
        torch.save(state | beside, path)
    elif kind == "training's":
        named = {f"module.{name}": value for name, value in state.items()}
        torch.save({"epoch": 3, "name": "a", "state_dict": named}, path)
    elif kind == "safetensors":
        path = path.with_suffix(".safetensors")
        save_file(state | beside, path)
    return path


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["TorchScript", "state dict", "training's", "safetensors"])
def test_every_kind_of_file_gives_the_network_in_it(tmp_path, visual, pictures, kind):
    clip = load_clip(saved(kind, visual, tmp_path))
    assert torch.allclose(clip.embed(pictures), expected(visual, pictures), atol=2e-6)
    assert clip.name == f"ViT-{WIDTH}/{PATCH}"
    assert not any(weights.requires_grad for weights in clip.parameters())


@pytest.mark.parametrize("quick", [True, False])
def test_a_folder_says_which_activation(tmp_path, pictures, quick):
    visual = tower(QuickGelu() if quick else nn.GELU())
    state = {f"visual.{name}": value for name, value in visual.state_dict().items()}
    save_file(state, tmp_path / "open_clip_model.safetensors")
    config = {"model_cfg": {"embed_dim": OUT, **({"quick_gelu": True} if quick else {})}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    found = load_clip(tmp_path).embed(pictures)
    assert torch.allclose(found, expected(visual, pictures), atol=2e-6)
    file = tmp_path / "open_clip_model.safetensors"  # which does not say it
    same = load_clip(file, "quick_gelu" if quick else "gelu").embed(pictures)
    assert torch.equal(found, same)
    other = "gelu" if quick else "quick_gelu"
    assert not torch.allclose(load_clip(file, other).embed(pictures), found, atol=1e-4)
    with pytest.raises(ViewFusionError, match=f"not {other}; leave the activation out"):
        load_clip(tmp_path, other)


@pytest.mark.parametrize("format", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_of_transformers(tmp_path, pictures, format):
    """Of another shape, which its config tells: heads of 32 numbers, and gelu."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 96, "num_attention_heads": 3, "intermediate_size": 64, "num_hidden_layers": 1}
    config = CLIPVisionConfig(**sizes, image_size=SIDE, patch_size=16, projection_dim=8, hidden_act="gelu")
    model = CLIPVisionModelWithProjection(config).eval().requires_grad_(False)
    model.save_pretrained(tmp_path)
    if format == "pytorch_model.bin":
        (tmp_path / "model.safetensors").unlink()
        state = model.state_dict() | {"vision_model.embeddings.position_ids": torch.arange(5)[None]}
        torch.save(state | {"text_model.x": torch.zeros(2)}, tmp_path / format)
        both = {"model_type": "clip", "vision_config": json.loads((tmp_path / "config.json").read_text())}
        (tmp_path / "config.json").write_text(json.dumps(both))
    mean, deviation = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    wanted = nn.functional.normalize(model((pictures - mean) / deviation).image_embeds, dim=1)
    clip = load_clip(tmp_path)
    assert torch.allclose(clip.embed(pictures), wanted, atol=2e-6)
    assert clip.name == "ViT-96/16"


def test_cosines_of_pairs_and_of_a_turn(tmp_path, visual, pictures):
    clip = load_clip(saved("safetensors", visual, tmp_path))
    found = expected(visual, pictures)
    pairs = clip(pictures, pictures.roll(-1, 0))
    assert torch.allclose(pairs, (found * found.roll(-1, 0)).sum(1), atol=2e-6)
    assert torch.allclose(clip.around(pictures), pairs, atol=1e-6)
    assert torch.allclose(clip(pictures, pictures), torch.ones(3), atol=1e-6)
    assert float(pairs[0]) > float(pairs[1])  # a piece that has moved a little is nearer than another's
    many = clip.embed(pictures.repeat(7, 1, 1, 1))  # more than are seen at once
    assert torch.allclose(many, found.repeat(7, 1), atol=2e-6)
    with pytest.raises(ViewFusionError, match="values in"):
        clip(pictures * 2, pictures)


@pytest.mark.parametrize("shape", [(256, 256), (64, 64), (300, 260), (225, 400)])
def test_what_clip_sees_is_what_pil_resizes(shape):
    """openai's: Resize(224, BICUBIC), CenterCrop(224), mean and deviation; of a photo, to a level of 255."""
    photo = Image.fromarray(crop("firetruck.png", 0, 0, 400))
    height, width = shape
    photo = photo.resize((width, height))
    scale = 224 / min(shape)
    size = (
        224 if width == min(shape) else int(width * scale),
        224 if height == min(shape) else int(height * scale),
    )
    left, top = (round((each - 224) / 2) for each in size)
    pil = np.asarray(photo.resize(size, Image.BICUBIC).crop((left, top, left + 224, top + 224)))
    seen = clip_pixels(unit_images(np.array(photo)[None]))
    mean, deviation = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    levels = ((seen * deviation + mean) * 255)[0].permute(1, 2, 0).numpy()
    assert levels.shape == (224, 224, 3)
    off = np.abs(levels - pil)
    assert off.max() < 1.01
    assert off.mean() < 0.02


# --- what is refused --------------------------------------------------------------------------------


def refusal(path: Path, **options: str) -> str:
    with pytest.raises(ViewFusionError) as caught:
        load_clip(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    return message


def module(*attributes: bytes) -> bytes:
    """A module of TorchScript, as its pickles describe it."""
    return named("__torch__.a.Clip") + b")\x81}(" + b"".join(attributes) + b"ub"


@pytest.mark.parametrize("kind", GADGETS)
def test_no_gadget_in_an_archive_runs(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "evil.pt", b"\x80\x02" + module(text("visual"), GADGETS[kind]) + b".")
    assert "refused: its pickle " in refusal(path)
    assert [file.name for file in tmp_path.iterdir()] == ["evil.pt"]


def test_code_in_an_archive_is_not_read(tmp_path):
    """Its classes may be called anything; a module within itself ends."""
    loop = named("__torch__.os.system") + b")\x81q\x00}(" + text("visual") + b"h\x00ub."
    assert "holds no vision transformer" in refusal(written(tmp_path / "a.pt", b"\x80\x02" + loop))


def test_other_files_are_refused(tmp_path, visual):
    assert "no such file; give CLIP's ViT-B/32" in refusal(tmp_path / "gone.pt")
    assert "has neither config.json nor open_clip_config.json" in refusal(tmp_path)
    path = tmp_path / "page.pt"
    path.write_text("<html>")
    assert "is a web page and not a file of CLIP's weights" in refusal(path)
    torch.save({"visual.layer1.0.conv1.weight": torch.zeros(2)}, path)  # a ResNet
    assert "holds no vision transformer of CLIP's" in refusal(path)
    torch.save([1, 2], path)
    assert "holds no vision transformer of CLIP's" in refusal(path)
    whole = saved("safetensors", visual, tmp_path)
    with pytest.raises(ViewFusionError, match="one of quick_gelu, gelu, got 'relu'"):
        load_clip(whole, "relu")
    whole.write_bytes(whole.read_bytes()[:5000])
    assert "cut short or damaged" in refusal(whole)


def test_weights_that_do_not_fit_are_refused(tmp_path, visual):
    state = {f"visual.{name}": value for name, value in visual.state_dict().items()}

    def with_(**changes: torch.Tensor | None) -> str:
        changed = state | {f"visual.{name.replace('__', '.')}": value for name, value in changes.items()}
        torch.save({name: value for name, value in changed.items() if value is not None}, path)
        return refusal(path)

    path = tmp_path / "a.pt"
    assert "vision_model.post_layernorm.bias should be (128,) and is absent" in with_(ln_post__bias=None)
    assert "its image tower is not whole" in with_(proj=None)
    assert "a number in the weights of CLIP is not finite" in with_(
        class_embedding=torch.full((WIDTH,), torch.nan)
    )
    assert "visual_projection.weight should be (24, 128) and is (24, 64)" in with_(proj=torch.zeros(64, OUT))
    wide = torch.zeros(1280, 3, 14, 14)
    assert "1280 wide, whose heads nothing tells" in with_(conv1__weight=wide)
    grid = torch.zeros(129**2 + 1, WIDTH)
    assert "larger than any of CLIP's" in with_(positional_embedding=grid)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[]", "is no dictionary"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"vision_config": {"hidden_act": "relu"}}', "states relu and 12 heads"),
        ('{"num_attention_heads": 10000000000}', "states quick_gelu and 10000000000 heads"),
        ('{"num_attention_heads": 7}', "128 wide, whose heads nothing tells"),
    ],
)
def test_odd_configs_are_refused(tmp_path, visual, config, words):
    names = {f"visual.{name}": value for name, value in visual.state_dict().items()}
    save_file(names, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ViewFusionError) as refused:
        load_clip(tmp_path)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
