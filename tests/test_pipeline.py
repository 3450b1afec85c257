"""The wired pipeline on the tiny random model: counts, resuming, determinism, several inputs."""

from __future__ import annotations

import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from viewfusion import Pose, ViewFusionError, ViewFusionPipeline, load_config, load_zero123, path_to
from viewfusion.conditioning import ReferenceMemory
from viewfusion.fusion import schedule
from viewfusion.geometry import ring, ring_around
from viewfusion.views import OUTPUT_TYPES
from viewfusion.zero123 import save_zero123

STEPS = 2
QUICK = [f"sampling.num_inference_steps={STEPS}"]


def photo(hue=0):
    """A coloured disc, cut out."""
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    rgba = np.zeros((96, 96, 4), np.uint8)
    rgba[..., hue] = 200
    rgba[..., 3] = 255 * (x**2 + y**2 < 0.6)
    return rgba


@pytest.fixture(scope="module")
def pipeline(small_checkpoint):
    return ViewFusionPipeline(load_zero123(*small_checkpoint, family="zero123"))


@contextmanager
def counted(model):
    """How many rows really go through the networks."""
    rows = {"unet": 0, "encoder": 0, "decoder": 0, "image_encoder": 0}

    def count(name):
        def hook(_, args, kwargs):
            rows[name] += len(args[0] if args else kwargs["pixel_values"])

        return hook

    parts = {
        "unet": model.unet,
        "encoder": model.vae.encoder,
        "decoder": model.vae.decoder,
        "image_encoder": model.image_encoder,
    }
    hooks = [part.register_forward_pre_hook(count(name), with_kwargs=True) for name, part in parts.items()]
    try:
        yield rows
    finally:
        for hook in hooks:
            hook.remove()


def test_a_spin_costs_what_the_method_says(pipeline):
    """N + 1 evaluations a step; each view encoded at most once, the last never; one decode a target.

    A ring of 8, by hand: 125 degrees are two steps of 45 and no third. +1 sees the input alone, which counts
    always; -1 +1 too; +2 the input and +1; -2 its mirror image; +3 the input, +1 and +2; -3 that mirrored,
    and +3, two steps round the back; +4 the input, +2, +3, -2 and -3.
    """
    config = load_config(overrides=[*QUICK, "views=8"])
    with counted(pipeline.model) as rows:
        views = pipeline(photo(), config=config)
    references = {1: 1, 7: 2, 2: 2, 6: 2, 3: 3, 5: 4, 4: 5}
    assert {view.index: len(view.record.references) for view in views if view.record} == references
    made = {view.index: view.record.network_evaluations for view in views if view.record}
    assert made == {view: STEPS * (count + 1) for view, count in references.items()}
    assert rows == {"unet": STEPS * (19 + 7), "encoder": 7, "image_encoder": 7, "decoder": 7}


@pytest.mark.parametrize(
    ("variant", "guided", "unguided"),
    [("viewfusion", 8, 5), ("stochastic", 6, 3), ("averaged-conditions", 6, 3), ("averaged-outputs", 10, 5)],
)
def test_a_limited_interval_of_guidance_costs_what_it_says(pipeline, variant, guided, unguided):
    """Four steps at timesteps 751, 501, 251 and 1: two of them lie between 0.2 and 0.6 of 1000.

    The three targets of a ring of 4 have 1, 1 and 3 references, so N + 1 is 8 in all, and N is 5.
    """
    limits = ["sampling.solver=ddim", "sampling.guidance_low=0.2", "sampling.guidance_high=0.6"]
    config = load_config(
        overrides=[*limits, "sampling.num_inference_steps=4", "views=4", f"fusion.variant={variant}"]
    )
    with counted(pipeline.model) as rows:
        views = pipeline(photo(), config=config)
    told = sum(view.record.network_evaluations for view in views if view.record)
    assert rows["unet"] == told == 2 * guided + 2 * unguided


@pytest.mark.parametrize("variant", ["viewfusion", "averaged-conditions", "averaged-outputs"])
def test_features_that_last_two_steps(pipeline, variant):
    """Of five steps two are light: their rows go through the top level alone."""
    config = load_config(overrides=["sampling.num_inference_steps=5", "views=3", f"fusion.variant={variant}"])
    rows = {"top": 0, "deep": 0}

    def count(name):
        return lambda block, args, kwargs: rows.update({name: rows[name] + len(kwargs["hidden_states"])})

    unet = pipeline.model.unet
    hooks = [
        unet.down_blocks[0].register_forward_pre_hook(count("top"), with_kwargs=True),
        unet.up_blocks[0].register_forward_pre_hook(count("deep"), with_kwargs=True),
    ]
    made = pipeline(photo(), config=config, reuse_steps=2)
    for hook in hooks:
        hook.remove()
    records = [view.record for view in made if view.record]
    assert sum(record.network_evaluations for record in records) == rows["top"]
    assert sum(record.light_evaluations for record in records) == rows["top"] - rows["deep"]
    assert rows["deep"] * 5 == rows["top"] * 3
    whole = pipeline(photo(), config=config)
    assert 0 < (made.images - whole.images).abs().max() < 2


def test_a_network_without_deep_levels_reuses_nothing(small_checkpoint):
    from diffusers.models.attention_processor import AttnProcessor2_0

    class Own(AttnProcessor2_0):
        """As good as diffusers', but nobody can know that."""

    model = load_zero123(*small_checkpoint, family="zero123")
    model.unet.set_attn_processor(Own())
    with pytest.raises(ViewFusionError, match="reuse_steps must be 1: this network has no deep levels"):
        ViewFusionPipeline(model)(photo(), views=2, reuse_steps=2)


def test_a_view_that_is_no_numbers_is_an_error_and_no_black_picture(pipeline):
    config = load_config(overrides=[*QUICK, "views=3", "sampling.guidance_scale=1e38"])
    made = pipeline.iter_views(photo(), config.trajectory(), config)
    assert next(made).index == 0
    with pytest.raises(ViewFusionError, match=r"view 1 came out as no numbers; .*guidance_scale \(1e\+38\)"):
        next(made)


def test_what_is_made_can_be_changed_and_learned_through(pipeline):
    weight = torch.ones((), requires_grad=True)
    for view in pipeline(photo(), config=load_config(overrides=[*QUICK, "views=2"])):
        (weight * view.image).sum().backward()
        view.image.add_(1)
        if view.latents is not None:
            view.latents.add_(1)
    assert weight.grad is not None


def test_views_come_in_output_order_and_the_first_is_the_input(pipeline):
    config = load_config(overrides=[*QUICK, "views=4"])
    views = pipeline(photo(), config=config)
    assert [round(view.pose.azimuth_deg) for view in views] == [0, 90, 180, 270]
    assert torch.equal(views[0].image, pipeline.prepare(photo()).image[0])
    assert views[0].record is None
    assert views.images.shape == (4, 3, 64, 64)
    assert views.images.abs().max() <= 1


def test_a_resumed_run_equals_an_uninterrupted_one(pipeline):
    config, trajectory = load_config(overrides=[*QUICK, "views=5"]), ring(5)
    whole = list(pipeline.iter_views(photo(), trajectory, config))
    for stop in (1, 3):
        finished = {view.index: view.latents for view in whole[1 : 1 + stop]}
        with counted(pipeline.model) as rows:
            again = list(pipeline.iter_views(photo(), trajectory, config, finished=finished))
        assert all(torch.equal(a.image, b.image) for a, b in zip(whole, again, strict=True))
        assert [view.record is None for view in again] == [True] * (1 + stop) + [False] * (4 - stop)
        remaining = schedule(trajectory)[stop:]
        assert rows["unet"] == STEPS * sum(len(target.references) + 1 for target in remaining)


def test_a_memory_kept_between_runs_saves_the_inputs_encoding(pipeline):
    config = load_config(overrides=["sampling.num_inference_steps=1"])
    targets = [path_to(Pose(0.0), Pose(math.radians(turn))) for turn in (10, -10)]
    memory = ReferenceMemory(pipeline.model)

    def last(rgba, target, memory=None):
        return list(pipeline.iter_views(rgba, target, config, memory=memory))[-1].image

    alone = last(photo(), targets[1])
    with counted(pipeline.model) as rows:
        last(photo(), targets[0], memory)
        shared = last(photo(), targets[1], memory)
        assert rows["encoder"] == rows["image_encoder"] == memory.encodes == 1
        assert torch.equal(alone, shared)
        last(photo(1), targets[0], memory)
        assert rows["encoder"] == 2, "another photo is encoded"


def test_the_seed_decides(pipeline):
    def spin(seed):
        return pipeline(photo(), config=load_config(overrides=[*QUICK, "views=2"]), seed=seed).images[1]

    assert torch.equal(spin(3), spin(3))
    assert not torch.equal(spin(3), spin(4))


def test_a_single_target_is_reached_step_by_step(pipeline):
    trajectory = path_to(Pose(0.0), Pose(math.radians(25), math.radians(40), 1.6))
    views = pipeline(photo(), trajectory, load_config(overrides=QUICK))
    assert [round(view.pose.azimuth_deg, 3) for view in views] == [0, 8.333, 16.667, 25]
    assert views[3].record.references == (0, 1, 2)


def test_several_posed_inputs(pipeline):
    inputs = (Pose(0.3), Pose(1.4, 0.6), Pose(5.1))
    config = load_config(overrides=QUICK)
    views = list(pipeline.iter_views([photo(0), photo(1), photo(2)], ring_around(inputs, 4), config))
    assert len(views) == 6
    assert views[3].record.references == (0, 1, 2)
    with pytest.raises(ValueError, match="3 inputs, got 2 images"):
        next(pipeline.iter_views([photo(0), photo(1)], ring_around(inputs, 4), config))


def test_progress_counts_targets_and_steps(pipeline):
    seen = []
    config = load_config(overrides=[*QUICK, "views=3"])
    pipeline(photo(), config=config, on_step=lambda *numbers: seen.append(numbers))
    assert seen == [(0, 2, 1, 2), (0, 2, 2, 2), (1, 2, 1, 2), (1, 2, 2, 2)]


def test_half_precision_gives_nearly_the_same_picture(pipeline, small_checkpoint):
    half = ViewFusionPipeline(load_zero123(*small_checkpoint, dtype=torch.bfloat16))
    config = load_config(overrides=[*QUICK, "views=2"])
    exact, rough = pipeline(photo(), config=config), half(photo(), config=config)
    assert rough[1].image.dtype == torch.float32
    assert (exact[1].image - rough[1].image).abs().mean() < 0.1


@pytest.mark.parametrize("device", ["cuda:99", "toaster"])
def test_an_absent_device_is_named(device, small_checkpoint):
    with pytest.raises(ViewFusionError, match=f"the device '?{device}'? is not there"):
        ViewFusionPipeline.from_checkpoint(*small_checkpoint, device=device)


def test_unknown_settings_are_named(pipeline):
    with pytest.raises(ViewFusionError, match="did you mean 'views'"):
        pipeline(photo(), view=3)


OWN = {
    "solver": "dpm++",
    "num_inference_steps": 5,
    "spacing": "karras",
    "guidance_scale": 1.0,
    "leap_sigma": 0.35,
}


@pytest.fixture(scope="module")
def stating(small_checkpoint, tmp_path_factory):
    """A pipeline whose checkpoint says how it is sampled."""
    model = load_zero123(*small_checkpoint, family="zero123")
    model.config["sampling"] = OWN
    folder = tmp_path_factory.mktemp("stating") / "ours"
    return ViewFusionPipeline.from_checkpoint(save_zero123(model, folder, torch.float32))


def settled(pipeline, preset=None, *overrides):
    """What a run would sample with, eta and noise left out."""
    sampling = vars(pipeline.settled(load_config(preset, overrides)).sampling)
    return {key: sampling[key] for key in OWN}


def test_a_checkpoint_says_how_it_is_sampled(stating, tmp_path):
    """In our folders and in diffusers'; at guidance 1 there is no unconditional row."""
    theirs = ViewFusionPipeline.from_checkpoint(stating.save_pretrained(tmp_path / "theirs"))
    for loaded in (stating, theirs):
        assert settled(loaded) == OWN
        record = loaded(photo(), views=2)[1].record
        assert (record.solver_steps, record.network_evaluations) == (5, 5)
    told = stating(photo(), views=2, guidance_scale=3.0)[1].record
    assert told.network_evaluations == 10


def test_fast_counts_the_steps_a_checkpoint_can_do_with(stating, pipeline):
    for other, steps in ((stating, 4), (pipeline, 15)):
        config = other.settled(load_config("fast"))
        assert config.sampling.num_inference_steps == steps
        assert other.settled(config) == config


def test_a_checkpoint_that_states_nothing_is_sampled_as_zero123_was(pipeline):
    ddim = {"solver": "ddim", "num_inference_steps": 50, "spacing": "timesteps", "leap_sigma": 0.0}
    assert settled(pipeline) == {**settled(pipeline), **ddim, "guidance_scale": 3}


def test_what_a_user_says_counts_more_than_the_checkpoint(stating):
    assert settled(stating, "fast") == {**OWN, "num_inference_steps": 4}
    assert settled(stating, "fast", "sampling.leap_sigma=0") == {
        **OWN,
        "leap_sigma": 0.0,
        "num_inference_steps": 15,
    }
    assert settled(stating, "fast", "sampling.num_inference_steps=9")["num_inference_steps"] == 9
    ddim = {"solver": "ddim", "num_inference_steps": 50, "spacing": "timesteps", "leap_sigma": 0.0}
    assert settled(stating, "balanced") == {**OWN, "solver": "dpm++-sde", "num_inference_steps": 10}
    assert settled(stating, "reference")["guidance_scale"] == 3
    assert settled(stating, None, "sampling.solver=ddim") == {**OWN, **ddim}
    assert settled(stating, None, "sampling.solver=dpm++", "sampling.leap_sigma=0") == {
        **OWN,
        "leap_sigma": 0.0,
    }
    assert settled(stating, None, "sampling.num_inference_steps=1")["leap_sigma"] == 0


def test_what_a_checkpoint_states_must_go_with_what_a_user_says(pipeline, stating, small_checkpoint):
    with pytest.raises(ViewFusionError, match=r"timesteps with the solver ddim.*of the checkpoint: solver"):
        pipeline.settled(load_config(None, ["sampling.spacing=karras"]))
    model = load_zero123(*small_checkpoint, family="zero123")
    model.config["sampling"] = {"solver": "os.system"}
    with pytest.raises(ViewFusionError, match=r"got 'os.system' \(of the checkpoint: solver os.system"):
        ViewFusionPipeline(model).settled(load_config())


def test_a_leap_changes_the_picture(stating):
    own, none, same = (stating(photo(), views=2, leap_sigma=sigma)[1].image for sigma in (None, 0.0, 0.35))
    assert torch.equal(own, same)
    assert not torch.equal(own, none)


# The habits of diffusers.


def test_saved_and_loaded_it_makes_the_same_pictures(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "saved")
    loaded = ViewFusionPipeline.from_pretrained(tmp_path / "saved")
    assert (loaded.device, loaded.dtype) == (torch.device("cpu"), torch.float32)
    config = load_config("balanced", QUICK)
    assert torch.equal(
        loaded(photo(), config=config, views=3).images, pipeline(photo(), config=config, views=3).images
    )


def test_it_moves_between_precisions(small_checkpoint):
    pipeline = ViewFusionPipeline.from_pretrained(small_checkpoint[0], config=small_checkpoint[1])
    assert pipeline.to("cpu", torch.bfloat16) is pipeline
    assert {value.dtype for value in pipeline.model.parameters()} == {torch.bfloat16}
    views = pipeline(photo(), views=2, num_inference_steps=STEPS)
    assert views[1].latents.dtype == torch.float32, "solvers keep float32"


def test_a_generator_is_the_seed_and_moves_on(pipeline):
    def image(generator):
        return pipeline(photo(), views=2, num_inference_steps=STEPS, generator=generator)[1].image

    generator = torch.Generator().manual_seed(5)
    first, second = image(generator), image(generator)
    assert torch.equal(image(torch.Generator().manual_seed(5)), first)
    assert not torch.equal(second, first)


def test_the_callback_sees_every_step_and_may_replace_latents(pipeline):
    seen = []

    def callback(pipe, step, timestep, kwargs):
        assert pipe is pipeline
        seen.append((kwargs["view"], step, int(timestep)))
        return {"latents": torch.zeros_like(kwargs["latents"])} if step == STEPS - 1 else kwargs

    views = pipeline(photo(), views=3, num_inference_steps=STEPS, callback_on_step_end=callback)
    assert seen == [(1, 0, 501), (1, 1, 1), (2, 0, 501), (2, 1, 1)]
    assert all(not view.latents.any() for view in views[1:])


def test_output_types(pipeline):
    made = {
        kind: pipeline(photo(), views=3, num_inference_steps=STEPS, output_type=kind) for kind in OUTPUT_TYPES
    }
    views = made["views"]
    size = pipeline.model.image_size
    assert made["pt"].shape == (3, 3, size, size)
    assert torch.equal(made["pt"], (views.images + 1) / 2)
    assert made["np"].shape == (3, size, size, 3)
    np.testing.assert_array_equal(made["np"][2].transpose(2, 0, 1), made["pt"][2].numpy())
    for image, view in zip(made["pil"], views, strict=True):
        np.testing.assert_array_equal(np.asarray(image), view.rgb)
    assert torch.equal(made["latent"], torch.stack([view.latents for view in views[1:]]))
    with pytest.raises(ValueError, match=r"output_type must be one of views, pil, np, pt, latent, got 'gif'"):
        pipeline(photo(), output_type="gif")


def test_offloading_has_one_network_on_the_device_at_a_time(small_checkpoint, monkeypatch):
    """And changes no pixel. The moves are counted; where they lead is a device's own matter."""
    pipeline = ViewFusionPipeline.from_pretrained(small_checkpoint[0], config=small_checkpoint[1])
    expected = pipeline(photo(), views=3, num_inference_steps=STEPS).images
    pipeline.enable_model_cpu_offload("cpu")
    model, there, moves = pipeline.model, [], []
    for name in ("unet", "vae", "image_encoder"):
        part = getattr(model, name)

        def moved(place, name=name, part=part, to=part.to):
            (there.remove if name in there else there.append)(name)
            moves.append(name)
            assert len(there) <= 1, "two networks at once"
            return to(place)

        monkeypatch.setattr(part, "to", moved)
    assert torch.equal(pipeline(photo(), views=3, num_inference_steps=STEPS).images, expected)
    assert moves.count("unet") == 4, "there and back for each of two views"
    assert not [name for name in model.state_dict() if "resident" in name]
    there.clear()
    moves.clear()
    pipeline.to("cpu")
    assert torch.equal(pipeline(photo(), views=3, num_inference_steps=STEPS).images, expected)
    assert not moves, "to() ends offloading"
