"""What could keep a deployment from going well."""
