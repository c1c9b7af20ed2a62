"""The settings of a run: defaults, checks and presets."""
