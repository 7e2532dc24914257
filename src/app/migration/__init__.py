"""Moving the schema, by whichever door: the migration function, or `make migrate`."""
