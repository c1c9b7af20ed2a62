"""The folder of a run: what was asked for, J step by step, checkpoints, and what a run came of."""
