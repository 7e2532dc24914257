"""The image of one release: built for its processor, and pushed where its tasks pull it from."""

import base64
import shutil
import subprocess
import sys

import boto3

from ops.cloud.account import Account
from ops.environment import ROOT
from ops.terminal import fail, say

PLATFORMS = {"arm64": "linux/arm64", "x86_64": "linux/amd64"}


def push(account: Account, repository: str, release: str, architecture: str) -> None:
    """As repository:release; a fault ends the program."""
    if not shutil.which("docker"):
        fail("containers need docker, which builds their image; or set Runs=lambda in samconfig.toml")
    image, commit = f"{repository}:{release}", release.rpartition("-")[2]
    say(f"Image: {image}")
    if ".dkr.ecr." in repository:
        sign_in(account, repository.partition("/")[0])
    of_it = ("--platform", PLATFORMS[architecture], "--build-arg", f"COMMIT={commit}", "--tag", image)
    if docker("build", *of_it, "."):
        fail("the image could not be built: see the lines above")
    if docker("push", image):
        fail("the image could not be pushed: see the lines above")


def sign_in(account: Account, host: str) -> None:
    """Amazon ECR User Guide, "Private registry authentication in Amazon ECR"; for twelve hours."""
    [given] = boto3.client("ecr", region_name=account.region).get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    if docker("login", "--username", user, "--password-stdin", host, said=password):
        fail(f"docker could not sign in to {host}: see the lines above")


def docker(*words: str, said: str | None = None) -> int:
    """What it says goes to standard error, as standard output is this program's."""
    done = subprocess.run(["docker", *words], cwd=ROOT, input=said, text=True, stdout=sys.stderr, check=False)
    return done.returncode
