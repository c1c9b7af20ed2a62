"""What differs between a picture, a signal and a volume."""
