"""Style transfer in one pass: encode, transport, decode."""
