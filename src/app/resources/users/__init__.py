"""People who may call."""
