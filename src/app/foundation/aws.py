"""What the application asks of AWS, without boto3: tokens for the database, and one secret.

After "Create a signed AWS API request" (IAM), "Connecting to your DB instance using IAM authentication"
(RDS), "Container credential provider", "Service-specific endpoints" and "Dual-stack and FIPS endpoints" (SDKs
and Tools), "AWS service endpoints" (General Reference), "Activating and managing Lambda SnapStart" (Lambda).
"""

import hashlib
import hmac
import json
import os
import re
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

ARN = re.compile(r"arn:aws(?:-us-gov)?:secretsmanager:([a-z0-9-]+):\d{12}:secret:\S+")
env = os.environ.get


class AwsError(Exception):
    """One line that names the fix, and shows no secret."""


@dataclass(repr=False)
class Credentials:
    access_key: str
    secret_key: str
    token: str
    expires: datetime = datetime(9999, 1, 1, tzinfo=UTC)


def credentials() -> Credentials:
    """Of the environment, or of the task's or function's role. Raises AwsError."""
    if (access_key := env("AWS_ACCESS_KEY_ID")) and (secret_key := env("AWS_SECRET_ACCESS_KEY")):
        return Credentials(access_key, secret_key, env("AWS_SESSION_TOKEN", ""))
    if datetime.now(UTC) > role().expires - timedelta(minutes=5):
        forget()
    return role()


@lru_cache(maxsize=1)  # threads may share it: at worst, each asks once
def role() -> Credentials:
    path, url = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), env("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not path and not url:
        raise AwsError("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with a role")
    try:
        file = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        token = Path(file).read_text("utf-8").strip() if file else env("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        url = f"http://169.254.170.2{path}" if path else str(url)
        said = json.loads(send(url, {"authorization": token} if token else {})[1])
        expires = datetime.fromisoformat(said["Expiration"])
        return Credentials(said["AccessKeyId"], said["SecretAccessKey"], said["Token"], expires)
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = type(error).__name__  # the message could show them
        raise AwsError(f"the role gave no credentials ({fault}); see that the task has a role") from None


# after a restore from a snapshot, and where the credentials were refused
forget = role.cache_clear


def database_token(host: str, port: int | str, user: str) -> str:
    """The password for 15 minutes, made without a call. Raises AwsError."""
    if not (region := env("AWS_REGION")):
        raise AwsError("AWS_REGION: missing; set it to the database's, such as eu-central-1")
    mine, when = credentials(), f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    scope = f"{when[:8]}/{region}/rds-db/aws4_request"
    # in the order of their names, as they are signed
    query = {"Action": "connect", "DBUser": user, "X-Amz-Algorithm": "AWS4-HMAC-SHA256"}
    query |= {"X-Amz-Credential": f"{mine.access_key}/{scope}", "X-Amz-Date": when, "X-Amz-Expires": "900"}
    query |= {"X-Amz-Security-Token": mine.token} if mine.token else {}
    text = urlencode(query | {"X-Amz-SignedHeaders": "host"}, quote_via=quote, safe="")
    request = f"GET\n/\n{text}\nhost:{host}:{port}\n\nhost\n{hashlib.sha256().hexdigest()}"
    return f"{host}:{port}/?{text}&X-Amz-Signature={signature(mine.secret_key, when, scope, request)}"


def secret(arn: str) -> dict[str, str]:
    """The texts of a JSON secret. Raises AwsError."""
    if not (named := ARN.fullmatch(arn)):
        raise AwsError("is no secret's ARN; write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME")
    domain = "api.aws" if env("AWS_USE_DUALSTACK_ENDPOINT") == "true" else "amazonaws.com"
    given = env("AWS_ENDPOINT_URL_SECRETS_MANAGER") or env("AWS_ENDPOINT_URL")
    url = given or f"https://secretsmanager.{named[1]}.{domain}"
    body = json.dumps({"SecretId": arn}).encode()
    status, answer = send(url, signed(urlsplit(url).netloc, named[1], body), body)
    try:
        values = json.loads(json.loads(answer)["SecretString"]).items()
        return {name: value for name, value in values if isinstance(value, str)}
    except (ValueError, KeyError, TypeError, AttributeError):
        # AWS's message may show all that was signed, the token too: its name has to do
        fault = re.search(rb"[A-Za-z]+Exception", answer) if status != 200 else None
        what = f"{status} {fault[0].decode() if fault else 'and no JSON object'}"
        raise AwsError(f"Secrets Manager answered {what}; let the role do GetSecretValue there") from None


def signed(host: str, region: str, body: bytes) -> dict[str, str]:
    mine, when = credentials(), f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    scope = f"{when[:8]}/{region}/secretsmanager/aws4_request"
    headers = {"content-type": "application/x-amz-json-1.1", "host": host, "x-amz-date": when}
    headers |= {"x-amz-security-token": mine.token} if mine.token else {}
    headers["x-amz-target"] = "secretsmanager.GetSecretValue"
    lines, names = "".join(f"{name}:{value}\n" for name, value in headers.items()), ";".join(headers)
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    made = f"SignedHeaders={names}, Signature={signature(mine.secret_key, when, scope, request)}"
    return headers | {"authorization": f"AWS4-HMAC-SHA256 Credential={mine.access_key}/{scope}, {made}"}


def signature(secret_key: str, when: str, scope: str, request: str) -> str:
    text = f"AWS4-HMAC-SHA256\n{when}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{secret_key}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def send(url: str, headers: dict[str, str], body: bytes = b"", tries: int = 2) -> tuple[int, bytes]:
    """A POST of `body`, or a GET: status and answer. Again after a network fault or a 5xx."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # a token is made without

    host = urlsplit(url).netloc
    kind = HTTPSConnection if url.startswith("https:") else HTTPConnection
    try:
        with closing(kind(host, timeout=3)) as connection:
            connection.request("POST" if body else "GET", url.partition(host)[2] or "/", body, headers)
            answer = connection.getresponse()
            if answer.status < 500 or tries == 1:
                return answer.status, answer.read()
    except (OSError, HTTPException, ValueError) as error:
        if tries == 1:
            # not all of the message: a ValueError's has a header in it, such as one with a line break
            reason = getattr(error, "strerror", "") or type(error).__name__
            raise AwsError(f"{host}: {reason}; see the network, and the credentials' characters") from None
    return send(url, headers, body, tries - 1)
