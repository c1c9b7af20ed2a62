"""Many samples in one command: what is to be made, who makes it, and what has become of it."""
