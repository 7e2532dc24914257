"""Every setting, read from the environment and refused with a line that names the fix."""

import json
import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    EmailStr,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import URL

from app.foundation import aws
from app.foundation.database_url import postgresql_url
from app.foundation.origins import is_origin

DEV_SECRET = "public-and-refused-outside-dev-and-test-so-that-development-needs-none"  # noqa: S105
# RFC 7518, section 3.2: a key at least as long as the hash it feeds
KEY_LENGTHS = {"HS256": 32, "HS384": 48, "HS512": 64}
# what examples and tutorials use; the digits open the key in FastAPI's own tutorial
EXAMPLES = ("change", "example", "secret", "password", "09d25e094faa6ca2556c8181")
EXAMPLE_PASSWORD = "an-example-password"  # noqa: S105  # compose.yaml's
RDS_CA = Path(__file__).with_name("rds-ca.pem")
NEW_KEY = 'python3 -c "import secrets; print(secrets.token_urlsafe(64))"'

Port = Annotated[int, Field(ge=1, le=65535)]


class SettingsError(Exception):
    """One line that names each variable at fault and what to set it to."""


class Settings(BaseSettings):
    """Variables are the fields' names in capitals; .env.example describes each."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["dev", "test", "staging", "prod"]
    commit: str = "unknown"
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = "INFO"
    origin_cors: Annotated[list[str], NoDecode] = []
    signup: Literal["open", "closed"] = "closed"

    type_db: Literal["postgresql", "postgres"] = "postgresql"
    db_auth: Literal["password", "iam"] = "password"
    database_url: SecretStr | None = None
    db_host: str | None = None
    db_port: Port = 5432
    db_name: str = "app"
    db_user: str = "app"
    db_password: SecretStr | None = None

    admin_database_url: SecretStr | None = None
    migrations_dir: Path | None = None
    administrator_email: EmailStr | None = None
    administrator_password: SecretStr | None = None

    prepare_at_start: bool = False
    database_wait_seconds: Annotated[int, Field(ge=0, le=600)] = 30
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    trusted_proxies: str = "127.0.0.1"

    algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    secrets_arn: str | None = None
    secret_key: SecretStr = SecretStr("")
    access_token_expire_minutes: Annotated[int, Field(ge=1, le=1440)] = 15
    refresh_token_expire_days: Annotated[int, Field(ge=1, le=365)] = 30

    email_provider: Literal["smtp", "console"] = "console"
    smtp_server: str | None = None
    smtp_port: Port = 587
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    sender_email: EmailStr | None = None

    @property
    def developing(self) -> bool:
        """Not what is deployed, by whatever name: it has a secret of its own."""
        return self.environment in {"dev", "test"} and not self.secrets_arn

    @property
    def url(self) -> URL:
        """The database, for psycopg 3. Its password shows only when asked for."""
        if self.database_url is not None:
            return self.verified(postgresql_url(self.database_url.get_secret_value()))
        password = self.db_password.get_secret_value() if self.db_password else None
        url = URL.create(
            "postgresql+psycopg",
            username=self.db_user,
            password=password,
            host=self.db_host or "localhost",
            port=self.db_port,
            database=self.db_name,
        )
        return self.verified(url)

    @property
    def admin_url(self) -> URL:
        """The database, for who may make roles and databases in it."""
        given = self.admin_database_url
        return self.verified(postgresql_url(given.get_secret_value())) if given else self.url

    def verified(self, url: URL) -> URL:
        """Whoever gets a token of IAM first proves to be the database."""
        if self.db_auth != "iam" or url.password:
            return url
        ca = {} if "PGSSLROOTCERT" in os.environ else {"sslrootcert": str(RDS_CA)}
        return url.update_query_dict(ca | dict(url.query) | {"sslmode": "verify-full"})

    @model_validator(mode="before")
    @classmethod
    def development_defaults(cls, values: dict[str, object]) -> dict[str, object]:
        if values.get("environment") not in {"dev", "test"} or values.get("secrets_arn"):
            return values
        defaults = {
            "secret_key": DEV_SECRET,
            "sender_email": "no-reply@example.com",
            "signup": "open",
            "origin_cors": "http://localhost:3000,http://localhost:5173",
        }
        return defaults | values

    @field_validator("origin_cors", mode="before")
    @classmethod
    def split_origins(cls, value: object) -> object:
        """Commas or a JSON list, with or without the quotes that some .env readers leave on."""
        if not isinstance(value, str):
            return value
        text = value.strip().strip("'\"")
        if not text.startswith("["):
            return [part.strip().strip("'\"") for part in text.split(",") if part.strip()]
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError("write the origins with commas between them") from None

    @field_validator("origin_cors")
    @classmethod
    def check_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin != "*" and not is_origin(origin):
                raise ValueError(
                    f"'{origin}' is no origin as browsers send it; write scheme://host or scheme://host:port "
                    "in small letters, without the scheme's own port"
                )
        return origins

    @field_validator("database_url", "admin_database_url")
    @classmethod
    def check_database_url(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        url = postgresql_url(value.get_secret_value()) if value else None
        if url and not (url.password or (url.host and url.username)) and info.data.get("db_auth") == "iam":
            raise ValueError("DB_AUTH=iam needs user and host; write postgresql://user@host:5432/name")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def check_proxies(cls, value: str) -> str:
        """As uvicorn reads them: what it cannot read it would trust in silence not at all."""
        for part in value.split(","):
            try:
                ip_network(part.strip())
            except ValueError as error:
                raise ValueError(f"{error}; write addresses or networks with commas between them") from None
        return value

    @model_validator(mode="after")
    def check_mail(self) -> Self:
        if self.email_provider == "smtp" and not self.smtp_server:
            raise ValueError("SMTP_SERVER: missing; EMAIL_PROVIDER=smtp needs the mail server's name")
        if self.smtp_username and not self.smtp_password:
            raise ValueError("SMTP_PASSWORD: missing; SMTP_USERNAME is set, so the server wants one")
        return self

    @model_validator(mode="after")
    def check_deployed(self) -> Self:
        """What only development may leave open."""
        if self.developing:
            return self
        where = f"with ENVIRONMENT={self.environment}"
        if fault := secret_fault(self.secret_key.get_secret_value(), KEY_LENGTHS[self.algorithm]):
            raise ValueError(f"SECRET_KEY: {fault} {where}; make one: {NEW_KEY}")
        password = self.administrator_password
        if password and password.get_secret_value() == EXAMPLE_PASSWORD:
            raise ValueError(f"ADMINISTRATOR_PASSWORD: an example's is refused {where}; set one of your own")
        if "*" in self.origin_cors:
            raise ValueError(f"ORIGIN_CORS: '*' cannot go with credentials {where}; name the origins")
        if not self.sender_email:
            raise ValueError(f"SENDER_EMAIL: missing {where}; set the address that mail comes from")
        if not self.database_url and not self.db_host:
            raise ValueError(f"DATABASE_URL: missing {where}; set it, or DB_HOST and its fellows")
        return self


def secret_fault(secret: str, length: int) -> str | None:
    if not secret:
        return "missing"
    if secret == DEV_SECRET or any(word in secret.lower() for word in EXAMPLES):
        return "an example's key is refused"
    if len(secret) < length:
        return f"shorter than {length} characters"
    return "too regular" if len(set(secret)) < 10 else None


def stored() -> dict[str, Any]:
    """What AWS's secret holds and no variable sets. Raises AwsError."""
    arn = os.environ.get("SECRETS_ARN")
    found = aws.secret(arn) if arn else {}
    given = {name.upper() for name, value in os.environ.items() if value}
    names = {"SECRET_KEY", "SMTP_PASSWORD"} & found.keys() - given
    return {name.lower(): found[name] for name in names if found[name]}


def load_settings() -> Settings:
    """Settings from the environment, and from the secret of SECRETS_ARN. Raises SettingsError."""
    try:
        return Settings(**stored())
    except aws.AwsError as error:
        raise SettingsError(f"SECRETS_ARN: {error}") from None
    except ValidationError as error:
        lines = []
        for fault in error.errors(include_url=False, include_input=False):
            message = fault["msg"].removeprefix("Value error, ").removeprefix("value is not a valid ")
            if fault["type"] == "missing":
                message = "missing; set it to dev, test, staging or prod"
            name = str(fault["loc"][0]).upper() if fault["loc"] else ""
            lines.append(f"{name}: {message}" if name else message)
        raise SettingsError("; ".join(lines)) from None
