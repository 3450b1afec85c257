"""Surfaces of meshes: a material as trimesh has it goes in; a colour, or a texture to sample, comes out.

All colours are sRGB with straight alpha, and are shaded as they are: under full light a view shows what the
texture shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import rgba_from_pil

GREY = (0.7, 0.7, 0.7, 1.0)
"""The colour of what has none."""

MAX_SIDE = 4096
"""Larger textures are reduced: no view is that large."""

MAX_TEXELS = 2**27
"""Most pixels of all textures of a mesh, reduced: 512 MB as RGBA."""


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture and its smaller copies, each half as large as the one before it.

    Args:
        levels: (h, w, 4) uint8 each, the largest first.
    """

    levels: tuple[np.ndarray, ...]

    @classmethod
    def from_rgba(cls, rgba: np.ndarray) -> Texture:
        """Of a (H, W, 4) uint8 picture."""
        image, levels = Image.fromarray(rgba), [rgba]
        while max(image.size) > 1:
            image = image.reduce(2)  # weighs colours by their alpha
            levels.append(np.asarray(image))
        return cls(tuple(levels))

    def sample(self, uv: np.ndarray, level: np.ndarray) -> np.ndarray:
        """(R, 4) float32 in [0, 1]: colours at ``uv`` (R, 2), v upwards, repeated beyond [0, 1).

        Args:
            level: (R,) which copy to look at; between its texels colours are interpolated.
        """
        result = np.empty((len(uv), 4), np.float32)
        nearest = np.clip(np.rint(level), 0, len(self.levels) - 1).astype(np.int64)
        for each in np.unique(nearest):
            rows = np.flatnonzero(nearest == each)
            result[rows] = _bilinear(self.levels[each], uv[rows])
        return result


def _bilinear(texels: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(R, 4) float32 in [0, 1]; a texel counts as much as it is opaque."""
    height, width = texels.shape[:2]
    x = np.mod(uv[:, 0], 1.0) * width - 0.5
    y = np.mod(1.0 - uv[:, 1], 1.0) * height - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right_share, low_share = (x - left).astype(np.float32), (y - top).astype(np.float32)
    colour, alpha = np.zeros((len(uv), 3), np.float32), np.zeros(len(uv), np.float32)
    for down, row_share in ((0, 1 - low_share), (1, low_share)):
        for along, column_share in ((0, 1 - right_share), (1, right_share)):
            texel = texels[(top + down) % height, (left + along) % width].astype(np.float32) / 255
            weight = row_share * column_share * texel[:, 3]
            colour += weight[:, None] * texel[:, :3]
            alpha += weight
    return np.column_stack([colour / np.maximum(alpha, 1e-6)[:, None], alpha])


@dataclass(frozen=True, eq=False)
class Material:
    """How a surface looks.

    Args:
        colour: RGBA in [0, 1]; multiplies the texture.
        texture: None where the surface has one colour.
    """

    colour: tuple[float, float, float, float] = GREY
    texture: Texture | None = None


class MaterialReader:
    """Makes :class:`Material` of trimesh's, each picture read once; what could not be is in ``problems``.

    Args:
        textures: without, surfaces have the mean colour that the file states beside the picture.
    """

    def __init__(self, textures: bool = True) -> None:
        self.problems: list[str] = []
        self._wanted, self._texels_left = textures, MAX_TEXELS
        self._read: dict[Any, Texture | None] = {}

    def simple(self, material: Any) -> Material:
        """Of an OBJ or PLY. A texture stands for the diffuse colour, as its writers mean it."""
        opacity = _opacity(material.kwargs)
        texture = self._texture(getattr(material, "image", None), str(material.name))
        if texture is not None:
            return Material((1.0, 1.0, 1.0, opacity), texture)
        if "kd" not in material.kwargs:
            return Material((*GREY[:3], opacity))
        red, green, blue = (float(level) / 255 for level in material.diffuse[:3])
        return Material((red, green, blue, opacity))

    def pbr(self, material: Any) -> Material:
        """Of a glTF: base colour factor times base colour texture, alpha as its mode says."""
        factor = material.baseColorFactor
        linear = np.ones(4) if factor is None else np.asarray(factor, dtype=np.float64)[:4] / 255
        mode = str(material.alphaMode or "OPAQUE").upper()
        cutoff = None
        if mode == "MASK":
            cutoff = 0.5 if material.alphaCutoff is None else float(material.alphaCutoff)
        red, green, blue = srgb_from_linear(linear[:3])
        texture = self._texture(material.baseColorTexture, str(material.name), mode == "OPAQUE", cutoff)
        alpha = float(linear[3]) if mode == "BLEND" else 1.0
        return Material((float(red), float(green), float(blue), alpha), texture)

    def _texture(
        self, image: Any, name: str, opaque: bool = False, cutoff: float | None = None
    ) -> Texture | None:
        # trimesh puts a picture of its own, of no format, where a file has texture coordinates only.
        if image is None or image.format is None or not self._wanted:
            return None
        file = getattr(image, "info", {}).get("file_path")
        key = (file or id(image), opaque, cutoff)
        if key not in self._read:
            self._read[key] = None
            try:
                self._read[key] = self._decoded(image, file or f"texture of {name}", opaque, cutoff)
            except ViewFusionError as error:
                self.problems.append(str(error))
        return self._read[key]

    def _decoded(self, image: Any, name: str, opaque: bool, cutoff: float | None) -> Texture:
        rgba = rgba_from_pil(image, name, min_side=1)
        if max(rgba.shape[:2]) > MAX_SIDE:
            reduced = Image.fromarray(rgba)
            reduced.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BOX)
            rgba = np.array(reduced)
        self._texels_left -= rgba.shape[0] * rgba.shape[1]
        if self._texels_left < 0:
            raise ViewFusionError(f"{name}: the textures together are over {MAX_TEXELS >> 20} megapixels")
        if opaque:
            rgba[..., 3] = 255
        elif cutoff is not None:
            rgba[..., 3] = np.where(rgba[..., 3] >= cutoff * 255, 255, 0)
        return Texture.from_rgba(rgba)


def srgb_from_linear(linear: np.ndarray) -> np.ndarray:
    """sRGB levels in [0, 1] of linear light in [0, 1] (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _opacity(options: dict[str, Any]) -> float:
    """What ``d`` or ``Tr`` of an MTL file says; 0 counts as 1, being what writers leave there unset."""
    for key, value in (("d", lambda x: x), ("tr", lambda x: 1 - x)):
        try:
            opacity = float(value(float(options[key][-1])))
        except (KeyError, ValueError, TypeError, IndexError):
            continue
        return opacity if 0.0 < opacity < 1.0 else 1.0
    return 1.0
