"""The system calls, and documentation whose every file the application serves itself."""

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from app import NAME, VERSION
from app.foundation.database import SessionDep
from app.foundation.schema import expected_revision
from app.resources.system import service
from app.resources.system.schemas import Health, Ready, Version

router = APIRouter(tags=["system"])

DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# addresses relative to /docs, so that they hold behind a stage prefix
DOCS_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{NAME} API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
DOCS_START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true})\n'


@router.get("/health")
def health() -> Health:
    """Answers while the process lives; touches nothing."""
    return Health()


@router.get("/ready")
def ready(session: SessionDep) -> Ready:
    """Whether the database answers and has the schema this code expects."""
    return service.check_ready(session)


@router.get("/version")
def version(request: Request) -> Version:
    commit = request.app.state.settings.commit
    return Version(name=NAME, version=VERSION, commit=commit, revision=expected_revision())


@router.get("/docs", include_in_schema=False)
def docs() -> HTMLResponse:
    return HTMLResponse(DOCS_PAGE, headers={"Content-Security-Policy": DOCS_POLICY})


@router.get("/docs/{name}", include_in_schema=False)
def docs_file(name: str) -> Response:
    if name not in {"swagger-ui.css", "swagger-ui-bundle.js", "start.js"}:
        raise HTTPException(404)
    if name == "start.js":
        return Response(DOCS_START, media_type="text/javascript")
    return FileResponse(docs_files() / name, headers={"Cache-Control": "public, max-age=86400"})


def docs_files() -> Path:
    """Where the package fastapi-offline keeps Swagger UI; found without importing it."""
    package = find_spec("fastapi_offline")
    assert package
    assert package.origin
    return Path(package.origin).parent / "static"
