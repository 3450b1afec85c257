"""``protocols``: what each one's numbers mean, and the file to copy for one of your own."""

from __future__ import annotations

import textwrap

import typer

from viewfusion.errors import printable

_WIDTH = 96


def print_protocols() -> None:
    """Of each that comes with viewfusion: about, what is compared by which metrics, its hash and its file."""
    from viewfusion.evaluation.protocols import load_protocol, protocol_file, protocol_names

    for name in protocol_names():
        protocol = load_protocol(name)
        views = f", {protocol.views or 'any number of'} views at {protocol.size} pixels"
        texts = (
            protocol.about.strip(),
            f"task: {protocol.task}{'' if protocol.task == 'mesh' else views}",
            f"metrics: {', '.join(protocol.metrics)}",
            f"SHA-256: {protocol.sha256[:12]}",
        )
        typer.echo(name)
        for text in texts:
            typer.echo(textwrap.indent(textwrap.fill(text, _WIDTH), "    "))
        typer.echo(f"    file: {printable(str(protocol_file(name)))}")
