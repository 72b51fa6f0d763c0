"""The application as it is deployed today: `flask --app app run`."""

from versions.v3 import create_app

__all__ = ["create_app"]
