"""What stands in for a part that a test cannot have, or must see fail."""
