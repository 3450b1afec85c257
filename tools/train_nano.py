"""Train zero123-nano: the autoencoder first, then the image tower, then everything but the autoencoder.

    python tools/make_dataset.py --out STATE/objects
    python tools/make_dataset.py --out STATE/validation --objects 250 --first-seed 500000000
    python tools/train_nano.py autoencoder --data STATE/objects --state STATE --minutes 25
    python tools/train_nano.py tower --data STATE/objects --state STATE --minutes 10
    python tools/train_nano.py diffusion --data STATE/objects --validation STATE/validation \\
        --state STATE --minutes 100
    python tools/train_nano.py export --state STATE --out zero123_ckpts/zero123-nano

Every stage resumes from its last checkpoint in STATE; its learning rate falls to zero at ``--minutes`` of
training time in all. ``--slice 9`` saves and stops after nine minutes of them, Ctrl-C after the step under
way. ``--begin-with zero123-nano`` starts from finished weights where STATE has none. Dotted overrides
(``diffusion.lr=1e-3``) change the YAML.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pytorch_lightning as pl
from nano.autoencoder import AutoencoderModule, measure_scale
from nano.diffusion import DiffusionModule
from nano.loop import fit
from nano.state import cached_latents, trained_model
from nano.tower import TowerModule
from nano.views import StoredMoves, Views
from nano.watch import Watch
from omegaconf import DictConfig, OmegaConf

from viewfusion.errors import ViewFusionError
from viewfusion.zero123 import save_zero123

CONFIG = Path(__file__).resolve().parents[1] / "configs/training/zero123-nano.yaml"


def train_autoencoder(args: argparse.Namespace, config: DictConfig) -> None:
    model, views = trained_model(config, args.state, args.begin_with), Views.load(args.data)
    options = {"slice_minutes": args.slice, "seed": config.seed}
    module = AutoencoderModule(model, views.images, config.autoencoder, args.minutes, **options)
    fit(module, args.state, "autoencoder", config)
    scale = measure_scale(model.float(), views.images, config.autoencoder.latent_spread)
    (args.state / "scaling_factor.txt").write_text(str(scale))


def train_diffusion(args: argparse.Namespace, config: DictConfig) -> None:
    model, views = trained_model(config, args.state, args.begin_with), Views.load(args.data)
    model.vae.requires_grad_(False)
    moves = StoredMoves(views, cached_latents(model, views.images, args.state))
    watch = Watch(Views.load(args.validation), args.state / "diffusion") if args.validation else None
    spread = config.autoencoder.latent_spread
    options = {"slice_minutes": args.slice, "seed": config.seed}
    module = DiffusionModule(model, moves, spread, config.diffusion, args.minutes, watch, **options)
    steps = config.diffusion.watch_steps if watch else None
    fit(module, args.state, "diffusion", config, config.diffusion.ema_decay, steps)


def train_tower(args: argparse.Namespace, config: DictConfig) -> None:
    model, views = trained_model(config, args.state, args.begin_with), Views.load(args.data)
    moves = StoredMoves(views, cached_latents(model, views.images, args.state))
    options = {"slice_minutes": args.slice, "seed": config.seed}
    fit(TowerModule(model, moves, config.tower, args.minutes, **options), args.state, "tower", config)


def export(args: argparse.Namespace, config: DictConfig) -> None:
    save_zero123(trained_model(config, args.state, args.begin_with), args.out)


STAGES = {
    "autoencoder": train_autoencoder,
    "tower": train_tower,
    "diffusion": train_diffusion,
    "export": export,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder of objects-*.npz")
    parser.add_argument("--validation", type=Path, help="the same, of objects that are not trained on")
    parser.add_argument("--out", type=Path, help="where export writes")
    parser.add_argument("--minutes", type=float, default=60, help="of a stage's training, in all")
    parser.add_argument("--slice", type=float, help="minutes of this run")
    parser.add_argument("--begin-with", metavar="CHECKPOINT", help="weights to start from")
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_intermixed_args()
    needed = "out" if args.stage == "export" else "data"
    if getattr(args, needed) is None:
        parser.error(f"{args.stage} needs --{needed}")
    config = OmegaConf.merge(OmegaConf.load(args.config), OmegaConf.from_dotlist(args.overrides))
    pl.seed_everything(config.seed)
    try:
        STAGES[args.stage](args, config)
    except ViewFusionError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
