"""Moving the schema."""
