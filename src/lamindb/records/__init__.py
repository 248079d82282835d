"""What happens to records: one use case a module. Imports every room below."""
