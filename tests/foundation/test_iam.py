"""DB_AUTH=iam: sign-in by token, through RDS's stand-in, and the settings it needs."""

import logging
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from app.api import start
from app.entrypoints import container
from app.foundation import aws, settings
from app.foundation.database import make_engine
from app.foundation.settings import SettingsError, load_settings
from app.migration.actions import Call, act
from app.migration.errors import Refused
from tests import scratch
from tests.foundation.conftest import HIDDEN, KEY, SECRET, STRONG, Clock, of_role
from tests.stand_ins.endpoint import Endpoint
from tests.stand_ins.rds import Rds, serving

pytestmark = pytest.mark.usefixtures("nothing_of_aws")


@pytest.fixture
def rds(server: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: None) -> Iterator[Rds]:
    """In front of the tests' PostgreSQL; and the settings that lead there."""
    if server.password:
        pytest.skip("the stand-in's PostgreSQL has to trust it")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "certificate.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    target = f"{server.query.get('host') or server.host}:{server.port or 5432}"
    files = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    with serving(Rds(*files, target, {KEY: SECRET}, "eu-central-1")) as rds:
        monkeypatch.setenv("DB_AUTH", "iam")
        monkeypatch.setenv("DB_HOST", "localhost")
        monkeypatch.setenv("DB_PORT", str(rds.server_address[1]))
        monkeypatch.setenv("DB_USER", server.username or "postgres")
        monkeypatch.setenv("DB_NAME", "postgres")
        monkeypatch.setenv("PGSSLROOTCERT", str(tmp_path / "ca.pem"))
        yield rds


def ask(statement: str = "SELECT 1", times: int = 1) -> list[Any]:
    """Over so many connections."""
    found = load_settings()
    engine = make_engine(found.url, iam=found.db_auth == "iam")
    try:
        connections = [engine.connect() for _ in range(times)]
        answers = [connection.scalar(text(statement)) for connection in connections]
        for connection in connections:
            connection.close()
        return answers
    finally:
        engine.dispose()


def test_each_connection_has_a_token_of_its_own(rds: Rds, clock: type[Clock]) -> None:
    clock.at, clock.step = datetime.now(UTC), timedelta(seconds=1)
    assert ask("SELECT current_setting('timezone')", times=3) == ["UTC"] * 3
    assert len(set(rds.tokens)) == 3


def test_a_password_is_used_where_there_is_one(rds: Rds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    monkeypatch.setenv("PGSSLMODE", "require")
    with pytest.raises(OperationalError, match="PAM authentication failed"):
        ask()
    assert rds.tokens == ["hunter2"]


def test_the_database_proves_who_it_is_first(
    rds: Rds, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DB_HOST", "127.0.0.1")
    with pytest.raises(OperationalError, match='certificate for "localhost" does not match host name "127'):
        ask()
    monkeypatch.setenv("DB_HOST", "localhost")
    monkeypatch.delenv("PGSSLROOTCERT")  # Amazon's authorities did not sign it
    with pytest.raises(OperationalError, match="certificate verify failed"):
        ask()
    assert rds.tokens == []
    url = f"postgresql://postgres@localhost:{rds.server_address[1]}/postgres"
    monkeypatch.setenv("DATABASE_URL", f"{url}?sslmode=disable&sslrootcert={tmp_path / 'ca.pem'}")
    assert ask() == [1]


def test_a_refused_token_is_tried_once_more_with_new_credentials(
    rds: Rds, endpoint: Callable[..., Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    later = datetime.now(UTC) + timedelta(hours=1)
    roles = endpoint(of_role("OLD", later), of_role(KEY, later))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://{roles.host}/")
    assert ask() == [1]
    assert (len(rds.tokens), len(roles.asked)) == (2, 2)


def test_a_second_refusal_is_one_line(rds: Rds, capfd: pytest.CaptureFixture[str]) -> None:
    rds.refuse = 9
    with pytest.raises(Refused, match='PAM authentication failed for user "postgres"') as caught:
        act(Call(load_settings()), {"action": "current"})
    assert not [hidden for hidden in (*HIDDEN, "\n") if hidden in str(caught.value)]
    assert len(rds.tokens) == 2
    assert capfd.readouterr().out == "sign-in postgres: refused, told to\n" * 2


@pytest.mark.parametrize(
    ("variables", "message", "tokens"),
    [
        ({"DB_NAME": "nowhere"}, 'database "nowhere" does not exist', 1),
        ({"AWS_REGION": ""}, "AWS_REGION: missing; set it to the database's", 0),
        ({"AWS_ACCESS_KEY_ID": ""}, "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", 0),
    ],
)
def test_another_failure_is_told_at_once(
    rds: Rds, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str, tokens: int
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Refused, match=f"no connection to .*{message}"):
        act(Call(load_settings()), {"action": "current"})
    assert len(rds.tokens) == tokens


def test_every_door_signs_in_so(rds: Rds, server: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers[:])
    monkeypatch.setattr(root, "level", root.level)
    port = rds.server_address[1]
    with scratch.database(server) as url:
        monkeypatch.setenv("DB_NAME", str(url.database))
        monkeypatch.setenv("ADMIN_DATABASE_URL", f"postgres://postgres@localhost:{port}/{url.database}")
        call = Call(load_settings())
        assert act(call, {"action": "upgrade"})["verdict"] == "current"
        preview = f"preview_{port}"
        assert act(call, {"action": "create_database", "name": preview})["made"] == [preview]
        assert act(call, {"action": "drop_database", "name": preview, "confirm": preview})
        container.wait_for_database(call.settings)
        app = start()
        with TestClient(app) as client:
            assert client.get("/ready").status_code == 200
        app.state.make_session.args[0].dispose()
    assert len(rds.tokens) == 5


@pytest.mark.parametrize(
    ("variables", "given", "reason"),
    [
        ({}, (0, "app"), None),
        ({}, (1, "app"), "another server's"),
        ({}, (0, "root"), "another user's"),
        ({"AWS_ACCESS_KEY_ID": "x"}, (0, "app"), "an unknown key"),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, (0, "app"), "signed wrongly"),
        ({"AWS_REGION": "eu-west-1"}, (0, "app"), "another region's"),
    ],
)
def test_the_stand_in_takes_no_other_token(
    rds: Rds, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], given: tuple[int, str], reason: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    port = rds.server_address[1]
    assert rds.fault(aws.database_token("localhost", port + given[0], given[1]), "app") == reason


def test_the_stand_in_takes_no_old_token(rds: Rds, clock: type[Clock]) -> None:
    clock.at = datetime.now(UTC) - timedelta(minutes=16)
    assert rds.fault(aws.database_token("localhost", rds.server_address[1], "app"), "app") == "expired"
    assert rds.fault("a-password", "app") == "another server's"


def test_without_tls_it_is_refused_as_rds_does(rds: Rds, monkeypatch: pytest.MonkeyPatch) -> None:
    url = load_settings().url.update_query_dict({"sslmode": "disable"})
    with pytest.raises(OperationalError, match=r"no pg_hba.conf entry for host .* no encryption"):
        make_engine(url, iam=True).connect()


# --- Settings, and what is shipped

DEPLOYED = {"ENVIRONMENT": "prod", "SECRET_KEY": STRONG, "SENDER_EMAIL": "api@example.com", "DB_AUTH": "iam"}


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"DB_HOST": "db"}, f"app@db:5432/app?sslmode=verify-full&sslrootcert={settings.RDS_CA}"),
        ({"DB_HOST": "db", "PGSSLROOTCERT": "/x"}, "app@db:5432/app?sslmode=verify-full"),
        (
            {"DATABASE_URL": "postgres://a@db/b?sslmode=require&sslrootcert=/y"},
            "a@db/b?sslmode=verify-full&sslr",
        ),
        ({"DB_HOST": "db", "DB_PASSWORD": "hunter2"}, "app:***@db:5432/app"),
        ({"DB_HOST": "db", "DB_AUTH": "password"}, "app@db:5432/app"),
    ],
)
def test_iam_is_for_verified_databases(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str
) -> None:
    for name, value in (DEPLOYED | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ADMIN_DATABASE_URL", "postgres://root@db/app?sslmode=prefer")
    found = load_settings()
    assert found.admin_url.query["sslmode"] == ("verify-full" if found.db_auth == "iam" else "prefer")
    shown = found.url.render_as_string().replace("%2F", "/")
    assert shown.startswith(f"postgresql+psycopg://{url}")
    assert ("verify-full" in shown) == ("verify-full" in url)


@pytest.mark.parametrize("name", ["DATABASE_URL", "ADMIN_DATABASE_URL"])
@pytest.mark.parametrize("url", ["postgresql://db/app", "postgresql://app@/app?host=/tmp"])
def test_iam_needs_user_and_host(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv("DB_AUTH", "iam")
    monkeypatch.setenv(name, url)
    with pytest.raises(
        SettingsError, match=rf"^{name}: DB_AUTH=iam needs user and host; write postgresql://"
    ):
        load_settings()


def test_the_authorities_are_amazons_roots() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(settings.RDS_CA)
    found = context.get_ca_certs()
    names = [dict(part[0] for part in each["subject"])["commonName"] for each in found]  # type: ignore[misc]
    assert len(names) == len(set(names)) == 3 * 27
    assert all(name.startswith("Amazon RDS ") and "-" in name for name in names)
    assert all(each["subject"] == each["issuer"] for each in found)
    assert all(ssl.cert_time_to_seconds(str(each["notAfter"])) > 2.8e9 for each in found)  # after 2058
