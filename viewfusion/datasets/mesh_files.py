"""Mesh files at the door: the path of one goes in, what ``trimesh`` reads of it comes out.

Whatever a file claims is held against limits before it is parsed, and nothing it names outside its own folder
is touched.
"""

from __future__ import annotations

import json
import logging
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing.images import opened_image

if TYPE_CHECKING:
    import trimesh

UP_AXES = {".obj": "y", ".glb": "y", ".gltf": "y", ".ply": "z", ".stl": "z"}
"""The formats read, and which axis points up in them unless somebody says otherwise: glTF's standard says y,
so do most programs that write OBJ; scanners and printers have z."""

MAX_FACES = 10_000_000
"""Most triangles of a mesh, every instance counted."""

MAX_BYTES = 2**30
"""Most bytes of a mesh file, of all it names beside it, and of what it unpacks to."""

_MOST_TEXT_BYTES, _MOST_WORDS_BYTES = 2**29, 2**27
"""Most bytes of an OBJ or a .gltf, and of a PLY or STL in words: as Python's text and lists they take many
times their size."""

_MOST_HEADER, _MOST_MTL_BYTES = 2**26, 2**24
_MOST_NODES, _DEEPEST = 100_000, 500
_COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_STRIP = 5
_PACKED = {"KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_mesh_quantization"}

_SEPARATORS = bytes.maketrans(b"\x1c\x1d\x1e\x1f", b"    ")
"""What Python takes for spaces in text, but not in bytes."""

# Options before the name of a texture in an MTL file, as in "-s 1 1 1 -clamp on wood.png".
_MTL_OPTIONS = re.compile(r"^(-[A-Za-z]+(\s+(on|off|[-+.\deE]+|[rgbmlz]))*\s+)+")


class Assets:
    """Files that a mesh names beside it: a name goes in, bytes come out; trimesh calls it a resolver.

    Only what lies in the folder of the mesh, links followed, is read. A mesh in a folder ``meshes`` also
    finds the textures in ``../materials/textures``, where Gazebo and Google's Scanned Objects keep them.

    Args:
        mesh: the file that names others.
        textures: whether pictures are wanted; without, they are passed over.
    """

    def __init__(self, mesh: Path, textures: bool = True) -> None:
        self.problems: dict[str, str] = {}
        self._textures, self._bytes_left = textures, MAX_BYTES
        folder = mesh.parent.resolve()
        self._places = [(folder, False)]
        if folder.name == "meshes":
            self._places.append((folder.parent / "materials" / "textures", True))

    def get(self, name: str) -> bytes:
        """The content of the file ``name``; what is wrong with it is kept in ``problems``.

        Raises:
            FileNotFoundError: it is not there, not allowed, or not wanted.
        """
        is_picture = PurePosixPath(name.lower()).suffix not in (".mtl", ".bin")
        if is_picture and not self._textures:
            raise FileNotFoundError(name)
        try:
            file = self._find(str(name))
            if is_picture:
                with opened_image(file):  # its header alone
                    pass
            return self._content(file)
        except ViewFusionError as error:
            self.problems[str(name)] = str(error)
        except OSError as error:
            self.problems[str(name)] = f"{name}: cannot be read ({error.strerror})"
        raise FileNotFoundError(name)

    __getitem__ = get

    def _find(self, name: str) -> Path:
        plain = name.replace("\\", "/").strip()
        outside = False
        for spelling in dict.fromkeys((plain, unquote(plain), _MTL_OPTIONS.sub("", plain))):
            for folder, only_the_last_part in self._places:
                part = PurePosixPath(spelling).name if only_the_last_part else spelling
                try:
                    file = (folder / part).resolve()
                    if not file.is_relative_to(folder):  # which is no link, nor in one
                        outside = True
                    elif file.is_file():
                        return file
                except (OSError, RuntimeError, ValueError):  # loops of links, null bytes, endless names
                    continue
        if outside:
            raise ViewFusionError(f"{name[:200]}: lies outside the mesh's folder and is not read")
        raise ViewFusionError(f"{name[:200]}: no such file beside the mesh")

    def _content(self, file: Path) -> bytes:
        self._bytes_left -= file.stat().st_size
        if file.suffix.lower() == ".mtl" and file.stat().st_size > _MOST_MTL_BYTES:
            raise ViewFusionError(f"{file.name}: over {_MOST_MTL_BYTES >> 20} MB of materials are not read")
        if self._bytes_left < 0:
            raise ViewFusionError(
                f"{file.name}: all files of the mesh together are over {MAX_BYTES >> 20} MB"
            )
        return file.read_bytes()


def load_scene(path: Path, assets: Assets) -> trimesh.Scene:
    """The scene in a mesh file, nothing merged or repaired.

    Raises:
        ViewFusionError: the file is missing, of another kind, damaged or over a limit, or trimesh is missing.
    """
    suffix = _checked(path)
    trimesh = _trimesh()
    try:
        with _quietly(), path.open("rb") as file:
            return trimesh.load_scene(file, file_type=suffix[1:], resolver=assets, process=False)
    except MemoryError:
        raise ViewFusionError(f"{path}: needs more memory than there is; reduce the mesh") from None
    except Exception as error:  # on damaged files readers raise whatever they stumble over
        said = " ".join(str(error).split())[:100] or type(error).__name__
        raise ViewFusionError(f"{path}: cannot be read as {suffix[1:]} ({said}); export it again") from None


def gltf_header(path: Path) -> dict[str, Any]:
    """The JSON of a glTF or GLB file; {} for other kinds.

    Raises:
        ViewFusionError: there is none that could be read.
    """
    suffix = path.suffix.lower()
    if suffix not in (".glb", ".gltf"):
        return {}
    try:
        with path.open("rb") as file:
            length = _MOST_TEXT_BYTES
            if suffix == ".glb":
                magic, version, _, length, kind = struct.unpack("<4sIII4s", file.read(20))
                if (magic, version, kind) != (b"glTF", 2, b"JSON") or length > _MOST_HEADER:
                    raise ValueError("no glTF 2 header")
            header = json.loads(file.read(length))
        if not isinstance(header, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError, struct.error) as error:
        said = str(error).partition("\n")[0][:100]
        raise ViewFusionError(f"{path}: is not valid glTF 2 ({said}); export it again") from None
    return header


def _checked(path: Path) -> str:
    """The kind of a mesh file that is within all limits, by its suffix."""
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            raise ViewFusionError(f"{path}: is a folder; give a mesh file")
        if not path.exists():
            raise ViewFusionError(f"{path}: no such file; check the path")
        if suffix not in UP_AXES:
            kinds = ", ".join(kind[1:] for kind in UP_AXES)
            raise ViewFusionError(f"{path}: not a kind of mesh that is read; convert it to one of {kinds}")
        if not path.is_file():
            raise ViewFusionError(f"{path}: not a regular file; give a mesh file")
        size = path.stat().st_size
        if not size:
            raise ViewFusionError(f"{path}: the file is empty (0 bytes); export or copy it again")
        with path.open("rb") as file:
            start = file.read(2**16)
        most = _most_bytes(suffix, start, size)
        if size > most:
            wanted = "save it as a binary file" if most < MAX_BYTES else "reduce it"
            raise ViewFusionError(f"{path}: {size >> 20} MB are over {most >> 20}; {wanted}")
        check_faces(_claimed_faces(path, suffix, start), f"{path}: ")
    except ViewFusionError:
        raise
    except (OSError, ValueError) as error:
        raise ViewFusionError(f"{path}: cannot be read ({error}); check the path") from None
    return suffix


def check_faces(count: int, name: str = "") -> None:
    """Refuse a mesh of more than :data:`MAX_FACES`; ``name`` begins the message."""
    if count > MAX_FACES:
        raise ViewFusionError(
            f"{name}{count:,} faces are too many; reduce it to {MAX_FACES:,} (for instance in MeshLab: "
            "Quadric Edge Collapse Decimation)"
        )


def _most_bytes(suffix: str, start: bytes, size: int) -> int:
    """How large a file of that kind may be; ``start`` is its beginning."""
    if suffix in (".obj", ".gltf"):
        return _MOST_TEXT_BYTES
    in_words = suffix == ".ply" and b"ascii" in start.lower().partition(b"end_header")[0]
    in_words |= suffix == ".stl" and size != 84 + 50 * int.from_bytes(start[80:84], "little")
    return _MOST_WORDS_BYTES if in_words else MAX_BYTES


def _claimed_faces(path: Path, suffix: str, start: bytes) -> int:
    """How many triangles a file says it has: a number in its header, or its lines of faces."""
    if suffix in (".glb", ".gltf"):
        return _checked_gltf(path)
    if suffix == ".obj":
        return _obj_faces(path)
    if suffix == ".ply":
        counts = dict(re.findall(rb"element\s+(vertex|face)\s+(\d{1,18})\s", start))
        return max(int(counts.get(b"face", 0)), int(counts.get(b"vertex", 0)) // 3)
    return (path.stat().st_size - 84) // 50  # of an STL; one in words has fewer


def _obj_faces(path: Path) -> int:
    """The triangles of an OBJ, counted before anything is parsed: one line may hold millions of corners."""
    count, goes_on = 0, False
    with path.open("rb") as file:
        for line in file:
            if not goes_on and not line.startswith(b"f"):
                continue
            if not line.isascii():
                raise ViewFusionError(f"{path}: a line of a face holds letters; export it again")
            words = len(line.translate(_SEPARATORS).split())
            count += words if goes_on else max(1, words - 3)  # the first word is "f"
            goes_on = line.rstrip(b"\r\n").endswith(b"\\")
    return count


def _checked_gltf(path: Path) -> int:
    """The faces a glTF file draws; refuses one that would unpack to more than its buffers could hold."""
    header = gltf_header(path)
    try:
        packed = _PACKED & set(header.get("extensionsRequired", ()))
        if packed:
            raise ViewFusionError(f"{path}: is compressed by {packed.pop()}; export it without compression")
        accessors = header.get("accessors", [])
        unpacked = sum(
            int(each["count"]) * _COMPONENT_BYTES[each["componentType"]] * _COLUMNS[each["type"]]
            for each in accessors
        )
        viewed = sum(int(each["byteLength"]) for each in header.get("bufferViews", []))
        nodes = header.get("nodes", [])
        if max(unpacked, viewed) > MAX_BYTES or len(nodes) > _MOST_NODES:
            raise ViewFusionError(f"{path}: unpacks to over {MAX_BYTES >> 20} MB; reduce it")
        if not _is_tree(nodes):
            raise ViewFusionError(f"{path}: its nodes are no tree, or over {_DEEPEST} deep; export it again")
        faces = [
            sum(_primitive_faces(primitive, accessors) for primitive in mesh["primitives"])
            for mesh in header.get("meshes", [])
        ]
        return sum(faces[node["mesh"]] for node in nodes if "mesh" in node)
    except ViewFusionError:
        raise
    except Exception as error:  # keys, types and places that are not there
        said = f"{type(error).__name__}: {error}"[:100]
        raise ViewFusionError(f"{path}: is not valid glTF 2 ({said}); export it again") from None


def _is_tree(nodes: list[dict[str, Any]]) -> bool:
    """Whether no node has two parents or is its own ancestor, and none lies too deep."""
    children = [child for node in nodes for child in node.get("children", ())]
    below, depth, seen = set(children), 0, 0
    level = [place for place in range(len(nodes)) if place not in below]
    while level and depth <= _DEEPEST and len(below) == len(children):
        seen, depth = seen + len(level), depth + 1
        level = [child for place in level for child in nodes[place].get("children", ())]
    return seen == len(nodes) and not level


def _primitive_faces(primitive: dict[str, Any], accessors: list[dict[str, Any]]) -> int:
    place = primitive["indices"] if "indices" in primitive else primitive["attributes"]["POSITION"]
    count = int(accessors[place]["count"])
    return count if primitive.get("mode") == _STRIP else count // 3


def _trimesh() -> Any:
    try:
        import trimesh
    except ImportError as error:
        raise missing_extra(error) from None
    return trimesh


def missing_extra(error: ImportError) -> ViewFusionError:
    """What to say where the packages for meshes are not there, or broken."""
    return ViewFusionError(
        f"rendering meshes needs trimesh and embreex ({error}); pip install 'viewfusion[render]'"
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Without trimesh's own warnings: what matters of them is said in our words."""
    logger = logging.getLogger("trimesh")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
