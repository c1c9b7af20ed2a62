"""All commands."""

from impasto.cli.arguments import (
    Demo,
    Explain,
    Export,
    Networks,
    Recipe,
    Report,
    Resume,
    Studio,
    Stylize,
    Texture,
    Tune,
)
from impasto.cli.batch_arguments import Batch
from impasto.cli.views_arguments import Compare, Harmonize, Plot

Command = (
    Stylize
    | Texture
    | Batch
    | Demo
    | Explain
    | Tune
    | Export
    | Networks
    | Plot
    | Compare
    | Harmonize
    | Recipe
    | Resume
    | Report
    | Studio
)
