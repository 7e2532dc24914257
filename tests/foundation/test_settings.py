"""Settings: what is accepted, and the one line for what is not."""

import re
from pathlib import Path

import pytest

from app.foundation.settings import DEV_SECRET, EXAMPLE_PASSWORD, Settings, SettingsError, load_settings
from ops import environment

DEPLOYED = {
    "ENVIRONMENT": "prod",
    "SECRET_KEY": "Zq3vX8nR5tYw2bKd7mPfJ9sLhGc4uEaN",
    "SENDER_EMAIL": "api@example.com",
    "DATABASE_URL": "postgresql://app@db.example.com/app",
}


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ENVIRONMENT": ""}, "ENVIRONMENT: missing; set it to dev, test, staging or prod"),
        ({"ENVIRONMENT": "production"}, "ENVIRONMENT: Input should be 'dev', 'test', 'staging' or 'prod'"),
        ({"DATABASE_URL": "mysql://root@db/app"}, "DATABASE_URL: 'mysql://' is not PostgreSQL"),
        ({"DATABASE_URL": "db.example.com"}, "DATABASE_URL: is no URL; write postgresql://"),
        ({"TYPE_DB": "oracle"}, "TYPE_DB: Input should be 'postgresql' or 'postgres'"),
        ({"DB_PORT": "five"}, "DB_PORT: Input should be a valid integer"),
        (
            {"ORIGIN_CORS": "example.com"},
            "ORIGIN_CORS: 'example.com' is no origin as browsers send it; write",
        ),
        ({"ORIGIN_CORS": "https://example.com/"}, "ORIGIN_CORS: 'https://example.com/' is no origin"),
        ({"ORIGIN_CORS": "https://*.example.com"}, "ORIGIN_CORS: 'https://*.example.com' is no origin"),
        ({"ORIGIN_CORS": "https://Example.com"}, "ORIGIN_CORS: 'https://Example.com' is no origin"),
        ({"ORIGIN_CORS": "https://example.com:443"}, "ORIGIN_CORS: 'https://example.com:443' is no"),
        ({"ORIGIN_CORS": "http://example.com:99999"}, "ORIGIN_CORS: 'http://example.com:99999' is no"),
        ({"ORIGIN_CORS": "null"}, "ORIGIN_CORS: 'null' is no origin"),
        ({"ORIGIN_CORS": "http://["}, "ORIGIN_CORS: 'http://[' is no origin"),
        ({"ORIGIN_CORS": '["https://a.example"'}, "ORIGIN_CORS: write the origins with commas"),
        ({"ALGORITHM": "none"}, "ALGORITHM: Input should be 'HS256', 'HS384' or 'HS512'"),
        ({"ACCESS_TOKEN_EXPIRE_MINUTES": "0"}, "ACCESS_TOKEN_EXPIRE_MINUTES: Input should be greater than"),
        ({"REFRESH_TOKEN_EXPIRE_DAYS": "400"}, "REFRESH_TOKEN_EXPIRE_DAYS: Input should be less than"),
        ({"EMAIL_PROVIDER": "smtp"}, "SMTP_SERVER: missing; EMAIL_PROVIDER=smtp needs"),
        ({"SMTP_USERNAME": "me"}, "SMTP_PASSWORD: missing; SMTP_USERNAME is set"),
        ({"SMTP_PORT": "99999"}, "SMTP_PORT: Input should be less than or equal to 65535"),
        ({"SENDER_EMAIL": "me"}, "SENDER_EMAIL: email address"),
        ({"SIGNUP": "maybe"}, "SIGNUP: Input should be 'open' or 'closed'"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: Input should be 'DEBUG', 'INFO'"),
        (DEPLOYED | {"SECRET_KEY": ""}, "SECRET_KEY: missing with ENVIRONMENT=prod; make one: python3"),
        (DEPLOYED | {"SECRET_KEY": DEV_SECRET}, "SECRET_KEY: an example's key is refused"),
        (DEPLOYED | {"SECRET_KEY": "changeme-" * 8}, "SECRET_KEY: an example's key is refused"),
        (DEPLOYED | {"SECRET_KEY": "Zq3vX8nR5tYw2bKd"}, "SECRET_KEY: shorter than 32 characters"),
        (DEPLOYED | {"SECRET_KEY": "ab" * 40}, "SECRET_KEY: too regular with ENVIRONMENT=prod"),
        (DEPLOYED | {"ALGORITHM": "HS512"}, "SECRET_KEY: shorter than 64 characters"),
        (DEPLOYED | {"ADMINISTRATOR_PASSWORD": EXAMPLE_PASSWORD}, "ADMINISTRATOR_PASSWORD: an example's is"),
        (
            {"TRUSTED_PROXIES": "10.0.1.5/16"},
            "TRUSTED_PROXIES: 10.0.1.5/16 has host bits set; write",
        ),
        ({"TRUSTED_PROXIES": "*"}, "TRUSTED_PROXIES: '*' does not appear to be an IPv4 or IPv6 network"),
        ({"WORKERS": "0"}, "WORKERS: Input should be greater than or equal to 1"),
        (DEPLOYED | {"ORIGIN_CORS": "*"}, "ORIGIN_CORS: '*' cannot go with credentials"),
        (DEPLOYED | {"SENDER_EMAIL": ""}, "SENDER_EMAIL: missing with ENVIRONMENT=prod"),
        (DEPLOYED | {"DATABASE_URL": ""}, "DATABASE_URL: missing with ENVIRONMENT=prod; set it, or DB_HOST"),
    ],
)
def test_a_broken_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, **variables)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mysql://me:hunter2@db/app", "postgresql://me:hunter2", "postgresql://[hunter2"]
)
def test_a_refused_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, **(DEPLOYED | {"SECRET_KEY": "hunter2", "DATABASE_URL": url}))
    assert "hunter2" not in str(caught.value)


def test_every_fault_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"SIGNUP: .*; DB_PORT: "):
        load(monkeypatch, DB_PORT="x", SIGNUP="x")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg"])
def test_any_postgresql_url_becomes_psycopg(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    url = load(monkeypatch, DATABASE_URL=f"{scheme}://me:p%40ss@db:6543/app").url
    assert url.render_as_string(hide_password=False) == "postgresql+psycopg://me:p%40ss@db:6543/app"


@pytest.mark.parametrize(("asyncpg", "libpq"), [("require", "require"), ("false", "disable")])
def test_asyncpgs_ssl_becomes_libpqs_sslmode(
    monkeypatch: pytest.MonkeyPatch, asyncpg: str, libpq: str
) -> None:
    url = load(monkeypatch, DATABASE_URL=f"postgresql+asyncpg://db/app?ssl={asyncpg}").url
    assert url.query == {"sslmode": libpq}


def test_the_database_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"DB_HOST": "db", "DB_NAME": "shop", "DB_USER": "me", "DB_PASSWORD": "p@ss/word"}
    url = load(monkeypatch, TYPE_DB="postgres", **parts).url
    assert (url.host, url.port, url.database, url.username) == ("db", 5432, "shop", "me")
    assert url.password == "p@ss/word"
    assert "p@ss" not in str(url)


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example,https://b.example:8443",
        '"https://a.example, https://b.example:8443"',
        "'https://a.example','https://b.example:8443'",
        '["https://a.example", "https://b.example:8443"]',
    ],
)
def test_origins_as_people_write_them(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert load(monkeypatch, ORIGIN_CORS=text).origin_cors == ["https://a.example", "https://b.example:8443"]


def test_development_needs_nothing_and_deployment_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, ENVIRONMENT="dev").signup == "open"
    assert load(monkeypatch, **DEPLOYED).signup == "closed"
    assert load(monkeypatch, **DEPLOYED).origin_cors == []


def test_the_example_names_every_setting_and_no_other() -> None:
    lines = (environment.ROOT / ".env.example").read_text().splitlines()
    named = {
        line.lstrip("# ").partition("=")[0]
        for line in lines
        if "=" in line.partition(" ")[0] or line[:2] == "# "
    }
    named = {name for name in named if name.isupper()}
    composed = {"POSTGRES_PASSWORD", "POSTGRES_PORT", "MAIL_PORT"}
    assert named == {name.upper() for name in Settings.model_fields} | {"PORT", "PG"} | composed


def test_compose_passes_every_setting() -> None:
    text = (environment.ROOT / "compose.yaml").read_text().partition("postgres:\n    image")[0]
    # the migrations are the image's own, its database Compose's
    others = {"COMMIT", "ADMIN_DATABASE_URL", "MIGRATIONS_DIR", "TYPE_DB", "DB_AUTH", "SECRETS_ARN"}
    names = {name.upper() for name in Settings.model_fields} - others
    assert set(re.findall(r"^      ([A-Z_]+):", text, re.MULTILINE)) == names


def test_the_example_loads_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    example = (environment.ROOT / ".env.example").read_text()
    (tmp_path / ".env").write_text(example)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.delenv("ENVIRONMENT")
    assert environment.load().environment == "dev"


@pytest.mark.parametrize("line", ["=1", "export", "NAME 'x", "A='unclosed"])
def test_an_unreadable_line_of_the_env_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str
) -> None:
    (tmp_path / ".env").write_text(f"LOG_LEVEL=INFO\n{line}\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match=r"slipway: \.env, line 2: cannot be read"):
        environment.load()
