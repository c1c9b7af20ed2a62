"""The command `impasto`: its flags, which come from the settings, and its subcommands."""
