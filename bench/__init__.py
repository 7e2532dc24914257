"""Ours beside what people would use instead, measured in one run: `make bench`."""
