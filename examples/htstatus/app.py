"""The application as it is deployed today: `flask --app app run`. HTSTATUS_VERSION names an older release instead."""

import os
from importlib import import_module

from versions import NEWEST

create_app = import_module(f"versions.{os.environ.get('HTSTATUS_VERSION', NEWEST)}").create_app

__all__ = ["create_app"]
