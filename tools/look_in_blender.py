"""A picture of a GLB as Blender shows it: from the front, from the side and from above, side by side.

Wants Blender as a Python module, with Python 3.11 and in an environment of its own, as it takes 1.2 GB:

    python3.11 -m venv /tmp/blender && /tmp/blender/bin/pip install bpy==4.5.15
    /tmp/blender/bin/python tools/look_in_blender.py out/chair/mesh/mesh.glb --out chair-in-blender.png

The file is opened by Blender's own importer and nothing is turned. The first picture is Blender's front view
(numpad 1), from -y with z up; the second its right view (numpad 3); the third its top view (numpad 7).
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import bpy
import numpy as np

VIEWS = {"front": (90.0, 0.0), "right": (90.0, 90.0), "top": (0.0, 0.0)}
"""Rotation of the camera about x and z in degrees; without any, it looks down."""


def opened(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest corner of what the file holds, in an empty scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(path))
    meshes = [each for each in bpy.context.scene.objects if each.type == "MESH"]
    corners = [each.matrix_world @ vertex.co for each in meshes for vertex in each.data.vertices]
    textured = {
        node.image.name
        for each in meshes
        for slot in each.material_slots
        for node in slot.material.node_tree.nodes
        if node.type == "TEX_IMAGE" and node.image is not None
    }
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    print(f"{len(meshes)} mesh, textures {sorted(textured)}, from {low.round(3)} to {high.round(3)}")
    return low, high


def prepare(size: int, samples: int) -> None:
    """Cycles on the CPU, colours as they are in the texture, even light from everywhere."""
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", samples
    scene.cycles.use_denoising = False
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform = "Standard"
    world = bpy.data.worlds.new("even")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    scene.world = world


def photographed(low: np.ndarray, high: np.ndarray, turn_deg: tuple[float, float], path: Path) -> np.ndarray:
    """(size, size, 3) uint8: everything between two corners, without perspective."""
    middle, reach = (low + high) / 2, float(np.linalg.norm(high - low))
    camera = bpy.data.cameras.new("camera")
    camera.type, camera.ortho_scale = "ORTHO", reach
    placed = bpy.data.objects.new("camera", camera)
    about_x, about_z = (math.radians(each) for each in turn_deg)
    placed.rotation_euler = (about_x, 0, about_z)
    back = np.array(
        [math.sin(about_x) * math.sin(about_z), -math.sin(about_x) * math.cos(about_z), math.cos(about_x)]
    )
    placed.location = middle + 2 * reach * back
    bpy.context.collection.objects.link(placed)
    bpy.context.scene.camera = placed
    bpy.context.scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    pixels = np.array(image.pixels[:]).reshape(image.size[1], image.size[0], 4)[::-1]
    return np.rint(pixels[..., :3] * 255).astype(np.uint8)


def save(pixels: np.ndarray, path: Path) -> None:
    """Blender's own PNG writer, as its environment has no other."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("views", width, height)
    rgba = np.concatenate([pixels[::-1] / 255, np.ones((height, width, 1))], axis=2)
    image.pixels = rgba.ravel().tolist()
    image.filepath_raw, image.file_format = str(path.resolve()), "PNG"
    image.save()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--size", type=int, default=192, help="pixels a side of each view")
    parser.add_argument("--samples", type=int, default=8, help="rays a pixel")
    options = parser.parse_args()
    low, high = opened(options.file)
    prepare(options.size, options.samples)
    with tempfile.TemporaryDirectory() as folder:
        seen = [photographed(low, high, turn, Path(folder) / f"{name}.png") for name, turn in VIEWS.items()]
    save(np.concatenate(seen, axis=1), options.out)


if __name__ == "__main__":
    main()
