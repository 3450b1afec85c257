"""Evaluation: finished views and true pictures go in, numbers come out. Serves views made by any system."""
