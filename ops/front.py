"""What API Gateway does, in front of the emulator: HTTP -> event -> function -> HTTP.

Runs in SAM CLI's environment, as `-m ops.front PORT URL`, where URL invokes the function.
"""

import base64
import json
import logging
import sys
from http.client import HTTPException
from threading import Lock
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from flask import Flask, Response, request
from samcli.local.apigw.event_constructor import construct_v2_event_http
from werkzeug.serving import WSGIRequestHandler, make_server

port, function = int(sys.argv[1]), sys.argv[2]
app = Flask(__name__, static_folder=None)
one_at_a_time = Lock()  # two kill the emulator


@app.before_request
def answer() -> Response:
    """Any method and path, as the route $default."""
    # as a base64 body arrives what is no text, and a form
    binary = [] if is_text(request.get_data()) else ["*/*"]
    event = construct_v2_event_http(request, port, binary, stage_name="$default", route_key="$default")
    with one_at_a_time:
        given = invoke(event)
    if "statusCode" not in given:
        print("The function failed:", given, flush=True)
        # "Troubleshoot API Gateway 5xx errors" (AWS re:Post): an error in the function's code
        return Response('{"message":"Internal Server Error"}', 500, mimetype="application/json")
    body = given.get("body") or ""
    content = base64.b64decode(body) if given.get("isBase64Encoded") else body
    made = Response(content, given["statusCode"], given.get("headers"))
    for cookie in given.get("cookies", []):
        made.headers.add("Set-Cookie", cookie)
    return made


def is_text(body: bytes) -> bool:
    if body and request.mimetype == "application/x-www-form-urlencoded":
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def invoke(event: dict[str, Any]) -> dict[str, Any]:
    """Its answer, or what it failed with: a time-out is told in plain text, an exit with status 502."""
    call = Request(function, json.dumps(event).encode())  # noqa: S310
    try:
        with urlopen(call) as answer:  # noqa: S310
            text = answer.read()
    except HTTPError as error:
        text = error.read()
    except (OSError, HTTPException) as error:
        text = str(error).encode()
    try:
        given = json.loads(text)
    except ValueError:
        given = text.decode(errors="replace")
    return given if isinstance(given, dict) else {"errorMessage": given}


logging.getLogger("werkzeug").setLevel(logging.ERROR)
WSGIRequestHandler.protocol_version = "HTTP/1.1"
make_server("127.0.0.1", port, app, threaded=True).serve_forever()
