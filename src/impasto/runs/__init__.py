"""Run folders: the settings of a run, J at each step, checkpoints and the origin of the run."""
