"""What the machine and Python give: memory, threads, signals, optional libraries."""
