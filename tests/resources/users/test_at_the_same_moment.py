"""Real transactions, side by side: what a rolled-back test cannot show."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Barrier
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from app.api import create_app
from app.foundation.database import make_engine
from app.foundation.settings import Settings
from app.resources.users.service import delete, seed_administrator
from tests import scratch
from tests.conftest import LogLines
from tests.people import ADMIN, PASSWORD, problem, sign_in, sign_up, token_of

NEW = {"email": "grace@example.com", "name": "Grace", "password": PASSWORD}


@pytest.fixture
def committed(server: URL, migrated: URL) -> Iterator[URL]:
    """A database of the test's own."""
    with scratch.database(server, template=str(migrated.database)) as url:
        yield url


@pytest.fixture
def make_committed(committed: URL) -> Iterator[Callable[[], Session]]:
    """Sessions that commit."""
    engine = make_engine(committed)
    yield partial(Session, engine, expire_on_commit=False)
    engine.dispose()


@pytest.fixture
def maintenance(server: URL) -> Iterator[Connection]:
    """To another database of the same server."""
    engine = make_engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def live(settings: Settings, make_committed: Callable[[], Session]) -> TestClient:
    return TestClient(create_app(settings, make_committed), raise_server_exceptions=False)


def together(*calls: Callable[[], Response]) -> list[Response]:
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Response]) -> Response:
        barrier.wait(timeout=10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def wait_for_lock(make_session: Callable[[], Session], call: Future[Response]) -> None:
    """Returns once some connection waits for another's lock, or the call is over."""
    waiting = "datname = current_database() AND wait_event_type = 'Lock'"
    count = text(f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}")
    with make_session() as session:
        while not call.done() and not session.scalar(count):
            session.rollback()


def test_two_sign_ups_of_one_address(live: TestClient) -> None:
    for number in range(5):
        new = NEW | {"email": f"grace{number}@example.com"}
        other = new | {"email": new["email"].upper()}
        answers = together(
            partial(live.post, "/v1/users", json=new), partial(live.post, "/v1/users", json=other)
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        problem(max(answers, key=lambda answer: answer.status_code), 409, "email_taken")


def test_of_two_administrators_who_leave_together_one_stays(
    live: TestClient, make_committed: Callable[[], Session]
) -> None:
    with make_committed() as session, session.begin():
        seed_administrator(session, ADMIN["email"], ADMIN["password"])
    first = sign_in(live, ADMIN["email"], ADMIN["password"])
    second = sign_up(live, "ada@example.com")
    first.call("PATCH", f"/v1/users/{second.id}", json={"role": "admin"})
    with make_committed() as session, ThreadPoolExecutor(1) as pool:
        delete(session, UUID(first.id))
        leaving = pool.submit(second.call, "DELETE", f"/v1/users/{second.id}")
        wait_for_lock(make_committed, leaving)
        session.commit()
        problem(leaving.result(timeout=10), 409, "last_administrator")


def test_a_commit_that_fails_is_no_success(live: TestClient, make_committed: Callable[[], Session]) -> None:
    with make_committed() as session, session.begin():
        session.execute(
            text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'refused at commit'; END $$;"
                "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    problem(live.post("/v1/users", json=NEW), 500, "unexpected")
    with make_committed() as session:
        assert session.scalar(text("SELECT count(*) FROM users")) == 0


@pytest.mark.parametrize(
    ("change", "ended"), [("refresh_hash = 'rotated'", "no"), ("revoked_at = now()", "yes")]
)
def test_a_refresh_beside_another_or_a_logout(
    live: TestClient, make_committed: Callable[[], Session], change: str, ended: str
) -> None:
    """Deterministic: the first has not committed when the second, having read the same, comes to write."""
    sign_up(live, "ada@example.com")
    token = token_of(live, "ada@example.com", PASSWORD).json()["refresh_token"]
    with make_committed() as session, ThreadPoolExecutor(1) as pool:
        session.execute(text(f"UPDATE sessions SET {change}"))
        second = pool.submit(live.post, "/v1/auth/refresh", json={"refresh_token": token})
        wait_for_lock(make_committed, second)
        session.commit()
        problem(second.result(timeout=10), 409, "refreshed_meanwhile")
    with make_committed() as session:
        some = text("SELECT CASE WHEN bool_or(revoked_at IS NOT NULL) THEN 'yes' ELSE 'no' END FROM sessions")
        assert session.scalar(some) == ended


@pytest.mark.parametrize("change", ["password_hash = 'new'", "active = false"])
def test_a_sign_in_beside_a_change_that_forbids_it(
    live: TestClient, make_committed: Callable[[], Session], change: str
) -> None:
    """It read the old password, and must not end as a session."""
    sign_up(live, "ada@example.com")
    with make_committed() as session, ThreadPoolExecutor(1) as pool:
        session.execute(text(f"UPDATE users SET {change}"))
        signing_in = pool.submit(token_of, live, "ada@example.com", PASSWORD)
        wait_for_lock(make_committed, signing_in)
        session.commit()
        problem(signing_in.result(timeout=10), 401, "bad_credentials")


def test_a_reused_token_stays_revoked(live: TestClient, make_committed: Callable[[], Session]) -> None:
    """The error's transaction is kept."""
    sign_up(live, "ada@example.com")
    token = token_of(live, "ada@example.com", PASSWORD).json()["refresh_token"]
    live.post("/v1/auth/refresh", json={"refresh_token": token})
    problem(live.post("/v1/auth/refresh", json={"refresh_token": token}), 401, "refresh_reused")
    with make_committed() as session:
        assert session.scalar(text("SELECT count(*) FROM sessions WHERE revoked_at IS NOT NULL")) == 1


def test_of_many_refreshes_with_one_token_one_wins(live: TestClient) -> None:
    sign_up(live, "ada@example.com")
    token = token_of(live, "ada@example.com", PASSWORD).json()["refresh_token"]
    call = partial(live.post, "/v1/auth/refresh", json={"refresh_token": token})
    statuses = [answer.status_code for answer in together(*[call] * 6)]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 409}


def test_a_change_beside_a_deletion(live: TestClient, make_committed: Callable[[], Session]) -> None:
    ada = sign_up(live, "ada@example.com")
    with make_committed() as session, ThreadPoolExecutor(1) as pool:
        session.execute(text("DELETE FROM users"))
        changing = pool.submit(ada.call, "PATCH", "/v1/users/me", json={"name": "Late"})
        wait_for_lock(make_committed, changing)
        session.commit()
        problem(changing.result(timeout=10), 404, "user_not_found")


def test_a_change_has_a_time_of_its_own(live: TestClient) -> None:
    ada = sign_up(live, "ada@example.com")
    changed = ada.call("PATCH", "/v1/users/me", json={"name": "Ada King"}).json()
    assert changed["updated_at"] > changed["created_at"]


def test_many_callers_wait_for_a_connection_and_all_are_served(live: TestClient) -> None:
    """More than connections and threads together."""
    ada = sign_up(live, "ada@example.com")
    with live:
        answers = together(*[partial(ada.call, "GET", "/v1/users/me")] * 80)
    assert {answer.status_code for answer in answers} == {200}


def test_a_connection_that_died_is_replaced(
    live: TestClient, committed: URL, maintenance: Connection
) -> None:
    assert live.get("/ready").status_code == 200
    end_connections(maintenance, committed)
    assert live.get("/ready").status_code == 200


def test_no_row_is_logged_that_the_database_refused(
    live: TestClient, make_committed: Callable[[], Session], lines: LogLines
) -> None:
    with make_committed() as session, session.begin():
        session.execute(text("ALTER TABLE users ADD CONSTRAINT none CHECK (name <> 'Grace')"))
    problem(live.post("/v1/users", json=NEW), 500, "unexpected")
    text_ = json.dumps(lines())
    assert "CheckViolation" in text_
    assert NEW["email"] not in text_
    assert "argon2" not in text_


def test_a_database_that_goes_away_and_comes_back(
    live: TestClient, committed: URL, maintenance: Connection
) -> None:
    assert live.get("/ready").status_code == 200
    maintenance.execute(text(f'ALTER DATABASE "{committed.database}" ALLOW_CONNECTIONS false'))
    end_connections(maintenance, committed)
    answer = live.get("/ready")
    problem(answer, 503, "database_unavailable")
    assert answer.headers["retry-after"] == "2"
    assert live.get("/health").status_code == 200
    maintenance.execute(text(f'ALTER DATABASE "{committed.database}" ALLOW_CONNECTIONS true'))
    assert live.get("/ready").status_code == 200


def end_connections(maintenance: Connection, database: URL) -> None:
    end = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    assert maintenance.execute(end, {"name": database.database}).all()
