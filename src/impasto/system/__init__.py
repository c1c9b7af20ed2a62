"""What the machine and Python give: memory, threads, signals of the system, libraries of extras."""
