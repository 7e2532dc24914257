"""A checkout with a history in an account that is empty: what is deployed, and what can be seen of it."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from app import NAME
from ops import emulator
from ops.environment import ROOT
from ops.postgres import Postgres
from ops.tools import environment_of
from tests.checkout import commit, copy_checkout
from tests.cloud.emulated import CREDENTIALS, REGION, Cloud, emulated_cloud
from tests.scratch import FAST
from tests.stand_ins.rds import Rds, serving

REVISION = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

revision = "{id}"
down_revision = "{parent}"
phase = "{phase}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("{column}", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "{column}")
'''


@dataclass
class Place:
    """A checkout with a history, an account, and the server that its database stack names."""

    folder: Path
    cloud: Cloud
    server: Postgres
    rds: Rds
    environment: str = "staging"
    zone: str = ""

    @property
    def ca(self) -> Path:
        """Of the server's certificate and the load balancer's."""
        return self.folder.parent / "ca.pem"

    @property
    def stack(self) -> str:
        return f"{NAME}-{self.environment}"

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self.variables(**variables)
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)

    def variables(self, **more: str) -> dict[str, str]:
        own = {"PATH": self.path(), "ENV": self.environment, "ARCH": emulator.ARCHITECTURE}
        own["STAND_IN_IMAGES"] = str(self.images)
        known = {name: os.environ[name] for name in ("SSL_CERT_FILE",) if name in os.environ}
        return self.cloud.environment | known | own | more

    def path(self) -> str:
        """With the AWS CLI and SAM CLI on it, and what stands in for docker."""
        folders = [str(environment_of(name) / "bin") for name in ("sam", "cloud")]
        return os.pathsep.join([str(self.folder.parent / "bin"), os.environ["PATH"], *folders])

    @property
    def images(self) -> Path:
        """What tests/stand_ins/docker.py built."""
        return self.folder.parent / "images"

    def give(self, **parameters: str) -> None:
        """In this environment's section of samconfig.toml."""
        file = self.folder / "samconfig.toml"
        before, section, after = file.read_text().partition(f"[{self.environment}.deploy.parameters]")
        for name, value in parameters.items():
            line = f'"{name}={value}",' if value else f"""'{name}=""',"""
            after, count = re.subn(rf"""(["'])({name})=.*?\1,""", line, after, count=1)
            assert count, name
        file.write_text(before + section + after)

    def commit(self, message: str) -> str:
        return commit(self.folder, message)

    def add_revision(self, name: str, parent: str, column: str, phase: str = "expand") -> None:
        text = REVISION.format(title=f"Add {column}", id=name, parent=parent, column=column, phase=phase)
        (self.folder / f"migrations/versions/20261201_{name}.py").write_text(text)
        file = self.folder / "src/app/revisions.json"
        known = json.loads(file.read_text())
        file.write_text(json.dumps([*known, {"id": name, "parent": parent, "phase": phase}]))

    def take_back_revision(self, name: str) -> None:
        (self.folder / f"migrations/versions/20261201_{name}.py").unlink()
        file = self.folder / "src/app/revisions.json"
        known = json.loads(file.read_text())
        file.write_text(json.dumps([one for one in known if one["id"] != name]))

    def settle(self, architecture: str) -> None:
        """For good, as who builds for another processor does."""
        for name, text in (("template.yaml", "Default: arm64"), ("samconfig.toml", "Architecture=arm64")):
            file = self.folder / name
            file.write_text(file.read_text().replace(text, text.replace("arm64", architecture)))

    def name(self, domain: str) -> None:
        """In a zone that is there already."""
        zone = self.cloud.call("route53", "create_hosted_zone", Name="example.com", CallerReference="1")
        self.zone = zone["HostedZone"]["Id"].rpartition("/")[2]
        self.give(DomainName=domain, HostedZoneId=self.zone)

    def resource(self, name: str) -> str:
        found = self.cloud.call(
            "cloudformation", "describe_stack_resource", StackName=self.stack, LogicalResourceId=name
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def query(self, statement: str, database: str = "app") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.url(database)) as connection:
            return connection.execute(statement).fetchall()

    def records(self) -> set[tuple[str, str, str]]:
        listed = self.cloud.call("route53", "list_resource_record_sets", HostedZoneId=self.zone)
        aliases = [one for one in listed["ResourceRecordSets"] if "AliasTarget" in one]
        return {(one["Name"], one["Type"], one["AliasTarget"]["DNSName"].rstrip(".")) for one in aliases}

    def logs(self) -> str:
        groups = self.cloud.call("logs", "describe_log_groups")["logGroups"]
        names = [group["logGroupName"] for group in groups]
        found = [self.cloud.call("logs", "filter_log_events", logGroupName=name)["events"] for name in names]
        return self.cloud.log.read_text() + "".join(e["message"] for events in found for e in events)

    def deployments(self) -> list[str]:
        listed = self.cloud.call("codedeploy", "list_deployments")["deployments"]
        told = [self.cloud.call("codedeploy", "get_deployment", deploymentId=name) for name in listed]
        found = sorted((one["deploymentInfo"] for one in told), key=lambda info: str(info["createTime"]))
        return [info["status"] for info in found]


@contextmanager
def empty_place(folder: Path, certificates: Path) -> Iterator[Place]:
    """With a server of its own, as roles belong to a server."""
    keys = {CREDENTIALS["AWS_ACCESS_KEY_ID"]: CREDENTIALS["AWS_SECRET_ACCESS_KEY"]}
    images, programs = folder / "images", folder / "bin"
    for made in (images, programs):
        made.mkdir()
    docker = [str(environment_of("cloud") / "bin" / "python"), "-m", "tests.stand_ins.docker"]
    (programs / "docker").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {" ".join(docker)} "$@"\n')
    (programs / "docker").chmod(0o755)
    with Postgres(folder / "postgres", options=FAST).running() as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE ROLE rds_iam")  # RDS has it
        shutil.copy(certificates / "ca.pem", folder)
        files = str(certificates / "certificate.pem"), str(certificates / "key.pem")
        rds = Rds(*files, f"{server.socket}:5432", keys, REGION)
        known = {"PGSSLROOTCERT": str(certificates / "ca.pem"), "STAND_IN_IMAGES": str(images)}
        known |= {"STAND_IN_CERTIFICATE": str(certificates / "named-certificate.pem")}
        known |= {"STAND_IN_KEY": str(certificates / "named-key.pem")}
        with serving(rds), emulated_cloud(f"localhost:{rds.server_address[1]}", known) as cloud:
            yield Place(copy_checkout(folder / "checkout"), cloud, server, rds)
