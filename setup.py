"""Shim for tools that look for it; pyproject.toml holds everything."""

from setuptools import setup

setup()
