"""Losses: sums over positions, and a score of those sums."""
