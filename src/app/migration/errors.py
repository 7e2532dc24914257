"""Why the schema was not moved."""


class Refused(Exception):
    """One line that says what is wrong and what to do; the database is as before, but for what it says."""
