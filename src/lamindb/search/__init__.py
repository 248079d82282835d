"""What there is: search, description, history."""
