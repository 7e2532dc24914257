"""The migration function, asked from outside its network: by the gate, and by who deploys."""

import json
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# boto3 by itself gives up after 60 s and asks again, which would start the migration anew (botocore's "Config
# Reference", read_timeout and retries); s, above what that function has, and below what the gate has
PATIENT = Config(read_timeout=880, connect_timeout=5, tcp_keepalive=True, retries={"total_max_attempts": 1})


class NoAnswer(Exception):
    """One line that says why."""


def invoke(function: str, event: dict[str, Any], region: str | None = None) -> dict[str, Any]:
    """Its answer; asked once. Raises NoAnswer."""
    try:
        client = boto3.client("lambda", config=PATIENT, region_name=region)
        called = client.invoke(FunctionName=function, Payload=json.dumps(event))
        answer: dict[str, Any] = json.loads(called["Payload"].read())
    except (BotoCoreError, ClientError) as error:
        raise NoAnswer(f"{function} could not be asked: {error}") from error
    # AWS Lambda API Reference, "Invoke": the status is 200, and FunctionError is set
    if "FunctionError" in called:
        raise NoAnswer(f"{function} failed: {answer.get('errorMessage', answer)}")
    return answer
