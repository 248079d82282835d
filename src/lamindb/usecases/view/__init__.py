"""Letting the folder that users see follow the records: shown, repaired, linked again."""
