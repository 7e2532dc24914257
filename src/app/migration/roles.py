"""Who may do what in the database: `migrator` owns the schema, `app` uses its rows."""

import re
import time
from collections.abc import Sequence

from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.migration.errors import Refused
from app.migration.ledger import PROTECT
from app.migration.steps import GIVE_WAY, Limits

APP, MIGRATOR, IAM = "app", "migrator", "rds_iam"
RIGHTS = (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE, SELECT"))
# roles belong to the whole server, where another database's bootstrap may make them at the same moment:
# unique_violation, duplicate_object, and internal_error ("tuple concurrently updated")
AGAIN = GIVE_WAY.keys() | {"23505", "42710", "XX000"}
# previews alone are made and dropped
PREVIEW = re.compile(r"preview_[a-z0-9_]{1,50}")


def bootstrap(connection: Connection, limits: Limits) -> list[str]:
    """Makes the roles and what they may; again, it changes nothing. What it made; raises Refused.

    For who may make roles, and holds the advisory lock. With IAM sign-in (the role rds_iam exists) a member
    of rds_iam cannot sign in by password any more, and PostgreSQL 16 and later make who creates a role a
    member of it: so it is refused to one who would be locked out ("IAM database authentication", Amazon RDS
    User Guide).
    """
    for number in range(1, limits.tries + 1):
        try:
            made = make(connection, limits)
            own_everything(connection, limits)
        except DBAPIError as error:
            connection.rollback()
            if number == limits.tries or getattr(error.orig, "sqlstate", None) not in AGAIN:
                raise
            time.sleep(limits.pause)
        else:
            return made
    raise AssertionError


def make(connection: Connection, limits: Limits) -> list[str]:
    """The roles and their rights, in one transaction."""
    give_way(connection, limits)
    iam = role_exists(connection, IAM)
    made = missing(connection)
    by_password = connection.engine.url.password
    if iam and by_password and not connection.scalar(text(f"SELECT pg_has_role('{IAM}', 'MEMBER')")):
        raise Refused(
            f"granting {IAM} would end password sign-in for the user that does it; let that user sign in "
            "with IAM (MasterUserAuthenticationType: iam-db-auth)"
        )
    database = connection.scalar(text("SELECT current_database()"))
    for role in made:
        run(connection, "CREATE ROLE {} LOGIN", role)
    if iam:
        for role in (MIGRATOR, APP):
            run(connection, f"GRANT {IAM} TO {{}}", role)
    if not connection.scalar(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")):
        run(connection, "GRANT {} TO CURRENT_USER", MIGRATOR)  # to give it what this user owns
    run(connection, "GRANT CONNECT ON DATABASE {} TO {}, {}", str(database), APP, MIGRATOR)
    run(connection, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    run(connection, "GRANT USAGE, CREATE ON SCHEMA public TO {}", MIGRATOR)
    run(connection, "GRANT USAGE ON SCHEMA public TO {}", APP)
    for kind, rights in RIGHTS:
        run(connection, f"GRANT {rights} ON ALL {kind} IN SCHEMA public TO {{}}", APP)
        defaults = "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA public"
        run(connection, f"{defaults} GRANT {rights} ON {kind} TO {{}}", MIGRATOR, APP)
    connection.execute(PROTECT)
    connection.commit()
    return made


def give_way(connection: Connection, limits: Limits) -> None:
    """To those who use the tables, until this transaction ends."""
    connection.execute(text(f"SET LOCAL lock_timeout = {limits.lock * 1000:.0f}"))


def needed(connection: Connection) -> bool:
    """The roles belong to the server; what they may, to each of its databases."""
    may = text(f"SELECT has_schema_privilege('{MIGRATOR}', 'public', 'CREATE')")
    return bool(missing(connection)) or not connection.scalar(may) or bool(foreign(connection))


def missing(connection: Connection) -> list[str]:
    """The roles that are not there."""
    return [role for role in (MIGRATOR, APP) if not role_exists(connection, role)]


def own_everything(connection: Connection, limits: Limits) -> None:
    """What was made before there were roles goes to the migrator, each in a transaction of its own."""
    for thing in foreign(connection):
        connection.rollback()
        give_way(connection, limits)
        run(connection, f"ALTER {thing.replace('{', '{{').replace('}', '}}')} OWNER TO {{}}", MIGRATOR)
        connection.commit()


def foreign(connection: Connection) -> Sequence[str]:
    """Tables, views, sequences, types and routines of public that this user may give to the migrator.

    Not those of extensions, nor a column's own sequence, which goes with its table.
    """
    others = (
        "n.nspname = 'public' AND pg_get_userbyid({0}owner) <> :owner AND pg_has_role({0}owner, 'USAGE') "
        "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.classid = o.tableoid "
        "AND (d.deptype = 'e' OR d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass))"
    )
    kinds = (
        ("TABLE", "regclass", "pg_class", "rel", "o.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')"),
        ("TYPE", "regtype", "pg_type", "typ", "o.typtype IN ('e', 'd', 'r')"),
        ("ROUTINE", "regprocedure", "pg_proc", "pro", "true"),
    )
    queries = [
        f"SELECT '{kind} ' || o.oid::{name} FROM {catalog} o JOIN pg_namespace n "  # noqa: S608
        f"ON n.oid = o.{prefix}namespace WHERE {which} AND {others.format(f'o.{prefix}')}"
        for kind, name, catalog, prefix, which in kinds
    ]
    return connection.scalars(text(" UNION ALL ".join(queries) + " ORDER BY 1"), {"owner": MIGRATOR}).all()


def create_database(connection: Connection, name: str) -> None:
    """Raises Refused."""
    check_preview(name)
    if name in databases(connection):
        raise Refused(f"the database {name} is there already")
    run(connection, "CREATE DATABASE {}", name)


def drop_database(connection: Connection, name: str, confirm: str | None) -> None:
    """Raises Refused."""
    check_preview(name)
    if name not in databases(connection):
        raise Refused(f"there is no database {name}; there are: {', '.join(databases(connection))}")
    if confirm != name:
        raise Refused(f'this drops {name} with all its rows; say so: "confirm": "{name}"')
    run(connection, "DROP DATABASE {} WITH (FORCE)", name)


def check_preview(name: str) -> None:
    if not PREVIEW.fullmatch(name):
        raise Refused(f"{name} is no preview's database; such a name is preview_ and then a-z, 0-9 or _")


def databases(connection: Connection) -> Sequence[str]:
    query = text("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname")
    return connection.scalars(query).all()


def role_exists(connection: Connection, role: str) -> bool:
    query = text("SELECT count(*) FROM pg_roles WHERE rolname = :role")
    return bool(connection.scalar(query, {"role": role}))


def run(connection: Connection, statement: str, *names: str) -> None:
    composed: Composed = SQL(statement).format(*map(Identifier, names))
    connection.exec_driver_sql(composed.as_string())
