"""Health, readiness, version, documentation."""
