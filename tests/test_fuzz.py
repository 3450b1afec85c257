"""Thousands of mutated files into every reader: an object or one line that names the file comes out.

Nothing else may happen: no other exception, no hang, no call into the system, no file written, no memory
beyond a small multiple of the file's. A failure prints the reader and the number that make the file again:
``mutant(READERS[name], number)``. A new reader is one row of ``READERS``.
"""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import re
import signal
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import neus
import numpy as np
import pytest
import test_checkpoints
import test_meshes
import test_onnx_segmenter
import test_pickles
import torch
import yaml
from PIL import Image, ImageCms
from safetensors.torch import save

from viewfusion.config import Config, load_config
from viewfusion.datasets import DatasetObject, Renderer, open_dataset, read_mesh
from viewfusion.datasets.archives import archived_files
from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.metrics.clip_files import open_tower
from viewfusion.geometry import Pose, camera_to_world, opengl_to_colmap
from viewfusion.preprocessing import PreparedImage, prepare_image
from viewfusion.preprocessing.segmenters import onnx
from viewfusion.reconstruction.grid import GridRecipe, SceneField
from viewfusion.reconstruction.scene import Scene
from viewfusion.reconstruction.settings import GridSettings
from viewfusion.reconstruction.training import Training
from viewfusion.resources import resource_folder
from viewfusion.yaml_files import read_yaml
from viewfusion.zero123.folders import read_folder, read_safetensors
from viewfusion.zero123.ldm_configs import FULL_SIZE, ldm_config
from viewfusion.zero123.lightning import read_state_dict

ROOT = Path(__file__).parents[1]
SECONDS = 60
"""A file that takes this long hangs; ordinary ones take a hundredth of a second."""


# --- files to begin with ----------------------------------------------------------------------------


def picture(size: tuple[int, int] = (24, 20)) -> Image.Image:
    """A coloured object on white."""
    pixels = np.full((size[1], size[0], 3), 250, np.uint8)
    pixels[5:15, 6:18] = np.random.default_rng(0).integers(0, 200, (10, 12, 3))
    return Image.fromarray(pixels)


def image_files() -> list[bytes]:
    """Small files of every format and mode that is read, with EXIF, profiles and several pictures."""
    rgb = picture()
    grey16 = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    several = {"save_all": True}
    wanted: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (rgb, "PNG", {"exif": exif, "icc_profile": profile}),
        (rgb.quantize(8), "PNG", {"transparency": 0}),
        (grey16, "PNG", {}),
        (rgb.convert("LA"), "PNG", several),
        (rgb, "JPEG", {"exif": exif, "icc_profile": profile}),
        (rgb, "JPEG", {"progressive": True}),
        (rgb.convert("CMYK"), "JPEG", {"icc_profile": profile}),
        (rgb, "MPO", several),
        (rgb, "WEBP", {"lossless": True, "exif": exif, "icc_profile": profile}),
        (rgb, "WEBP", several),
        (rgb.quantize(8), "GIF", several),
        (rgb, "TIFF", several),
        (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (rgb.convert("CMYK"), "TIFF", {"compression": "tiff_deflate", "icc_profile": profile}),
        (rgb, "TIFF", {"compression": "jpeg", "exif": exif}),
        (rgb.convert("1"), "TIFF", {"compression": "group4"}),
        (grey16, "TIFF", {}),
        *((rgb, kind, {}) for kind in ("BMP", "PPM", "TGA", "JPEG2000", "AVIF")),
    ]
    files = []
    Image.init()
    for image, kind, options in wanted:
        if kind not in Image.SAVE:
            continue  # this Pillow was built without it
        buffer = io.BytesIO()
        frames = {"append_images": [image.rotate(90), image.rotate(180)]} if "save_all" in options else {}
        image.copy().save(buffer, kind, **options, **frames)
        files.append(buffer.getvalue())
    return files


def pickles() -> list[bytes]:
    """Pickles of checkpoints: plain ones, and the hostile ones of the other module."""
    hostile = [test_pickles.checkpoint(beside=gadget) for gadget in test_pickles.GADGETS.values()]
    odd = [test_pickles.checkpoint(beside=thing) for thing in test_pickles.HARMLESS.values()]
    wrong = [test_pickles.checkpoint(weight) for weight in test_pickles.NO_TENSOR.values()]
    buffer = io.BytesIO()
    torch.save({"state_dict": {"w": torch.arange(4.0), "n": torch.ones(2, 2)}, "epoch": 3}, buffer)
    with zipfile.ZipFile(buffer) as archive:
        (saved,) = [archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl")]
    return [test_pickles.checkpoint(), saved] * 20 + hostile + odd + wrong


def archives() -> list[bytes]:
    """Whole ``.ckpt`` files."""
    buffer = io.BytesIO()
    torch.save({"state_dict": {"w": torch.arange(4.0), "n": torch.ones(2, 2)}, "epoch": 3}, buffer)
    return [buffer.getvalue(), packed(test_pickles.checkpoint())]


def clips() -> list[bytes]:
    """An image tower of CLIP's, tiny: as a state dict and as a module of TorchScript."""
    wide = 64
    shapes = {"conv1.weight": (wide, 3, 4, 4), "positional_embedding": (5, wide), "proj": (wide, 4)}
    shapes |= {"class_embedding": (wide,)}
    block = "transformer.resblocks.0."
    matrices = {"attn.in_proj_": 3 * wide, "attn.out_proj.": wide, "mlp.c_fc.": 8, "mlp.c_proj.": wide}
    for name, count in matrices.items():
        shapes |= {f"{block}{name}weight": (count, 8 if "c_proj" in name else wide)}
        shapes |= {f"{block}{name}bias": (count,)}
    for name in ("ln_pre", "ln_post", f"{block}ln_1", f"{block}ln_2"):
        shapes |= {f"{name}.{part}": (wide,) for part in ("weight", "bias")}
    state = {f"visual.{name}": torch.ones(shape).half() for name, shape in shapes.items()}
    plain, script = io.BytesIO(), io.BytesIO()
    torch.save(state, plain)
    root = Branch()
    for name, value in state.items():
        *path, last = name.split(".")
        branch = root
        for part in path:
            if part not in dict(branch.named_children()):
                branch.add_module(part, Branch())
            branch = branch.get_submodule(part)
        branch.register_parameter(last, torch.nn.Parameter(value, requires_grad=False))
    torch.jit.save(torch.jit.trace(root, torch.zeros(1)), script)
    return [plain.getvalue(), script.getvalue()]


class Branch(torch.nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + 1


def tensors() -> list[bytes]:
    """safetensors files."""
    return [
        save({"a": torch.ones(3, 2), "b": torch.arange(4), "c": torch.zeros(0), "d": torch.ones(1).half()})
    ]


def configs() -> list[bytes]:
    """config.json of a checkpoint folder."""
    return [
        json.dumps(
            {"format": "viewfusion-zero123", "version": 1, **test_checkpoints.SMALL}, indent=1
        ).encode()
    ]


def indices() -> list[bytes]:
    """model.safetensors.index.json of a checkpoint folder."""
    return [json.dumps({"metadata": {"total_size": 8}, "weight_map": {"a": "model.safetensors"}}).encode()]


def presets() -> list[bytes]:
    """Preset YAML, once with everything stated."""
    shipped = [path.read_bytes() for path in sorted(resource_folder("configs").glob("*.yaml"))]
    return [*shipped, yaml.safe_dump(Config().to_dict()).encode()]


def model_yamls() -> list[bytes]:
    """The YAML of an original checkpoint."""
    return [yaml.safe_dump(FULL_SIZE).encode(), (ROOT / "tests/assets/tiny_zero123.yaml").read_bytes()]


# --- repairs: so that mutants get past the checksums at the door ------------------------------------


def with_checksums(data: bytes) -> bytes:
    """A PNG with the checksums of its chunks made right; another file as it is."""
    if not data.startswith(b"\x89PNG"):
        return data
    out, place = bytearray(data), 8
    while place + 12 <= len(out):
        end = place + 8 + int.from_bytes(out[place : place + 4], "big")
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[place + 4 : end]))
        place = end + 4
    return bytes(out)


def packed(pickled: bytes) -> bytes:
    """An archive as torch writes it around a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", struct.pack("<4f", 1, 2, 3, 4))
        archive.writestr("archive/data/1", bytes(16))
    return buffer.getvalue()


def with_length(data: bytes) -> bytes:
    """A safetensors file whose header is as long as it says, where it still ends in a brace and spaces."""
    end = data.rfind(b"}") + 1
    while data[end : end + 1] == b" ":
        end += 1
    return struct.pack("<Q", end - 8) + data[8:] if end > 8 else data


# --- the readers ------------------------------------------------------------------------------------


def read_image(path: Path) -> PreparedImage:
    """As a run reads its photo, for a small model."""
    return prepare_image(path, 16)


def read_in_folder(path: Path) -> tuple[Any, Any]:
    """Config and weights of the checkpoint folder that ``path`` lies in, its other files in place."""
    return read_folder(path.parent)


def objs() -> list[bytes]:
    """Cubes with one colour and with texture coordinates and normals, by ends and by starts of its lists."""
    corners, sides = test_meshes.CORNERS, test_meshes.SIDES.values()
    plain = test_meshes.lines("v", corners) + test_meshes.lines(
        "f", [[i + 1 for i in side] for side in sides]
    )
    full = test_meshes.lines("v", [(*corner, 1, 0, 0) for corner in corners])
    full += test_meshes.lines("vt", test_meshes.QUAD_UV) + "vn 1 0 0\nusemtl a\n"
    full += test_meshes.lines("f", [[f"{c + 1}/{k + 1}/1" for k, c in enumerate(side)] for side in sides])
    back = test_meshes.lines("v", corners) + "o one\ng two\nf -1 -2 -3 -4 -5\nf 1 2 3\n"
    return [text.encode() for text in (plain, full, back)]


def glbs() -> list[bytes]:
    """A textured quad, in one piece and as text."""
    header, binary = test_meshes.quad_gltf(test_meshes.png(test_meshes.FOUR))
    return [test_meshes.glb(header, binary)]


def plys() -> list[bytes]:
    """Cubes, as text with colours and as bytes."""
    colours = "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    text = test_meshes.ply(colours, [(*corner, 9, 99, 199) for corner in test_meshes.CORNERS])
    head = test_meshes.ply().partition("end_header\n")[0].replace("ascii", "binary_little_endian")
    faces = b"".join(struct.pack("<B4i", 4, *side) for side in test_meshes.SIDES.values())
    body = test_meshes.CORNERS.astype("<f4").tobytes() + faces
    return [text.encode(), (head + "end_header\n").encode() + body]


def stls() -> list[bytes]:
    """A cube in bytes, and a triangle in words."""
    sides = [test_meshes.CORNERS[[a, b, c]] for a, b, c, _ in test_meshes.SIDES.values()]
    facet = "facet normal 1 0 0\nouter loop\nvertex 0 0 0\nvertex 0 1 0\nvertex 0 0 1\nendloop\nendfacet\n"
    return [test_meshes.stl(np.array(sides)), f"solid a\n{facet}endsolid a\n".encode()]


def zips() -> list[bytes]:
    """A small model, packed in both ways, once with a comment."""
    files = []
    for method, comment in ((zipfile.ZIP_DEFLATED, b""), (zipfile.ZIP_STORED, b"words")):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.writestr("a/meshes/model.obj", test_meshes.triangle("1 0 0", "0 1 0", "0 0 1"))
            archive.writestr("a/meshes/model.mtl", "newmtl a")
            archive.comment = comment
        files.append(buffer.getvalue())
    return files


def render_mesh(path: Path) -> np.ndarray:
    """The mesh, and a small picture of it: what is read is fit for the ray caster."""
    return Renderer(read_mesh(path)).render(Pose(0.5, 0.5, 1.5), 8, supersample=1)


def onnx_models() -> list[bytes]:
    """The model of the tests, which onnxruntime runs."""
    return [test_onnx_segmenter.MODEL]


def look_through(path: Path) -> np.ndarray:
    """What the model sees in a picture: what is read is fit for onnxruntime."""
    session = onnx.loaded(path, "u2netp", False)
    return onnx.look(session, path, onnx.NETWORKS["u2netp"], np.asarray(picture((64, 64))))


def read_model_yaml(path: Path) -> dict[str, Any]:
    """As :func:`load_zero123` reads ``--config``."""
    return ldm_config(read_yaml(path, "model YAML", "--config"), original_state(), str(path))


@cache
def original_state() -> dict[str, torch.Tensor]:
    """The four tensors of an image tower that tell its sizes."""
    clip = "cond_stage_model.model.visual."
    shapes = {
        "conv1.weight": (64, 3, 4, 4),
        "proj": (64, 32),
        "positional_embedding": (5, 64),
        "transformer.resblocks.0.mlp.c_fc.weight": (128, 64),
    }
    return {clip + name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


VIEW = Pose.from_degrees(40, 30, 1.5)


def angles() -> list[bytes]:
    """angles.json of one view."""
    entry = {"azimuth": VIEW.azimuth, "polar": VIEW.polar, "radius": VIEW.radius}
    return [json.dumps(content).encode() for content in ([entry], [list(entry.values())])]


def transforms() -> list[bytes]:
    """transforms.json of one view, with either way to say the lens."""
    frame = {"file_path": "000.png", "transform_matrix": camera_to_world(VIEW).tolist()}
    whole = {"fl_x": 280.0, "fl_y": 280.0, "cx": 128, "cy": 128, "w": 256, "h": 256}
    angles = {"camera_angle_x": 0.8, "camera_angle_y": 0.8, "w": 256, "h": 256}
    lenses: tuple[dict[str, Any], ...] = ({"camera_angle_x": 0.8}, whole, angles)
    return [json.dumps({**lens, "frames": [frame]}, indent=1).encode() for lens in lenses]


def metas() -> list[bytes]:
    """meta.pkl of one view in every protocol."""
    matrix = opengl_to_colmap(camera_to_world(VIEW))[:3]
    content = ([[280, 0, 128], [0, 280, 128], [0, 0, 1]], *([x] for x in (VIEW.azimuth, VIEW.elevation, 1.5)))
    arrays = tuple(np.array(each, np.float32) for each in (*content, [matrix]))
    return [pickle.dumps(arrays, protocol=protocol) for protocol in (2, 3, 4, 5)]


def extrinsics() -> list[bytes]:
    """000.npy, a camera in Blender's axes."""
    buffer = io.BytesIO()
    np.save(buffer, np.linalg.inv(camera_to_world(VIEW))[:3])
    return [buffer.getvalue()]


def read_object(path: Path) -> DatasetObject:
    """The object that the folder of ``path`` is; its picture is there and is not opened."""
    layouts = {"angles.json": "viewfusion", "transforms.json": "nerfstudio", "meta.pkl": "syncdreamer"}
    dataset = open_dataset(path.parent, layouts.get(path.name, "objaverse"))
    for problem in dataset.problems:
        raise ViewFusionError(problem.what)
    return dataset.objects[0]


def trainings() -> list[bytes]:
    """Checkpoints of reconstructions: the paper's networks, a grid of fog, one of distances."""
    files = []
    for recipe, done in ((neus.small_recipe(), 2), (Ready(), 3), (Ready(), 6)):
        with tempfile.TemporaryDirectory() as folder:
            Training(recipe, neus.ball_scene()).run(done, checkpoint=Path(folder) / "training")
            files.append((Path(folder) / "training").read_bytes())
    return files


class Ready(GridRecipe):
    """A small grid, whose visual hulls are worked out once."""

    def __init__(self) -> None:
        super().__init__(
            GridSettings(
                steps=8, rays=32, resolutions=(8, 12), starts=(0.5, 0.9), relays=1, probes=8,
                fog_samples=8, samples=8, regularised=64,
            )
        )  # fmt: skip

    def make_field(self, scene: Scene, done: int = 0) -> SceneField:
        return copy.deepcopy(_hull(done))


@cache
def _hull(done: int) -> SceneField:
    return GridRecipe(Ready().settings).make_field(neus.ball_scene(), done)


def go_on(path: Path) -> Training:
    """As a reconstruction that was interrupted; the step shows that what is read is fit for one."""
    for recipe in (neus.small_recipe(), Ready()):
        training = Training(recipe, neus.ball_scene())
        try:
            training.load(path)
        except ViewFusionError as error:
            if "other settings" in str(error) and not isinstance(recipe, Ready):
                continue
            raise
        with suppress(ViewFusionError):  # that it leads to what is no number
            training.step()
        return training
    raise AssertionError("of neither recipe")


@dataclass(frozen=True)
class Reader:
    """A kind of file: how many mutants of which samples are read by what, and the type of a good result."""

    count: int
    name: str
    samples: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    result: type
    repair: Callable[[bytes], bytes] = bytes
    words: tuple[bytes, ...] = ()


NUMBERS = (b"0", b"-1", b"1e400", b"NaN", b".nan", b"1" * 4400, b"0x" + b"f" * 5000, b"1:" * 300 + b"1.5")
JSON = (*NUMBERS, b"null", b"[]", b"{}", b'"x"', b"[" * 2000, b'"\\ud800"', b'"../../etc/passwd"', b'"\\n"')
YAML = (
    *NUMBERS,
    b"~",
    b"&a",
    b"*a",
    b"<<: ",
    b"- " * 400,
    b"? ",
    b"|",
    b"%YAML 9",
    b"${oc.env:HOME}",
    b"???",
)
TAGS = (
    b"!!python/object/apply:os.system ['touch CANARY']",
    b"!!python/object/new:os.mkdir [CANARY]",
    *(
        f"!!{tag} {value}".encode()
        for tag in ("bool", "int", "float", "timestamp", "binary", "set", "omap", "python/name:os.system")
        for value in ("''", "foo", "[a]", "{a: b}")
    ),
)
OPCODES = (
    b"R",
    b"b",
    b"0",
    b"(",
    b"t",
    b"o",
    b"\x81",
    b"\x93",
    b"cos\nsystem\n",
    b"Vtouch CANARY\n",
    b"h\x00",
)

READERS = {
    "image": Reader(1200, "a.png", image_files, read_image, PreparedImage, with_checksums),
    "archive": Reader(700, "a.ckpt", archives, read_state_dict, dict),
    "pickle": Reader(1500, "a.ckpt", pickles, read_state_dict, dict, packed, OPCODES),
    "CLIP": Reader(200, "a.pt", clips, open_tower, tuple),
    "safetensors": Reader(600, "a.safetensors", tensors, read_safetensors, dict, with_length, JSON),
    "config.json": Reader(600, "config.json", configs, read_in_folder, tuple, words=JSON),
    "index": Reader(300, "model.safetensors.index.json", indices, read_in_folder, tuple, words=JSON),
    "preset": Reader(400, "a.yaml", presets, load_config, Config, words=YAML + TAGS),
    "model YAML": Reader(400, "a.yaml", model_yamls, read_model_yaml, dict, words=YAML + TAGS),
    "OBJ": Reader(300, "a.obj", objs, render_mesh, np.ndarray, words=NUMBERS),
    "GLB": Reader(500, "a.glb", glbs, render_mesh, np.ndarray, words=JSON),
    "PLY": Reader(300, "a.ply", plys, render_mesh, np.ndarray, words=NUMBERS),
    "ONNX": Reader(600, "u2netp.onnx", onnx_models, look_through, np.ndarray),
    "angles.json": Reader(300, "angles.json", angles, read_object, DatasetObject, words=JSON),
    "transforms.json": Reader(300, "transforms.json", transforms, read_object, DatasetObject, words=JSON),
    "meta.pkl": Reader(800, "meta.pkl", metas, read_object, DatasetObject, words=OPCODES),
    "npy": Reader(300, "000.npy", extrinsics, read_object, DatasetObject),
    "ZIP": Reader(600, "a.zip", zips, archived_files, list),
    "training": Reader(300, "training", trainings, go_on, Training, words=JSON),
    "STL": Reader(200, "a.stl", stls, render_mesh, np.ndarray, words=NUMBERS),
}


# --- the mutator ------------------------------------------------------------------------------------

INTERESTING = (0, 1, 2, 15, 255, 256, 7000, 20_000, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
WORD = re.compile(rb"[\w.+-]+|\[[^\[\]]*\]")


def mutant(reader: Reader, number: int) -> bytes:
    """The ``number``-th file of a reader: the same at any time, and the first are not mutated at all."""
    samples = _samples(reader.samples)
    if number < len(samples):
        return reader.repair(samples[number])
    random = Random(number)
    data = bytearray(random.choice(samples))
    for _ in range(random.choice([1, 1, 1, 2, 3, 8])):
        _mutate(data, random, reader.words)
    return reader.repair(bytes(data))


@cache
def _samples(make: Callable[[], list[bytes]]) -> list[bytes]:
    return make()


def _mutate(data: bytearray, random: Random, words: tuple[bytes, ...]) -> None:
    """Change ``data`` in one place, half of the time near its beginning, where headers are."""
    place = random.randrange(max(1, len(data) if random.random() < 0.5 else min(len(data), 200)))
    some = random.choice([1, 2, 4, 16, 200])
    changes: list[Callable[[], object]] = [
        lambda: data.__setitem__(slice(place, place + 1), bytes([random.randrange(256)])),
        lambda: data.__setitem__(slice(place, place + some), b""),
        lambda: data.__setitem__(slice(place, None), b""),
        lambda: data.__setitem__(slice(place, place), random.randbytes(some)),
        lambda: data.__setitem__(slice(place, place), data[place // 2 : place // 2 + some]),
        lambda: _set_number(data, place, random),
    ]
    if words and random.random() < 0.5:
        found = list(WORD.finditer(data))
        word = random.choice(words)
        begin, end = random.choice(found).span() if found and random.random() < 0.8 else (place, place)
        data[begin:end] = word
    else:
        random.choice(changes)()


def _set_number(data: bytearray, place: int, random: Random) -> None:
    layout = random.choice("<>") + random.choice("HIQ")
    size = struct.calcsize(layout)
    data[place : place + size] = struct.pack(layout, random.choice(INTERESTING) % 256**size)


# --- the watch --------------------------------------------------------------------------------------

FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "socket.connect",
    "socket.getaddrinfo",
    "pickle.find_class",
)
_watching: list[list[str]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching:
        writes = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if event.startswith(FORBIDDEN) or writes:
            _watching[-1].append(f"{event} {arguments!r}"[:200])


@contextmanager
def watched() -> Iterator[list[str]]:
    """What Python reports of commands, connections, unpickling and files opened to write meanwhile."""
    if not getattr(sys, "_viewfusion_audited", False):
        sys.addaudithook(_audit)  # stays for good, as the interpreter has it
        sys._viewfusion_audited = True  # type: ignore[attr-defined]
    events: list[str] = []
    _watching.append(events)
    try:
        yield events
    finally:
        _watching.pop()


def answer(reader: Reader, path: Path) -> str:
    """ "read" or "refused"; AssertionError or whatever escaped otherwise."""
    with watched() as events:
        try:
            result = reader.read(path)
        except ViewFusionError as error:
            text = str(error)
            assert str(path.parent) in text or path.name in text, text
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text), repr(text)
            assert len(text) < 600, text
            result = None
    assert events == []
    assert result is None or isinstance(result, reader.result), type(result)
    return "refused" if result is None else "read"


def fuzz(kind: str, folder: Path, numbers: range) -> dict[str, int]:
    """Read mutants of a kind; how many were read and how many refused."""
    reader, counts = READERS[kind], {"read": 0, "refused": 0}
    path = folder / reader.name
    beside = {"config.json": configs()[0], "model.safetensors": tensors()[0], "000.png": b""}
    for name, data in beside.items():  # what the folders of checkpoints and of objects need
        (folder / name).write_bytes(data)
    path.write_bytes(mutant(reader, 0))
    with suppress(ViewFusionError):
        reader.read(path)  # imports what it needs, which may look for a network and set variables
    before = dict(os.environ)

    def hangs(*_: object) -> None:
        raise AssertionError(f"still reading after {SECONDS} s")

    signal.signal(signal.SIGALRM, hangs)
    for number in numbers:
        path.write_bytes(mutant(reader, number))
        signal.alarm(SECONDS)
        try:
            counts[answer(reader, path)] += 1
        except BaseException as error:
            raise AssertionError(f"mutant(READERS[{kind!r}], {number}): {error!r}") from error
        finally:
            signal.alarm(0)
    assert dict(os.environ) == before
    assert {file.name for file in folder.iterdir()} == {reader.name, *beside}
    return counts


# --- the tests --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", READERS)
def test_mutated_files_are_read_or_refused(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    counts = fuzz(kind, tmp_path, range(READERS[kind].count))
    # Both happen, or the mutants would prove nothing.
    assert counts["read"] >= 1
    assert counts["refused"] >= READERS[kind].count // 10


CHILD = """
import resource, sys, tempfile, warnings
from pathlib import Path
import test_fuzz

warnings.simplefilter("ignore")
for kind in test_fuzz.READERS:  # imports what it needs, which is not the files' to pay for
    with tempfile.TemporaryDirectory() as folder:
        test_fuzz.fuzz(kind, Path(folder), range(0))
mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + 2**30,) * 2)
for kind, reader in test_fuzz.READERS.items():
    with tempfile.TemporaryDirectory() as folder:
        print(kind, test_fuzz.fuzz(kind, Path(folder), range(10**6, 10**6 + reader.count // 4)))
"""


def test_mutated_files_in_little_memory():
    """Other mutants, in a process that may take one gigabyte: what asks for more is refused like the rest."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    child = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=600, env=environment
    )
    assert child.returncode == 0, child.stderr[-3000:]
    assert len(child.stdout.splitlines()) == len(READERS)


def test_the_watch_sees_what_it_should(tmp_path):
    """The control: an ordinary unpickling of a hostile file is noticed, as are files that appear."""
    path = test_pickles.written(
        tmp_path / "evil.ckpt", test_pickles.checkpoint(beside=test_pickles.GADGETS["eval"])
    )
    with watched() as events, pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        torch.load(path, weights_only=False)
        subprocess.run(["true"], check=True)
    assert any("pickle.find_class" in event and "eval" in event for event in events)
    assert any("CANARY" in event for event in events)
    assert any("subprocess.Popen" in event for event in events)
    assert (tmp_path / "CANARY").exists()
