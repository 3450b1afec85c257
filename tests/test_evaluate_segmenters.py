"""The tool behind docs/preprocessing.md: are photos, scores and tables what it says?"""

from __future__ import annotations

import io
import json
import math
import sys

import evaluate_segmenters
import numpy as np
import pytest
from evidence.command import DOCS
from evidence.subjects import Procedural
from objects import SPLITS, random_object
from PIL import Image
from segmentation import composites
from segmentation.bench import Bench, ask_registry
from segmentation.composites import GROUNDS, ORDER, composite
from segmentation.photographs import CREDITS, photographs
from segmentation.report import write_report
from segmentation.results import Confidence, Results, rank_correlation
from segmentation.scores import scores

from viewfusion import ViewFusionError
from viewfusion.preprocessing.segmenters import Segmentation

SUBJECTS = [Procedural(SPLITS["validation"] + number) for number in range(len(ORDER))]


@pytest.fixture(scope="module", autouse=True)
def small():
    """Objects of 96 pixels: the tool's own take a second each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composites, "OBJECT_SIDE", 96)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two of the photographs that are known by name; here they are of blue and green noise."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0).integers(0, 60, (300, 400, 3), np.uint8)
    for name, tint in (("brick.png", (0, 0, 150)), ("grass.png", (0, 150, 0))):
        Image.fromarray(noise + np.uint8(tint)).save(folder / name)
    Image.fromarray(noise).save(folder / "somebody.png")
    return photographs([folder])


@pytest.fixture(scope="module")
def cases(photos):
    return [composite(number, subject, photos) for number, subject in enumerate(SUBJECTS)]


# --- photos -----------------------------------------------------------------------------------------


def test_of_folders_only_known_photographs_are_taken(photos, tmp_path):
    assert [photo.name for photo in photos] == ["brick.png", "grass.png"]
    assert photos[1].credit == CREDITS["grass.png"]
    named = photographs([photos[0].path.with_name("somebody.png")])
    assert [photo.credit for photo in named] == ["somebody.png"]
    with pytest.raises(ViewFusionError, match="no such file or folder"):
        photographs([tmp_path / "gone"])
    with pytest.raises(ViewFusionError, match="none of the"):
        photographs([tmp_path])


def test_the_same_number_gives_the_same_photo(cases, photos):
    again = composite(1, SUBJECTS[1], photos)
    assert again.jpeg == cases[1].jpeg
    assert np.array_equal(again.truth, cases[1].truth)
    assert composite(9, SUBJECTS[1], photos).jpeg != cases[1].jpeg


def test_every_photo_has_one_whole_object_on_its_ground(cases):
    assert [case.ground for case in cases] == list(ORDER)
    assert set(ORDER) == set(GROUNDS)
    for case in cases:
        pixels = np.asarray(Image.open(io.BytesIO(case.jpeg))).astype(int)
        assert pixels.shape == (*case.truth.shape, 3)
        rows, columns = np.nonzero(case.truth >= 128)
        assert rows.min() > 0
        assert columns.min() > 0
        assert rows.max() < case.truth.shape[0] - 1
        assert columns.max() < case.truth.shape[1] - 1
        longest = max(np.ptp(rows), np.ptp(columns)) + 1
        least, most = composites.SHARES
        assert least * 0.93 < longest / min(case.truth.shape) < most * 1.03  # a rim is fainter than one half
        top = pixels[: rows.min() // 2 + 1]
        if case.ground == "plain":
            assert case.credit == ""
            assert top.mean() > 170
        else:
            # Blue or green noise, whatever its brightness; sharp or not.
            assert case.credit in CREDITS.values()
            assert top[..., 1:].max(axis=-1).mean() > top[..., 0].mean() + 20


def test_a_blurred_ground_is_smoother(cases):
    def roughness(case):
        pixels = np.asarray(Image.open(io.BytesIO(case.jpeg)).convert("L")).astype(float)
        far = case.truth[:, 1:] + case.truth[:, :-1] == 0
        return np.abs(np.diff(pixels, axis=1))[far].mean() / pixels.mean()

    by_ground = {ground: roughness(cases[ORDER.index(ground)]) for ground in GROUNDS}
    assert by_ground["photograph"] > 2 * by_ground["blurred"]


def test_the_truth_is_where_the_object_is(cases):
    """Before a ground that knows no red, what is red is the object's."""
    case = cases[0]
    pixels = np.asarray(Image.open(io.BytesIO(case.jpeg))).astype(int)
    inside, outside = case.truth == 255, case.truth == 0
    assert np.abs(pixels[inside].mean(0) - pixels[outside].mean(0)).max() > 20


def test_objects_are_drawn_in_order_and_hang_together(tmp_path):
    few, more = (evaluate_segmenters.chosen_subjects([], tmp_path, "validation", count) for count in (5, 30))
    assert more[:5] == few
    assert len(more) == 30
    assert "composition" not in {random_object(each.number).family for each in more}


# --- scores -----------------------------------------------------------------------------------------


def test_scores_worked_out_by_hand():
    one, other = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    one[5:15, 5:15], other[5:15, 10:20] = 255, 255  # half of each is shared: 50 of 150 pixels
    told = scores(one, other)
    assert told["overlap"] == pytest.approx(50 / 150)
    assert told["alpha"] == pytest.approx(100 / 1200)
    assert scores(one, one) == {"overlap": 1, "outline": 0, "alpha": 0}
    faint = np.where(one, np.uint8(128), np.uint8(0))  # still covered by half
    assert scores(faint, one)["overlap"] == 1
    assert scores(faint, one)["alpha"] == pytest.approx(100 * 127 / 255 / 1200)


def test_outlines_of_points_are_as_far_as_the_points():
    one, other = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    one[10, 10], other[13, 14] = 255, 255  # 5 pixels in a picture with a diagonal of 50
    assert scores(one, other)["outline"] == pytest.approx(5 / 50)
    other[10, 10] = 255  # one way 0, the other the mean of 0 and 5
    assert scores(one, other)["outline"] == pytest.approx((0 + 2.5) / 2 / 50)
    assert scores(np.zeros_like(one), other) == {"overlap": 0, "outline": 1, "alpha": pytest.approx(2 / 1200)}


# --- the bench and its results ----------------------------------------------------------------------


def ask(name: str, rgba: np.ndarray) -> Segmentation:
    """ "all" takes everything for the object, "dark" what is dark, and "never" refuses."""
    if name == "never":
        raise ViewFusionError("not for me")
    if name == "all":
        return Segmentation(np.full(rgba.shape[:2], 255, np.uint8), "all", 0.2)
    dark = (rgba[..., :3].max(axis=-1) < 150).astype(np.uint8) * 255
    return Segmentation(dark, "dark", float(dark.mean() / 255), ("a remark",))


@pytest.fixture(scope="module")
def bench(tmp_path_factory, photos) -> Bench:
    """Four cases that three segmenters have seen."""
    made = Bench(tmp_path_factory.mktemp("state"), ("dark", "all", "never"), SUBJECTS, photos, ask)
    made.begin()
    made.warm_up()
    for number in range(4):
        made.measure(number)
    return made


def test_what_is_there_is_never_made_again(bench, photos):
    files = {path: path.stat().st_mtime_ns for path in bench.state.rglob("*") if path.is_file()}
    assert len(files) == 1 + 4 * (3 + 2 + 2 + 1)  # study; photo, truth, case; two alphas; three JSON
    assert [bench.missing(number) for number in (0, 4)] == [[], ["dark", "all", "never"]]
    bench.begin()
    bench.measure(0)
    assert {path: path.stat().st_mtime_ns for path in files} == files
    with pytest.raises(ViewFusionError, match="was measured with other photographs"):
        Bench(bench.state, ("dark",), SUBJECTS, photos[:1], ask).begin()


def test_another_segmenter_sees_the_same_photos(bench, tmp_path):
    more = Bench(bench.state, ("dark", "second"), SUBJECTS, bench.photos, ask)
    assert more.missing(2) == ["second"]
    before = (bench.place(2) / "photo.jpg").read_bytes()
    more.measure(2)
    assert (bench.place(2) / "photo.jpg").read_bytes() == before
    assert json.loads((bench.place(2) / "second.json").read_text())["remarks"] == ["a remark"]


def test_results_are_those_of_the_files(bench):
    results = Results(bench.state, ("dark", "all", "never"))
    assert len(results.cases) == 4
    assert results.answered("never") == []
    assert results.mean("never", "overlap") is None
    overlaps = []
    for case in results.cases:
        with Image.open(case.place / "truth.png") as file:
            overlaps.append(np.mean(np.asarray(file) >= 128))  # everything, over what it should be
    assert results.mean("all", "overlap").mean == pytest.approx(np.mean(overlaps))
    found, count = results.difference("all", "dark", "overlap")
    assert count == 4
    both = [results.mean(name, "overlap").mean for name in ("all", "dark")]
    assert found.mean == pytest.approx(both[0] - both[1])
    assert results.difference("all", "never", "overlap") is None
    assert results.relative_time("all", "all") == 1
    assert [len(results.of(ground)) for ground in GROUNDS] == [2, 1, 1]
    with pytest.raises(ViewFusionError, match="no case that all of dark, gone have seen"):
        len(Results(bench.state, ("dark", "gone")).cases)


def test_what_confidence_is_worth():
    overlaps = np.array([0.95, 0.99, 0.97, 0.5, 0.6])
    sure = Confidence.of(np.array([0.8, 0.9, 0.85, 0.1, 0.2]), overlaps)
    assert (sure.correlation, sure.bad, sure.caught) == (pytest.approx(1), 2, 1)
    assert sure.threshold == pytest.approx(0.81)  # a tenth of the way through 0.8, 0.85, 0.9
    blind = Confidence.of(np.full(5, 0.9), overlaps)
    assert math.isnan(blind.correlation)
    assert blind.caught == 0
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 of the square root of 4.5 times 5.
    assert rank_correlation(np.array([1, 2, 2, 3]), np.array([5, 6, 7, 8])) == pytest.approx(
        4.5 / math.sqrt(22.5)
    )


def test_the_page_is_filled_and_its_prose_kept(bench, tmp_path):
    names = ("segmenters", "segmenters-differences", "segmenters-confidence", "segmenters-examples")
    page = tmp_path / "preprocessing.md"
    page.write_text(
        "# Words\n\n" + "\n".join(f"<!-- figures: {name} -->\nold\n<!-- end -->" for name in names)
    )
    results = Results(bench.state, ("dark", "all", "never"))
    assert write_report(results, page, tmp_path / "images") == list(names)
    text = page.read_text()
    assert text.startswith("# Words\n")
    assert "old" not in text
    assert "4 photos: 4 procedural objects, before 2 photographs, 1 blurred photographs, 1 plain" in text
    assert "| photos answered | never | 0 of 2 | 0 of 1 | 0 of 1 | 0 of 4 |" in text
    assert "| all minus dark | 4 | " in text or "| dark minus all | 4 | " in text
    assert "![segmenters](images/segmenters.png)" in text
    with Image.open(tmp_path / "images/segmenters.png") as sheet:
        assert sheet.width == 5 * 172 - 4  # photo, truth and three segmenters
        assert sheet.height == 14 + 4 * 144
    page.write_text("no place")
    with pytest.raises(ViewFusionError, match="one block"):
        write_report(results, page, tmp_path / "images")


def test_the_documents_page_has_a_place_for_every_block():
    text = (DOCS / "preprocessing.md").read_text(encoding="utf-8")
    for name in ("", "-differences", "-confidence", "-examples"):
        assert text.count(f"<!-- figures: segmenters{name} -->") == 1


def test_the_registry_is_asked_by_name(cases):
    """A real segmenter, by the name that ``--segmenter`` has for it."""
    case = cases[ORDER.index("plain")]
    pixels = np.asarray(Image.open(io.BytesIO(case.jpeg)))
    rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    assert scores(ask_registry("grabcut", rgba).alpha, case.truth)["overlap"] > 0.5


def test_the_command_measures_goes_on_and_writes(tmp_path, photos, monkeypatch, capsys):
    page = tmp_path / "page.md"
    blocks = ("segmenters", "segmenters-differences", "segmenters-confidence", "segmenters-examples")
    page.write_text("".join(f"<!-- figures: {name} -->\n<!-- end -->\n" for name in blocks))
    command = ["--state", str(tmp_path / "state"), "--segmenters", "grabcut", "plain"]
    more = ["measure", *command, "--photos", str(photos[0].path.parent), "--cases", "2"]

    def told(*arguments):
        monkeypatch.setattr(sys, "argv", ["evaluate_segmenters.py", *arguments])
        evaluate_segmenters.main()
        return capsys.readouterr().out

    assert "2 cases, 0 are done" in told(*more)
    assert told(*more) == "2 cases, 2 are done\n"
    told("write", *command, "--page", str(page), "--images", str(tmp_path / "images"))
    assert "| photos answered | grabcut | 1 of 1 | 1 of 1 | 2 of 2 |" in page.read_text()


def test_a_mistake_is_one_line(tmp_path, photos, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    command = ["measure", "--state", str(tmp_path / "state"), "--photos", str(tmp_path)]
    monkeypatch.setattr(
        sys, "argv", ["evaluate_segmenters.py", *command, "--segmenters", "isnet-general-use"]
    )
    with pytest.raises(SystemExit) as stop:
        evaluate_segmenters.main()
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert "run `viewfusion segmenters fetch isnet-general-use`" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "state").exists()
