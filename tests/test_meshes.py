"""Reading meshes: is every kind read as its standard has it, and everything else refused in one line?"""

from __future__ import annotations

import base64
import json
import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viewfusion.datasets import fit_scale, read_mesh, read_triangles
from viewfusion.datasets.mesh_files import MAX_FACES
from viewfusion.errors import ViewFusionError

CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float) / 2
SIDES = {  # corners of each side in order around it
    "+x": (4, 6, 7, 5),
    "-x": (2, 0, 1, 3),
    "+y": (6, 2, 3, 7),
    "-y": (0, 4, 5, 1),
    "+z": (1, 5, 7, 3),
    "-z": (0, 2, 6, 4),
}
COLOURS = {
    "+x": (255, 0, 0),
    "-x": (0, 0, 255),
    "+y": (0, 255, 0),
    "-y": (255, 255, 0),
    "+z": (0, 255, 255),
    "-z": (255, 0, 255),
}
QUAD = np.array([(0, -0.5, -0.5), (0, 0.5, -0.5), (0, 0.5, 0.5), (0, -0.5, 0.5)])
"""Faces +x; seen from there its first corner is at the lower left, the others follow counter-clockwise."""

QUAD_UV = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float)
FOUR = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
"""Red at the upper left, green at the upper right, blue and white below."""


def png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg() -> bytes:
    buffer = BytesIO()
    Image.fromarray(FOUR).save(buffer, "JPEG")
    return buffer.getvalue()


def lines(word: str, rows) -> str:
    return "".join(f"{word} " + " ".join(map(str, row)) + "\n" for row in rows)


def write_cube(folder: Path, name: str = "cube", corners: np.ndarray = CORNERS) -> Path:
    """An OBJ with a colour for each side."""
    folder.mkdir(parents=True, exist_ok=True)
    materials, faces = "", ""
    for side, (red, green, blue) in COLOURS.items():
        materials += f"newmtl {side}\nKd {red / 255} {green / 255} {blue / 255}\n"
        faces += f"usemtl {side}\n" + lines("f", [[i + 1 for i in SIDES[side]]])
    (folder / f"{name}.mtl").write_text(materials)
    path = folder / f"{name}.obj"
    path.write_text(f"mtllib {name}.mtl\n" + lines("v", corners) + faces)
    return path


def write_quad(folder: Path, picture: str | None = "four.png", mtl: str = "Kd 1 0.5 0\n") -> Path:
    """A textured OBJ; the picture is written if it lies in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if picture:
        mtl += f"map_Kd {picture}\n"
        if Path(picture).name == picture:
            (folder / picture).write_bytes(png(FOUR))
    (folder / "quad.mtl").write_text("newmtl paper\n" + mtl)
    text = "mtllib quad.mtl\n" + lines("v", QUAD) + lines("vt", QUAD_UV) + "usemtl paper\n"
    path = folder / "quad.obj"
    path.write_text(text + "f 1/1 2/2 3/3 4/4\n")
    return path


def glb(header: dict, binary: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = (
        struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    )
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def quad_gltf(picture: bytes = b"", **material) -> tuple[dict, bytes]:
    """Header and buffer of the quad in glTF's axes: y up, v down."""
    points = QUAD[:, [0, 2, 1]] * (1, 1, -1)  # the world's (x, y, z) is (x, -z, y) of the file
    uv = np.stack([QUAD_UV[:, 0], 1 - QUAD_UV[:, 1]], axis=1)
    parts = [points.astype("<f4").tobytes(), uv.astype("<f4").tobytes()]
    parts += [np.array([0, 1, 2, 0, 2, 3], "<u2").tobytes(), picture]
    starts = np.cumsum([0, *map(len, parts)])
    views = [
        {"buffer": 0, "byteOffset": int(start), "byteLength": len(part)}
        for start, part in zip(starts, parts, strict=False)
        if part
    ]
    kinds = ((5126, 4, "VEC3"), (5126, 4, "VEC2"), (5123, 6, "SCALAR"))
    header = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}]}
        ],
        "accessors": [
            {"bufferView": i, "componentType": code, "count": count, "type": kind}
            for i, (code, count, kind) in enumerate(kinds)
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": int(starts[-1])}],
        "materials": [{"name": "paper", "pbrMetallicRoughness": material}],
    }
    if picture:
        header["images"] = [{"bufferView": 3, "mimeType": "image/png"}]
        header["textures"] = [{"source": 0}]
        material["baseColorTexture"] = {"index": 0}
    return header, b"".join(parts)


def stl(triangles: np.ndarray) -> bytes:
    record = np.zeros(len(triangles), np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")]))
    record["v"] = triangles
    return bytes(80) + struct.pack("<I", len(triangles)) + record.tobytes()


def ply(extra: str = "", rows=CORNERS, sides=()) -> str:
    sides = sides or SIDES.values()
    header = f"ply\nformat ascii 1.0\nelement vertex {len(rows)}\nproperty float x\nproperty float y\n"
    header += f"property float z\n{extra}element face {len(sides)}\nproperty list uchar int vertex_indices\n"
    return header + "end_header\n" + lines("", rows) + lines("4", sides)


def bounds(mesh):
    return mesh.vertices.min(axis=0).tolist(), mesh.vertices.max(axis=0).tolist()


def test_a_mesh_is_centred_scaled_and_set_upright(tmp_path):
    corners = CORNERS * (2, 4, 8) + (100, -7, 3)  # the file's y is up: 2 wide, 4 high, 8 deep
    path = write_cube(tmp_path, corners=corners)
    mesh = read_mesh(path, scale="longest")
    assert bounds(mesh) == ([-0.125, -0.5, -0.25], [0.125, 0.5, 0.25])
    there = np.c_[corners, np.ones(8)] @ mesh.to_world.T
    assert there[:, :3].min(axis=0) == pytest.approx([-0.125, -0.5, -0.25])
    # y of the file is z of the world, z of the file is -y of the world.
    assert mesh.to_world[:3, :3] == pytest.approx(np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) / 8)
    assert bounds(read_mesh(path, up="z", scale="longest"))[1] == [0.125, 0.25, 0.5]


def test_a_deep_diagonal_stays_inside_the_frame():
    one = np.ones(3)
    assert fit_scale(0 * one, one) == pytest.approx(1.25 / 3**0.5)
    assert fit_scale(0 * one, one, "longest") == 1
    assert fit_scale(0 * one, np.array([4.0, 1.0, 1.0])) == 0.25  # its diagonal is 1.06 of the longest side


def test_a_rotation_comes_before_everything(tmp_path):
    # A model that lies on its back, set upright as libraries of furniture say it: y' = z, z' = -y.
    path = write_cube(tmp_path, corners=CORNERS * (1, 2, 8))
    upright = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    assert bounds(read_mesh(path, scale="longest", rotation=upright))[1] == [0.0625, 0.125, 0.5]


@pytest.mark.parametrize(("suffix", "up"), [(".obj", 1), (".ply", 2), (".stl", 2), (".glb", 1)])
def test_which_axis_points_up(tmp_path, suffix, up):
    size = np.array([1.0, 1.0, 1.0])
    size[up] = 4
    corners, path = CORNERS * size, tmp_path / f"tall{suffix}"
    triangles = [corners[[a, b, c]] for a, b, c, _ in SIDES.values()]
    if suffix == ".obj":
        path = write_cube(tmp_path, "tall", corners)
    elif suffix == ".ply":
        path.write_text(ply(rows=corners))
    elif suffix == ".stl":
        path.write_bytes(stl(np.array(triangles)))
    else:
        header, binary = quad_gltf()
        header["nodes"][0]["scale"] = [1, 4, 1]
        path.write_bytes(glb(header, binary))
    low, high = bounds(read_mesh(path, scale="longest"))
    assert (low[2], high[2]) == (-0.5, 0.5)
    assert high[1] == pytest.approx(0.125)


def test_colours_of_vertices(tmp_path):
    path = tmp_path / "painted.ply"
    rows = [(*corner, 10 * i, 20, 30) for i, corner in enumerate(CORNERS)]
    path.write_text(ply("".join(f"property uchar {name}\n" for name in ("red", "green", "blue")), rows))
    mesh = read_mesh(path)
    assert len(mesh.faces) == 12  # a side is two triangles
    corner = np.array([0.5, 0.5, 0.5]) * 1.25 / 3**0.5
    (row,) = np.flatnonzero(np.abs(mesh.vertices - corner).max(axis=1) < 1e-6)
    assert mesh.colours[row].tolist() == [70, 20, 30, 255]
    assert mesh.materials[0].colour == (1, 1, 1, 1)


def test_a_mesh_without_materials_is_grey(tmp_path):
    path = tmp_path / "bare.obj"
    path.write_text(lines("v", CORNERS) + lines("f", [[i + 1 for i in side] for side in SIDES.values()]))
    mesh = read_mesh(path)
    assert [material.colour for material in mesh.materials] == [(0.7, 0.7, 0.7, 1.0)]
    assert mesh.warnings == ()


def test_factors_of_gltf_are_linear_light(tmp_path):
    path = tmp_path / "quad.glb"
    header, binary = quad_gltf(baseColorFactor=[1.0, 0.2158605, 0.0, 0.5])  # 0.5 in sRGB is 0.214
    path.write_bytes(glb(header, binary))
    (material,) = read_mesh(path).materials
    assert material.colour == pytest.approx((1, 0.5, 0, 1), abs=0.005)  # opaque unless its mode says blend
    header["materials"][0]["alphaMode"] = "BLEND"
    path.write_bytes(glb(header, binary))
    assert read_mesh(path).materials[0].colour[3] == pytest.approx(0.5, abs=0.005)


def test_instances_are_all_there_and_counted(tmp_path):
    header, binary = quad_gltf()
    header["nodes"] = [{"children": [1, 2]}, {"mesh": 0}, {"mesh": 0, "translation": [4, 0, 0]}]
    path = tmp_path / "two.glb"
    path.write_bytes(glb(header, binary))
    mesh = read_mesh(path, scale="longest")
    assert len(mesh.faces) == 4
    assert bounds(mesh) == ([-0.5, -0.125, -0.125], [0.5, 0.125, 0.125])
    # Few bytes, many faces: 2 each of 60 000 nodes would do; the accessor says how many there are.
    header["accessors"][2]["count"] = 3 * (MAX_FACES // 2 + 1)
    path.write_bytes(glb(header, binary))
    with pytest.raises(ViewFusionError, match="10,000,002 faces are too many"):
        read_mesh(path)


def test_broken_faces_are_left_out_and_said(tmp_path):
    path = write_cube(tmp_path)
    path.write_text(path.read_text() + "v nan 0 0\nv 1e400 0 0\nv 900 900 900\nf 1 2 9\nf 1 2 10\nf 3 3 3\n")
    mesh = read_mesh(path, scale="longest")
    assert mesh.warnings == ("2 faces with corners that are no finite numbers are left out",)
    assert bounds(mesh) == ([-0.5] * 3, [0.5] * 3)  # the stray vertex is not the object's
    assert len(mesh.faces) == 13


# --- textures ---------------------------------------------------------------------------------------


def test_a_texture_is_found_and_stands_for_the_colour(tmp_path):
    for mtl in ("four.png", "-s 1 1 1 -clamp on four.png", ".\\four.png"):
        write_quad(tmp_path)
        path = write_quad(tmp_path, mtl if Path(mtl).name == "four.png" else f"./../{tmp_path.name}/" + mtl)
        (tmp_path / "quad.mtl").write_text(f"newmtl paper\nKd 0 0 0\nmap_Kd {mtl}\n")
        mesh = read_mesh(path)
        assert mesh.warnings == ()
        (material,) = mesh.materials
        assert material.colour == (1, 1, 1, 1)
        assert np.array_equal(material.texture.levels[0][..., :3], FOUR)
    (material,) = read_mesh(path, textures=False).materials
    assert material.texture is None


@pytest.mark.parametrize("name", ["../secret.png", "/ABSOLUTE/secret.png", "link.png", "linked/secret.png"])
def test_textures_outside_the_folder_are_not_read(tmp_path, name):
    (tmp_path / "secret.png").write_bytes(png(FOUR))
    folder = tmp_path / "mesh"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "linked").symlink_to(tmp_path)
    mesh = read_mesh(write_quad_naming(folder, name.replace("/ABSOLUTE", str(tmp_path))))
    assert "lies outside the mesh's folder and is not read; drawn in a plain colour" in mesh.warnings[0]
    assert mesh.materials[0].texture is None
    assert mesh.materials[0].colour == pytest.approx((1, 0.5, 0, 1), abs=0.003)


def write_quad_naming(folder: Path, picture: str) -> Path:
    path = write_quad(folder, None)
    (folder / "quad.mtl").write_text(f"newmtl paper\nKd 1 0.5 0\nmap_Kd {picture}\n")
    return path


def bomb() -> bytes:
    """A small PNG that says it has 400 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def test_textures_that_cannot_be_used_are_named(tmp_path):
    for name, content, words in (
        ("absent.png", None, "absent.png: no such file beside the mesh"),
        ("text.png", b"no picture", "not an image Pillow can open"),
        ("bomb.png", bomb(), "bomb.png: too large; reduce it"),
        ("cut.png", png(FOUR)[:45], "cannot be read as an image"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        mesh = read_mesh(write_quad_naming(tmp_path, name))
        assert len(mesh.warnings) == 1
        assert words in mesh.warnings[0]
        assert mesh.materials[0].texture is None
    (tmp_path / "quad.mtl").unlink()
    mesh = read_mesh(tmp_path / "quad.obj")
    assert mesh.warnings == ("quad.mtl: no such file beside the mesh; drawn in a plain colour",)


def test_of_many_missing_textures_some_are_named(tmp_path):
    path = write_quad(tmp_path, None)
    names = [f"newmtl m{i}\nmap_Kd {i}.png\n" for i in range(25)]
    (tmp_path / "quad.mtl").write_text("".join(names))
    warnings = read_mesh(path).warnings
    assert len(warnings) == 11
    assert warnings[9] == "9.png: no such file beside the mesh; drawn in a plain colour"
    assert warnings[10] == "15 more textures or materials cannot be read"


def test_textures_inside_a_glb_are_checked_alike(tmp_path):
    path = tmp_path / "quad.glb"
    path.write_bytes(glb(*quad_gltf(png(FOUR))))
    mesh = read_mesh(path)
    assert mesh.warnings == ()
    assert np.array_equal(mesh.materials[0].texture.levels[0][..., :3], FOUR)
    for picture, words in (
        (bomb(), "the texture of paper cannot be read"),
        (b"no picture, and no texture", "the texture of paper cannot be read"),
        (jpeg()[:-2] + b"\xff\xda\0\2" * 201 + jpeg()[-2:], "texture of paper: has over 200 scans"),
    ):
        path.write_bytes(glb(*quad_gltf(picture)))
        mesh = read_mesh(path)
        assert mesh.warnings[0].startswith(words)
        assert mesh.materials[0].texture is None


def test_what_a_gltf_names_beside_it(tmp_path):
    header, binary = quad_gltf()
    header["images"], header["textures"] = [{"uri": "my%20four.png"}], [{"source": 0}]
    header["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
    header["buffers"][0]["uri"] = "quad.bin"
    folder = tmp_path / "mesh"
    folder.mkdir()
    (folder / "my four.png").write_bytes(png(FOUR))
    (folder / "quad.bin").write_bytes(binary)
    path = folder / "quad.gltf"
    path.write_text(json.dumps(header))
    assert read_mesh(path).materials[0].texture is not None
    header["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    path.write_text(json.dumps(header))
    assert len(read_mesh(path).faces) == 2
    (tmp_path / "quad.bin").write_bytes(binary)
    header["buffers"][0]["uri"] = "../quad.bin"
    path.write_text(json.dumps(header))
    with pytest.raises(ViewFusionError, match=r"quad\.gltf: cannot be read as gltf"):
        read_mesh(path)


def test_where_scanned_objects_keep_their_textures(tmp_path):
    folder, textures = tmp_path / "shoe/meshes", tmp_path / "shoe/materials/textures"
    folder.mkdir(parents=True)
    textures.mkdir(parents=True)
    (textures / "texture.png").write_bytes(png(FOUR))
    assert read_mesh(write_quad_naming(folder, "texture.png")).materials[0].texture is not None


# --- files that are refused -------------------------------------------------------------------------


def triangle(*points: str) -> str:
    return "".join(f"v {point}\n" for point in points) + "f 1 2 3\n"


BAD = {
    "empty.obj": (b"", "the file is empty"),
    "mesh.fbx": (b"x", "convert it to one of obj, glb, gltf, ply, stl"),
    "points.obj": (lines("v", CORNERS).encode(), "holds no faces"),
    "nan.obj": (triangle("nan 0 0", "0 nan 0", "0 0 1").encode(), "no face whose corners are all finite"),
    "dot.obj": (triangle("1 1 1", "1 1 1", "1 1 1").encode(), "has no extent"),
    "far.obj": (triangle("1e308 0 0", "-1e308 0 0", "0 1 0").encode(), "has no extent"),
    "absent.obj": (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 7\n", "cannot be read as obj"),
    "words.obj": (b"hello\n" * 9, "holds no faces"),
    "cut.stl": (stl(np.zeros((4, 3, 3)))[:150], "holds no faces"),
    "cut.ply": (ply()[:150].encode(), "export it again"),
    "faces.ply": (ply().replace("face 6", "face 99999999").encode(), "99,999,999 faces are too many"),
    "wrong.ply": (ply(sides=[(0, 1, 2, 77)]).encode(), "names a vertex that is not there"),
    "cut.glb": (glb(*quad_gltf())[:300], "not valid glTF 2"),
    "words.glb": (b"hello there, this is no glb file", "not valid glTF 2"),
    "list.gltf": (b"[]", "not valid glTF 2 (no object)"),
    "deep.gltf": (b"[" * 100_000, "not valid glTF 2"),
}


def changed(**changes) -> bytes:
    header, binary = quad_gltf()
    return glb(header | changes, binary)


BAD |= {
    "accessor.glb": (
        changed(accessors=[{"componentType": 5126, "count": 10**12, "type": "VEC3"}]),
        "unpacks to over 1024 MB",
    ),
    "views.glb": (
        changed(bufferViews=[{"buffer": 0, "byteLength": 2**20}] * 2000), "unpacks to over 1024 MB",
    ),
    "nodes.glb": (changed(nodes=[{"children": [1]}, {"children": [1], "mesh": 0}]), "are no tree"),
    "cycle.glb": (changed(nodes=[{"children": [1]}, {"children": [0], "mesh": 0}]), "are no tree"),
    "deep.glb": (changed(nodes=[*({"children": [i]} for i in range(1, 600)), {"mesh": 0}]), "over 500 deep"),
    "draco.glb": (changed(extensionsRequired=["KHR_draco_mesh_compression"]), "without compression"),
    "place.glb": (changed(nodes=[{"mesh": 5}]), "not valid glTF 2 (IndexError"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_mesh_is_refused_in_one_line(tmp_path, name):
    content, words = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ViewFusionError) as refused:
        read_mesh(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert words in str(refused.value)


def test_huge_files_are_refused_before_they_are_read(tmp_path):
    def sparse(name: str, size: int, start: bytes = b"") -> Path:
        path = tmp_path / name
        with path.open("wb") as file:
            file.write(start)
            file.truncate(size)
        return path

    count = 11_000_000
    header = bytes(80) + struct.pack("<I", count)
    for path, words in (
        (
            sparse("faces.stl", 84 + 50 * count, header),
            "11,000,000 faces are too many; reduce it to 10,000,000",
        ),
        (sparse("text.obj", 2**29 + 1), "512 MB are over 512; save it as a binary file"),
        (sparse("words.ply", 2**27 + 1, b"ply\nformat ascii 1.0\n"), "save it as a binary file"),
        (sparse("words.stl", 2**27 + 1, b"solid"), "save it as a binary file"),
        (sparse("bytes.glb", 2**30 + 1), "1024 MB are over 1024; reduce it"),
    ):
        with pytest.raises(ViewFusionError, match=words):
            read_mesh(path)


def test_one_line_of_millions_of_corners_is_refused_before_it_is_parsed(tmp_path):
    path = tmp_path / "fan.obj"
    for text in (
        "f" + " 1" * (MAX_FACES + 3),
        "f" + "\x1f1" * (MAX_FACES + 3),
        "f 1 1 \\\n" + "1 " * (MAX_FACES + 1),
    ):
        path.write_text("v 0 0 0\n" + text + "\n")
        with pytest.raises(ViewFusionError, match="faces are too many"):
            read_mesh(path)


def test_what_is_not_there_or_no_file(tmp_path):
    with pytest.raises(ViewFusionError, match=r"no\.obj: no such file; check the path"):
        read_mesh(tmp_path / "no.obj")
    (tmp_path / "dir.obj").mkdir()
    with pytest.raises(ViewFusionError, match="is a folder"):
        read_mesh(tmp_path / "dir.obj")
    with pytest.raises(ViewFusionError, match="up must be one of auto, y, z, got 'x'"):
        read_mesh(write_cube(tmp_path), up="x")


def test_a_missing_package_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(
        ViewFusionError, match=r"needs trimesh and embreex .*pip install 'viewfusion\[render\]'"
    ):
        read_mesh(write_cube(tmp_path))


# Surfaces to measure


def test_triangles_keep_the_coordinates_of_the_file(tmp_path):
    """Read to be rendered they are centred and scaled; read to be measured they are where they are."""
    path = write_cube(tmp_path, corners=CORNERS * 6 + (10, -20, 30))
    vertices, faces = read_triangles(path, "z")
    assert (vertices.dtype, faces.dtype, faces.shape) == (np.float64, np.int64, (12, 3))
    assert (vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()) == ([7, -23, 27], [13, -17, 33])
    upright, _ = read_triangles(path)  # OBJ: y is up, and what was z comes towards -y
    assert (upright.min(axis=0).tolist(), upright.max(axis=0).tolist()) == ([7, -33, -23], [13, -27, -17])


def test_triangles_of_every_instance_are_read_without_pictures(tmp_path):
    header, binary = quad_gltf(b"no picture")
    header["nodes"] = [{"mesh": 0}, {"mesh": 0, "translation": [5, 0, 0]}]
    header["scenes"] = [{"nodes": [0, 1]}]
    path = tmp_path / "quads.glb"
    path.write_bytes(glb(header, binary))
    vertices, faces = read_triangles(path)
    assert len(faces) == 4
    assert vertices[faces].min(axis=(0, 1)).tolist() == [0, -0.5, -0.5]
    assert vertices[faces].max(axis=(0, 1)).tolist() == [5, 0.5, 0.5]


def test_triangles_are_refused_in_one_line_that_names_the_file(tmp_path):
    points = tmp_path / "points.obj"
    points.write_text(lines("v", CORNERS))
    garbage = tmp_path / "garbage.ply"
    garbage.write_bytes(b"ply\n" + bytes(100))
    for path, words in (
        (points, "points.obj: holds no faces"),
        (garbage, "garbage.ply: cannot be read"),
        (tmp_path / "none.stl", "none.stl: no such file"),
        (tmp_path / "none.txt", "none.txt: no such file"),
    ):
        with pytest.raises(ViewFusionError, match=words):
            read_triangles(path)
    with pytest.raises(ViewFusionError, match="up must be one of auto, y, z, got 'x'"):
        read_triangles(points, "x")


def test_numbers_that_are_not_finite_are_left_to_whoever_measures(tmp_path):
    path = tmp_path / "broken.stl"
    path.write_bytes(stl(np.array([QUAD[:3], QUAD[1:]]) * np.array([1, 1, np.inf])))
    vertices, faces = read_triangles(path)
    assert not np.isfinite(vertices[faces]).all()
