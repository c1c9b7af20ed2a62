"""Runs: minimize J from a content and its styles, from the coarsest scale to the finest."""
