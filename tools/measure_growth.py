"""Does the cost of a view, or memory, grow with the number of views, or of objects?

    python tools/measure_growth.py --views 8 16 36 72 --objects 200 --json growth.json
    python tools/benchmark.py --write growth.json

Rings of so many views, view by view, and then objects of four views one after another in the same process.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from speed.growth import measure_growth
from speed.tables import told

from viewfusion import ViewFusionPipeline
from viewfusion.outputs.files import write_json
from viewfusion.preprocessing import prepare_image
from viewfusion.resources import resource_folder
from viewfusion.zero123 import find_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoint", default="zero123-nano")
    parser.add_argument("--views", type=int, nargs="+", default=[8, 16, 36, 72])
    parser.add_argument("--steps", type=int, default=2, help="solver steps a view")
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    pipeline = ViewFusionPipeline.from_checkpoint(args.checkpoint, device=args.device)
    photo = prepare_image(resource_folder("benchmark") / "chair" / "000.png", pipeline.model.image_size)
    result = measure_growth(pipeline, photo, args.views, args.steps, args.objects)
    result = {"network": find_checkpoint(args.checkpoint).name, **result}
    if args.json:
        write_json(args.json, result)
    print(told(result))


if __name__ == "__main__":
    main()
