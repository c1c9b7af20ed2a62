"""Losses: sums over positions, and a score computed from those sums."""
