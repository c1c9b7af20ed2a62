"""The command `impasto`: flags from the settings, one function for each command."""
