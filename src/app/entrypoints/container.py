"""The server's door: `uvicorn app.entrypoints.container:app`."""

from app.api import start

app = start()
