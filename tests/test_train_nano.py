"""The training tool: a miniature of every stage learns, resumes and exports what the package loads."""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
import signal
import subprocess
import sys

import nano.diffusion
import numpy as np
import pytest
import torch
from make_dataset import write_shard
from nano.attention import OneTokenAttention, PlainSelfAttention
from nano.autoencoder import (
    AutoencoderModule,
    balance_channels,
    opponent,
    some_latents,
    thumbnail,
)
from nano.diffusion import DiffusionModule, draw_timesteps, evening_weights
from nano.loop import fit
from nano.state import cached_latents, is_finished, trained_model
from nano.tower import TowerModule
from nano.views import EndlessMoves, StoredMoves, Views, encode_all, to_float
from nano.watch import Watch
from omegaconf import OmegaConf
from PIL import Image
from train_nano import CONFIG, main, stored, train_all, train_tower

from viewfusion.geometry import Pose
from viewfusion.zero123 import load_zero123, save_zero123
from viewfusion.zero123.configs import check_config
from viewfusion.zero123.model import Zero123

TOOL = CONFIG.parents[2] / "tools/train_nano.py"
SMALL = [
    "model.image_size=32",
    "model.vae.sample_size=32",
    "model.vae.block_out_channels=[8,8,8,8]",
    "model.unet.sample_size=4",
    "model.unet.block_out_channels=[32,32]",
    "model.image_encoder.image_size=32",
    "model.image_encoder.patch_size=8",
    "autoencoder.batch_size=8",
    "tower.inputs_per_batch=8",
    "tower.targets_per_input=2",
    "tower.helper_width=128",
    "diffusion.inputs_per_batch=8",
    "precision=32-true",
]


@pytest.fixture(scope="module")
def config():
    return OmegaConf.merge(OmegaConf.load(CONFIG), OmegaConf.from_dotlist(SMALL))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("make_dataset.SHARD", 12)
        write_shard(0, folder, views=3, size=32, first_seed=0)
    return Views.load(folder)


def model_of(config):
    torch.manual_seed(0)
    return Zero123.from_config(OmegaConf.to_container(config.model))


def diffusion(model, dataset, config, minutes=1.0, watch=None, **options):
    moves = StoredMoves(dataset, encode_all(model, dataset.images))
    return DiffusionModule(model, moves, 0.3, config.diffusion, minutes, watch, **options)


def trained(module, steps):
    """Losses of ``steps`` steps without a Trainer."""
    optimizer, losses = module.configure_optimizers(), []
    for _ in range(steps):
        loss = module.loss()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("departures", ["zero123-nano.yaml", "zero123-nano-128.yaml"])
def test_the_model_fits_its_size_and_its_parts_each_other(departures):
    """28 MB of float16, and a config that a checkpoint may have."""
    whole = OmegaConf.merge(OmegaConf.load(CONFIG), OmegaConf.load(CONFIG.with_name(departures)))
    settings = check_config(OmegaConf.to_container(whole.model), departures)
    with torch.device("meta"):
        model = Zero123.from_config(settings)
    assert sum(weights.numel() for weights in model.parameters()) <= 14_000_000
    assert model.latent_shape[1] == settings["unet"]["sample_size"]
    assert settings["image_encoder"]["image_size"] == model.image_size


def test_the_autoencoder_learns(config, dataset):
    torch.manual_seed(0)
    losses = trained(AutoencoderModule(model_of(config), StoredMoves(dataset), config.autoencoder, 1), 60)
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])


def test_the_tower_learns_to_tell_objects_apart(config, dataset):
    """Its helper knows only embedding and move, so it can beat the mean view by nothing else."""
    torch.manual_seed(0)
    model = model_of(config)
    moves = StoredMoves(dataset, encode_all(model, dataset.images))
    losses = trained(TowerModule(model, moves, config.tower, 1), 600)
    assert np.mean(losses[-30:]) < 0.8
    with torch.no_grad():
        embeds = model.embed_images(to_float(dataset.images[:, 0]))
    assert embeds.std(0).mean() > 0.2 * embeds.std()


def test_the_tower_learns_more_slowly_than_the_unet(config, dataset, tmp_path):
    slow = OmegaConf.merge(config, {"diffusion": {"tower_rate": 0.25}})
    module = diffusion(model_of(slow), dataset, slow, 60, slice_minutes=1e-9)
    fit(module, tmp_path, "diffusion", slow)
    unet, tower = module.optimizers().param_groups
    assert tower["lr"] == pytest.approx(0.25 * unet["lr"])
    assert {id(p) for p in tower["params"]} == {id(p) for p in module.image_encoder.parameters()}


def test_the_tower_stays_as_it_is_at_rate_nought(config, dataset):
    model = model_of(config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained(diffusion(model, dataset, config), 2)
    changed = {n.partition(".")[0] for n, v in model.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {"unet", "cc_projection"}


def test_a_camera_move_is_heard_beside_the_embedding(config, tmp_path):
    """A quarter turn changes a token about as much as another picture does."""
    torch.manual_seed(0)
    model = trained_model(config, tmp_path)
    embeds, moves = torch.randn(64, 256), torch.tensor([[0.0, 0, 1, 0], [0.0, 1, 0, 0]])
    with torch.no_grad():
        still, turned = (model.project(embeds, move.expand(64, 4)) for move in moves)
    assert 0.5 < (turned - still).norm() / (still - still.roll(1, 0)).norm() < 10


def test_the_diffusion_learns(config, dataset):
    torch.manual_seed(0)
    losses = trained(diffusion(model_of(config), dataset, config), 60)
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:5])


def test_moves_are_what_the_network_is_told_when_used(config, dataset):
    """The training data's pose embedding is the package's; a mirrored pair turns the other way."""
    model = model_of(config)
    rows, source, targets = torch.tensor([0, 5]), torch.tensor([0, 1]), torch.tensor([[2, 1], [0, 2]])
    moves = StoredMoves(dataset, encode_all(model, dataset.images))
    told = moves.of(rows, torch.tensor([False, True]), source, targets).pose_embeddings
    for n in range(2):
        theirs = Pose(*map(float, dataset.poses[rows[n], source[n]]))
        for k in range(2):
            ours = Pose(*map(float, dataset.poses[rows[n], targets[n, k]]))
            expected = model.pose_embedding(ours, [theirs])[0]
            expected[1] *= -1 if n else 1
            torch.testing.assert_close(told[n, k], expected, atol=1e-5, rtol=0)


def test_latents_are_those_of_the_views_that_are_drawn(config, dataset):
    model = model_of(config)
    moves = StoredMoves(dataset, encode_all(model, dataset.images))
    drawn = moves.of(
        torch.tensor([3, 3]), torch.tensor([False, True]), torch.tensor([1, 1]), torch.tensor([[0], [0]])
    )
    target = to_float(dataset.images[3, :1])
    torch.testing.assert_close(drawn.images[1], drawn.images[0].flip(-1))
    with torch.no_grad():
        expected = model.encode_cond_latents(torch.cat([drawn.images, target, target.flip(-1)]))
    got = torch.cat([drawn.cond_latents, drawn.latents[:, 0]])
    torch.testing.assert_close(got, expected, atol=2e-3, rtol=2e-3)


def test_moves_of_new_objects_are_as_those_of_stored_ones(config, dataset):
    """The same renderings and poses give the same moves, whichever way they come."""
    model = model_of(config)
    moves = EndlessMoves(model, workers=0)
    images, poses = moves.rendered(2, 3)
    assert images.shape == (2, 3, 32, 32, 3)
    again, _ = moves.rendered(2, 3)
    assert not torch.equal(images, again)
    views = Views(images, poses.float())
    stored = StoredMoves(views, encode_all(model, images))
    rows, plain = torch.arange(2), torch.tensor([False, False])
    expected = stored.of(rows, plain, torch.tensor([0, 0]), torch.tensor([[1, 2], [1, 2]]))
    moves.rendered = lambda *_: (images, poses)
    got = moves.draw(2, 2)
    for name in ("images", "cond_latents", "latents", "pose_embeddings"):
        torch.testing.assert_close(getattr(got, name), getattr(expected, name), atol=2e-3, rtol=2e-3)


def test_targets_are_never_their_own_input(config, dataset, monkeypatch):
    moves = StoredMoves(dataset, encode_all(model_of(config), dataset.images))
    seen = []
    monkeypatch.setattr(moves, "of", lambda *what: seen.append(what))
    for _ in range(20):
        moves.draw(8, 2)
    for _, _, source, targets in seen:
        assert targets.shape == (8, 2)
        assert not (source[:, None] == targets).any()


def test_broken_shards_are_left_out_and_named(dataset, tmp_path, capsys):
    good = {"images": dataset.images.numpy(), "poses": dataset.poses.numpy()}
    np.savez(tmp_path / "objects-00000.npz", **good)
    whole = (tmp_path / "objects-00000.npz").read_bytes()
    (tmp_path / "objects-00001.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "objects-00002.npz").write_bytes(b"")
    np.savez(tmp_path / "objects-00003.npz", images=good["images"])
    np.savez(tmp_path / "objects-00004.npz", images=good["images"][:, :, :8, :8], poses=good["poses"])
    np.savez(tmp_path / "objects-00005.npz", images=good["images"], poses=good["poses"] * np.nan)
    assert len(Views.load(tmp_path).images) == 12
    printed = capsys.readouterr().out
    assert all(f"objects-0000{n}.npz" in printed for n in range(1, 6))
    assert "5 of 6 shards left out" in printed
    (tmp_path / "more").mkdir()
    (tmp_path / "more/objects-00000.npz").write_bytes(whole)
    assert len(Views.load(tmp_path, tmp_path / "more").images) == 24
    (tmp_path / "objects-00000.npz").unlink()
    with pytest.raises(SystemExit, match="no whole objects"):
        Views.load(tmp_path / "nowhere")


def test_attention_for_the_compiler_is_the_same_function(config):
    unet = model_of(config).unet
    inputs = torch.randn(2, 32, 4, 4), torch.tensor([3, 900])
    tokens = torch.randn(2, 1, 256)
    with torch.no_grad():
        expected = unet(*inputs, encoder_hidden_states=tokens).sample
        cross, own = OneTokenAttention(), PlainSelfAttention()
        unet.set_attn_processor({name: cross if "attn2" in name else own for name in unet.attn_processors})
        got = unet(*inputs, encoder_hidden_states=tokens).sample
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


def test_balanced_channels_make_the_same_pictures(config, dataset):
    torch.manual_seed(0)
    model, views = model_of(config), StoredMoves(dataset)
    with torch.no_grad():
        model.vae.quant_conv.weight[12:16] *= 5
        pictures = views.pictures(4)
        before = model.vae.encode(pictures).latent_dist
        made = model.vae.decode(before.mean).sample
        balance_channels(model, views)
        after = model.vae.encode(pictures).latent_dist
        spreads = some_latents(model, views).std((0, 2, 3))
    torch.testing.assert_close(model.vae.decode(after.mean).sample, made, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after.std / after.mean, before.std / before.mean, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(after.mean[:, :12], before.mean[:, :12])
    assert spreads[12:] == pytest.approx([float(spreads[:12].mean())] * 4, rel=0.1)


def test_a_thumbnail_fills_the_channels_with_the_pixels_of_a_cell():
    """16 channels hold 12: of each 2 x 2 pixels of the thumbnail, twice the brightness less 1."""
    image = torch.zeros(1, 3, 8, 8)
    image[..., :4, 4:] = 0.5
    small = thumbnail(image, torch.Size((16, 1, 1)))
    assert small.shape == (1, 12, 1, 1)
    assert small.flatten().tolist() == pytest.approx([-1, 0, -1, -1] + [0] * 8)
    assert thumbnail(image, torch.Size((4, 2, 2)))[0, 0].flatten().tolist() == pytest.approx([-1, 0, -1, -1])


def test_grey_has_no_colour():
    image = torch.full((1, 3, 2, 2), 0.3)
    assert opponent(image)[0, :, 0, 0].tolist() == pytest.approx([0.3, 0, 0], abs=1e-6)
    assert to_float(torch.tensor([[[[0, 255, 51]]]], dtype=torch.uint8)).flatten().tolist() == pytest.approx(
        [-1, 1, -0.6]
    )


def test_stages_resume_and_export(config, dataset, tmp_path):
    """A budget of some steps each; a second run goes on from the first one's steps; the export loads."""
    state = tmp_path / "state"
    for _ in range(2):
        model = trained_model(config, state)
        module = AutoencoderModule(model, StoredMoves(dataset), config.autoencoder, 0.01)
        fit(module, state, "autoencoder", config)
    first = torch.load(state / "autoencoder/last.ckpt", weights_only=False)
    assert first["global_step"] > 0
    assert first["state_dict"]["trained_seconds"] >= 0.01 * 60
    model = trained_model(config, state)
    latents = cached_latents(model, dataset.images, state)
    kept_at = (state / "latents.pt").stat().st_mtime_ns
    assert torch.equal(cached_latents(model, dataset.images, state), latents)
    assert (state / "latents.pt").stat().st_mtime_ns == kept_at
    assert not torch.equal(cached_latents(model_of(config), dataset.images, state), latents)
    fit(TowerModule(model, StoredMoves(dataset, latents), config.tower, 0.01), state, "tower", config)
    taught = torch.load(state / "tower/last.ckpt", weights_only=False)["state_dict"]
    model = trained_model(config, state)
    name = "image_encoder.visual_projection.weight"
    assert torch.equal(model.state_dict()[name], taught[name])
    module = diffusion(model, dataset, config, 0.01)
    fit(module, state, "diffusion", config, ema=0.9)
    # Averaged like a weight, the clock would run late and a resumed run train too long.
    kept = torch.load(state / "diffusion/last.ckpt", weights_only=False)["state_dict"]
    assert kept["trained_seconds"] >= 0.01 * 60
    done = trained_model(config, state)
    assert not torch.equal(done.cc_projection.weight, model_of(config).cc_projection.weight)
    loaded = load_zero123(save_zero123(done, tmp_path / "export", dtype=torch.float32))
    for name, value in done.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert math.isfinite(loaded.embed_images(torch.zeros(1, 3, 32, 32)).sum())


def test_all_stages_in_slices(config, dataset, tmp_path):
    """Each run goes on where the last one stopped; what is finished is not trained again."""
    np.savez(tmp_path / "objects-00000.npz", images=dataset.images.numpy(), poses=dataset.poses.numpy())
    given = {"data": [tmp_path], "state": tmp_path / "state", "validation": None, "endless": False}
    args = argparse.Namespace(**given, begin_with=None, minutes=0.1, slice=0.035)
    with pytest.raises(SystemExit, match="holds no finished autoencoder"):
        train_tower(args, config)
    steps: list[list[int]] = []
    for _ in range(12):
        train_all(args, config)
        found = [tmp_path / "state" / stage / "last.ckpt" for stage in config.shares]
        kept = [torch.load(path, weights_only=False) if path.exists() else None for path in found]
        steps.append([each["global_step"] if each else 0 for each in kept])
        if is_finished(tmp_path / "state", "diffusion", 0.75 * 0.1):
            break
    assert 3 <= len(steps) < 12
    assert steps[0][2] < steps[1][2] < steps[2][2]
    assert all(each[:2] == steps[1][:2] for each in steps[1:])
    assert min(steps[1][:2]) > 0
    scale = (tmp_path / "state/scaling_factor.txt").read_text()
    train_all(args, config)
    assert (tmp_path / "state/scaling_factor.txt").read_text() == scale


def test_geometry_comes_first_and_then_the_rest_beside_it(config, dataset, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        nano.diffusion, "draw_timesteps", lambda n, a, *rest: drawn.append(rest) or torch.arange(n)
    )
    module = diffusion(model_of(config), dataset, config, minutes=1)
    shares, blemish = [], module.blemish
    monkeypatch.setattr(module, "blemish", lambda *given: shares.append(given[2]) or blemish(*given))
    for seconds in (0, 29, 31, 61):
        module.trained_seconds.fill_(seconds)
        module.loss()
    assert drawn == [(1.0, 1.0), (1.0, 1.0), (0.8, 0.5), (0.8, 0.5)]
    assert shares == [0, 0, 0.3, 0.3]


def test_as_many_rows_as_the_phase_says_are_told_nothing(config, dataset):
    phase = {**config.diffusion.phases[0], "share": 0.5}
    both = [{**phase, "unconditional_share": share} for share in (0.0, 1.0)]
    module = diffusion(model_of(config), dataset, OmegaConf.merge(config, {"diffusion": {"phases": both}}))
    told = []

    def record(unet, given, named):
        cond = given[0].chunk(2, 1)[1]
        told.append([bool(each.any()) for each in (named["encoder_hidden_states"], cond)])

    module.unet.register_forward_pre_hook(record, with_kwargs=True)
    for seconds in (0, 59):
        module.trained_seconds.fill_(seconds)
        module.loss()
    assert told == [[True, True], [False, False]]


@pytest.mark.parametrize("key", ["diffusion.unconditional_share", "diffusion.lrr", "diffusions.lr"])
def test_a_setting_that_nothing_reads_is_refused(key, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train_nano.py", "all", "--endless", "--state", "none", f"{key}=0.3"])
    with pytest.raises(SystemExit, match="2"):
        main()
    said = capsys.readouterr().err.splitlines()[-1]
    assert any(f"'{part}'" in said for part in key.split(".")), said


def test_a_phase_says_everything(config, dataset):
    former = {"diffusion": {"phases": [{"share": 1, "noise_power": 0.35, "blemished_share": 0.4}]}}
    with pytest.raises(SystemExit, match=r"noise_alone.*got blemished_share, noise_power, share"):
        diffusion(model_of(config), dataset, OmegaConf.merge(config, former))


def test_views_of_another_size_or_too_few_are_refused(config, tmp_path):
    for name, views, side in (("small", 2, 16), ("single", 1, 32), ("right", 2, 32)):
        (tmp_path / name).mkdir()
        images, poses = np.zeros((3, views, side, side, 3), np.uint8), np.zeros((3, views, 3))
        np.savez(tmp_path / name / "objects-00000.npz", images=images, poses=poses)
    with pytest.raises(SystemExit, match=r"small: at least 2 views of 32 .* found 2 of 16; .*--size 32"):
        stored([tmp_path / "small"], config)
    with pytest.raises(SystemExit, match="found 1 of 32"):
        stored([tmp_path / "single"], config)
    views = stored([tmp_path / "right"], config)
    assert math.isfinite(diffusion(model_of(config), views, config).loss())  # which wants two targets


def test_gradients_are_clipped(config, dataset, tmp_path):
    norms = []

    class Steep(DiffusionModule):
        def loss(self):
            return 1e6 * super().loss()

        def on_train_batch_end(self, *_):
            gradients = [weight.grad for weight in self.parameters() if weight.grad is not None]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)))

    model = model_of(config)
    moves = StoredMoves(dataset, encode_all(model, dataset.images))
    fit(Steep(model, moves, 0.3, config.diffusion, 1, slice_minutes=1e-9), tmp_path, "diffusion", config)
    assert norms == [pytest.approx(1)]


def test_scaled_gradients_are_refused(config, dataset, tmp_path):
    half = OmegaConf.merge(config, {"precision": "16-mixed"})
    with pytest.raises(SystemExit, match="precision must be bf16-mixed or 32-true, got 16-mixed"):
        fit(diffusion(model_of(config), dataset, config), tmp_path, "diffusion", half)


def test_moments_lie_as_their_weights_do(config, dataset, tmp_path):
    """Compiled, weights have their channels last; a run may have begun without."""
    fit(diffusion(model_of(config), dataset, config, slice_minutes=1e-9), tmp_path, "diffusion", config)
    kept = torch.load(tmp_path / "diffusion/last.ckpt", weights_only=False)["optimizer_states"][0]["state"]
    model, seen = trained_model(config, tmp_path), []
    module = diffusion(model, dataset, config, slice_minutes=1e-9)
    module.unet.to(memory_format=torch.channels_last)

    def look():
        seen.extend((w, m["exp_avg"].clone()) for w, m in module.optimizers().optimizer.state.items())

    module.loss = lambda original=module.loss: look() or original()
    fit(module, tmp_path, "diffusion", config)
    assert len(seen) == len(kept)
    for (weight, moment), before in zip(seen, kept.values(), strict=True):
        assert moment.stride() == weight.stride()
        assert torch.equal(moment, before["exp_avg"])


def test_held_out_objects_are_watched(config, dataset, tmp_path):
    """With the averaged weights, in a line of the table and a sheet of four columns a look."""
    model = model_of(config)
    watch = Watch(dataset, tmp_path / "diffusion", steps=2, shown=3)
    fit(diffusion(model, dataset, config, 0.05, watch), tmp_path, "diffusion", config, 0.9, watch_steps=2)
    with (tmp_path / "diffusion/watch.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows[:3]] == [2, 4, 6]
    assert len({row["psnr_input_repeated"] for row in rows}) == 1
    assert len({row["guess_psnr"] for row in rows}) > 1
    sheets = sorted((tmp_path / "diffusion/watch").iterdir())
    assert len(sheets) == len(rows)
    sheet = np.asarray(Image.open(sheets[0]))
    assert sheet.shape == (3 * 32, 4 * 32, 3)
    assert np.array_equal(sheet[:32, :32], dataset.images[0, 0])
    assert np.array_equal(sheet[:32, 32:64], dataset.images[0, 1])


def test_a_resumed_run_draws_other_batches(config, dataset, tmp_path):
    """In the precision people train in, which is another path through the trainer."""
    config, seen = OmegaConf.merge(config, {"precision": OmegaConf.load(CONFIG).precision}), []

    class Recording(StoredMoves):
        def of(self, *what):
            seen.append(what)
            return super().of(*what)

    for _ in range(2):
        model = trained_model(config, tmp_path)
        moves = Recording(dataset, encode_all(model, dataset.images))
        torch.manual_seed(0)
        module = DiffusionModule(model, moves, 0.3, config.diffusion, 1, slice_minutes=1e-9)
        fit(module, tmp_path, "diffusion", config)
    first, second = seen
    assert not torch.equal(first[3], second[3])


def test_training_goes_on_from_finished_weights(config, dataset, tmp_path):
    torch.manual_seed(1)
    model = Zero123.from_config(OmegaConf.to_container(config.model))
    model.config["vae"]["scaling_factor"] = 0.7
    path = save_zero123(model, tmp_path / "weights", dtype=torch.float32)
    begun = trained_model(config, tmp_path / "state", str(path))
    assert begun.vae.config["scaling_factor"] == 0.7
    for name, value in begun.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_a_configuration_that_does_not_fit_is_told(config, dataset, tmp_path):
    fit(diffusion(model_of(config), dataset, config, 0.001), tmp_path, "diffusion", config)
    other = OmegaConf.merge(config, OmegaConf.from_dotlist(["model.unet.block_out_channels=[32,64]"]))
    with pytest.raises(SystemExit, match=r"does not fit the configuration: unet\..* give the configuration"):
        trained_model(other, tmp_path)
    with pytest.raises(SystemExit, match="zero123-nano does not fit the configuration"):
        trained_model(config, tmp_path / "none", "zero123-nano")
    whole = (tmp_path / "diffusion/last.ckpt").read_bytes()
    (tmp_path / "diffusion/last.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SystemExit, match="cannot be read"):
        trained_model(config, tmp_path)


@pytest.mark.slow
def test_the_command_stops_when_told_and_goes_on(config, dataset, tmp_path):
    """SIGTERM in the middle: the step under way ends, the state is saved, the next slice starts there."""
    np.savez(tmp_path / "objects-00000.npz", images=dataset.images.numpy(), poses=dataset.poses.numpy())
    given = ["--data", str(tmp_path), "--state", str(tmp_path / "state"), "--minutes", "60", *SMALL]
    command = [sys.executable, str(TOOL), "autoencoder", *given]
    endless = [sys.executable, str(TOOL), "tower", "--endless", *given[2:], "--slice", "0.01", "workers=1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        line = next(line for line in process.stdout if line.startswith("step 50 "))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0, line
    kept = torch.load(tmp_path / "state/autoencoder/last.ckpt", weights_only=False)["global_step"]
    assert kept >= 50
    subprocess.run([*command, "--slice", "0.01"], check=True, timeout=120, env=environment)
    after = torch.load(tmp_path / "state/autoencoder/last.ckpt", weights_only=False)["global_step"]
    assert after > kept
    assert float((tmp_path / "state/scaling_factor.txt").read_text()) > 0
    subprocess.run(endless, check=True, timeout=120, env=environment)
    assert torch.load(tmp_path / "state/tower/last.ckpt", weights_only=False)["global_step"] > 0


@pytest.mark.slow
def test_two_minutes_from_scratch(tmp_path, monkeypatch):
    """The command and the shape of the shipped weights, in batches a test can wait for: every loss falls."""
    monkeypatch.setattr("make_dataset.SHARD", 64)
    write_shard(0, tmp_path, views=4, size=64, first_seed=0)
    given = ["--data", tmp_path, "--state", tmp_path / "state", "--minutes", "2"]
    # Of one kind of noise, so that losses can be compared.
    phase = "{share: 1, noise_alone: 0, noise_power: 0.35, unconditional_share: 0.1, blemished_share: 0.4}"
    sizes = ["autoencoder.batch_size=4", "tower.inputs_per_batch=8", "diffusion.inputs_per_batch=4"]
    command = [
        sys.executable,
        str(TOOL),
        "all",
        *given,
        *sizes,
        f"diffusion.phases=[{phase}]",
        "shares.autoencoder=0.5",
        "shares.tower=0.25",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said = re.findall(r"^step (\d+) .* loss ([0-9.]+)$", done.stdout, re.MULTILINE)
    starts = [place for place, (step, _) in enumerate(said) if step == "50"]
    ends = [*starts[1:], len(said)]
    stages = [[float(loss) for _, loss in said[start:end]] for start, end in zip(starts, ends, strict=True)]
    assert len(stages) == 3, done.stdout
    for losses in stages:
        assert len(losses) >= 3, done.stdout
        assert losses[-1] < 0.9 * losses[0], done.stdout


def test_noises_are_drawn_evenly_by_their_logarithm():
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64).square()
    alphas = (1 - betas).cumprod(0).float()
    torch.manual_seed(0)
    steps = draw_timesteps(20_000, alphas, 1.0)
    logs = (1 / alphas[steps] - 1).sqrt().log()
    low, high = (1 / alphas[[0, -1]] - 1).sqrt().log()
    shares = ((logs - low) / (high - low)).quantile(torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.5, 0.75]), atol=0.02, rtol=0.0)
    assert draw_timesteps(20_000, alphas, 0.5).float().mean() > steps.float().mean()
    assert (draw_timesteps(20, alphas, 1.0, alone=1.0) == 999).all()
    assert 0.28 < (draw_timesteps(20_000, alphas, 1.0, alone=0.3) == 999).float().mean() < 0.33
    assert 0 <= steps.min() < steps.max() <= 999


def test_the_best_guess_without_a_picture_costs_the_same_at_every_noise():
    """x0 ~ N(0, s^2) leaves s^2 r / (s^2 + r) of itself unknown, r being noise over signal, squared."""
    alphas, spread = torch.tensor([0.999, 0.9, 0.5, 0.1, 0.005]), 0.3
    ratio = 1 / alphas - 1
    left = spread**2 * ratio / (spread**2 + ratio)
    error_of_v = left * (1 + ratio) / ratio
    torch.testing.assert_close(error_of_v * evening_weights(alphas, spread), torch.ones(5))
