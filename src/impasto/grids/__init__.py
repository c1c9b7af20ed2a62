"""Grids over any number of axes: regions, patches, resampling, arrays, sharing by processes."""
