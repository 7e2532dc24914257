"""The commands; the Makefile's targets are thin over them."""

import os
import sys
from collections.abc import Callable
from importlib import import_module

import typer

from app.migration.errors import Refused
from ops.terminal import end_on_signals, fail

main = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

# where each is, and what it does
COMMANDS = {
    "dev": ("ops.dev:serve", "Serve with reload, on the embedded PostgreSQL or the database that is set."),
    "lambda": ("ops.emulator:serve", "Serve by the Lambda handler in AWS's runtime emulator."),
    "up": ("ops.containers:up", "The container on a PostgreSQL 17, in Docker Compose."),
    "down": ("ops.containers:down", "Stops it; the database's volume stays."),
    "sam-local": ("ops.containers:sam_local", "`sam local start-api`, on Compose's database."),
    "sam-invoke": ("ops.containers:sam_invoke", "One EVENT by `sam local invoke`, on Compose's database."),
    "demo": ("ops.demo:run", "Fourteen calls against URL, as EMAIL with PASSWORD."),
    "load": ("ops.load:run", "Visitors at URL for a short while."),
    "psql": ("ops.dev:psql", "Open the database."),
    "reset": ("ops.dev:reset", "Forget the embedded database."),
    "migrate": ("ops.migrations:migrate", "Bring the database to the newest revision; with ENV, in AWS."),
    "plan": ("ops.migrations:plan", "The SQL that `migrate` would run."),
    "downgrade": ("ops.migrations:downgrade", "Back to revision TO, or one step with TO=-1."),
    "seed": ("ops.migrations:seed", "The first administrator: EMAIL, PASSWORD."),
    "revision": ("ops.migrations:revision", "Write a revision of what changed in the models: m."),
    "build": ("ops.build:build", "Make the artifact that every function runs."),
    "rollback": ("ops.cloud.releases:rollback", "Back to ENV's release before this one, or to TO."),
    "preview": ("ops.cloud.previews:preview", "One more release on what ENV stands on: NAME; DOWN=yes."),
    "url": ("ops.cloud.doors:tell", "Where ENV's release answers."),
    "doctor": ("ops.doctor.examination:examine", "What could keep a deployment of ENV from going well."),
    "destroy": ("ops.cloud.teardown:destroy", "Delete ENV's release; with DATA=yes what it stands on, too."),
    "hazards": ("ops.hazards:check", "What is dangerous in the revisions, and not accepted by a reason."),
    "size": ("ops.size:show", "Lines against the budgets."),
}


def later(where: str) -> Callable[[], None]:
    """A command imports what it needs, so that `make size` is quick."""
    module, _, name = where.partition(":")

    def run() -> None:
        getattr(import_module(module), name)()

    return run


for command, (where, what) in COMMANDS.items():
    main.command(command, help=what)(later(where))


@main.command()
def deploy(*, json: bool = False) -> None:
    """To AWS: what is missing of ENV, then a release, then a look at it."""
    if json:
        os.environ["JSON"] = "yes"
    later("ops.cloud.deploy:deploy")()


@main.command()
def logs() -> None:
    """What the container says, as it comes; with ENV what its release wrote."""
    later("ops.cloud.loglines:logs" if os.environ.get("ENV") else "ops.containers:logs")()


@main.command()
def smoke(url: str) -> None:
    """Four calls that anybody may make."""
    from ops.cloud.smoke import smoke

    smoke(url)


@main.command()
def lock(*, check: bool = False) -> None:
    """Compile the requirements files."""
    from ops.lock import compile_requirements

    compile_requirements(check=check)


if __name__ == "__main__":
    end_on_signals()
    try:
        main()
    except Refused as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
