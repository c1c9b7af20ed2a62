"""The recipe of the decoder of `impasto.instant`."""
