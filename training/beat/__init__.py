"""The recipe of `beat`, the network for ECGs: see README.md."""
