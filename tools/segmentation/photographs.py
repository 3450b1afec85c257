"""Photographs that objects are put before: folders and files go in, pictures and whose they are come out.

Chosen for showing no single thing of their own: a segmenter that cuts out the photograph's cat is not wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from viewfusion import ViewFusionError

_LOMIRI = "Debian's lomiri-wallpapers-16.04"
CREDITS = {
    "brick.png": "CC0Textures.com (Bricks25), CC0; scikit-image",
    "grass.png": "linolafett, CC0; scikit-image",
    "gravel.png": "CC0Textures.com (Gravel04), CC0; scikit-image",
    "china.jpg": "danielbuechele, CC BY 2.0; scikit-learn",
    "aitzgorri_by_Aitzol_Berasategi.jpg": f"Aitzol Berasategi, CC BY 4.0; {_LOMIRI}",
    "Bridge_by_Sander_Klootwijk.jpg": f"Sander Klootwijk, CC BY-SA 4.0; {_LOMIRI}",
    "Dragonfly_by_Bolly.jpg": f"Bolly, CC BY-SA 4.0; {_LOMIRI}",
    "life_by_Aitzol_Berasategi.jpg": f"Aitzol Berasategi, CC BY 4.0; {_LOMIRI}",
    "picosdeeuropa_by_Aitzol_Berasategi.jpg": f"Aitzol Berasategi, CC BY 4.0; {_LOMIRI}",
    "seeding_by_Clements_Engelhardt.jpg": f"Clemens Engelhardt, CC0; {_LOMIRI}",
    "sunset_by_Aitzol_Berasategi.jpg": f"Aitzol Berasategi, CC BY 4.0; {_LOMIRI}",
    "Wine_by_Jakkub_Mede.jpg": f"Jakub Mede, CC BY 4.0; {_LOMIRI}",
}
"""Free photographs that packages ship, by file name: author, licence and package, as its documents say."""


@dataclass(frozen=True)
class Photograph:
    """One of them."""

    path: Path = field(compare=False)
    name: str
    credit: str

    def open(self) -> Image.Image:
        """RGB, at least 1000 pixels along its longer side where it has them."""
        with Image.open(self.path) as image:
            image.draft("RGB", (1000, 1000))
            return image.convert("RGB")


def photographs(places: Sequence[Path]) -> list[Photograph]:
    """Files as they are named, and of folders those of :data:`CREDITS`, in the order of their names.

    Raises:
        ViewFusionError: a place is missing, or there is no photograph in all of them.
    """
    found: dict[str, Photograph] = {}
    for place in places:
        if not place.exists():
            raise ViewFusionError(f"{place}: no such file or folder of photographs")
        files = [file for file in place.rglob("*") if file.name in CREDITS] if place.is_dir() else [place]
        for file in files:
            found[file.name] = Photograph(file, file.name, CREDITS.get(file.name, file.name))
    if not found:
        raise ViewFusionError(f"none of the {len(CREDITS)} photographs known is there; name files or folders")
    return [found[name] for name in sorted(found)]
