"""The image, on a real Docker engine."""
