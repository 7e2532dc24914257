"""The commands; the Makefile's targets are thin over them."""

import os
import shutil
import signal
import subprocess
import sys

import typer

from app.foundation.settings import load_settings
from app.migration.errors import Refused
from ops import environment, postgres
from ops.terminal import fail, say

main = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@main.command()
def dev() -> None:
    """Serve with reload, on the embedded PostgreSQL or the database that is set."""
    from ops.dev import serve

    serve()


@main.command("lambda")
def lambda_() -> None:
    """Serve by the Lambda handler in AWS's runtime emulator."""
    from ops.emulator import serve

    serve()


@main.command()
def deploy(*, json: bool = False) -> None:
    """To AWS: what is missing of ENV, then a release, then a look at it."""
    if json:
        os.environ["JSON"] = "yes"
    from ops.cloud.deploy import deploy

    deploy()


@main.command()
def rollback() -> None:
    """Back to ENV's release before this one, or to TO, without a build."""
    from ops.cloud.releases import rollback

    rollback()


@main.command()
def smoke(url: str) -> None:
    """Four calls that anybody may make."""
    from ops.cloud.smoke import smoke

    smoke(url)


@main.command()
def url() -> None:
    """Where ENV's release answers."""
    from ops.cloud.doors import tell

    tell()


@main.command()
def up() -> None:
    """The container on a PostgreSQL 17, in Docker Compose."""
    from ops.containers import up

    up()


@main.command()
def down() -> None:
    """Stops it; the database's volume stays."""
    from ops.containers import down

    down()


@main.command()
def logs() -> None:
    """What it says, as it comes."""
    from ops.containers import logs

    logs()


@main.command("sam-local")
def sam_local() -> None:
    """The API function by `sam local start-api`, on Compose's database."""
    from ops.containers import sam_local

    sam_local()


@main.command("sam-invoke")
def sam_invoke() -> None:
    """One EVENT by `sam local invoke`, on Compose's database."""
    from ops.containers import sam_invoke

    sam_invoke()


@main.command()
def demo() -> None:
    """Fourteen calls against URL, as EMAIL with PASSWORD."""
    from ops.demo import run

    run()


@main.command()
def psql() -> None:
    """Open the database."""
    from ops.dev import database

    environment.load()
    with database():
        url = load_settings().url
        program = postgres.binaries("18") / "psql"
        # psql itself answers Ctrl-C; a handler, unlike SIG_IGN, does not pass on to it
        signal.signal(signal.SIGINT, lambda *_: None)
        # the password by environment: an argument can be read by everyone on this machine
        secret = os.environ | {"PGPASSWORD": url.password or ""}
        command = [str(program), postgres.libpq(url.set(password=None))]
        sys.exit(subprocess.run(command, env=secret, check=False).returncode)


@main.command()
def migrate() -> None:
    """Bring the database to the newest revision."""
    from ops import migrations
    from ops.dev import database

    environment.load()
    with database():
        migrations.upgrade()


@main.command()
def plan() -> None:
    """The SQL that `make migrate` would run."""
    from ops import migrations
    from ops.dev import database

    environment.load()
    with database():
        migrations.plan()


@main.command()
def downgrade() -> None:
    """Back to revision TO, or one step with TO=-1."""
    from ops import migrations
    from ops.dev import database

    environment.load()
    with database():
        migrations.downgrade(os.environ.get("TO") or fail("where to? make downgrade TO=-1, or TO=<revision>"))


@main.command()
def seed() -> None:
    """The first administrator: EMAIL, PASSWORD."""
    from ops import migrations
    from ops.dev import database

    environment.load()
    with database():
        answer = migrations.ask("seed", email=os.environ.get("EMAIL"), password=os.environ.get("PASSWORD"))
        say("The administrator is made." if answer["seeded"] else "There is an administrator already.")


@main.command()
def revision() -> None:
    """Write a revision for what changed in the models; m is its message."""
    from ops import migrations
    from ops.dev import database

    message = os.environ.get("m", "").strip()  # noqa: SIM112
    if not message:
        fail('what changes? make revision m="add age to users"')
    environment.load()
    with database() as (engine, _):
        migrations.upgrade()
        say(f"Read it, then run `make migrate`: {migrations.new_revision(engine, message)}")


@main.command()
def reset() -> None:
    """Forget the embedded database."""
    environment.read_file()
    if environment.has_database():
        fail("a database is set by DATABASE_URL or DB_HOST; this forgets only the embedded one")
    server = postgres.development()
    if not server.data.exists():
        fail("there is no embedded database; `make dev` makes one")
    with server.data.with_suffix(".users").open("w") as users:
        if not postgres.lock_alone(users):
            fail("the embedded database is in use; stop `make dev` first")
        if not sys.stdin.isatty() and not os.environ.get("YES"):
            fail("nobody is there to ask; say so with YES=yes")
        asked = f"This forgets every row in {postgres.shown(server.data)}. Type yes to go on: "
        if not os.environ.get("YES") and input(asked) != "yes":
            fail("nothing was changed")
        server.stop()
        shutil.rmtree(server.data)
    say("Forgotten; `make dev` starts anew.")


@main.command()
def build() -> None:
    """Make the artifact that every function runs."""
    from ops.build import build

    build()


@main.command()
def hazards() -> None:
    """What is dangerous in the revisions, and not accepted by a written reason."""
    from app.migration.scripts import Scripts
    from ops.hazards import check

    check(Scripts())


@main.command()
def size() -> None:
    """Lines against the budgets."""
    from ops.size import show

    show()


@main.command()
def lock(*, check: bool = False) -> None:
    """Compile the requirements files."""
    from ops.lock import compile_requirements

    compile_requirements(check=check)


if __name__ == "__main__":
    try:
        main()
    except Refused as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
