"""The server's door: `uvicorn app.entrypoints.container:app`."""

import sys

from app import NAME
from app.api import start
from app.foundation.settings import SettingsError

try:
    app = start()
except SettingsError as error:
    sys.exit(f"{NAME}: {error}")
