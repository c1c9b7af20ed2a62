"""Linear: closed-form filters that bring a sample to a style's second-order statistics, and
baselines."""
