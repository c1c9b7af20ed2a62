"""The recipe of `lite`, the network that impasto carries: see README.md."""
