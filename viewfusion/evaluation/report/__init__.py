"""Reports: the folders of finished evaluations go in, one HTML file that needs nothing else comes out."""

from __future__ import annotations

from .page import write_report

__all__ = ["write_report"]
