"""Everything about a record, and what happened lately in an instance."""
