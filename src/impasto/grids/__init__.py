"""Grids of any number of dimensions: regions, patches, resampling, arrays, processes that share."""
