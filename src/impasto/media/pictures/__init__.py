"""Pictures and their files."""
