"""Trajectory files: what people and other tools write is read as meant, anything else is one clear line."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, angular_distance, camera_to_world, ring
from viewfusion.trajectory_files import MOST_VIEWS, read_poses

INPUT = Pose.from_degrees(0, 20, 1.8)


def degrees(pose: Pose) -> tuple[float, float, float]:
    return tuple(round(value, 6) + 0.0 for value in (pose.azimuth_deg, pose.elevation_deg, pose.radius))


def read(tmp_path, name, content):
    """``read_poses`` of a file with that content: bytes, text, or what becomes JSON."""
    path = tmp_path / name
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    path.write_bytes(content)
    return read_poses(path, INPUT)


def frames(*poses: Pose) -> dict:
    return {"camera_model": "OPENCV", "frames": [frame(camera_to_world(pose)) for pose in poses]}


def frame(matrix: np.ndarray) -> dict:
    return {"file_path": "images/a.png", "transform_matrix": matrix.tolist()}


def cameras(*poses: Pose) -> dict:
    entries = [dict(zip(("azimuth_deg", "elevation_deg", "radius"), degrees(p), strict=True)) for p in poses]
    return {"fov_deg": 49.134, "views": [{"file": "views/000.png", **entry} for entry in entries]}


def test_a_csv_in_any_order_of_columns(tmp_path):
    found = read(tmp_path, "p.csv", "radius,azimuth_deg\n1.5,10\n\n1.6, -20.5\r\n")
    assert [degrees(pose) for pose in found.targets] == [(10, 20, 1.5), (-20.5, 20, 1.6)]
    assert degrees(found.source) == (0, 20, 1.8)
    assert (found.name, found.states_input) == ("p.csv", False)


def test_a_csv_as_spreadsheets_write_it(tmp_path):
    text = '\ufeffazimuth_deg,elevation_deg,radius\r\n"10",-5,\r\n720,,2\r\n'
    found = read(tmp_path, "P.CSV", text)
    assert [degrees(pose) for pose in found.targets] == [(10, -5, 1.8), (720, 20, 2)]


def test_a_json_list_of_poses(tmp_path):
    found = read(tmp_path, "p.json", [{"azimuth_deg": 10}, {"azimuth_deg": 0, "elevation_deg": 90}])
    assert [degrees(pose) for pose in found.targets] == [(10, 20, 1.8), (0, 90, 1.8)]


def test_our_own_cameras_are_turned_so_that_the_first_is_the_input(tmp_path):
    poses = [Pose.from_degrees(*numbers) for numbers in [(40, 10, 1.5), (30, 0, 1.5), (85, 10, 2)]]
    found = read(tmp_path, "cameras.json", cameras(*poses))
    assert degrees(found.source) == (0, 10, 1.5)
    assert [degrees(pose) for pose in found.targets] == [(-10, 0, 1.5), (45, 10, 2)]
    assert found.states_input


def test_a_nerfstudio_file_gives_the_poses_of_its_matrices(tmp_path):
    rng = random.Random(0)
    poses = [
        Pose.from_degrees(rng.uniform(-180, 180), rng.uniform(-89, 89), rng.uniform(0.5, 4)) for _ in range(9)
    ]
    found = read(tmp_path, "transforms.json", frames(*poses))
    assert degrees(found.source) == (0, *degrees(poses[0])[1:])
    for pose, made in zip(poses[1:], found.targets, strict=True):
        turned = Pose(pose.azimuth - poses[0].azimuth, pose.elevation, pose.radius)
        assert angular_distance(made, turned) == pytest.approx(0, abs=1e-7)
        assert made.radius == pytest.approx(pose.radius)


def test_the_first_nerfstudio_camera_by_hand(tmp_path):
    """At (0, -2, 0), looking along +y with z up: azimuth -90; a second one at (2, 0, 0) is 90 further."""
    first = [[1, 0, 0, 0], [0, 0, -1, -2], [0, 1, 0, 0], [0, 0, 0, 1]]
    second = [[0, 0, 1, 2], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    content = {"frames": [{"transform_matrix": first}, {"transform_matrix": second}]}
    found = read(tmp_path, "transforms.json", content)
    assert degrees(found.source) == (0, 0, 2)
    assert [degrees(pose) for pose in found.targets] == [(90, 0, 2)]


def test_as_many_views_as_a_run_may_have(tmp_path):
    lines = [f"{i * 0.3:.1f}" for i in range(1, MOST_VIEWS)]
    assert len(read(tmp_path, "p.csv", "\n".join(["azimuth_deg", *lines])).targets) == 999
    assert len(read(tmp_path, "c.json", cameras(*ring(MOST_VIEWS).views)).targets) == 999
    with pytest.raises(ViewFusionError, match=r"p\.csv: line 1001: more than 999 poses; split"):
        read(tmp_path, "p.csv", "\n".join(["azimuth_deg", *lines, "-1"]))
    with pytest.raises(ViewFusionError, match=r"views\[1000\]: more than 999 poses"):
        read(tmp_path, "c.json", cameras(*ring(MOST_VIEWS + 1).views))


ROLL = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
SIDE = camera_to_world(Pose.from_degrees(30, 20, 2))
PAST = SIDE + np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0.3], [0, 0, 0, 0]])

REFUSED = [
    ("p.csv", "", "must name the columns"),
    ("p.csv", "10,20,1.5\n20,20,1.5\n", "must name the columns"),
    ("p.csv", "azimuth,elevation\n1,2\n", "did you mean 'azimuth_deg'"),
    ("p.csv", "azimuth_deg;radius\n1;2\n", "separated by commas"),
    ("p.csv", "azimuth_deg,elevation\n1,2\n", "line 1: unknown 'elevation'; did you mean 'elevation_deg'"),
    ("p.csv", "azimuth_deg,colour\n1,2\n", "line 1: unknown 'colour'; known: azimuth_deg, elev"),
    ("p.csv", "azimuth_deg,azimuth_deg\n1,2\n", "line 1: a column is named twice"),
    ("p.csv", "elevation_deg\n2\n", "line 1: azimuth_deg is missing"),
    ("p.csv", "azimuth_deg\n", "no pose; give one to 999"),
    ("p.csv", "azimuth_deg,radius\n5\n", "line 2: 2 columns are named, and it has 1"),
    ("p.csv", "azimuth_deg,radius\n5,1,\n", "line 2: 2 columns are named, and it has 3"),
    ("p.csv", "azimuth_deg,radius\n,1\n", "line 2: azimuth_deg is missing"),
    ("p.csv", "azimuth_deg\n5\nnan\n", "line 3: azimuth_deg must be a finite number"),
    ("p.csv", "azimuth_deg\n5\n-inf\n", "line 3: azimuth_deg must be a finite number"),
    ("p.csv", "azimuth_deg\nfive\n", "line 2: azimuth_deg must be a finite number, got 'five'"),
    ("p.csv", "azimuth_deg,elevation_deg\n5,91\n", "line 2: elevation_deg must be -90 to 90, got 91"),
    ("p.csv", "azimuth_deg,radius\n5,0\n", "line 2: radius must be 0.001 to 1000, got 0"),
    ("p.csv", "azimuth_deg\n1e300\n", "line 2: azimuth_deg must be -36000 to 36000"),
    ("p.csv", "azimuth_deg\n10\n\n370\n", "line 4: the same pose as line 2; leave"),
    ("p.csv", "azimuth_deg\n180\n-180\n", "line 3: the same pose as line 2"),
    ("p.csv", "azimuth_deg,elevation_deg,radius\n5,20,1.8\n0,20,1.8\n", "line 3: the same pose as the input"),
    ("p.csv", "azimuth_deg\n5\n360\n", "line 3: the same pose as the input"),
    ("p.csv", 'azimuth_deg\n"5\n', "not CSV"),
    ("p.csv", "azimuth_deg\n" + "1" * 200_000, "not CSV"),
    ("p.csv", "azimuth_deg\n5\n".encode("utf-16"), "not text in UTF-8"),
    ("p.csv", b"\x89PNG\r\n\x1a\n\0\0\xff", "not text in UTF-8"),
    ("p.csv", "azimuth_deg\n" + "".join(f"{i / 1e4}\n" for i in range(10**6)), "larger than 4 MiB"),
    ("p.txt", "azimuth_deg\n5\n", "not a .csv or .json file"),
    ("p.json", "", "not JSON"),
    ("p.json", "azimuth_deg\n5\n", "not JSON"),
    ("p.json", '[{"azimuth_deg": 1, "azimuth_deg": 2}]', "stands twice in one object"),
    ("p.json", "[" * 100_000, "nested too deeply"),
    ("p.json", '[{"azimuth_deg": ' + "9" * 5000 + "}]", "not JSON"),
    ("p.json", '[{"azimuth_deg": ' + "9" * 400 + "}]", "entry 1: azimuth_deg must be a finite number"),
    ("p.json", '[{"azimuth_deg": NaN}]', "entry 1: azimuth_deg must be a finite number, got nan"),
    ("p.json", '[{"azimuth_deg": 1e999}]', "entry 1: azimuth_deg must be a finite number, got inf"),
    ("p.json", [{"azimuth_deg": True}], "entry 1: azimuth_deg must be a finite number, got True"),
    ("p.json", [{"azimuth_deg": "5"}], "entry 1: azimuth_deg must be a finite number, got '5'"),
    ("p.json", [{"azimuth_deg": [[5]]}], "entry 1: azimuth_deg must be a finite number, got a list"),
    ("p.json", [{"azimuth_deg": 5}, {}], "entry 2: azimuth_deg is missing"),
    ("p.json", [{"azimuth_deg": 5}, 7], "entry 2: must be an object with azimuth_deg"),
    ("p.json", [{"azimuth_deg": 5, "radios": 1}], "entry 1: unknown 'radios'; did you mean 'radius'"),
    ("p.json", [{"azimuth_deg": 5, "x" * 999: 1}], "entry 1: unknown 'xxx"),
    ("p.json", [{"azimuth_deg": 5}, {"azimuth_deg": -355}], "entry 2: the same pose as entry 1"),
    ("p.json", [], "no pose; give one to 999"),
    ("p.json", [{"azimuth_deg": i / 300} for i in range(1, 10**5)], "entry 1000: more than 999 poses"),
    ("p.json", "7", "neither a list of poses"),
    ("p.json", {"poses": []}, "neither a list of poses"),
    ("p.json", {"views": [], "frames": []}, "neither a list of poses"),
    ("p.json", {"views": []}, "'views' must be a list of cameras"),
    ("p.json", {"views": {"azimuth_deg": 1}}, "'views' must be a list of cameras"),
    ("p.json", cameras(INPUT), "no pose besides the input's"),
    ("p.json", cameras(INPUT, INPUT), "views[1]: the same pose as views[0]"),
    ("p.json", {"views": [{"azimuth_deg": 0, "radius": 1}]}, "views[0]: elevation_deg is missing"),
    ("p.json", frames(INPUT), "no pose besides the input's"),
    ("p.json", frames(*ring(4).views, ring(4).views[0]), "frames[4]: the same pose as frames[0]"),
    ("p.json", {"frames": [{"file_path": "a.png"}]}, "frames[0]: transform_matrix must be 4 rows of 4"),
    ("p.json", {"frames": [{"transform_matrix": [[1, 2], 3, 4, 5]}]}, "frames[0]: transform_matrix must be"),
    ("p.json", {"frames": [frame(SIDE), frame(SIDE.T)]}, "frames[1]: the last row of transform_matrix"),
    (
        "p.json",
        {"frames": [frame(SIDE), frame(SIDE * np.nan)]},
        "frames[1]: transform_matrix must be a finite",
    ),
    ("p.json", {"frames": [frame(SIDE), frame(SIDE @ ROLL)]}, "frames[1]: the camera does not look at"),
    ("p.json", {"frames": [frame(SIDE), frame(SIDE @ ROLL)]}, "rolled"),
    ("p.json", {"frames": [frame(SIDE), frame(PAST)]}, "degrees past it"),
    ("p.json", {"frames": [frame(SIDE), frame(np.eye(4))]}, "frames[1]: the camera sits at the origin"),
    ("p.json", frames(INPUT, Pose(1.0, 0.1, 5e3)), "frames[1]: radius must be 0.001 to 1000, got 5000"),
]


@pytest.mark.parametrize(("name", "content", "words"), REFUSED, ids=range(len(REFUSED)))
def test_refusals_name_the_file_the_place_and_the_remedy(tmp_path, name, content, words):
    with pytest.raises(ViewFusionError) as error:
        read(tmp_path, name, content)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / name}: ")
    assert words in message
    assert "\n" not in message
    assert len(message) < len(str(tmp_path)) + 300


def test_paths_that_are_no_files(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for path, words in [
        (tmp_path / "folder.csv", "not a regular file"),
        (tmp_path / "absent.csv", "No such file"),
        (tmp_path / ("x" * 300 + ".csv"), "cannot be read"),
        ("null\0.csv", "cannot be read"),
    ]:
        with pytest.raises(ViewFusionError, match=words):
            read_poses(path, INPUT)


def test_mutated_files_are_read_or_refused_and_nothing_else(tmp_path):
    """Bytes changed, cut out, doubled: never another error, and never a pose out of bounds."""
    rng = random.Random(1)
    csv = b"azimuth_deg,elevation_deg,radius\n10,20,1.5\n-30,0,2\n90,-10,1.2\n"
    seeds = {"p.csv": csv, "c.json": json.dumps(cameras(*ring(4).views)).encode()}
    seeds["t.json"] = json.dumps(frames(*ring(4).views)).encode()
    read_well = 0
    for _ in range(500):
        for name, good in seeds.items():
            content = bytearray(good)
            for _ in range(rng.randint(1, 4)):
                at, size = rng.randrange(len(content)), rng.randint(1, 9)
                change = [bytes(rng.randrange(256) for _ in range(size)), b"", bytes(content[at : at + 40])]
                content[at : at + rng.randint(0, size)] = rng.choice(change)
            try:
                found = read(tmp_path, name, bytes(content))
            except ViewFusionError:
                continue
            read_well += 1
            assert 1 <= len(found.targets) < MOST_VIEWS
            for pose in found.targets:
                assert math.isfinite(pose.azimuth)
                assert abs(pose.elevation) <= math.pi / 2
                assert 0 < pose.radius <= 1000
    assert read_well > 50
