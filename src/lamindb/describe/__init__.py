"""Descriptions of records, and the recent events of an instance."""
