"""``render-object``: meshes to folders of views in the layout of a benchmark."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from viewfusion.errors import ViewFusionError, printable
from viewfusion.outputs.files import LONGEST_NAME

from .batch import Failures
from .inputs import named_files
from .progress import counting_bar, say

if TYPE_CHECKING:
    from rich.progress import Progress

    from viewfusion.datasets import Cameras, Light, Mesh

MESHES = (".obj", ".glb", ".gltf", ".ply", ".stl")
GENERIC_FOLDERS = ("meshes", "mesh", "models", "model", "obj", "visual_geometry")
MOST_VIEWS, MOST_PIXELS = 999, 2048


@dataclass(frozen=True)
class Options:
    """What the command is told; angles in degrees, None where nothing was said.

    Args:
        light: as of :func:`read_light`.
        name_by: "file" or "folder".
    """

    layout: str
    views: int | None
    random_views: int | None
    elevation_deg: float | None
    radius: float | None
    size: int | None
    seed: int
    up: str
    textures: bool
    scale: str
    light: str | None
    ambient: float | None
    name_by: str


@dataclass(frozen=True)
class Source:
    """A mesh to render.

    Args:
        name: what messages call it.
        identify: what tells it from others, for the record.
        read: opens it.
    """

    name: str
    identify: Callable[[], dict[str, str]]
    read: Callable[[], Mesh]


def render_objects(inputs: Sequence[str], out: Path, options: Options) -> None:
    """Render every mesh into its folder below ``out``, and a picture of some of all.

    Raises:
        ViewFusionError: bad options (nothing was started), or at the end some mesh failed.
    """
    from viewfusion.datasets import read_mesh

    check_options(options)
    light = read_light(options.light, options.ambient)
    folders = object_folders(find_meshes(inputs), out, options.name_by)
    read = partial(read_mesh, up=options.up, textures=options.textures, scale=options.scale)
    sources = {
        folder: Source(str(mesh), partial(identity, mesh), partial(read, mesh))
        for mesh, folder in folders.items()
    }
    render_all(sources, out, options, light).tell(out)


def render_all(
    sources: Mapping[Path, Source], out: Path, options: Options, light: Light, what: str = "meshes"
) -> Failures:
    """Render each source into its folder, and a picture of some of all into ``out``; what failed.

    Args:
        what: they are called together.

    Raises:
        ViewFusionError: there is only one, and it failed.
    """
    console = Console(stderr=True, highlight=False)
    failures = Failures(what, len(sources), partial(say, console))
    finished: list[Path] = []
    with counting_bar(console) as progress:
        task = progress.add_task("", total=len(sources))
        for done, (folder, source) in enumerate(sources.items()):
            progress.update(task, completed=done, description=printable(folder.name))
            with failures.counted():
                said = _render_one(source, folder, options, light, progress)
                say(console, f"{folder}: {said}")
                finished.append(folder)
        progress.update(task, completed=len(sources), description="")
        if finished:
            from viewfusion.datasets.sheets import write_sheet

            write_sheet(out / "contact_sheet.png", finished)
    return failures


def find_meshes(inputs: Sequence[str]) -> list[Path]:
    """Meshes, each once and in order; a folder stands for all in it and below, a pattern for what fits.

    Raises:
        ViewFusionError: a folder or pattern without any.
    """
    found: list[Path] = []
    for text in inputs:
        inside = named_files(text, lambda path: path.suffix.lower() in MESHES, below=True)
        if inside is None:
            inside = [Path(text)]  # refused by its name where it is opened
        if not inside:
            raise ViewFusionError(f"{text}: no mesh here; give one of {', '.join(k[1:] for k in MESHES)}")
        found += inside
    return list(dict.fromkeys(found))


def object_folders(meshes: Sequence[Path], out: Path, name_by: str) -> dict[Path, Path]:
    """Mesh -> its folder below ``out``, called after the file or after the folder it lies in.

    Raises:
        ViewFusionError: two of one name, or a name no folder can have.
    """
    taken: dict[Path, Path] = {}
    for mesh in meshes:
        parents = [part for part in mesh.absolute().parent.parts if part.lower() not in GENERIC_FOLDERS]
        name = mesh.stem if name_by == "file" else parents[-1].strip("/\\:")
        if name in ("", ".", "..") or len(os.fsencode(name)) > LONGEST_NAME:
            raise ViewFusionError(f"{mesh}: no folder can have this mesh's name; rename it")
        folder = out / name
        if folder in taken:
            other = "; try --name-by folder" if name_by == "file" else "; run them with two --out"
            raise ViewFusionError(f"{taken[folder]} and {mesh} would both be written to {folder}{other}")
        taken[folder] = mesh
    return {mesh: folder for folder, mesh in taken.items()}


def read_light(text: str | None, ambient: float | None) -> Light:
    """The light of "AZIMUTH,ELEVATION" (degrees), "headlight" or "none"; None for the usual.

    Raises:
        ViewFusionError: it is none of these, or the share of ambient light is not within 0 and 1.
    """
    from viewfusion.datasets import Light

    usual = Light()
    share = usual.ambient if ambient is None else ambient
    if text is None:
        return Light(usual.direction, share)
    if text in ("headlight", "none"):
        return Light(None, share if text == "headlight" else 1.0)
    try:
        azimuth, elevation = (math.radians(float(part)) for part in text.split(","))
        if not (math.isfinite(azimuth) and abs(elevation) <= math.pi / 2):
            raise ValueError
    except ValueError:
        raise ViewFusionError(
            f"--light must be AZIMUTH,ELEVATION in degrees, headlight or none, got {text!r}"
        ) from None
    return Light.from_angles(azimuth, elevation, share)


def cameras_for(options: Options, name: str) -> Cameras:
    """Where the object ``name`` is seen from."""
    from viewfusion.datasets import SYNCDREAMER, Cameras, random_poses, ring_poses
    from viewfusion.geometry import DEFAULT_RADIUS

    if options.layout == "syncdreamer":
        return SYNCDREAMER
    size, random_views = options.size or 256, options.random_views
    if random_views is None and options.views is None and options.layout == "viewfusion":
        random_views = 12
    if random_views is not None:
        return Cameras(random_poses(name, random_views, options.seed, options.radius), size)
    elevation = 30.0 if options.elevation_deg is None else options.elevation_deg
    poses = ring_poses(options.views or 36, math.radians(elevation), options.radius or DEFAULT_RADIUS)
    return Cameras(poses, size)


def identity(file: Path) -> dict[str, str]:
    """What tells one mesh from another; without a hash where it cannot be read, which reading explains."""
    try:
        with file.open("rb") as opened:
            digest = hashlib.sha256()
            while chunk := opened.read(2**20):
                digest.update(chunk)
            return {"file": file.name, "sha256": digest.hexdigest()}
    except OSError:
        return {"file": file.name}


def _render_one(source: Source, folder: Path, options: Options, light: Light, progress: Progress) -> str:
    """Make one folder; what to tell about it."""
    from viewfusion.datasets import Renderer, write_layout
    from viewfusion.datasets.layouts import is_finished
    from viewfusion.datasets.renderer import touches_frame

    cameras = cameras_for(options, folder.name)
    record = {"schema": 1, "mesh": source.identify(), "options": _recorded(options, cameras, light)}
    if is_finished(folder, record):
        return "complete already; nothing to do"
    mesh = source.read()
    for warning in mesh.warnings:
        say(progress.console, f"warning: {source.name}: {warning}")
    record |= {"warnings": list(mesh.warnings), **_described(mesh)}
    task = progress.add_task(printable(f"{folder.name}, views"), total=len(cameras.poses))
    renderer, cut = Renderer(mesh), 0

    def pictures() -> Iterator[Any]:
        nonlocal cut
        for pose in cameras.poses:
            rgba = renderer.render(pose, cameras.size, light, fov=cameras.fov)
            cut += touches_frame(rgba)
            yield rgba
            progress.advance(task)

    try:
        write_layout(folder, options.layout, pictures(), cameras, record)
    finally:
        progress.remove_task(task)
    if cut:
        say(
            progress.console,
            f"warning: {source.name}: cut off by the frame in {cut} of {len(cameras.poses)} views; "
            "a larger --radius or --scale fit shows all of it",
        )
    return f"{len(cameras.poses)} views of {len(mesh.faces):,} faces"


def check_options(options: Options) -> None:
    """Raise ViewFusionError for the first that is nonsense or contradicts another."""
    from viewfusion.datasets import LAYOUTS
    from viewfusion.datasets.meshes import SCALES, UPS

    for name, known in (("layout", LAYOUTS), ("up", UPS), ("scale", SCALES), ("name_by", ("file", "folder"))):
        if getattr(options, name) not in known:
            wanted = ", ".join(known)
            given = getattr(options, name)
            raise ViewFusionError(f"--{name.replace('_', '-')} must be one of {wanted}, got {given!r}")
    fixed = ("views", "random_views", "elevation_deg", "radius", "size")
    if options.layout == "syncdreamer" and any(getattr(options, name) is not None for name in fixed):
        raise ViewFusionError(
            "syncdreamer has cameras of its own: 16 views, elevation 30, radius 1.5, 256 pixels; leave "
            "--views, --random-views, --elevation-deg, --radius and --size out"
        )
    ring_only = options.views is not None or options.elevation_deg is not None
    if options.random_views is not None and ring_only:
        raise ViewFusionError("--random-views and --views or --elevation-deg exclude each other; choose one")
    for name in ("views", "random_views"):
        count = getattr(options, name)
        if count is not None and not 1 <= count <= MOST_VIEWS:
            raise ViewFusionError(f"--{name.replace('_', '-')} must be 1 to {MOST_VIEWS}, got {count}")
    if options.size is not None and not 16 <= options.size <= MOST_PIXELS:
        raise ViewFusionError(f"--size must be 16 to {MOST_PIXELS} pixels, got {options.size}")
    if options.radius is not None and not 0.7 <= options.radius <= 100:
        raise ViewFusionError(f"--radius must be 0.7 (outside the object) to 100, got {options.radius:g}")
    if options.elevation_deg is not None and not -90 <= options.elevation_deg <= 90:
        raise ViewFusionError(f"--elevation-deg must be within -90 and 90, got {options.elevation_deg:g}")
    if options.seed < 0:
        raise ViewFusionError(f"--seed must be 0 or more, got {options.seed}")


def _recorded(options: Options, cameras: Cameras, light: Light) -> dict[str, Any]:
    """All that decides the pictures of a mesh."""
    kept = {name: value for name, value in asdict(options).items() if name not in ("name_by", "ambient")}
    direction = None if light.direction is None else [round(float(x), 9) + 0.0 for x in light.direction]
    lit = {"direction": direction, "ambient": light.ambient}
    return {**kept, "size": cameras.size, "views": len(cameras.poses), "light": lit}


def _described(mesh: Mesh) -> dict[str, Any]:
    return {
        "faces": len(mesh.faces),
        "textures": sum(material.texture is not None for material in mesh.materials),
        "mesh_to_world": [[float(value) + 0.0 for value in row] for row in mesh.to_world],
    }
