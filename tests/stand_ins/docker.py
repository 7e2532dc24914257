"""What stands in for docker where an image is built and pushed: `python -m tests.stand_ins.docker build ..`.

An image is a copy of the checkout's code under STAND_IN_IMAGES, by its tag, which the emulated ECS runs; a
push is an image in the emulated ECR. What it was called with is kept beside them, in `calls`.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import boto3

IMAGES = Path(os.environ["STAND_IN_IMAGES"])


def main(command: str, *words: str) -> None:
    said = sys.stdin.read() if "--password-stdin" in words else ""
    with (IMAGES / "calls").open("a") as calls:
        calls.write(json.dumps([command, *words, *([said] if said else [])]) + "\n")
    if command == "build":
        tag = words[words.index("--tag") + 1].rpartition(":")[2]
        for name in ("src", "migrations"):
            shutil.copytree(name, IMAGES / tag / name, ignore=shutil.ignore_patterns("__pycache__"))
    if command == "push":
        repository, _, tag = words[-1].rpartition(":")
        asked = {"repositoryName": repository.partition("/")[2], "imageTag": tag, "imageManifest": "{}"}
        boto3.client("ecr").put_image(**asked)


main(*sys.argv[1:])
