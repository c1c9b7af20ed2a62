"""What each layer keeps of two pictures, and what each setting does."""
