"""Doors: wiring only, one file per way in."""
