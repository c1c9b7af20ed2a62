"""The pictures that come with the program."""

from pathlib import Path

PICTURES = [Path(__file__).with_name(name) for name in ("cat.jpg", "painting.jpg")]
"""The photograph of Chelsea the cat by Stéfan van der Walt (CC0), and the painting that
examples/painter.py paints."""
