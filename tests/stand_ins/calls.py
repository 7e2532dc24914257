"""A line of JSON in, a call to AWS by boto3, a line out. Run by .venv/cloud's Python, which has boto3."""

import json
import sys
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# as the gate: an invocation may take long, and a second one is no remedy
CONFIG = Config(read_timeout=900, connect_timeout=5, retries={"total_max_attempts": 1})


def plain(value: Any) -> Any:
    """Bodies are read, times are written out."""
    read = value.read() if hasattr(value, "read") else value
    return read.decode() if isinstance(read, bytes) else str(read)


def answer(asked: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
    service = asked["service"]
    if service not in clients:
        clients[service] = boto3.client(service, config=CONFIG)
    try:
        result = getattr(clients[service], asked["operation"])(**asked["parameters"])
    except ClientError as error:
        return {"error": error.response["Error"]}
    except Exception as error:  # noqa: BLE001  # whatever it is, a test is to read it
        return {"error": {"Code": type(error).__name__, "Message": str(error)}}
    result.pop("ResponseMetadata", None)
    return {"result": result}


def main() -> None:
    clients: dict[str, Any] = {}
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), clients), default=plain), flush=True)  # noqa: T201  # its purpose


if __name__ == "__main__":
    main()
