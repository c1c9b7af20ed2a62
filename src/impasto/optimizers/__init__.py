"""Gradient descent, Adam and L-BFGS: loops on a callable."""
