"""J and dJ/dG, exactly: of a whole sample, tile by tile, or shared by processes."""
