"""The two commands of every tool that measures: ``measure``, which may be stopped, and ``write``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from viewfusion import ViewFusionError

DOCS = Path(__file__).resolve().parents[2] / "docs"

Command = Callable[[argparse.Namespace], None]


def two_commands(
    description: str | None, measure: Command, write: Command, page: str
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser, argparse.ArgumentParser]:
    """The parser, and that of each command, with what all tools take; ``page`` is what ``write`` fills."""
    outer = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    commands = outer.add_subparsers(required=True)
    measuring = commands.add_parser("measure", help="make what is missing and score it")
    measuring.set_defaults(run=measure)
    measuring.add_argument("--meshes", type=Path, nargs="+", default=[], metavar="LIBRARY")
    writing = commands.add_parser("write", help="tables and figures")
    writing.set_defaults(run=write)
    writing.add_argument("--page", type=Path, default=DOCS / page)
    writing.add_argument("--images", type=Path, default=DOCS / "images")
    for each in (measuring, writing):
        each.add_argument("--state", type=Path, required=True, help="where results lie")
    return outer, measuring, writing


def run_command(parser: argparse.ArgumentParser) -> None:
    """Do what the command line says; errors are one line."""
    args = parser.parse_args()
    try:
        args.run(args)
    except ViewFusionError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on") from None
