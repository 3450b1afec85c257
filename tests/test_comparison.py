"""Comparisons: are differences those worked out by hand, and is nothing compared that cannot be?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluations import METRICS, failed_object, made_up_results, made_up_run

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.comparison import compare
from viewfusion.evaluation.results import scores_of, write_results


def entry(name: str, psnr: list, lpips: list = ()) -> dict:
    """An object whose views 1, 2, ... scored these."""
    images = [{"view": i, "scores": {"psnr": value}} for i, value in enumerate(psnr, start=1)]
    for image, value in zip(images, lpips, strict=False):
        image["scores"]["lpips_vgg"] = value
    each = {"name": name, "status": "scored", "error": None, "notes": [], "images": images, "pairs": []}
    each["scores"] = {}
    return {**each, "scores": scores_of(each, METRICS)}


def evaluation(
    folder: Path, objects: list[dict], variant: str | None = None, data: str = "d", **settings
) -> Path:
    results = made_up_results(objects, variant, **settings)
    results["data"]["sha256"] = data * 64
    folder.mkdir(parents=True)
    write_results(folder, results)
    return folder


@pytest.fixture
def two(tmp_path):
    """Views differ by +1, +3 (chair) and 0 (lamp); the third of the chair has no value in the second run."""

    def make(**settings) -> list[Path]:
        first = [entry("chair", [10.0, 20.0, 50.0], [0.5, 0.5, 0.5]), entry("lamp", [30.0], [0.2])]
        second = [entry("chair", [11.0, 23.0, None], [0.2, 0.2, 0.2]), entry("lamp", [30.0], [0.3])]
        return [
            evaluation(tmp_path / "a", first, "zero123", **settings),
            evaluation(tmp_path / "b", second, "viewfusion", **settings),
        ]

    return make


def test_differences_are_of_the_views_that_both_have(two):
    found = compare(two())
    (rows,) = found.differences
    psnr = rows["psnr"]
    assert psnr.interval.mean == 1.0, "(2 + 0) / 2"
    assert (psnr.interval.low, psnr.interval.high) == (0.0, 2.0)
    assert (psnr.objects, psnr.better, psnr.worse, psnr.values, psnr.unpaired) == (2, 1, 0, 3, 1)
    assert rows["adjacent_sift"] is None
    assert found.objects == ("chair", "lamp")
    assert found.left_out == {}


def test_lower_is_better_where_the_metric_says_so(two):
    """The chair by -0.3, which is better; the lamp by +0.1, which is worse."""
    lpips = compare(two()).differences[0]["lpips_vgg"]
    assert lpips.interval.mean == pytest.approx(-0.1)
    assert (lpips.better, lpips.worse) == (1, 1)


def test_differences_are_averaged_as_the_protocol_averages(two):
    found = compare(two(averaging="values"))
    assert found.differences[0]["psnr"].interval.mean == pytest.approx(4 / 3), "(1 + 3 + 0) / 3"
    assert found.differences[0]["lpips_vgg"].interval.mean == pytest.approx((-0.9 + 0.1) / 4)


def test_a_small_difference_is_settled_on_objects_that_differ_much(tmp_path):
    objects = [[entry(f"object {i}", [10.0 * i + gain]) for i in range(8)] for gain in (0.0, 0.1)]
    first, second = (evaluation(tmp_path / str(i), each, str(i)) for i, each in enumerate(objects))
    found = compare([first, second])
    summaries = [summary["psnr"] for summary in found.summaries]
    assert summaries[0]["high"] - summaries[0]["low"] > 10
    assert found.differences[0]["psnr"].interval.excludes_zero
    assert found.differences[0]["psnr"].better == 8


def test_another_protocol_is_refused_by_its_settings(tmp_path):
    first = evaluation(tmp_path / "a", [entry("chair", [1.0])])
    second = evaluation(tmp_path / "b", [entry("chair", [1.0])], image={"size": 128, "background": "white"})
    with pytest.raises(ViewFusionError, match=r"another protocol .*differ in image\.size \(256, 128\);"):
        compare([first, second])


def test_a_hash_does_not_hide_other_settings(tmp_path):
    first = evaluation(tmp_path / "a", [entry("chair", [1.0])])
    second = made_up_results([entry("chair", [1.0])])
    second["protocol"]["settings"] = {**second["protocol"]["settings"], "averaging": "values"}
    write_results(tmp_path, second)
    with pytest.raises(ViewFusionError, match=r"averaging \(\"objects\", \"values\"\)"):
        compare([first, tmp_path])


def test_objects_that_only_one_has_are_listed(tmp_path):
    chair, lamp, mug = (entry(name, [1.0]) for name in ("chair", "lamp", "mug"))
    first = evaluation(tmp_path / "a", [chair, lamp], "one")
    second = evaluation(tmp_path / "b", [chair, mug, failed_object("lamp", "no views")], "two")
    with pytest.raises(ViewFusionError) as caught:
        compare([first, second])
    assert "lamp (failed in two), mug (not in one); --common compares the 1 that" in str(caught.value)
    found = compare([first, second], common=True)
    assert found.objects == ("chair",)
    assert found.left_out == {"lamp": "failed in two", "mug": "not in one"}
    assert [summary["psnr"]["objects"] for summary in found.summaries] == [1, 1]


def test_what_failed_in_every_run_is_told_and_not_refused(tmp_path):
    objects = [entry("chair", [1.0]), failed_object("lamp", "no views")]
    found = compare([evaluation(tmp_path / name, objects, name) for name in ("a", "b")])
    assert found.left_out == {"lamp": "failed in a, failed in b"}


def test_other_data_are_refused_or_noted(tmp_path):
    first = evaluation(tmp_path / "a", [entry("chair", [1.0])], "one")
    second = evaluation(tmp_path / "b", [entry("chair", [1.0])], "two", data="e")
    with pytest.raises(ViewFusionError, match=r"other data .*eeeeeeeeeeee.*--common compares the 1 obj"):
        compare([first, second])
    (note,) = compare([first, second], common=True).notes
    assert note.startswith("two was scored on other data (made-up, SHA-256 eeeeeeeeeeee) than one")


def test_runs_are_told_apart(tmp_path):
    def labels(*folders: Path) -> list[str]:
        return [each.label for each in compare(folders).runs]

    chair = [entry("chair", [1.0])]
    a, b = (evaluation(tmp_path / name, chair, name) for name in ("zero123", "viewfusion"))
    again = evaluation(tmp_path / "again", chair, "viewfusion")
    assert labels(a, b) == ["zero123", "viewfusion"]
    assert labels(b, again) == ["viewfusion, viewfusion", "viewfusion, again"]
    assert labels(b, b) == ["viewfusion (1)", "viewfusion (2)"]


@pytest.mark.parametrize("count", [1, 33])
def test_neither_one_run_nor_too_many(tmp_path, count):
    folder = evaluation(tmp_path / "a", [entry("chair", [1.0])])
    with pytest.raises(ViewFusionError, match=r"two runs or more|1 to 32 runs"):
        compare([folder] * count)


def test_the_command_prints_a_table(tmp_path, run):
    first = made_up_run(tmp_path / "a", variant="zero123", names=("cup", "duck"))
    second = made_up_run(tmp_path / "b", variant="viewfusion", gain=0.9, names=("cup", "duck"))
    code, out, _ = run("compare", first, second)
    assert code == 0
    assert "2 objects, baseline zero123" in out.replace("\n", " ")
    row = next(line for line in out.splitlines() if "higher is better" in line)
    assert "viewfusion" in row
    assert "+0." in row
    assert "2 of 2" in row


def test_one_object_is_one_object(tmp_path, run):
    folders = [made_up_run(tmp_path / name, variant=name, names=("cup",)) for name in ("a", "b")]
    code, out, _ = run("compare", *folders)
    assert (code, "1 object, baseline" in out) == (0, True), out


def test_the_command_prints_json_and_writes_a_report(tmp_path, run):
    folders = [made_up_run(tmp_path / name, variant=name, names=("cup",)) for name in ("a", "b")]
    code, out, _ = run("compare", *folders, "--json", "--out", tmp_path / "both.html")
    found = json.loads(out)
    assert code == 0
    assert [each["label"] for each in found["runs"]] == ["a", "b"]
    assert found["runs"][1]["differences"]["psnr"]["mean"] == 0.0
    assert "2 systems on made-up" in (tmp_path / "both.html").read_text()


def test_the_command_refuses_in_one_line(tmp_path, run):
    folder = made_up_run(tmp_path / "a", names=("cup",))
    for arguments in ((folder, tmp_path / "b"), (folder, folder, "--out", tmp_path / "x.pdf"), (folder,)):
        code, out, err = run("compare", *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
