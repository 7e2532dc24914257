"""A Lambda function that fails when told to, by the path of the event."""

import os
import time
from typing import Any

answered = 0


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    global answered  # noqa: PLW0603  # it tells whether this is the same process
    match event["rawPath"]:
        case "/throw":
            raise RuntimeError("thrown")
        case "/sleep":
            time.sleep(60)
        case "/exit":
            os._exit(3)
    answered += 1
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "cookies": ["a=1", "b=2"],
        "body": str(answered),
    }
