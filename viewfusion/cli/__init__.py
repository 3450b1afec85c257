"""The ``viewfusion`` command: parse, call, report. Heavy imports wait until a command needs them."""

from .app import main

__all__ = ["main"]
