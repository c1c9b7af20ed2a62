"""J and dJ/dG, exactly: of a sample whole, in tiles, or shared by processes."""
