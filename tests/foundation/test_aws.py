"""AWS without boto3: signatures as botocore makes them, credentials, and the secret."""

import json
import ssl
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import trustme

from app.foundation import aws
from app.foundation.settings import SettingsError, load_settings
from ops.environment import ROOT
from tests.foundation.conftest import ARN, HIDDEN, KEY, NOON, SECRET, STRONG, TOKEN, Clock, of_role
from tests.stand_ins.endpoint import Endpoint

pytestmark = pytest.mark.usefixtures("nothing_of_aws")
HOST = "db.abc.eu-central-1.rds.amazonaws.com"

# --- Signatures

STS = (
    "x-amz-security-token:AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8"
    "YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6"
    "fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQ"
    "wj2ICCR/oLxBA=="
)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
FORM = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
SERVER, DATE = "host:example.amazonaws.com\n", "x-amz-date:20150830T123600Z\n"


FORM_HEADER = "content-type:application/x-www-form-urlencoded\n"
VECTORS = {
    "get-vanilla": (
        f"GET\n/\n\n{SERVER}{DATE}\nhost;x-amz-date\n{EMPTY}",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-vanilla-query-order-key-case": (
        f"GET\n/\nParam1=value1&Param2=value2\n{SERVER}{DATE}\nhost;x-amz-date\n{EMPTY}",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "post-x-www-form-urlencoded": (
        f"POST\n/\n\n{FORM_HEADER}{SERVER}{DATE}\ncontent-type;host;x-amz-date\n{FORM}",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    "post-sts-header-before": (
        f"POST\n/\n\n{SERVER}{DATE}{STS}\n\nhost;x-amz-date;x-amz-security-token\n{EMPTY}",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_the_signature_is_that_of_awss_test_suite(name: str) -> None:
    """Signature Version 4 Test Suite, as in bazelbuild/bazel, third_party/aws-sig-v4-test-suite."""
    request, signature = VECTORS[name]
    key, scope = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830/us-east-1/service/aws4_request"
    assert aws.signature(key, "20150830T123600Z", scope, request) == signature


BOTOCORE = """
import datetime, json, sys
import botocore.auth, botocore.awsrequest, botocore.credentials, botocore.session
key, secret, token, host, user, body = json.loads(sys.stdin.read())
at = datetime.datetime(2026, 11, 25, 12)
botocore.auth.get_current_datetime = lambda *_, **__: at
made = []
for each in (token, None):
    session = botocore.session.Session()
    session.set_credentials(key, secret, each)
    rds = session.create_client("rds", region_name="eu-central-1")
    url = "https://secretsmanager.eu-central-1.amazonaws.com/"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
    post = botocore.awsrequest.AWSRequest("POST", url, headers, body)
    keys = botocore.credentials.Credentials(key, secret, each)
    botocore.auth.SigV4Auth(keys, "secretsmanager", "eu-central-1").add_auth(post)
    made.append([rds.generate_db_auth_token(host, 5432, user), dict(post.headers.items())])
print(json.dumps(made))
"""


@pytest.mark.usefixtures("keys", "clock")
def test_tokens_and_requests_are_botocores(monkeypatch: pytest.MonkeyPatch) -> None:
    user, body = "app user/é+~", json.dumps({"SecretId": ARN})
    given = json.dumps([KEY, SECRET, TOKEN, HOST, user, body])
    done = subprocess.run(
        [sys.executable, "-c", BOTOCORE], input=given, capture_output=True, text=True, check=True
    )
    for token, headers in json.loads(done.stdout):
        where, _, query = aws.database_token(HOST, 5432, user).partition("?")
        assert where == token.partition("?")[0]
        assert dict(parse_qsl(query)) == dict(parse_qsl(token.partition("?")[2]))
        signed = aws.signed("secretsmanager.eu-central-1.amazonaws.com", "eu-central-1", body.encode())
        assert signed.pop("host")
        assert signed == {name.lower(): value for name, value in headers.items()}
        monkeypatch.setenv("AWS_SESSION_TOKEN", "")  # the second has none


def test_a_token_needs_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(aws.AwsError, match="AWS_REGION: missing; set it"):
        aws.database_token(HOST, 5432, "app")


# --- The secret


def secret(value: object) -> tuple[int, object]:
    return 200, {"ARN": ARN, "SecretString": value if isinstance(value, str) else json.dumps(value)}


@pytest.mark.usefixtures("keys")
def test_the_secret_is_asked_for_with_what_was_signed(
    endpoint: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = endpoint(secret({"SECRET_KEY": STRONG, "SENTRY_DSN": "https://x", "n": 1}))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://{server.host}/")
    assert aws.secret(ARN) == {"SECRET_KEY": STRONG, "SENTRY_DSN": "https://x"}
    [asked] = server.asked
    assert (asked.command, asked.path, json.loads(asked.body)) == ("POST", "/", {"SecretId": ARN})
    sent = {name.lower(): value for name, value in asked.headers.items()}
    assert abs(datetime.now(UTC) - datetime.fromisoformat(sent["x-amz-date"])) < timedelta(minutes=1)
    monkeypatch.setattr(Clock, "at", datetime.fromisoformat(sent["x-amz-date"]))
    monkeypatch.setattr(aws, "datetime", Clock)
    signed = aws.signed(server.host, "eu-central-1", asked.body)
    assert sent | signed == sent
    assert sent["x-amz-security-token"] == TOKEN


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (400, {"__type": "com.amazon#AccessDeniedException", "Message": f"may not, {TOKEN}"}),
            "Secrets Manager answered 400 AccessDeniedException; let the role do GetSecretValue there",
        ),
        ((403, {"__type": "InvalidSignatureException"}), "Secrets Manager answered 403 InvalidSignature"),
        ((404, b"<html>hunter2</html>"), "Secrets Manager answered 404 and no JSON object"),
        ((500, {}), "Secrets Manager answered 500 and no JSON object"),
        ((200, b"hunter2"), "Secrets Manager answered 200 and no JSON object"),
        ((200, {"SecretBinary": "hunter2"}), "Secrets Manager answered 200 and no JSON object"),
        (secret("AnExampleException"), "Secrets Manager answered 200 and no JSON object"),
        (secret(["hunter2"]), "Secrets Manager answered 200 and no JSON object"),
        (
            None,
            "127.0.0.1:1: Connection refused; see the network",
        ),
    ],
)
def test_a_secret_that_cannot_be_had_is_one_line(
    endpoint: Callable[..., Endpoint],
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, object] | None,
    message: str,
) -> None:
    server = endpoint(answer) if answer else None
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server.host}" if server else "http://127.0.0.1:1")
    monkeypatch.setenv("SECRETS_ARN", ARN)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"SECRETS_ARN: {message}")
    assert not [hidden for hidden in (*HIDDEN, "\n") if hidden in str(caught.value)]


@pytest.mark.usefixtures("keys")
def test_a_secret_is_asked_for_once_more(
    endpoint: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = endpoint((503, {}), secret({"a": "b"}))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server.host}")
    assert aws.secret(ARN) == {"a": "b"}
    assert len(server.asked) == 2


@pytest.mark.usefixtures("keys")
def test_secrets_manager_proves_who_it_is(
    endpoint: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server, authority = endpoint(secret({"a": "b"})), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{server.host}")
    with pytest.raises(aws.AwsError, match=r"certificate verify failed.*; see the network"):
        aws.secret(ARN)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert aws.secret(ARN) == {"a": "b"}


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("arn", ["hunter2", "arn:aws:ssm:eu-central-1:123456789012:parameter/hunter2"])
def test_what_is_no_arn_is_not_shown(monkeypatch: pytest.MonkeyPatch, arn: str) -> None:
    monkeypatch.setenv("SECRETS_ARN", arn)
    with pytest.raises(SettingsError, match=r"SECRETS_ARN: is no secret's ARN; write arn:aws:") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("dual", "host"),
    [("true", "secretsmanager.eu-central-1.api.aws"), ("", "secretsmanager.eu-central-1.amazonaws.com")],
)
def test_where_the_secret_is(monkeypatch: pytest.MonkeyPatch, dual: str, host: str) -> None:
    asked: list[str] = []

    def send(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        asked.extend((url, headers["host"]))
        return 200, json.dumps(secret({})[1]).encode()

    monkeypatch.setattr(aws, "send", send)
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", dual)
    aws.secret(ARN)
    assert asked == [f"https://{host}", host]


def test_variables_win_over_the_secret(
    endpoint: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch, keys: None
) -> None:
    server = endpoint(secret({"SECRET_KEY": STRONG, "SMTP_PASSWORD": "hunter2", "SENTRY_DSN": "x"}))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server.host}")
    deployed(monkeypatch)
    found = load_settings()
    assert found.secret_key.get_secret_value() == STRONG
    assert found.smtp_password
    assert found.smtp_password.get_secret_value() == "hunter2"
    plain = STRONG[::-1]
    monkeypatch.setenv("SECRET_KEY", plain)
    monkeypatch.setenv("SMTP_PASSWORD", "")
    found = load_settings()
    assert found.secret_key.get_secret_value() == plain
    assert found.smtp_password
    assert found.smtp_password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(found)


def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"SECRETS_ARN": ARN, "SENDER_EMAIL": "api@example.com", "DB_HOST": "db.example.com"}
    for name, value in (variables | {"ENVIRONMENT": "dev"}).items():
        monkeypatch.setenv(name, value)


def test_what_has_a_secret_is_deployed_whatever_it_is_called(
    endpoint: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch, keys: None
) -> None:
    """The public key of development signs nothing there, and no localhost may call."""
    server = endpoint(secret({"SMTP_PASSWORD": "x"}), secret({"SECRET_KEY": STRONG}))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server.host}")
    deployed(monkeypatch)
    with pytest.raises(SettingsError, match=r"^SECRET_KEY: missing with ENVIRONMENT=dev"):
        load_settings()
    found = load_settings()
    assert (found.origin_cors, found.signup, found.developing) == ([], "closed", False)


# --- Credentials


def test_a_role_is_asked_again_near_the_end(
    endpoint: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch, clock: type[Clock]
) -> None:
    server = endpoint(
        of_role("A"), of_role("B", NOON + timedelta(hours=2)), of_role("C", NOON + timedelta(hours=2))
    )
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://{server.host}/a/path?x=y")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "an-endpoints-token")
    assert aws.credentials().access_key == "A"
    clock.at = NOON + timedelta(minutes=54)
    with ThreadPoolExecutor(8) as pool:
        assert {found.access_key for found in pool.map(lambda _: aws.credentials(), range(8))} == {"A"}
    clock.at = NOON + timedelta(minutes=56)
    assert aws.credentials().access_key == "B"
    assert aws.credentials().access_key == "B"
    aws.forget()
    assert aws.credentials().access_key == "C"
    assert [asked.path for asked in server.asked] == ["/a/path?x=y"] * 3
    assert {asked.headers["authorization"] for asked in server.asked} == {"an-endpoints-token"}
    assert SECRET not in repr(aws.credentials())
    assert TOKEN not in repr(aws.credentials())


def test_ecs_tells_a_path_and_a_file_may_have_the_token(
    endpoint: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch, clock: type[Clock], tmp_path: Path
) -> None:
    server = endpoint(of_role("A"))
    hosts: list[str] = []

    def connect(host: str, timeout: float) -> HTTPConnection:
        hosts.append(host)
        return HTTPConnection(server.host, timeout=timeout)

    monkeypatch.setattr("http.client.HTTPConnection", connect)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1")
    assert aws.credentials() == aws.Credentials("A", SECRET, TOKEN, NOON + timedelta(hours=1))
    (tmp_path / "token").write_text("an-endpoints-token\n")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    aws.forget()
    aws.credentials()
    assert hosts == ["169.254.170.2"] * 2
    assert [asked.path for asked in server.asked] == ["/v2/credentials/1"] * 2
    assert [asked.headers["authorization"] for asked in server.asked] == [None, "an-endpoints-token"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with a role"),
        (
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/"},
            "127.0.0.1:1: Connection refused; see the network",
        ),
        (
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "x", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/none"},
            "the role gave no credentials (FileNotFoundError); see that the task has a role",
        ),
        (
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://x",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "hunter2\nx",
            },
            "x: ValueError; see the network, and the credentials' characters",
        ),
    ],
)
def test_without_credentials_it_says_why(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(aws.AwsError) as caught:
        aws.credentials()
    assert str(caught.value).startswith(message)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("answer", [(403, {"message": "hunter2"}), (200, b"hunter2"), (500, b"")])
def test_a_role_that_is_none(
    endpoint: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch, answer: tuple[int, object]
) -> None:
    server = endpoint(answer)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://{server.host}/")
    with pytest.raises(
        aws.AwsError, match=r"the role gave no credentials \(.*Error\); see that the"
    ) as caught:
        aws.credentials()
    assert "hunter2" not in str(caught.value)


def test_no_module_of_ours_imports_http_client() -> None:
    """For the API's door: what others import is theirs."""
    program = """
import builtins
found, real = [], builtins.__import__
def spy(name, globals=None, *rest):
    found.append((name, (globals or {}).get("__name__") or ""))
    return real(name, globals, *rest)
builtins.__import__ = spy
import app.entrypoints.api_lambda
builtins.__import__ = real
assert ("app.api", "app.entrypoints.api_lambda") in found
print([who for name, who in found if name.startswith("http.client") and who.startswith("app")])
"""
    environment = {"PYTHONPATH": "src", "ENVIRONMENT": "test"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
