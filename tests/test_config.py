"""Presets and settings: what they say, and that nonsense is refused in one line."""

from __future__ import annotations

import json
import math

import pytest

from viewfusion.config import PRESETS, Config, FusionConfig, SamplingConfig, changed, load_config
from viewfusion.errors import ViewFusionError
from viewfusion.fusion import FusionRules
from viewfusion.resources import resource_folder
from viewfusion.solvers import SOLVERS, SPACED

DDIM = ("sampling.solver=ddim", "sampling.spacing=timesteps")


def refusal(*overrides: str, preset=None) -> str:
    """The one line with which a preset, or overrides to DDIM, are refused."""
    with pytest.raises(ViewFusionError) as caught:
        load_config(preset, overrides if preset else [*DDIM, *overrides])
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 400
    return text


def departures(config: Config) -> dict:
    """Dotted name -> value of everything that is not the dataclass's default."""

    def flat(values, prefix=""):
        for key, value in values.items():
            if isinstance(value, dict):
                yield from flat(value, f"{prefix}{key}.")
            else:
                yield prefix + key, value

    defaults = dict(flat(Config().to_dict()))
    return {key: value for key, value in flat(config.to_dict()) if value != defaults[key]}


# Presets


def test_every_preset_is_a_file_and_every_file_a_preset():
    assert sorted(path.stem for path in resource_folder("configs").glob("*.yaml")) == sorted(PRESETS)


def test_without_a_preset_nothing_is_chosen():
    assert load_config() == Config()
    assert set(vars(load_config().sampling).values()) == {None, 0.0, 1.0, "shared"}


def test_balanced_departs_in_the_solver_alone():
    assert departures(load_config("balanced")) == {
        "sampling.solver": "dpm++-sde",
        "sampling.spacing": "karras",
        "sampling.plain_steps": 20,
        "sampling.leap_steps": 10,
    }


def test_fast_departs_in_the_solver_and_in_what_it_looks_at():
    assert departures(load_config("fast")) == {
        "sampling.solver": "dpm++",
        "sampling.spacing": "karras",
        "sampling.plain_steps": 15,
        "sampling.leap_steps": 4,
        "fusion.max_references": 8,
    }


def test_reference_departs_where_the_released_code_does():
    config = load_config("reference")
    assert departures(config) == {
        "views": 36,
        "sampling.solver": "ddim-reference",
        "sampling.num_inference_steps": 75,
        "sampling.guidance_scale": 3.0,
        "sampling.noise": "independent",
    }
    assert (config.sampling.eta, config.sampling.guidance_scale) == (1.0, 3.0)


def test_the_defaults_are_the_methods():
    assert Config().rules() == FusionRules()
    fusion = FusionConfig(90.0, 0.2, 0.7, "pi", "stochastic", 0.01, 9)
    assert Config(fusion=fusion).rules() == FusionRules(math.pi / 2, 0.2, 0.7, "pi", "stochastic", 0.01, 9)


def test_a_config_is_json():
    assert json.loads(json.dumps(Config().to_dict())) == Config().to_dict()


# Overrides


def test_overrides_are_converted_to_the_type_of_the_default():
    config = load_config(
        "balanced", ["views=12", "elevation_deg=20", "sampling.eta=1e-3", "fusion.weight_form=pi"]
    )
    assert (config.views, config.elevation_deg, config.sampling.eta) == (12, 20.0, 0.001)
    assert type(config.elevation_deg) is float
    assert config.fusion.weight_form == "pi"
    assert isinstance(config.sampling, SamplingConfig)


def test_the_last_word_counts():
    assert load_config("reference", ["views=8", "views=10"]).views == 10


def test_an_override_leaves_its_neighbours_alone():
    config = load_config("fast", ["sampling.guidance_scale=1.5"])
    assert (config.sampling.solver, config.sampling.guidance_scale) == ("dpm++", 1.5)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("view=3", "unknown key 'view'; did you mean 'views'?"),
        ("sampling.guidence_scale=3", "'sampling.guidence_scale'; did you mean 'guidance_scale'?"),
        ("zzzzzz=3", "known: views, seed, elevation_deg"),
        ("=3", "unknown key ''"),
        ("sampling..eta=1", "unknown key 'sampling.'"),
        ("views", "must look like key=value"),
        ("views.x=3", "views must be a number or a word"),
        ("sampling=fast", "sampling holds keys of its own: solver, "),
        ("sampling.eta.x=1", "sampling.eta must be a number"),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest_known_one(override, words):
    assert words in refusal(override)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("views=many", "views"),
        ("views=2.5", "views"),
        ("fusion.max_references=2.5", "max_references"),
        ("views=true", "views"),
        ("views=", "views must be a number"),
        ("views=null", "views must be a number"),
        ("views=[3]", "views must be a number"),
        ("views=2024-01-01", "views must be a number"),
        ("views=[3", "not YAML"),
        ("views=!!python/object/apply:os.getcwd []", "not YAML"),
        ("seed=${views}", "seed must be a number"),
        ("sampling.solver=${oc.env:PATH}", "sampling.solver must be a number or a word"),
        ("seed=???", "seed must be a number"),
        ("sampling.eta=yes", "sampling.eta"),
        ("radius=wide", "radius"),
        ("elevation_deg=" + "1" * 400, "too large"),
        ("elevation_deg=" + "1" * 5000, "not YAML"),
        ("radius=0x" + "f" * 9000, "too large"),
        ("vi\news=3", "unknown key"),
        ("sampling.solver=" + "m" * 5000, "sampling.solver must be one of"),
    ],
)
def test_values_of_another_type_are_refused(override, words):
    assert words in refusal(override)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("views=0", "views must be 2 to 1000, the input among them, got 0"),
        ("views=1", "views must be 2 to 1000"),
        ("views=1001", "views must be 2 to 1000"),
        ("seed=-1", "seed must be 0 to"),
        ("seed=9223372036854775808", "seed must be 0 to"),
        ("elevation_deg=nan", "elevation_deg must be a finite number, got nan"),
        ("elevation_deg=.inf", "elevation_deg must be a finite number, got inf"),
        ("elevation_deg=90.5", "elevation_deg must be -90 to 90"),
        ("radius=0", "radius must be 0.001 to 1000"),
        ("radius=-1", "radius must be 0.001 to 1000"),
        ("radius=1e17", "radius must be 0.001 to 1000"),
        ("radius=inf", "radius must be a finite number"),
        ("sampling.num_inference_steps=0", "num_inference_steps must be 1 to 999"),
        ("sampling.num_inference_steps=1000", "num_inference_steps must be 1 to 999"),
        ("sampling.plain_steps=0", "sampling.plain_steps must be 1 to 999"),
        ("sampling.leap_steps=1", "sampling.leap_steps must be 2 to 999"),
        ("sampling.guidance_scale=nan", "sampling.guidance_scale must be a finite number"),
        ("sampling.leap_sigma=-1", "sampling.leap_sigma must be 0 .no leap. or more"),
        ("sampling.leap_sigma=nan", "sampling.leap_sigma must be a finite number"),
        ("sampling.leap_sigma=0.3", "leap_sigma must be 0, or spacing karras with one of dpm"),
        ("sampling.eta=-0.1", "sampling.eta must be 0 .no noise. to 1"),
        ("sampling.eta=1.02", "sampling.eta must be 0 .no noise. to 1, got 1.02"),
        ("sampling.eta=nan", "sampling.eta must be a finite number"),
        ("sampling.guidance_low=-0.1", "sampling.guidance_low must be 0 .clean. to 1 .pure noise., got -0.1"),
        ("sampling.guidance_low=nan", "sampling.guidance_low must be a finite number"),
        ("sampling.guidance_high=1.5", "sampling.guidance_high must be from guidance_low, 0, to 1, got 1.5"),
        ("sampling.guidance_low=1.1", "sampling.guidance_low must be 0"),
        ("sampling.reuse_steps=0", "sampling.reuse_steps must be 1 or more"),
        ("fusion.min_weight=-0.1", "fusion.min_weight must be 0 to less than 1"),
        ("fusion.min_weight=1", "fusion.min_weight must be 0 to less than 1"),
        ("fusion.min_weight=nan", "fusion.min_weight must be a finite number"),
        ("fusion.max_references=0", "fusion.max_references must be 1 or more"),
        ("sampling.solver=dimm", "sampling.solver must be one of .* got 'dimm'; did you mean 'ddim'"),
        ("sampling.noise=none", "sampling.noise must be one of shared, independent"),
        ("fusion.window_deg=0", "fusion.window_deg must be more than 0"),
        ("fusion.input_temperature=0", "fusion.input_temperature must be 0.000001 or more"),
        ("fusion.input_temperature=1e-320", "fusion.input_temperature must be 0.000001 or more"),
        ("fusion.reference_temperature=-1", "fusion.reference_temperature must be 0.000001 or more"),
        ("fusion.reference_temperature=nan", "fusion.reference_temperature must be a finite number"),
        ("fusion.weight_form=mean", "fusion.weight_form must be one of max, pi"),
        (
            "fusion.variant=stocastic",
            "fusion.variant must be one of viewfusion, .* did you mean 'stochastic'",
        ),
    ],
)
def test_impossible_values_are_refused(override, words):
    with pytest.raises(ViewFusionError, match=words):
        load_config(overrides=[*DDIM, override])


def test_what_is_drawn_for_a_step_is_not_reused():
    with pytest.raises(ViewFusionError, match="reuse_steps must be 1 with the variant stochastic, got 2"):
        load_config(overrides=[*DDIM, "sampling.reuse_steps=2", "fusion.variant=stochastic"])


def test_guidance_ends_above_where_it_begins():
    with pytest.raises(ViewFusionError, match=r"guidance_high must be from guidance_low, 0.5, to 1, got 0.4"):
        load_config(overrides=[*DDIM, "sampling.guidance_low=0.5", "sampling.guidance_high=0.4"])


@pytest.mark.parametrize("override", ["views=2", "views=1000", "elevation_deg=-90", "sampling.eta=0"])
def test_the_limits_themselves_are_taken(override):
    load_config(overrides=[*DDIM, override])


def test_the_released_timesteps_need_two_steps():
    assert "2 to 999" in refusal("sampling.num_inference_steps=1", preset="reference")
    assert load_config(overrides=[*DDIM, "sampling.num_inference_steps=1"]).sampling.num_inference_steps == 1


def test_the_only_step_of_euler_would_be_the_least_noise():
    settings = ["sampling.solver=euler", "sampling.spacing=karras"]
    assert "2 to 1000" in refusal(*settings, "sampling.num_inference_steps=1")
    assert load_config(overrides=[*settings, "sampling.num_inference_steps=2"])


def test_what_a_preset_says_can_be_opened_again():
    assert load_config("fast").fusion.max_references == 8
    opened = load_config("fast", ["fusion.max_references=null", "sampling.plain_steps=null"])
    assert (opened.fusion.max_references, opened.sampling.plain_steps) == (None, None)
    assert "views must be a number or a word" in refusal("views=null")


def test_a_changed_copy_shares_nothing():
    before = load_config()
    after = changed(before, seed=1)
    after.sampling.eta, after.fusion.window_deg = 0.5, 90
    assert before == load_config()


# Files


def test_a_preset_may_be_a_file(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text("views: 9\nsampling: {eta: 0}\n")
    config = load_config(path)
    assert departures(config) == {"views": 9, "sampling.eta": 0.0}
    assert load_config(str(path), ["views=4"]).views == 4


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_preset_is_the_defaults(tmp_path, text):
    path = tmp_path / "empty.yaml"
    path.write_text(text)
    assert load_config(path) == Config()


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("ballanced", "did you mean 'balanced'?"),
        ("nothing-like-it", "use one of fast, balanced, reference, or a .yaml file"),
        ("absent.yaml", "no preset 'absent.yaml'"),
        ("", "no preset ''"),
        (".", "no preset '.'"),
        ("a\0b.yaml", "no preset"),
        ("x" * 5000 + ".yaml", "no preset"),
    ],
)
def test_an_unknown_preset_is_refused(preset, words):
    assert words in refusal(preset=preset)


BOMB = "a: &a [1, 1]\n" + "\n".join(f"{b}: &{b} [*{a}, *{a}]" for a, b in zip("abcde", "bcdef", strict=True))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[1, 2]", "expected keys and values"),
        (b"3", "expected keys and values"),
        (b"just words", "expected keys and values"),
        (b"!!set {a, b}", "expected keys and values"),
        (b"views: [", "not YAML"),
        (b"views: 3\n---\nviews: 4", "not YAML"),
        (b"views: 3\nviews: 4", "a key stands twice"),
        (b"views: !!python/object/apply:os.getcwd []", "not YAML"),
        (b"views: !!python/name:os.getcwd", "not YAML"),
        (b"? [a]\n: 2", "not YAML"),
        (b"views: &n 3\nseed: *n", "aliases"),
        (BOMB.encode(), "aliases"),
        (b"sampling: &s {eta: *s}", "aliases"),
        (b"[" * 5000, "nested too deeply"),
        (b"sampling: {eta: " + b"[" * 400 + b"]" * 400 + b"}", "sampling.eta must be a number"),
        (b"- " * 3000 + b"a", "nested too deeply"),
        (b"#" * 2**19, "too large"),
        (b"\x00\x01\x02", "not YAML"),
        (b"\x89PNG\r\n\x1a\n\xff", "not a YAML file"),
        (b"1: 2", "unknown key '1'"),
        (b"null: 2", "unknown key"),
        (b"vews: 3", "unknown key 'vews'; did you mean 'views'?"),
        (b"sampling: null", "sampling holds keys of its own"),
        (b"sampling: [1]", "sampling holds keys of its own"),
        (b"views: ???", "views must be a number"),
        (b"views: ${seed}", "views must be a number"),
        (b"views: {a: 1}", "views must be a number"),
        (b"views: !!binary aGk=", "views must be a number"),
        (b"views: 1", "odd.yaml: views must be 2 to 1000"),
        # PyYAML's constructors raise KeyError, IndexError, AttributeError and OverflowError over these.
        (b"views: !!bool many", "not YAML"),
        (b"views: !!int ''", "not YAML"),
        (b"radius: !!float '_'", "not YAML"),
        (b"views: !!timestamp soon", "not YAML"),
        (b"radius: " + b"1:" * 400 + b"1.5", "not YAML"),
        (b"radius: " + b"1:" * 9000 + b"1", "too large a number"),
        (b"0x" + b"f" * 900 + b": 1", "too large a number"),
    ],
)
def test_a_file_that_is_no_preset_is_refused(tmp_path, monkeypatch, content, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.yaml").write_bytes(content)
    assert words in refusal(preset="odd.yaml")


def test_a_preset_that_cannot_be_opened_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    assert "no preset 'folder.yaml'" in refusal(preset="folder.yaml")


# Changes from Python


def test_changed_makes_a_checked_copy():
    before = Config()
    after = changed(before, views=36, sampling=SamplingConfig(eta=0.0))
    assert (after.views, after.sampling.eta) == (36, 0.0)
    assert before == Config()
    assert changed(before) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"view": 3}, "unknown setting 'view'; did you mean 'views'"),
        ({"qqqq": 3}, "known: views, seed"),
        ({"views": 1}, "views must be 2 to 1000"),
        ({"views": 2.5}, "views must be a whole number, got 2.5"),
        ({"views": True}, "views must be a whole number, got True"),
        ({"views": "8"}, "views must be a whole number, got 8"),
        ({"views": None}, "views must be a whole number, got None"),
        ({"radius": "1"}, "radius must be a number, got 1"),
        ({"elevation_deg": math.nan}, "elevation_deg must be a finite number"),
        ({"sampling": "fast"}, "sampling must be a SamplingConfig, got fast"),
        ({"sampling": SamplingConfig(eta="1")}, "sampling.eta must be a number"),
        ({"sampling": SamplingConfig(solver=3)}, "sampling.solver must be a word"),
        ({"fusion": {"window_deg": 90}}, "fusion must be a FusionConfig"),
    ],
)
def test_changed_refuses_what_cannot_work(changes, words):
    with pytest.raises(ViewFusionError, match=words):
        changed(Config(), **changes)


def test_a_solver_that_draws_its_own_noise_shares_it():
    with pytest.raises(
        ViewFusionError, match=r"noise must be shared with the solver euler-ancestral, got ind"
    ):
        load_config(overrides=[*DDIM, "sampling.solver=euler-ancestral", "sampling.noise=independent"])


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name not in SPACED])
def test_a_spacing_that_a_solver_cannot_have(solver):
    with pytest.raises(ViewFusionError, match=f"sampling.spacing must be timesteps with the solver {solver}"):
        load_config(overrides=[*DDIM, f"sampling.solver={solver}", "sampling.spacing=karras"])


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_can_be_named(solver):
    assert load_config(overrides=[*DDIM, f"sampling.solver={solver}"]).sampling.solver == solver
