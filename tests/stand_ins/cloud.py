"""An AWS on this machine, for templates to be deployed to: ministack, and what it lacks or does otherwise.

`.venv/cloud/bin/python -m tests.stand_ins.cloud`, with ministack's variables (tests/cloud/emulated.py) and
STAND_IN_DATABASE=host:port, which a DBInstance gives as its address. It imports nothing of the project's.
STAND_IN_CHECKOUT names another checkout than this one for the tasks of ECS to run (task.py).
"""

from ministack import app

from tests.stand_ins import codedeploy, ecs, mended, recorded


def main() -> None:
    recorded.register()
    mended.register()
    codedeploy.register()
    ecs.register()
    app.main()


if __name__ == "__main__":
    main()
