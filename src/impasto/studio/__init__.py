"""The studio: a page in the browser that paints, on the user's own machine."""
