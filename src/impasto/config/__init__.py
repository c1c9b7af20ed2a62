"""All settings of a run, their checks, their defaults, and presets of them."""
