"""The operator's program: `python -m ops`. It may import the application; never the other way round."""
