"""``dataset prepare gso``: scanned objects, packed or not, become a benchmark, whatever happens."""

from __future__ import annotations

import http.server
import json
import math
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_meshes import CORNERS, FOUR, SIDES, lines, png

from viewfusion.datasets import SYNCDREAMER, Cameras, gso
from viewfusion.errors import ViewFusionError

CENTRES = {"red": (0.25, 0.75), "green": (0.75, 0.75), "blue": (0.25, 0.25), "white": (0.75, 0.25)}
PAINT = {"+z": "red", "+x": "green", "-x": "blue"}
"""Of the cube's sides; the others are white."""


def scanned_cube() -> dict[str, bytes]:
    """A cube as Google's Scanned Objects are packed: z up, the texture beside the mesh's folder."""
    uv = list(CENTRES.values())
    faces = ""
    for side, corners in SIDES.items():
        paint = list(CENTRES).index(PAINT.get(side, "white")) + 1
        faces += "f " + " ".join(f"{corner + 1}/{paint}" for corner in corners) + "\n"
    mesh = "mtllib model.mtl\nusemtl material_0\n" + lines("v", CORNERS) + lines("vt", uv) + faces
    return {
        "materials/textures/texture.png": png(FOUR),
        "meshes/model.mtl": b"newmtl material_0\nmap_Kd texture.png\n",
        "meshes/model.obj": mesh.encode(),
        "metadata.pbtxt": b'name: "Cube"\n',
        "model.config": b"<model/>",
        "model.sdf": b"<sdf/>",
        "thumbnails/0.jpg": b"no picture, and not looked at",
    }


def pack(path: Path, files: dict[str, bytes] | None = None, top: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (files or scanned_cube()).items():
            archive.writestr(top + name, content)
    return path


def lay_out(folder: Path) -> Path:
    for name, content in scanned_cube().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def command(source: Path, out: Path, *options: object) -> list[object]:
    return ["dataset", "prepare", "gso", source, "--out", out, *options]


def reds(path: Path) -> int:
    """How many pixels show the red side."""
    with Image.open(path) as image:
        rgba = np.asarray(image).astype(int)
    return int(((rgba[..., 0] > 90) & (rgba[..., 1:3].max(axis=-1) < 10) & (rgba[..., 3] == 255)).sum())


def test_an_archive_becomes_twelve_views_z_up_with_its_texture(run, tmp_path):
    pack(tmp_path / "in/Cube.zip")
    code, _, err = run(*command(tmp_path / "in", tmp_path / "out", "--size", 48))
    assert code == 0, err
    assert "warning" not in err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "Cube",
        "contact_sheet.png",
        "inputs.json",
    }
    assert json.loads((tmp_path / "out/inputs.json").read_text()) == {"Cube": gso.input_index("Cube", 12)}
    folder = tmp_path / "out/Cube"
    record = json.loads((folder / "render.json").read_text())
    assert (record["textures"], record["mesh"]["file"]) == (1, "Cube.zip")
    angles = json.loads((folder / "angles.json").read_text())
    assert len(angles) == 12
    half, seen = 1.25 / 3**0.5 / 2, []
    for place, each in enumerate(angles):
        height = each["radius"] * math.cos(each["polar"])
        if abs(height - half) > 0.1:  # else the red top is seen as a line, or hardly
            seen.append(height > half)
            assert (reds(folder / f"{place:03d}.png") > 0) == seen[-1]
    assert {True, False} == set(seen)


def test_the_same_objects_packed_in_one_folder_more_and_not_packed(run, tmp_path, monkeypatch):
    monkeypatch.setattr("viewfusion.datasets.SYNCDREAMER", Cameras(SYNCDREAMER.poses, 16, SYNCDREAMER.fov))
    pack(tmp_path / "in/A.zip")
    pack(tmp_path / "in/B.zip", top="B/")
    lay_out(tmp_path / "in/C")
    lay_out(tmp_path / "in/A")  # unpacked beside its archive
    (tmp_path / "in/notes").mkdir()
    code, _, err = run(*command(tmp_path / "in", tmp_path / "out", "--layout", "syncdreamer"))
    assert code == 0, err
    assert "1 folders without meshes/model.obj are passed over: notes" in err
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"A", "B", "C", "contact_sheet.png"}, "no list of inputs: that protocol has its own"
    a, b, c = (files_of(tmp_path / "out" / name) for name in "ABC")
    assert len(a) == 16 + len(("meta.pkl", "render.json"))
    for name in a.keys() - {"render.json"}:
        assert a[name] == b[name] == c[name]
    assert json.loads(a["render.json"])["mesh"]["file"] == "A.zip"
    assert json.loads(c["render.json"])["mesh"]["file"] == "model.obj"


def test_one_archive_and_one_folder_are_sources_too(tmp_path, monkeypatch):
    archive, folder = pack(tmp_path / "Cube.zip"), lay_out(tmp_path / "Shoe")
    assert gso.find_objects(archive).objects == {"Cube": archive}
    assert gso.find_objects(folder).objects == {"Shoe": folder}
    monkeypatch.chdir(folder)
    assert list(gso.find_objects(Path()).objects) == ["Shoe"]


def test_inputs_are_what_names_say():
    """The first 8 bytes of the SHA-256 of "input Cube", by sha256sum, leave 3 when divided by 12."""
    assert gso.input_index("Cube", 12) == 3
    chosen = [gso.input_index(f"object {number}", 12) for number in range(240)]
    assert set(chosen) == set(range(12))


def test_the_broken_are_named_and_the_others_are_made(run, tmp_path):
    files = scanned_cube()
    pack(tmp_path / "in/good.zip")
    pack(tmp_path / "in/escaping.zip", {**files, "../../escaped.txt": b"evil"})
    pack(tmp_path / "in/other.zip", {"model.sdf": b"<sdf/>"})
    pack(tmp_path / "in/two.zip", {**files, "deep/meshes/model.obj": b""})
    pack(tmp_path / "in/faceless.zip", {**files, "meshes/model.obj": b"v 0 0 0\n"})
    (tmp_path / "in/text.zip").write_text("<html>Not found</html>")
    code, _, err = run(*command(tmp_path / "in", tmp_path / "out", "--size", 16))
    assert code == 1
    assert "Traceback" not in err
    said = {
        line.split("in/")[1].split(".zip")[0]: line for line in err.splitlines() if f"{tmp_path}/in/" in line
    }
    assert set(said) == {"escaping", "other", "two", "faceless", "text"}
    assert "'../../escaped.txt' in it leads out of its folder" in said["escaping"]
    assert "other.zip: holds no meshes/model.obj" in said["other"]
    assert "two.zip: holds several meshes/model.obj" in said["two"]
    assert f"{tmp_path}/in/faceless.zip/meshes/model.obj: holds no faces" in said["faceless"]
    assert "damaged or no ZIP archive" in said["text"]
    assert err.splitlines()[-1] == f"error: 5 of 6 objects failed; the others are in {tmp_path}/out"
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"good", "contact_sheet.png", "inputs.json"}, "and nothing half-made or unpacked is left"
    assert not list(tmp_path.rglob("escaped*"))


def test_what_is_finished_is_left_and_other_options_are_refused(run, tmp_path):
    pack(tmp_path / "in/a.zip")
    assert run(*command(tmp_path / "in", tmp_path / "out", "--size", 16))[0] == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    pack(tmp_path / "in/b.zip")
    code, _, err = run(*command(tmp_path / "in", tmp_path / "out", "--size", 16))
    assert code == 0, err
    assert err.count("complete already") == 1
    sheet = tmp_path / "out/contact_sheet.png"
    assert all(path.stat().st_mtime_ns == when for path, when in before.items() if path != sheet)
    assert set(json.loads((tmp_path / "out/inputs.json").read_text())) == {"a", "b"}
    code, _, err = run(*command(tmp_path / "in", tmp_path / "out", "--size", 32))
    assert (code, err.count("was rendered with options.size=16, now 32")) == (1, 2)


def test_killed_on_the_way_it_goes_on_and_ends_with_the_same_bytes(run, tmp_path):
    for name in "abc":
        pack(tmp_path / f"in/{name}.zip")
    assert run(*command(tmp_path / "in", tmp_path / "whole", "--size", 64))[0] == 0
    killed = tmp_path / "killed"
    arguments = [str(each) for each in command(tmp_path / "in", killed, "--size", 64)]
    process = subprocess.Popen([sys.executable, "-m", "viewfusion", *arguments], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 300
    while not list(killed.glob(".b.*.partial/*.png")) and time.monotonic() < deadline:
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert sorted(path.name for path in killed.iterdir() if not path.name.startswith(".")) == ["a"]
    (killed / ".c.0123abcd.partial/meshes").mkdir(parents=True)  # as one killed while it unpacks leaves it
    (killed / ".c.0123abcd.partial/meshes/model.obj").write_text("v 0")
    code, _, err = run(*command(tmp_path / "in", killed, "--size", 64))
    assert (code, err.count("complete already")) == (0, 1)
    assert files_of(killed) == files_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--layout", "nerfstudio"), "--layout must be one of viewfusion, syncdreamer, got 'nerfstudio'"),
        (("--layout", "syncdreamer", "--size", 64), "syncdreamer has cameras of its own"),
        (("--size", 8), "--size must be 16 to 2048"),
        (("--seed", -1), "--seed must be 0 or more"),
        (("--fetch", "../a"), "'../a': no object can have this name"),
        (("--fetch", "x" * 300), "no object can have this name"),
        (("--address", "file:///etc", "--fetch", "a"), "--address must begin with https:// or http://"),
        ((), "no scanned object here; give a folder with archives NAME.zip"),
    ],
)
def test_nonsense_is_one_line_and_makes_nothing(run, tmp_path, options, words):
    (tmp_path / "in").mkdir()
    code, _, err = run(*command(tmp_path / "in", tmp_path / "out", *options))
    assert (code, len(err.splitlines())) == (2, 1)
    assert words in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


# --- fetching ---------------------------------------------------------------------------------------


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    """Of a server on this machine; what lies in ``tmp_path/served`` is there, ``cut.zip`` ends too early."""
    (tmp_path / "served").mkdir()

    class Server(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.path != "/cut.zip":
                super().do_GET()
                return
            content = (tmp_path / "served/Cube.zip").read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:-100])

        def log_message(self, *_):
            pass

    handler = partial(Server, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_is_named_is_fetched_once_and_rendered(run, tmp_path, address):
    content = pack(tmp_path / "served/Cube.zip").read_bytes()
    options = ["--size", 16, "--fetch", "Cube", "--address", address + "/"]
    code, _, err = run(*command(tmp_path / "new/in", tmp_path / "out", *options))
    assert code == 0, err
    assert files_of(tmp_path / "new/in") == {"Cube.zip": content}
    assert (tmp_path / "out/Cube/011.png").is_file()
    (tmp_path / "served/Cube.zip").unlink()
    code, _, err = run(*command(tmp_path / "new/in", tmp_path / "out", *options))
    assert (code, "complete already" in err) == (0, True)


def test_what_does_not_come_whole_is_not_kept(run, tmp_path, address):
    pack(tmp_path / "served/Cube.zip")
    (tmp_path / "served/page.zip").write_text("<html>Sorry</html>")
    pack(tmp_path / "served/evil.zip", {**scanned_cube(), "/etc/evil": b"evil"})
    names = [word for name in ("absent", "cut", "page", "evil", "Cube") for word in ("--fetch", name)]
    code, _, err = run(
        *command(tmp_path / "in", tmp_path / "out", "--size", 16, *names, "--address", address)
    )
    assert code == 1
    assert f"{address}/absent.zip: cannot be fetched (File not found)" in err
    assert f"{address}/cut.zip: cannot be fetched (it ended after " in err
    assert f"{address}/page.zip: damaged or no ZIP archive" in err
    assert f"{address}/evil.zip: '/etc/evil' in it leads out of its folder" in err
    assert err.splitlines()[-1] == f"error: 4 of 5 archives failed; the others are in {tmp_path}/in"
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"Cube.zip"}
    assert (tmp_path / "out/Cube/angles.json").is_file()


def test_an_address_nobody_answers_at_is_one_line(run, tmp_path):
    options = ["--fetch", "Cube", "--address", "http://127.0.0.1:9"]
    code, _, err = run(*command(tmp_path / "in", tmp_path / "out", *options))
    assert (code, len(err.splitlines())) == (2, 1)
    assert "Cube.zip: cannot be fetched" in err
    assert list((tmp_path / "in").iterdir()) == []


def test_where_archives_are_published():
    assert gso.archive_address("Cole_Hardware_Mug") == (
        "https://fuel.gazebosim.org/1.0/GoogleResearch/models/Cole_Hardware_Mug.zip"
    )
    assert gso.archive_address("a b?", "http://there/") == "http://there/a%20b%3F.zip"


def test_a_folder_of_textures_that_is_a_link_is_not_followed(tmp_path):
    folder = lay_out(tmp_path / "in/a")
    elsewhere = tmp_path / "elsewhere/textures"
    elsewhere.mkdir(parents=True)
    (folder / "materials/textures/texture.png").rename(elsewhere / "texture.png")
    (folder / "materials/textures").rmdir()
    (folder / "materials").rmdir()
    (folder / "materials").symlink_to(elsewhere.parent)
    mesh = gso.read_object(folder, tmp_path / "out/a")
    (warning,) = mesh.warnings
    assert "texture.png: lies outside the mesh's folder and is not read" in warning
    with pytest.raises(ViewFusionError, match="absent: no such file or folder"):
        gso.find_objects(tmp_path / "absent")
