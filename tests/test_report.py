"""Reports: does the page say what was measured, ask for nothing, and show untrusted words as words?"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from evaluations import METRICS, NAMES, failed_object, made_up_objects, made_up_results, made_up_run
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.comparison import Difference
from viewfusion.evaluation.metrics import Interval
from viewfusion.evaluation.report import gallery, pictures, tables, write_report
from viewfusion.evaluation.report.charts import Curve, object_chart, spin_chart
from viewfusion.evaluation.report.pictures import comparison_picture
from viewfusion.evaluation.report.spins import midway, sector, spin_curves, wrapped
from viewfusion.evaluation.report.svg import tick_label, ticks, to_text
from viewfusion.evaluation.report.words import decimals, number, published_words, signed
from viewfusion.evaluation.results import read_results, write_results


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the words between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inside: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag in ("script", "style", "title"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if tag in self.inside:
            self.inside.remove(tag)

    def handle_data(self, data):
        if not {"script", "style"} & set(self.inside):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report(folder: Path, *runs: Path) -> tuple[Page, str]:
    write_report(folder / "report.html", runs)
    text = (folder / "report.html").read_text(encoding="utf-8")
    return Page(text), text


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    return made_up_run(tmp_path_factory.mktemp("one") / "run")


@pytest.fixture(scope="module")
def page(one, tmp_path_factory) -> tuple[Page, str]:
    return report(tmp_path_factory.mktemp("page"), one)


def test_the_page_asks_nobody_for_anything(page):
    found, text = page
    addresses = [
        value
        for _, attributes in found.elements
        for key, value in attributes.items()
        if key in ("src", "href", "xlink:href", "action", "data", "poster", "srcset", "style")
    ]
    assert all(address.startswith(("#", "data:image/")) for address in addresses)
    assert any(address.startswith("data:image/png;base64,") for address in addresses)
    assert {tag for tag, _ in found.elements} & {"link", "iframe", "object", "embed", "base", "form"} == set()
    without_pictures = re.sub(r"data:image/\w+;base64,[\w+/=]+", "", text)
    for word in ("http:", "https:", "//www", "url(", "@import", "fetch(", "XMLHttp"):
        assert word not in without_pictures


def test_the_page_forbids_what_it_does_not_do_itself(page):
    found, text = page
    (policy,) = [each["content"] for each in found.all("meta") if "http-equiv" in each]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_page_says_what_was_measured(page, one):
    found, _ = page
    results = read_results(one)
    assert "viewfusion with zero123-nano on made-up" in found.text
    for words in (results["protocol"]["about"], results["protocol"]["sha256"], "c" * 64, "d" * 64):
        assert words in found.text
    for words in ("image.size 256", "sampling.num_inference_steps 25", "viewfusion 0.1.0, torch 2.13.0"):
        assert words in found.text
    assert "viewfusion benchmark --protocol a-trial --out 'my out'" in found.text
    assert all(name in found.text for name in NAMES)


def test_the_table_has_the_means_of_the_results(page, one):
    summary = read_results(one)["summary"]
    for name, places in (("psnr", 2), ("ssim", 3), ("lpips_vgg", 3), ("adjacent_sift", 2)):
        mean, low, high = (f"{summary[name][key]:.{places}f}" for key in ("mean", "low", "high"))
        assert f"{mean} {low} to {high} 12" in page[0].text
    assert "higher is better" in page[0].text


def test_published_numbers_are_shown_and_not_taken_for_comparable(page):
    assert "20.50" in page[0].text
    assert "published, not comparable" in page[0].text
    assert (
        "The numbers of A published system with Zero123-XL are of 30 GSO objects; this run is of 12 objects "
        "of made-up with zero123-nano. The data and the checkpoint differ, so the numbers are not comparable."
    ) in page[0].text


@pytest.mark.parametrize(
    ("published", "verdict"),
    [
        ({"checkpoint": "Zero123 nano", "data": "Made up"}, "are the same, so the numbers can be compared"),
        ({"checkpoint": "Zero123-XL", "data": "made-up"}, "Only the checkpoint differs"),
        (
            {"checkpoint": "zero123-nano", "data": "GSO"},
            "The data differs, so the numbers are not comparable",
        ),
        ({}, "The data and the checkpoint differ"),
        ({"protocol": "other", "data": "made-up"}, "The protocol and the checkpoint differ"),
    ],
)
def test_what_is_said_of_published_numbers(published, verdict):
    results = made_up_results(made_up_objects(0, names=("cup",)))
    assert verdict in published_words({"system": "It", "scores": {}, **published}, results)


def test_the_same_runs_give_the_same_page(page, one, tmp_path):
    assert report(tmp_path, one)[1] == page[1]


def test_untrusted_words_are_shown_and_never_run(tmp_path):
    names = ("<script>alert(1)<script>", '"><img src=x onerror=alert(2)>', "'{{ 7 * 7 }}' & \x1b[31m")
    error = "<script>alert(4)</script><a href='https://example.org'>"
    objects = [*made_up_objects(0, names=names), failed_object("<b>lost</b>".replace("/", ""), error)]
    objects[0]["notes"] = ["<svg onload=alert(5)>"]
    results = made_up_results(objects, variant="<i>variant</i>")
    results["protocol"]["about"] = "</style><script>alert(6)</script>"
    results["protocol"]["settings"]["more"] = {"<u>key</u>": "<u>value</u>"}
    results["metrics"] = {**METRICS, "psnr": {**METRICS["psnr"], "title": "<em>PSNR</em>", "unit": "<dB>"}}
    results["command"] = ["viewfusion", "</pre><script>alert(7)</script>"]
    write_results(tmp_path, results)
    found, text = report(tmp_path, tmp_path)
    assert len(found.all("script")) == 1
    for tag in ("img", "b", "i", "u", "em"):
        assert found.all(tag) == []
    assert not [key for _, attributes in found.elements for key in attributes if key.startswith("on")]
    assert not [each for each in found.all("a") if not each["href"].startswith("#")]
    for words in (
        *names[:2],
        error,
        objects[0]["notes"][0],
        "</style><script>alert(6)</script>",
        "{{ 7 * 7 }}",
    ):
        assert words in found.text
    assert "\x1b" not in text
    assert "\\x1b[31m" in found.text


def test_failed_objects_and_missing_values_are_told(tmp_path):
    objects = [*made_up_objects(0), failed_object("vase", "vase/007.png: wanted 256 x 256 pixels")]
    objects[3]["images"][4]["scores"]["psnr"] = None
    values = [
        each["scores"]["psnr"] for each in objects[3]["images"][1:] if each["scores"]["psnr"] is not None
    ]
    objects[3]["scores"]["psnr"] = sum(values) / len(values)
    results = made_up_results(objects)
    results["data"]["objects"] = 30
    results["unmeasured"] = {"clip": "there are no weights"}
    write_results(tmp_path, results)
    found, _ = report(tmp_path, tmp_path)
    for words in (
        "1 object failed and is in no mean",
        "13 of the 30 objects of the data were evaluated",
        "clip was not measured: there are no weights",
        "vase viewfusion, zero123-nano vase/007.png: wanted 256 x 256 pixels",
        "12 179 views 1",
    ):
        assert words in found.text


def test_runs_stand_beside_each_other(tmp_path):
    gains = {"zero123": 0.0, "stochastic": -2.0, "viewfusion": 2.0}
    runs = [made_up_run(tmp_path / name, gain=gain, variant=name) for name, gain in gains.items()]
    found, text = report(tmp_path, *runs)
    assert "3 systems on made-up" in found.text
    psnr = [read_results(run)["summary"]["psnr"]["mean"] for run in runs]
    assert f"▼ {signed(psnr[1] - psnr[0], 2)}" in found.text
    assert f"▲ {signed(psnr[2] - psnr[0], 2)}" in found.text
    assert "better on 12 of 12" in found.text
    assert "better on 0 of 12" in found.text
    assert [each["aria-label"] for each in found.all("svg") if each["class"] == "picture"][:3] == [
        f"bucket by {name}: views, truth where it is known, and their difference" for name in gains
    ]
    assert len(text) < 8_000_000


def test_what_some_run_lacks_is_left_out_and_said(tmp_path):
    first = made_up_run(tmp_path / "a", variant="a", names=("cup", "duck"))
    second = made_up_run(tmp_path / "b", variant="b", names=("cup",))
    found, _ = report(tmp_path, first, second)
    assert "of the 1 object that every run scored; 1 object could not be compared" in found.text
    assert "duck not in b left out of the comparison" in found.text


def test_other_protocols_have_no_common_page(tmp_path, one):
    write_results(tmp_path, made_up_results(made_up_objects(0), averaging="values"))
    with pytest.raises(ViewFusionError, match="another protocol"):
        write_report(tmp_path / "report.html", [one, tmp_path])
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    "objects", [[], [failed_object("cup", "no views")], made_up_objects(0, names=("cup",))]
)
def test_few_objects_are_a_page_too(tmp_path, objects):
    write_results(tmp_path, made_up_results(objects))
    found, _ = report(tmp_path, tmp_path)
    assert "intervals say little about other objects" in found.text


def test_many_objects_stay_a_page(tmp_path, monkeypatch):
    for module in ("page", "tables"):
        monkeypatch.setattr(f"viewfusion.evaluation.report.{module}.MAX_ROWS", 300)
    names = tuple(f"object {i:04d}" for i in range(500))
    write_results(tmp_path, made_up_results(made_up_objects(0, views=3, names=names)))
    found, text = report(tmp_path, tmp_path)
    assert "200 more are in results.csv" in found.text
    assert "Of so many objects, 375 are drawn" in found.text
    assert len(text) < 3_000_000


def test_a_page_wants_jinja2(tmp_path, one, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ViewFusionError, match=r"pip install 'viewfusion\[evaluation\]'"):
        write_report(tmp_path / "report.html", [one])


# Pictures.


def picture(
    folder: Path, pixels: np.ndarray | bytes, columns: int = 4, room: float = 1e6
) -> pictures.Picture:
    place = folder / "objects" / "cup" / "comparison.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, bytes):
        place.write_bytes(pixels)
    else:
        Image.fromarray(pixels).save(place)
    return comparison_picture(folder, "cup", [f"{i}" for i in range(columns)], room, "a cup")


def embedded(found: pictures.Picture) -> Image.Image:
    (image,) = found.drawing.iter("image")
    return Image.open(io.BytesIO(base64.b64decode(image.get("href").partition(",")[2])))


def test_a_picture_that_fits_is_put_in_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    found = picture(tmp_path, pixels)
    assert np.array_equal(np.asarray(embedded(found)), pixels)
    assert found.words == ""
    words = [each.text for each in found.drawing.iter("text")]
    assert words == ["0", "1", "2", "3", "ours", "truth", "difference"]


def test_a_large_picture_is_scaled_and_that_is_said(tmp_path):
    found = picture(tmp_path, np.full((1536, 2048, 3), 200, np.uint8))
    assert embedded(found).size == (1024, 768)
    assert found.words == "scaled from 2048 x 1536 to 1024 x 768 pixels"


def test_pictures_keep_to_the_room_there_is(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (384, 512, 3), np.uint8)
    found = picture(tmp_path, noise, room=400_000)
    (image,) = found.drawing.iter("image")
    assert len(image.get("href")) <= 400_000
    assert "compressed as JPEG" in found.words
    assert picture(tmp_path, noise, room=100).drawing is None


@pytest.mark.parametrize(("rows", "words"), [(1, ["ours"]), (2, ["ours", "truth"]), (4, [])])
def test_only_what_is_known_is_labelled(tmp_path, rows, words):
    found = picture(tmp_path, np.zeros((32 * rows, 128, 3), np.uint8))
    assert [each.text for each in found.drawing.iter("text")][4:] == words


def test_a_difference_over_one_object_settles_nothing():
    one = Interval(1.0, 1.0, 1.0, 0.95)
    verdicts = [
        tables._difference_words(Difference(one, count, count, 0, 1, 0), "higher", 2)["verdict"]
        for count in (1, 2)
    ]
    assert verdicts == ["open", "better"]


def test_columns_are_labelled_as_they_were_chosen():
    images = [{"view": i, "azimuth_deg": 10.0 * i} for i in range(36)]
    each = {"pairs": [], "images": images, "shown": [0, 2, 35]}
    assert gallery._columns(each) == ["0°", "+20°", "\u221210°"]
    # A spin's views have no scores of their own, and their azimuths are those of pairs.
    pairs = [{"views": [i, (i + 1) % 36], "azimuth_deg": 10.0 * i} for i in range(36)]
    assert gallery._columns({"pairs": pairs, "images": [], "shown": [1, 3]}) == ["+10°", "+30°"]
    assert gallery._columns({"pairs": [], "images": [], "shown": [1]}) == ["1"]
    assert gallery._columns({"pairs": pairs, "images": images}) == [], "made before it was recorded"


def test_hostile_pictures_are_words(tmp_path):
    def bomb() -> bytes:
        buffer = io.BytesIO()
        Image.new("1", (9000, 9000)).save(buffer, "PNG")
        return buffer.getvalue()

    assert "too large (9000 x 9000)" in picture(tmp_path, bomb()).words
    assert "cannot be read" in picture(tmp_path, b"\x89PNG\r\n\x1a\n").words
    assert "cannot be read" in picture(tmp_path, b"<svg xmlns='http://www.w3.org/2000/svg'/>").words
    assert "no row of views" in picture(tmp_path, np.zeros((100, 2, 3), np.uint8)).words
    other = tmp_path / "elsewhere.png"
    Image.new("RGB", (128, 96)).save(other)
    (tmp_path / "run/objects/cup").mkdir(parents=True)
    (tmp_path / "run/objects/cup/comparison.png").symlink_to(other)
    found = comparison_picture(tmp_path / "run", "cup", ["0"], 1e6, "a cup")
    assert (found.drawing, found.words) == (None, "comparison.png lies outside the folder")
    assert comparison_picture(tmp_path / "run", "duck", ["0"], 1e6, "").words == "there is no comparison.png"


# Charts and words.


def marks(drawing: ElementTree.Element) -> list[tuple[float, float, str]]:
    """Where the marks of a chart are, and their hints."""
    found = []
    for path in drawing.iter("path"):
        if path.get("transform"):
            x, y = re.findall(r"[\d.]+", path.get("transform"))
            found.append((float(x), float(y), path[0].text))
    return found


def test_marks_lie_where_their_values_are():
    """Ticks 10 to 20 span the 328 units right of the names: 12.5 lies a quarter along."""
    rows = [("duck", [20.0]), ("cup", [12.5]), ("mug", [10.0]), ("lost", [None])]
    found = marks(object_chart(METRICS["psnr"], ["run"], rows, [(14.0, 11.0, 18.0)]))
    assert [(x, hint) for x, _, hint in found] == [
        (460.0, "duck: 20.00"),
        (214.0, "cup: 12.50"),
        (132.0, "mug: 10.00"),
    ]
    assert [y for _, y, _ in found] == [17.0, 35.0, 53.0]


def test_a_spin_has_the_input_in_its_middle():
    curve = Curve(
        "run", [(-90.0, 0.0, 2), (0.0, 1.0, 2), (180.0, 0.5, 2)], {"cup": [(-90.0, 0.0), (0.0, 1.0)]}
    )
    drawing = spin_chart(METRICS["ssim"], [curve], by_azimuth=True)
    assert marks(drawing) == [
        (154.0, 220.0, "run, \u221290°: mean 0.00 (2)"),
        (256.0, 10.0, "run, 0°: mean 1.00 (2)"),
        (460.0, 115.0, "run, 180°: mean 0.50 (2)"),
    ]
    (line,) = [each.get("d") for each in drawing.iter("path") if each.get("class") == "line s0"]
    assert line.startswith("M52.00 115.00L154.00"), "the back is at both ends"


def test_drawings_are_escaped():
    rows = [("<script>&\"'", [1.0]), ("b", [2.0])]
    text = to_text(object_chart(METRICS["ssim"], ["<run>"], rows, [None]))
    assert "<script" not in text
    names = [each.text for each in ElementTree.fromstring(text).iter("text")]
    assert "<script>&\"'" in names


def ring(values: dict[int, float], azimuths: dict[int, float] | None) -> dict:
    images = [
        {"view": view, "azimuth_deg": azimuths and azimuths[view], "scores": {"ssim": value}}
        for view, value in values.items()
    ]
    return {"name": f"object {id(images)}", "images": images, "pairs": []}


def test_views_from_the_same_places_are_averaged_there():
    azimuths = {1: 90.0, 2: 180.0, 3: 270.0}
    objects = [ring({1: 0.1, 2: 0.2, 3: 0.3}, azimuths), ring({1: 0.3, 2: 0.2, 3: 0.5}, azimuths)]
    (curve,), by_azimuth = spin_curves("ssim", "images", [("run", objects)])
    assert by_azimuth
    assert [(x, count) for x, _, count in curve.mean] == [(-90.0, 2), (90.0, 2), (180.0, 2)]
    assert [value for _, value, _ in curve.mean] == pytest.approx([0.4, 0.2, 0.2])
    assert len(curve.lines) == 2


def test_views_from_different_places_are_averaged_by_sector():
    objects = [ring({0: 0.1 * i, 1: 0.3}, {0: 1.0 + i, 1: -179.0 + i}) for i in range(4)]
    (curve,), _ = spin_curves("ssim", "images", [("run", objects)])
    assert [(x, round(value, 3), count) for x, value, count in curve.mean] == [
        (-165.0, 0.3, 4),
        (15.0, 0.15, 4),
    ]
    assert (len(curve.dots), curve.lines) == (8, {})


def test_without_azimuths_views_are_numbered():
    (curve,), by_azimuth = spin_curves("ssim", "images", [("run", [ring({1: 0.1, 7: 0.2}, None)])])
    assert not by_azimuth
    assert [x for x, _, _ in curve.mean] == [1.0, 7.0]


def test_a_pair_lies_midway():
    pairs = [
        {"views": [i, (i + 1) % 4], "azimuth_deg": 90.0 * i, "scores": {"adjacent_sift": 1.0 + i}}
        for i in range(4)
    ]
    (curve,), by_azimuth = spin_curves(
        "adjacent_sift", "pairs", [("run", [{"name": "cup", "images": [], "pairs": pairs}])]
    )
    assert by_azimuth
    assert [(x, value) for x, value, _ in curve.mean] == [
        (-135.0, 3.0),
        (-45.0, 4.0),
        (45.0, 1.0),
        (135.0, 2.0),
    ]


def test_angles():
    assert [wrapped(angle) for angle in (0.0, 180.0, 190.0, -180.0, 720.5)] == [
        0.0,
        180.0,
        -170.0,
        180.0,
        0.5,
    ]
    assert [midway(0.0, 90.0), midway(170.0, -170.0), midway(350.0, 10.0)] == [45.0, 180.0, 0.0]
    assert [sector(angle) for angle in (0.0, -1.0, 180.0, -179.0)] == [15.0, -15.0, 165.0, -165.0]


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (13.2, 16.8, [13, 14, 15, 16, 17]),
        (0.11, 0.13, [0.11, 0.115, 0.12, 0.125, 0.13]),
        (-5.0, 5.0, [-6, -4, -2, 0, 2, 4, 6]),
        (2.0, 2.0, [1.8, 1.9, 2.0, 2.1, 2.2]),
        (0.0, 0.0, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_ticks_are_round_and_hold_the_values(low, high, wanted):
    assert ticks(low, high) == pytest.approx(wanted)


@pytest.mark.parametrize("low", [15.797818999999999, -0.1, 1e-7])
def test_ticks_of_values_that_differ_by_their_rounding_only(low):
    high = low + 2 * abs(low) * sys.float_info.epsilon
    marks = ticks(low, high)
    assert marks[0] < low < high < marks[-1]
    assert len({tick_label(mark, marks[1] - marks[0]) for mark in marks}) == len(marks)


def test_ticks_are_labelled_as_finely_as_they_lie():
    labels = [tick_label(value, step) for value, step in ((0.15, 0.025), (-4.0, 2.0), (0.5, 0.1))]
    assert labels == ["0.150", "\u22124", "0.5"]


def test_numbers_have_about_three_digits():
    shown = [number(value, decimals([value])) for value in (17.213, 0.20449, 151.26, 1234.5, 0.0, -0.0123)]
    assert shown == ["17.21", "0.204", "151.3", "1234", "0.00", "\u22120.0123"]
    shown = [signed(value, 2) for value in (0.5, -0.5, -0.001, None)]
    assert shown == ["+0.50", "\u22120.50", "0.00", "\u2013"]
