"""Show what each layer of a network keeps of two pictures, and what each setting does."""
