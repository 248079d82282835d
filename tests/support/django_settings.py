"""Settings for type checkers: with them, the fields of our models have types."""

INSTALLED_APPS = ["lamindb"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for type checkers"
