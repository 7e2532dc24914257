"""Ground: knows no resource."""
