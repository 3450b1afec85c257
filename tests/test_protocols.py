"""Protocols: do those that ship say what papers say, does a hash follow what decides, are typos told?"""

from __future__ import annotations

import re

import pytest

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.protocols import DEFAULT, load_protocol, protocol_names
from viewfusion.resources import resource_folder

PLAIN = "about: A trial.\ntask: ring\nmetrics: {psnr: {}}\n"


def written(tmp_path, text: str, name: str = "trial.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_those_that_ship_can_be_loaded_and_are_told_apart():
    protocols = [load_protocol(name) for name in protocol_names()]
    assert {each.name for each in protocols} >= {DEFAULT, "viewfusion-nvs", "syncdreamer", "mesh-viewfusion"}
    assert [each.name for each in protocols] == protocol_names()
    assert len({each.sha256 for each in protocols}) == len(protocols)
    assert all(len(each.about) > 80 and each.source for each in protocols)


@pytest.mark.parametrize(
    ("name", "task", "views", "lpips", "averaging", "data_range"),
    [  # DESIGN, section 7
        ("viewfusion-nvs", "targets", 12, "lpips_vgg", "values", 1.0),
        ("syncdreamer", "ring", 16, "lpips_vgg", "values", None),
        ("eschernet", "targets", 25, "lpips_alex", "values", 1.0),
    ],
)
def test_what_papers_measure(name, task, views, lpips, averaging, data_range):
    protocol = load_protocol(name)
    assert (protocol.task, protocol.views, protocol.size, protocol.background) == (task, views, 256, "white")
    assert set(protocol.metrics) == {"psnr", "ssim", lpips}
    assert protocol.averaging == averaging
    assert protocol.metrics["ssim"].get("data_range", 1.0) == data_range


@pytest.mark.parametrize("name", ["viewfusion-consistency", "viewfusion-consistency-16"])
def test_consistency_averages_matches_by_object_and_the_rest_by_pair(name):
    """DESIGN, section 7: SIFT is the mean per object, then over objects; LPIPS and CLIP over all pairs."""
    protocol = load_protocol(name)
    ways = {key: each.get("averaging", protocol.averaging) for key, each in protocol.metrics.items()}
    assert ways == {"adjacent_sift": "objects", "adjacent_lpips_vgg": "values", "adjacent_clip": "values"}


def test_published_numbers_stand_with_their_protocol():
    scores = {each["system"]: each["scores"] for each in load_protocol("viewfusion-nvs").published}
    assert scores["ViewFusion"] == {"psnr": 20.73, "ssim": 0.8820, "lpips_vgg": 0.0958}
    spun = {each["system"]: each["scores"] for each in load_protocol("viewfusion-consistency").published}
    assert spun["Zero123"] == {"adjacent_sift": 15.20, "adjacent_lpips_vgg": 0.1056, "adjacent_clip": 0.9592}


@pytest.mark.parametrize("name", [name for name in protocol_names() if not name.startswith("mesh-")])
def test_every_value_says_whose_it_is(name):
    """Beside it, "source: ..." or "ours: ..."; the protocol of our own data says so once."""
    text = (resource_folder("configs") / "protocols" / f"{name}.yaml").read_text().partition("published:")[0]
    values = re.findall(r"^(?:task|views|input|size|background|averaging|  [a-z_]+): .*", text, re.M)
    assert len(values) >= 6 + len(load_protocol(name).metrics)
    bare = [line for line in values if not re.search(" # (source|ours)", line)]
    assert not bare or "All values\n# are ours." in text


def test_a_hash_follows_what_decides_a_number_and_not_the_prose(tmp_path):
    first = load_protocol(written(tmp_path, PLAIN))
    prose = load_protocol(written(tmp_path, PLAIN.replace("A trial", "In other words") + "source: a paper\n"))
    assert first.sha256 == prose.sha256
    for change in ("size: 128\n", "averaging: objects\n", "views: 8\n", "name: other\n"):
        assert load_protocol(written(tmp_path, PLAIN + change)).sha256 != first.sha256
    assert first.name == "trial"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PLAIN + "sise: 64\n", "unknown key 'sise'; did you mean 'size'?"),
        (PLAIN + "size: 8\n", "size must be 16 to 2048 pixels, got '8'"),
        (PLAIN + "size: true\n", "size must be"),
        (PLAIN + "views: 1\n", "views must be 2 to 1000"),
        (PLAIN + "averaging: median\n", "averaging must be one of objects, values"),
        (PLAIN.replace("ring", "rings"), "task must be one of"),
        (PLAIN.replace("psnr", "pnsr"), "unknown metric 'pnsr'; did you mean 'psnr'?"),
        (PLAIN.replace("psnr: {}", "psnr: {peak: 1}"), "metric psnr has no setting 'peak'"),
        (
            PLAIN.replace("psnr: {}", "psnr: {network: raft}"),
            "metric psnr has no setting 'network'; optional",
        ),
        (
            PLAIN.replace("psnr: {}", "psnr: {optional: often}"),
            "optional of metric psnr must be one of False",
        ),
        (
            PLAIN.replace("psnr: {}", "flow_warp_error: {network: raff}"),
            "network of metric flow_warp_error must be one of rife, raft, got 'raff'",
        ),
        (
            PLAIN.replace("psnr: {}", "psnr: {averaging: mode}"),
            "averaging of metric psnr must be one of objects",
        ),
        (PLAIN.replace("ring", "spin"), "metric psnr is for targets or ring, not for task spin"),
        (PLAIN.replace("ring", "spin").replace("psnr", "adjacent_sift"), "views is missing"),
        (PLAIN.replace("{psnr: {}}", "{}"), "metrics names none"),
        (PLAIN.replace("{psnr: {}}", "[psnr]"), "metrics must be a mapping"),
        ("task: ring\nmetrics: {psnr: {}}\n", "about is missing"),
        (PLAIN + "published: [{system: us}]\n", "published must be a list"),
        (PLAIN + "name: ''\n", "name must be a name of at most 200 characters"),
        (PLAIN.replace("psnr: {}", "ssim: {borders: 'no'}"), "borders of metric ssim must be true or false"),
        (
            PLAIN.replace("psnr: {}", "ssim: {data_range: '1.0'}"),
            "data_range of metric ssim must be null or a",
        ),
        (
            PLAIN + "published: [{system: us, checkpoint: 5, data: x, scores: {}, source: y}]\n",
            "published must be a list",
        ),
        (
            PLAIN + "published: [{system: us, checkpoint: x, data: x, scores: {PSNR: 20.1}, source: y}]\n",
            "published must be a list",
        ),
        ("- a list\n", "a protocol"),
        ("", "a protocol"),
        ("about: !!python/object/apply:os.system [ls]\n", "not YAML of plain values"),
    ],
)
def test_a_typo_is_told_with_the_file(tmp_path, text, told):
    path = written(tmp_path, text)
    with pytest.raises(ViewFusionError) as refused:
        load_protocol(path)
    assert str(refused.value).startswith(str(path))
    assert told in str(refused.value)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ViewFusionError, match=r"no protocol 'syncdremer'; did you mean 'syncdreamer'\?"):
        load_protocol("syncdremer")
    with pytest.raises(ViewFusionError, match="cannot be opened"):
        load_protocol("nowhere.yaml")
