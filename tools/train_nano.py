"""Train zero123-nano: the autoencoder first, then the image tower, then everything but the autoencoder.

    python tools/make_dataset.py --out STATE/objects --objects 9000 --views 8
    python tools/make_dataset.py --out STATE/validation --objects 250 --views 2 --split validation
    python tools/train_nano.py all --data STATE/objects --validation STATE/validation \\
        --state STATE --minutes 120
    python tools/train_nano.py export --state STATE --out zero123_ckpts/zero123-nano

``all`` shares its ``--minutes`` among three stages as the YAML says; ``autoencoder``, ``tower`` and
``diffusion`` train one of them. Each resumes from its last checkpoint in STATE, and its learning rate falls
to zero when its minutes, those of former runs included, are spent. ``--slice 9`` saves and stops after nine
minutes, Ctrl-C after the step under way. Several ``--data`` are trained on together. ``--endless`` in place
of ``--data`` makes new objects all the time, on the device that trains: for GPUs. ``--begin-with
zero123-nano`` starts from finished weights where STATE has none. Dotted overrides (``diffusion.lr=1e-3``)
change the YAML.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from nano.autoencoder import AutoencoderModule, balance_channels, measure_scale
from nano.diffusion import DiffusionModule
from nano.loop import fit
from nano.state import SCALE, cached_latents, is_finished, trained_model
from nano.tower import TowerModule
from nano.views import EndlessMoves, MoveSource, StoredMoves, Views
from nano.watch import Watch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from viewfusion.errors import ViewFusionError
from viewfusion.zero123 import save_zero123
from viewfusion.zero123.model import Zero123

CONFIG = Path(__file__).resolve().parents[1] / "configs/training/zero123-nano.yaml"


def train_autoencoder(args: argparse.Namespace, config: DictConfig) -> None:
    model = trained_model(config, args.state, args.begin_with)
    views = EndlessMoves(model, config.workers) if args.endless else StoredMoves(stored(args.data, config))
    module = AutoencoderModule(model, views, config.autoencoder, args.minutes, **run_options(args, config))
    trainer = fit(module, args.state, "autoencoder", config)
    balance_channels(model.float(), views)
    trainer.save_checkpoint(args.state / "autoencoder/last.ckpt")
    scale = measure_scale(model, views, config.autoencoder.latent_spread)
    (args.state / SCALE).write_text(str(scale))


def train_diffusion(args: argparse.Namespace, config: DictConfig) -> None:
    model = trained_model(config, args.state, args.begin_with)
    moves = moves_for(model, args, config)
    held_out = stored([args.validation], config) if args.validation else None
    watch = Watch(held_out, args.state / "diffusion") if held_out else None
    spread = config.autoencoder.latent_spread
    options = run_options(args, config)
    module = DiffusionModule(model, moves, spread, config.diffusion, args.minutes, watch, **options)
    steps = config.diffusion.watch_steps if watch else None
    fit(module, args.state, "diffusion", config, config.diffusion.ema_decay, steps)


def train_tower(args: argparse.Namespace, config: DictConfig) -> None:
    model = trained_model(config, args.state, args.begin_with)
    moves = moves_for(model, args, config)
    module = TowerModule(model, moves, config.tower, args.minutes, **run_options(args, config))
    fit(module, args.state, "tower", config)


def train_all(args: argparse.Namespace, config: DictConfig) -> None:
    """Every stage for its share of the minutes, one after another; goes on where a run before stopped."""
    began, whole = time.monotonic(), OmegaConf.to_container(config.shares)
    for stage, share in whole.items():
        minutes = args.minutes * share / sum(whole.values())
        left = args.slice and args.slice - (time.monotonic() - began) / 60
        if not is_finished(args.state, stage, minutes):
            STAGES[stage](argparse.Namespace(**{**vars(args), "minutes": minutes, "slice": left}), config)
        if not is_finished(args.state, stage, minutes):
            return  # it was told to stop


def moves_for(model: Zero123, args: argparse.Namespace, config: DictConfig) -> MoveSource:
    """What the later stages train on; the autoencoder stays as it is from now on."""
    if not (args.begin_with or (args.state / SCALE).exists()):
        raise SystemExit(f"{args.state} holds no finished autoencoder; train that stage first, or all")
    model.vae.requires_grad_(False)
    if args.endless:
        return EndlessMoves(model, config.workers)
    views = stored(args.data, config)
    return StoredMoves(views, cached_latents(model, views.images, args.state))


def stored(folders: list[Path], config: DictConfig) -> Views:
    """The views in ``folders``.

    Raises:
        SystemExit: there are none, or they are not what ``config`` trains on.
    """
    views, size = Views.load(*folders), config.model.image_size
    count, side = views.images.shape[1:3]
    if side != size or count < 2:
        where = " ".join(map(str, folders))
        raise SystemExit(
            f"{where}: at least 2 views of {size} pixels of each object expected, found {count} of {side}; "
            f"make them with tools/make_dataset.py --size {size}"
        )
    return views


def run_options(args: argparse.Namespace, config: DictConfig) -> dict[str, Any]:
    return {"slice_minutes": args.slice, "seed": config.seed}


def export(args: argparse.Namespace, config: DictConfig) -> None:
    # Files of at most 15 MB, their headers included.
    save_zero123(trained_model(config, args.state, args.begin_with), args.out, max_shard_size="14MB")


STAGES = {
    "all": train_all,
    "autoencoder": train_autoencoder,
    "tower": train_tower,
    "diffusion": train_diffusion,
    "export": export,
}


def settled(departures: Path | None, overrides: list[str]) -> DictConfig:
    """The configuration that a run has.

    Raises:
        OmegaConfBaseException: a key that no code reads; those of ``model`` are looked at when it is built.
    """
    config = OmegaConf.load(CONFIG)
    OmegaConf.set_struct(config, True)
    OmegaConf.set_struct(config.model, False)
    more = OmegaConf.load(departures) if departures else {}
    return OmegaConf.merge(config, more, OmegaConf.from_dotlist(overrides))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append", help="folder of objects-*.npz; may be repeated")
    parser.add_argument("--endless", action="store_true", help="new objects all the time, instead of --data")
    parser.add_argument("--validation", type=Path, help="the same, of objects that are not trained on")
    parser.add_argument("--out", type=Path, help="where export writes")
    parser.add_argument("--minutes", type=float, default=60, help="of training, former runs included")
    parser.add_argument("--slice", type=float, help="minutes of this run")
    parser.add_argument("--begin-with", metavar="CHECKPOINT", help="weights to start from")
    parser.add_argument(
        "--config", type=Path, help="a YAML of departures from configs/training/zero123-nano.yaml"
    )
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_intermixed_args()
    if args.stage == "export" and args.out is None:
        parser.error("export needs --out")
    if args.stage != "export" and (args.data is None) == (not args.endless):
        parser.error(f"{args.stage} needs either --data or --endless")
    if args.config and not args.config.is_file():
        parser.error(f"--config: {args.config}: no such file")
    try:
        config = settled(args.config, args.overrides)
    except OmegaConfBaseException as error:
        parser.error(f"the settings: {str(error).splitlines()[0]}")
    pl.seed_everything(config.seed)
    try:
        STAGES[args.stage](args, config)
    except ViewFusionError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
