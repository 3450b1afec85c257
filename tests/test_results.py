"""Results: do they come back as they were, are means those worked out by hand, are lies refused?"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation import results as module
from viewfusion.evaluation.metrics import bootstrap_interval, paired_interval
from viewfusion.evaluation.results import read_results, scores_of, summarise, write_results

METRICS = {
    "psnr": {
        "title": "PSNR",
        "unit": "dB",
        "better": "higher",
        "of": "images",
        "settings": {},
        "library": "",
    },
    "adjacent_sift": {"title": "SIFT", "unit": "matches", "better": "higher", "of": "pairs"},
    "loop_closure": {"title": "Loop", "unit": "", "better": "lower", "of": "object"},
}


def entry(name: str, psnr: list, sift: list = (), loop: float | None = None) -> dict:
    """An object that scored these."""
    each = {
        "name": name,
        "status": "scored",
        "error": None,
        "scores": {"loop_closure": loop},
        "images": [
            {"view": i + 1, "azimuth_deg": 22.5 * (i + 1), "scores": {"psnr": p}} for i, p in enumerate(psnr)
        ],
        "pairs": [
            {"views": [i, i + 1], "azimuth_deg": 22.5 * i, "scores": {"adjacent_sift": s}}
            for i, s in enumerate(sift)
        ],
        "notes": [],
    }
    each["scores"] = scores_of(each, METRICS)
    return each


def failed(name: str, error: str) -> dict:
    lists = {key: [] for key in ("images", "pairs", "notes")}
    return {"name": name, "status": "failed", "error": error, "scores": {}, **lists}


def results(objects: list[dict], averaging: str = "objects") -> dict:
    settings = {"size": 256, "averaging": averaging}
    return {
        "schema": 1,
        "kind": "viewfusion-results",
        "viewfusion": "0.1.0",
        "protocol": {"name": "trial", "sha256": "a" * 64, "about": "A trial.", "settings": settings},
        "system": {"name": "viewfusion", "variant": None, "checkpoint": None, "config": None},
        "data": {"name": "made up", "layout": "viewfusion", "objects": len(objects), "sha256": "b" * 64},
        "metrics": METRICS,
        "objects": objects,
        "summary": summarise(objects, METRICS, averaging),
    }


OBJECTS = [entry("chair", [10.0, 20.0, None], [4.0], 0.5), entry("lamp", [30.0]), failed("mug", "no views")]


def test_the_mean_of_objects_and_of_values():
    """chair: (10 + 20) / 2 = 15; lamp: 30. Objects: 22.5. Values: (10 + 20 + 30) / 3 = 20. One is missing."""
    of_objects = summarise(OBJECTS, METRICS, "objects")["psnr"]
    of_values = summarise(OBJECTS, METRICS, "values")["psnr"]
    assert (of_objects["mean"], of_values["mean"]) == (22.5, 20.0)
    for found in (of_objects, of_values):
        assert (found["objects"], found["values"], found["missing"], found["level"]) == (2, 3, 1, 0.95)
        assert (found["low"], found["high"]) == (15.0, 30.0), (
            "both drawings of one object twice are that likely"
        )


def test_a_metric_may_be_averaged_in_its_own_way():
    metrics = {**METRICS, "psnr": {**METRICS["psnr"], "averaging": "values"}}
    assert summarise(OBJECTS, metrics, "objects")["psnr"]["mean"] == 20.0


def test_pairs_and_objects_are_counted_as_such():
    found = summarise(OBJECTS, METRICS, "objects")
    assert {key: found["adjacent_sift"][key] for key in ("mean", "low", "objects", "values")} == {
        "mean": 4.0, "low": 4.0, "objects": 1, "values": 1,
    }  # fmt: skip
    assert (found["loop_closure"]["mean"], found["loop_closure"]["missing"]) == (0.5, 1)


def test_without_values_there_is_no_mean():
    found = summarise([entry("chair", [None]), failed("mug", "no views")], METRICS, "objects")["psnr"]
    assert (found["mean"], found["low"], found["high"], found["missing"]) == (None, None, None, 1)


def test_weights_are_repetitions():
    """An object that counts double is not two objects: the same mean, a wider interval."""
    once = bootstrap_interval([1.0, 2.0, 2.0])
    double = bootstrap_interval([1.0, 2.0], weights=[1, 2])
    assert double.mean == pytest.approx(once.mean)
    assert double.low <= once.low < double.mean
    assert bootstrap_interval([1.0, 5.0, 7.0], weights=[3, 3, 3]) == bootstrap_interval([1.0, 5.0, 7.0])
    assert paired_interval([3.0, 8.0], [1.0, 2.0], weights=[1, 3]).mean == 5.0
    for wrong in ([1.0], [1.0, 0.0], [1.0, float("nan")]):
        with pytest.raises(ViewFusionError, match="weights"):
            bootstrap_interval([1.0, 2.0], weights=wrong)


def test_many_objects_are_drawn_in_parts(monkeypatch):
    values = [float(i % 7) for i in range(100)]
    whole = bootstrap_interval(values)
    monkeypatch.setattr("viewfusion.evaluation.metrics.bootstrap._AT_ONCE", 1000 * 100)
    parts = bootstrap_interval(values)
    assert (parts.low, parts.high) == (whole.low, whole.high)


def test_results_come_back(tmp_path):
    wanted = results(OBJECTS, "values")
    write_results(tmp_path, wanted)
    assert read_results(tmp_path) == json.loads(json.dumps(wanted))
    lines = (tmp_path / "results.json").read_text().splitlines()
    assert sum(line.startswith("{") and '"name": "chair"' in line for line in lines) == 1, "an object a line"
    before = (tmp_path / "results.json").read_bytes()
    write_results(tmp_path, read_results(tmp_path))
    assert (tmp_path / "results.json").read_bytes() == before


def test_names_that_are_no_unicode_come_back(tmp_path):
    write_results(tmp_path, results([entry("st\udcfchl", [1.0])]))
    assert read_results(tmp_path)["objects"][0]["name"] == "st\udcfchl"
    assert "st\\udcfchl" in (tmp_path / "results.csv").read_text()


def test_the_table_has_a_row_for_each_object_view_and_pair(tmp_path):
    write_results(tmp_path, results([*OBJECTS, entry('=SUM("1,2")\n', [1.5])]))
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["of"] for row in rows] == [
        "object",
        "image",
        "image",
        "image",
        "pair",
        "object",
        "image",
        "object",
        "object",
        "image",
    ]
    assert [row["psnr"] for row in rows[:5]] == ["15.0", "10.0", "20.0", "", ""]
    assert (rows[4]["view"], rows[4]["next_view"], rows[4]["adjacent_sift"]) == ("0", "1", "4.0")
    assert (rows[2]["azimuth_deg"], rows[2]["elevation_deg"]) == ("45.0", "")
    assert (rows[7]["status"], rows[7]["error"]) == ("failed", "no views")
    assert rows[8]["object"] == '\'=SUM("1,2")\n', "no formula for a spreadsheet"


def changed(path: str, value: object) -> dict:
    """Sound results with ``value`` at ``path``, keys and places divided by dots."""
    content = json.loads(json.dumps(results(OBJECTS)))
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    holder = content
    for step in steps:
        holder = holder[step]
    if value is KeyError:
        del holder[last]
    else:
        holder[last] = value
    return content


DEEP: list = []
for _ in range(40):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("kind", "viewfusion-run", "not the results of an evaluation"),
        ("schema", 2, "schema 2, where this viewfusion reads 1"),
        ("schema", True, "schema True"),
        ("objects", KeyError, "objects is missing"),
        ("objects", {}, "objects must be a list"),
        ("protocol.sha256", "../..", "protocol.sha256 must be a SHA-256"),
        ("protocol.settings.averaging", "median", "averaging must be one of objects, values, got 'median'"),
        ("protocol.settings.deep", DEEP, "is nested more than 16 deep"),
        (
            "protocol.settings.published",
            [{"system": "x", "scores": {"psnr": "good"}}],
            "must be a finite number",
        ),
        ("system.config", {"seed": 10**20}, "system.config.seed is too large a number"),
        ("metrics.psnr.better", "larger", "metrics.psnr.better must be one of higher, lower"),
        ("metrics.psnr.of", ["images"], "metrics.psnr.of must be one of images, pairs, object"),
        ("metrics.<b>", {}, "must be the name of a metric"),
        ("objects.0.name", "../escape", "objects.0.name must be the name of a folder"),
        ("objects.0.name", ".hidden", "must be the name of a folder"),
        ("objects.0.name", "a\\b", "must be the name of a folder"),
        ("objects.0.name", "\u00fc" * 121, "must be the name of a folder"),
        ("objects.1.name", "chair", "objects.1.name stands twice: 'chair'"),
        ("objects.0.status", "skipped", "must be one of scored, failed"),
        ("objects.0.error", "why", "objects.0.error must say why the object failed, or be null"),
        ("objects.2.error", None, "objects.2.error must say why the object failed"),
        ("objects.2.scores", {"psnr": 99.0}, "must have no scores"),
        ("objects.0.images.0.view", True, "objects.0.images.0.view must be a whole number"),
        ("objects.0.images.0.view", 2, "objects.0 has a view twice"),
        ("objects.0.images.0.scores.psnr", "17", "must be a finite number, got '17'"),
        ("objects.0.images.0.scores.fid", 1.0, "is not among the metrics: 'fid'"),
        ("objects.0.pairs.0.views", [0], "must be a list of 2 to 2"),
        ("objects.0.scores.psnr", 25.0, "is not the mean of the object's psnr"),
        ("summary.psnr.mean", 25.0, "summary.psnr.mean is 25.0 where the objects give 22.5"),
        ("summary.psnr.objects", 3, "summary.psnr.objects is 3 where the objects give 2"),
        ("summary.psnr.low", 31.0, "summary.psnr is no interval from low to high"),
        ("summary.psnr", KeyError, "psnr stands in one of metrics and summary"),
    ],
)
def test_results_that_lie_are_refused_in_one_line(tmp_path, path, value, message):
    (tmp_path / "results.json").write_text(json.dumps(changed(path, value)))
    with pytest.raises(ViewFusionError) as caught:
        read_results(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "not the results of an evaluation"),
        (b'{"kind": NaN}', "NaN is not a number"),
        (b'{"kind": ' + b"[" * 100_000, "not JSON"),
        (b'{"kind": ' + b"9" * 100_000 + b"}", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (
            b'{"kind": "viewfusion-results", "schema": ' + b'{"a":' * 20 + b"1" + b"}" * 21,
            "schema an object of 1",
        ),
    ],
)
def test_what_is_no_results_file_is_refused(tmp_path, content, message):
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(ViewFusionError, match=message):
        read_results(tmp_path)


def test_infinity_written_as_a_number_is_refused(tmp_path):
    text = json.dumps(results(OBJECTS)).replace("10.0", "1e999", 1)
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ViewFusionError, match=r"images\.0\.scores\.psnr must be a finite number, got inf"):
        read_results(tmp_path)


def test_too_large_a_file_is_not_parsed(tmp_path, monkeypatch):
    write_results(tmp_path, results(OBJECTS))
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(ViewFusionError, match="larger than"):
        read_results(tmp_path)
    with pytest.raises(ViewFusionError, match="evaluate fewer objects at once"):
        write_results(tmp_path, results(OBJECTS))


@pytest.mark.parametrize("name", ["missing", "empty", "folder"])
def test_a_folder_without_results_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder/results.json").mkdir(parents=True)
    wanted = "no such folder" if name == "missing" else "there is no results.json"
    with pytest.raises(ViewFusionError, match=wanted) as caught:
        read_results(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_what_would_not_be_read_is_not_written(tmp_path):
    with pytest.raises(ViewFusionError, match="stands twice"):
        write_results(tmp_path, results([entry("chair", [1.0]), entry("chair", [1.0])]))
    with pytest.raises(ValueError, match="JSON compliant"):
        write_results(tmp_path, changed("objects.0.images.0.scores.psnr", float("nan")))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ViewFusionError, match="no such folder"):
        read_results(Path(tmp_path / "file"))
