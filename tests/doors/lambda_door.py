"""Lambda's door for tests: an HTTP request becomes an event, the handler's answer a response."""

import base64
import json
from typing import Any

import httpx2
from mangum import Mangum

from ops.environment import ROOT

SHAPE = json.loads((ROOT / "events" / "http-api-version.json").read_text())


class LambdaTransport(httpx2.BaseTransport):
    """API Gateway's HTTP API, as far as the application can tell."""

    def __init__(self, handler: Mangum) -> None:
        self.handler = handler

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = json.loads(json.dumps(self.handler(event_of(request), {})))  # type: ignore[arg-type]
        body = answer["body"]
        content = base64.b64decode(body) if answer["isBase64Encoded"] else body.encode()
        return httpx2.Response(answer["statusCode"], headers=answer["headers"], content=content)


def event_of(request: httpx2.Request) -> dict[str, Any]:
    """Format 2.0: the path as it was sent, headers joined by commas, bodies other than JSON in base64."""
    content = request.read()
    path, _, query = request.url.raw_path.decode().partition("?")
    plain = "json" in request.headers.get("content-type", "json")
    try:
        body = content.decode() if plain else ""
    except UnicodeDecodeError:
        plain = False
    event: dict[str, Any] = json.loads(json.dumps(SHAPE))
    event["rawPath"], event["rawQueryString"] = path, query
    event["headers"] = {name.lower(): value for name, value in request.headers.items()}
    event["requestContext"]["http"] |= {"method": request.method, "path": path}
    event["isBase64Encoded"] = not plain
    if content:
        event["body"] = body if plain else base64.b64encode(content).decode()
    return event
