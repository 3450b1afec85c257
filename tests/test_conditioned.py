"""What a reference costs once: the same predictions, fewer calls, and nothing that changes the model."""

from __future__ import annotations

import copy
from collections import Counter
from contextlib import contextmanager

import pytest
import torch
from test_fusion import nothing_and
from test_pipeline import photo
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from viewfusion import ViewFusionPipeline, load_config, load_zero123
from viewfusion.fusion import Conditions, FusedDenoiser, ViewNoise, sample, schedule, view_generator
from viewfusion.solvers import SOLVERS, make_scheduler
from viewfusion.zero123 import Conditioned, Zero123
from viewfusion.zero123.conditioned import PlainUNet, SingleTokenUNet, takes_single_tokens, transformer_blocks

SMALL = {
    "sample_size": 8,
    "in_channels": 8,
    "out_channels": 4,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 12,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}
TOKENS_IN_TIME = {
    **SMALL,
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 2,
    "resnet_time_scale_shift": "scale_shift",
}
STABLE_DIFFUSION = {
    "sample_size": 16,
    "in_channels": 8,
    "out_channels": 4,
    "block_out_channels": (16, 32, 64, 64),
    "cross_attention_dim": 24,
    "attention_head_dim": 4,
    "norm_num_groups": 8,
}
"""The types and numbers of blocks of Stable Diffusion 1.x, which are diffusers' defaults."""


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


def zero123(seed=0, prediction_type="epsilon", **config):
    """A Zero123 that is only a UNet of ``config``, with random weights."""
    from diffusers import UNet2DConditionModel

    scheduler = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(**config).eval()
        projection = nn.Linear(4, 4)
    told = {"family": "zero123", "scheduler": {**scheduler, "prediction_type": prediction_type}}
    return Zero123(unet, nn.Identity(), nn.Identity(), projection, told)


def inputs(model, rows=3, tokens=1):
    """Latents (1, 4, h, w), tokens, condition latents."""
    config, generator = model.unet.config, torch.Generator().manual_seed(rows)
    shape = config.out_channels, config.sample_size, config.sample_size
    width = config.encoder_hid_dim or config.cross_attention_dim
    return (
        torch.randn((1, *shape), generator=generator),
        torch.randn((rows, tokens, width), generator=generator),
        torch.randn((rows, *shape), generator=generator),
    )


def agree(model, rows=3, timestep=500):
    """At most 1e-5 apart in float32, with latents in one row and with each its own."""
    latents, tokens, cond_latents = inputs(model, rows)
    told, each = model.condition(tokens, cond_latents), latents.expand(rows, -1, -1, -1)
    expected = model.predict_noise(each, timestep, tokens, cond_latents)
    torch.testing.assert_close(model.predict(latents, timestep, told), expected, atol=1e-5, rtol=0)
    own = each * torch.linspace(0.5, 2, rows)[:, None, None, None]
    expected = model.predict_noise(own, timestep, tokens, cond_latents)
    torch.testing.assert_close(model.predict(own, timestep, told), expected, atol=1e-5, rtol=0)
    assert rows == 1 or (expected[0] - expected[-1]).abs().max() > 0.01, (
        "rows that do not differ show nothing"
    )


# Equality.


@pytest.mark.parametrize("rows", [1, 5])
def test_nano_predicts_the_same(rows):
    model = load_zero123("zero123-nano")
    assert isinstance(model.split_unet, SingleTokenUNet)
    agree(model, rows)


@pytest.mark.parametrize(
    "config",
    [
        STABLE_DIFFUSION,
        SMALL,
        {**SMALL, "prediction_type": "v_prediction"},
        {**SMALL, "use_linear_projection": True},
        {**SMALL, "upcast_attention": True},
        {**SMALL, "transformer_layers_per_block": 2},
        {**SMALL, "mid_block_type": None},
        TOKENS_IN_TIME,
        {**TOKENS_IN_TIME, "time_embedding_dim": 24},
        {**SMALL, "in_channels": 16, "out_channels": 8, "conv_in_kernel": 5},
    ],
    ids=lambda config: [*config][-1],
)
def test_networks_like_stable_diffusion_predict_the_same(config):
    model = zero123(**config)
    assert isinstance(model.split_unet, SingleTokenUNet)
    agree(model)


@pytest.mark.parametrize("timestep", [7, torch.tensor(998.6), torch.tensor([3]), torch.arange(3) * 300])
def test_any_kind_of_timestep_will_do(timestep):
    agree(zero123(prediction_type="v_prediction", **SMALL), timestep=timestep)


def test_so_they_do_with_attention_written_out():
    from diffusers.models.attention_processor import AttnProcessor

    model = zero123(**SMALL)
    model.unet.set_attn_processor(AttnProcessor())
    assert isinstance(model.split_unet, SingleTokenUNet)
    agree(model)


def test_the_recorded_networks_are_of_this_kind_and_so_is_the_released_one(tiny_zero123):
    """What they predict is compared with recordings in test_parity.py."""
    from diffusers import UNet2DConditionModel
    from make_full_size import ClipSizes

    from viewfusion.zero123.ldm_configs import FULL_SIZE, ldm_config

    assert isinstance(tiny_zero123.split_unet, SingleTokenUNet)
    with torch.device("meta"):
        full = UNet2DConditionModel.from_config(ldm_config(FULL_SIZE, ClipSizes().hints(), "")["unet"])
    assert takes_single_tokens(full)
    # Two blocks on each of three levels down, three up, and one between.
    assert len(transformer_blocks(full)) == 3 * 2 + 3 * 3 + 1


# Networks that are not of this kind.


@pytest.mark.parametrize(
    "changes",
    [
        {"only_cross_attention": True},
        {"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"},
        {"encoder_hid_dim": 20},
        {"center_input_sample": True},
        {"attention_type": "gated"},
        {
            "down_block_types": ("DownBlock2D",) * 2,
            "up_block_types": ("UpBlock2D",) * 2,
            "mid_block_type": None,
        },
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_networks_run_as_they_are(changes):
    model = zero123(**{**SMALL, **changes})
    assert isinstance(model.split_unet, PlainUNet)
    latents, tokens, cond_latents = inputs(model)
    expected = model.predict_noise(latents.expand(3, -1, -1, -1), 500, tokens, cond_latents)
    assert torch.equal(model.predict(latents, 500, model.condition(tokens, cond_latents)), expected)


def sliced(layer):
    from diffusers.models.attention_processor import SlicedAttnProcessor

    layer.set_processor(SlicedAttnProcessor(1))


CHANGED_LAYERS = {
    "another processor": sliced,
    "normed tokens": lambda layer: setattr(layer, "norm_cross", nn.LayerNorm(12)),
    "a residual": lambda layer: setattr(layer, "residual_connection", True),
    "a factor": lambda layer: setattr(layer, "rescale_output_factor", 2.0),
    "dropout": lambda layer: setattr(layer.to_out[1], "p", 0.1),
}


@pytest.mark.parametrize("change", CHANGED_LAYERS)
def test_a_single_layer_of_another_kind_is_enough(change):
    model = zero123(**SMALL)
    CHANGED_LAYERS[change](list(transformer_blocks(model.unet).values())[-1].attn2)
    assert isinstance(model.split_unet, PlainUNet)
    agree(model)


def test_another_first_layer_or_class_is_enough():
    from diffusers import UNet2DConditionModel

    class Own(UNet2DConditionModel):
        pass

    assert not takes_single_tokens(Own(**SMALL))
    unet = UNet2DConditionModel(**SMALL)
    unet.conv_in = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
    assert not takes_single_tokens(unet)


def test_several_tokens_are_refused():
    model = zero123(**SMALL)
    _, tokens, cond_latents = inputs(model, tokens=2)
    with pytest.raises(ValueError, match="one token a row expected, got 2"):
        model.condition(tokens, cond_latents)


# Costs.


class Watch(TorchDispatchMode):
    """Counts operations by what ``name`` makes of them; None is not counted."""

    def __init__(self, name):
        super().__init__()
        self.name, self.counts = name, Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        with self:  # in inference mode compound operations arrive whole
            parts = function.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        self.counts.update(filter(None, [self.name(function.overloadpacket, args, kwargs)]))
        return function(*args, **kwargs)


@contextmanager
def calls(model):
    """Rows of each call of the parts of the first cross-attention."""
    block = next(iter(transformer_blocks(model.unet).values()))
    parts = {"norm2": block.norm2, **{name: getattr(block.attn2, name) for name in ("to_q", "to_k", "to_v")}}
    seen = {name: [] for name in parts}
    hooks = [
        part.register_forward_pre_hook(lambda _, args, name=name: seen[name].append(len(args[0])))
        for name, part in parts.items()
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def test_values_are_made_once_a_target_and_the_first_layers_half_once_a_reference():
    """And the latents' half once a step, for one row; queries and keys are never made."""
    pipeline, steps = ViewFusionPipeline.from_checkpoint("zero123-nano", device="cpu"), 3
    first = pipeline.model.unet.conv_in.weight
    halves = (first.shape[0], first.shape[1] // 2, *first.shape[2:])

    def half(function, args, kwargs):
        if function is torch.ops.aten.convolution and args[1].shape == halves:
            return "condition" if args[2] is not None else f"latents of {len(args[0])}"
        return None

    config = load_config(overrides=["views=5", f"sampling.num_inference_steps={steps}"])
    with calls(pipeline.model) as seen, Watch(half) as watch:
        pipeline(photo(), config=config)
    targets = schedule(config.trajectory())
    rows = [len(target.references) + 1 for target in targets]
    assert seen == {"norm2": [], "to_q": [], "to_k": [], "to_v": rows}
    # A ring of 5 has 4 targets; nothing refers to the last of them. Nothing itself is told of once a target.
    assert watch.counts == {"latents of 1": 4 * steps, "condition": 4 + 4}


def test_a_whole_turn_looks_the_same(monkeypatch):
    """Though each view is made from others, and rounding might grow."""
    config = load_config(overrides=["views=6"])
    pipeline = ViewFusionPipeline.from_checkpoint("zero123-nano", device="cpu")
    ours = pipeline(photo(), config=config).images
    monkeypatch.setattr("viewfusion.zero123.model.split_unet", PlainUNet)
    pipeline = ViewFusionPipeline.from_checkpoint("zero123-nano", device="cpu")
    plain = pipeline(photo(), config=config).images
    assert isinstance(pipeline.model.split_unet, PlainUNet)
    assert (ours - plain).abs().max() * 255 / 2 < 0.1  # of an 8-bit step


TRANSFERS = {"unipc": 6, "dpm++-sde": 1, "ddim": 1, "ddim-reference": 1, "euler-ancestral": 1}
"""A step's, of those that have any: the noise, drawn on the CPU; UniPC itself moves three sigmas for its
predictor and three for its corrector."""


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_step_reads_nothing_back_from_the_device_and_sends_it_nothing_but_noise(solver):
    """On torch's meta device, from which nothing can be read: that would raise."""
    with torch.device("meta"):
        model = zero123(prediction_type="v_prediction", **SMALL)
    _, tokens, cond_latents = inputs(model)
    given = nothing_and(tokens.to("meta"), cond_latents.to("meta"))
    told = Conditions(model.condition(given.values, given.stem), (0.2, 0.3, 0.5))
    noise = ViewNoise(view_generator(0, 1), (4, 8, 8), device="meta")

    def sent(function, args, kwargs):
        if function in (torch.ops.aten._to_copy, torch.ops.aten.copy_):
            places = {each.device.type for each in args if isinstance(each, torch.Tensor)}
            places |= {torch.device(kwargs["device"]).type} if kwargs.get("device") else set()
            return "sent" if len(places) > 1 else None
        return None

    scheduler = make_scheduler(solver, model.scheduler_config, 8)
    with Watch(sent) as watch:
        by_step = []
        sample(
            FusedDenoiser(model.predict, told),
            scheduler,
            noise,
            after_step=lambda *_: by_step.append(watch.counts["sent"]),
        )
    assert by_step[0] > 0, "the weights and the starting noise are sent"
    assert by_step[4] - by_step[3] == TRANSFERS.get(solver, 0)


# The model stays what it is.


def test_nothing_of_it_is_a_part_of_the_model():
    model = zero123(**SMALL)
    keys, parts = list(model.state_dict()), [name for name, _ in model.named_modules()]
    agree(model)
    assert list(model.state_dict()) == keys
    assert [name for name, _ in model.named_modules()] == parts
    assert type(next(iter(transformer_blocks(model.unet).values())).norm2) is nn.LayerNorm


def test_new_weights_count_and_so_does_a_new_unet():
    model, other = zero123(0, **SMALL), zero123(1, **SMALL)
    latents, tokens, cond_latents = inputs(model)
    before = model.predict(latents, 500, model.condition(tokens, cond_latents))
    model.unet.load_state_dict(other.unet.state_dict())
    agree(model)
    after = model.predict(latents, 500, model.condition(tokens, cond_latents))
    assert (after - before).abs().max() > 0.01
    model.unet = zero123(0, **SMALL).unet
    again = model.predict(latents, 500, model.condition(tokens, cond_latents))
    assert torch.equal(again, before)


def test_copies_and_other_precisions_stand_alone():
    model = zero123(**SMALL)
    latents, tokens, cond_latents = inputs(model)
    expected = model.predict(latents, 500, model.condition(tokens, cond_latents))
    half = copy.deepcopy(model).to(torch.bfloat16)
    given = [each.bfloat16() for each in (latents, tokens, cond_latents)]
    predicted = half.predict(given[0], 500, half.condition(*given[1:]))
    assert predicted.dtype == torch.bfloat16
    torch.testing.assert_close(predicted.float(), expected, atol=0.05, rtol=0.05)
    assert torch.equal(model.predict(latents, 500, model.condition(tokens, cond_latents)), expected)


def test_v_prediction_keeps_its_noise_in_half_precision():
    """At timestep 1 alphas_cumprod is 0.998, which bfloat16 takes for 1."""
    model = zero123(prediction_type="v_prediction", **SMALL)
    latents, tokens, cond_latents = inputs(model, 1)
    expected = model.predict(latents, 1, model.condition(tokens, cond_latents))
    half = copy.deepcopy(model).to(torch.bfloat16)
    given = [each.bfloat16() for each in (latents, tokens, cond_latents)]
    predicted = half.predict(given[0], 1, half.condition(*given[1:]))
    torch.testing.assert_close(predicted.float(), expected, atol=0.02, rtol=0.02)


def test_rows_are_indexed_joined_and_mixed():
    rows = Conditioned(torch.arange(3.0).view(3, 1, 1), torch.arange(3.0).view(3, 1, 1, 1) * 10)

    def numbers(rows):
        return rows.values.flatten().tolist(), rows.stem.flatten().tolist()

    assert len(rows) == 3
    assert numbers(rows[1:]) == ([1, 2], [10, 20])
    assert numbers(rows[[0, 0, 2]]) == ([0, 0, 2], [0, 0, 20])
    assert numbers(Conditioned.cat([rows[1:], rows[:1]])) == ([1, 2, 0], [10, 20, 0])
    weights = torch.tensor([[1.0, 0, 0], [0, 0.25, 0.75]])
    assert numbers(rows.mixed(weights)) == ([0, 1.75], [0, 17.5])


@pytest.mark.parametrize("config", [SMALL, TOKENS_IN_TIME], ids=["attention", "time"])
def test_mixed_rows_are_those_of_mixed_tokens_and_latents(config):
    """What the variant of averaged conditions promises: epsilon(x, t, sum of w c, sum of w z)."""
    model, weights = zero123(**config), torch.tensor([[0.5, 0.3, 0.2]])
    latents, tokens, cond_latents = inputs(model)
    mixed = [torch.tensordot(weights, each, dims=1) for each in (tokens, cond_latents)]
    expected = model.predict_noise(latents, 500, *mixed)
    predicted = model.predict(latents, 500, model.condition(tokens, cond_latents).mixed(weights))
    torch.testing.assert_close(predicted, expected, atol=1e-5, rtol=0)


# Deep features that last for several steps


@pytest.fixture(scope="module")
def nano():
    return load_zero123("zero123-nano")


def asked(model, rows, seed, timestep):
    latents = torch.randn((1, *model.latent_shape), generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        return model.predict(latents, timestep, rows)


def some_rows(model, count=3):
    generator = torch.Generator().manual_seed(count)
    tokens = torch.randn((count, 1, model.unet.config.cross_attention_dim), generator=generator)
    with torch.inference_mode():
        return model.condition(tokens, torch.randn((count, *model.latent_shape), generator=generator))


def test_on_kept_features_a_row_is_what_it_was_and_costs_the_top_level(nano):
    from torch.utils.flop_counter import FlopCounterMode

    rows = some_rows(nano)
    plain, other = asked(nano, rows, 0, 500), asked(nano, rows, 1, 400)
    kept = rows.keeping()
    costs = []
    for told in (kept.lightly(), kept.lightly()):  # of the first nothing is kept yet, so that it is whole
        with FlopCounterMode(display=False) as counter:
            assert torch.equal(asked(nano, told, 0, 500), plain)
        costs.append(counter.get_total_flops())
    assert costs[1] < 0.6 * costs[0]
    mixed = asked(nano, kept.lightly(), 1, 400)
    assert not torch.allclose(mixed, plain, atol=1e-3)
    assert not torch.allclose(mixed, other, atol=1e-3)
    assert torch.equal(asked(nano, kept, 1, 400), other)
    assert torch.equal(asked(nano, kept.lightly(), 1, 400), other)
    assert torch.equal(asked(nano, rows, 0, 500), plain), "others do not notice"


def test_kept_features_go_with_their_rows(nano):
    """In chunks, in another order, and beside rows of which nothing is kept."""
    kept, fresh = some_rows(nano).keeping(), some_rows(nano, 2).keeping()
    whole = asked(nano, kept, 0, 500)
    order = [2, 0, 1]
    again = asked(nano, kept.lightly()[order], 0, 500)
    torch.testing.assert_close(again, whole[order], atol=1e-5, rtol=1e-5)
    chunks = [asked(nano, kept.lightly()[part], 0, 500) for part in (slice(0, 1), slice(1, 3))]
    torch.testing.assert_close(torch.cat(chunks), whole, atol=1e-5, rtol=1e-5)
    # One of several goes through the deep levels, so all do.
    several = kept.cat([kept.lightly(), fresh.lightly()])
    expected = torch.cat([asked(nano, each, 1, 300) for each in (some_rows(nano), some_rows(nano, 2))])
    torch.testing.assert_close(asked(nano, several, 1, 300), expected, atol=1e-5, rtol=1e-5)
    assert all(each.features is not None for each in fresh.kept)
    # Beside rows of which nothing is kept, what is kept is made anew.
    before = [each.features for each in kept.kept]
    asked(nano, kept.cat([kept, some_rows(nano, 2)]), 2, 200)
    assert not any(torch.equal(each.features, old) for each, old in zip(kept.kept, before, strict=True))
    assert not kept.cat([some_rows(nano), some_rows(nano, 2)]).kept
    assert not kept.cat([kept, kept.lightly()]).light
