"""A function of the emulated AWS, called from within it."""

import json
import os
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from tests.stand_ins.recorded import Properties


def invoke(function: str, event: Properties) -> Any:
    """Through the emulator's own door; {"error": ..} where it raised or was not reached."""
    port, key, region = (os.environ[name] for name in ("GATEWAY_PORT", "AWS_ACCESS_KEY_ID", "AWS_REGION"))
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/{quote(function, safe='')}/invocations"
    scope = f"{key}/20260101/{region}/lambda/aws4_request"
    signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    try:
        with urlopen(Request(url, json.dumps(event).encode(), signed)) as response:
            said = json.loads(response.read() or b"null")
            return {"error": said} if response.headers.get("X-Amz-Function-Error") else said
    except HTTPError as error:
        return {"error": f"HTTP {error.code}"}
