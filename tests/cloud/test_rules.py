"""What the templates must never lack: rules over what SAM makes of them, and the linters' own."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from app.foundation.settings import Settings
from ops import emulator
from ops.cloud.account import ENVIRONMENTS
from ops.environment import ROOT
from ops.tools import environment_of

pytestmark = pytest.mark.artifact

TEMPLATES = ["template.yaml", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "infra").iterdir()))]
RELEASE = "1795612345-0123abcd4567"
# policies of AWS's own, and what of them is wider than it might be
MANAGED = {
    "AWSLambdaBasicExecutionRole": "writes logs, to any group",
    "AWSLambdaVPCAccessExecutionRole": "Lambda makes the function's network interfaces with its role",
    "AWSCodeDeployRoleForLambdaLimited": "moves any alias; it may invoke no hooks but ours",
    "AmazonECSInfrastructureRolePolicyForLoadBalancers": "moves any rule and registers tasks anywhere",
    "AmazonECSTaskExecutionRolePolicy": "pulls any image and writes to any log",
}
# variables that are no settings
NOT_SETTINGS = {"AWS_USE_DUALSTACK_ENDPOINT", "MIGRATION_FUNCTION"}
# settings that no function has as a variable
NOT_VARIABLES = {
    "db_password": "nobody has one: IAM",
    "type_db": "there is one type",
    "migrations_dir": "found beside the code",
    "administrator_email": "seed's event has it",
    "administrator_password": "seed's event has it",
    "smtp_password": "in the secret",
    "prepare_at_start": "the container's",
    "database_wait_seconds": "the container's",
    "workers": "the container's",
    "trusted_proxies": "the container's",
}
# what may say "*", and why
ANY_RESOURCE = {"codedeploy:PutLifecycleEventHookExecutionStatus": "the action knows no resource"}

# checkov's checks that are passed over, and why
PASSED_OVER = {
    "CKV_AWS_18": "a log of who read an artifact needs a second bucket; only the roles of this stack read",
    "CKV_AWS_157": "a standby doubles the price: the parameter MultiAz",
    "CKV_AWS_118": "enhanced monitoring is billed; CloudWatch's own metrics do until something is slow",
    "CKV_AWS_149": "the secret is encrypted with AWS's key; one of one's own is billed by the month",
    "CKV_AWS_158": "logs are encrypted with AWS's key; one of one's own is billed by the month",
    "CKV_AWS_173": "variables hold no secret, and are encrypted with AWS's key",
    "CKV_AWS_115": "an account may have ten at once in all: to reserve some takes them from the others",
    "CKV_AWS_116": "no event waits in a queue: who invokes them waits for the answer, or asks anew",
    "CKV_AWS_91": "the application logs each request; the load balancer's log needs a bucket of its own",
    "CKV_AWS_2": "TLS needs a name, and a template rule wants one in prod",
    "CKV_AWS_103": "as above; with a name it has a policy of TLS 1.2 and 1.3",
    "CKV_AWS_65": "container insights are billed by the metric",
    "CKV_AWS_117": "a gate needs AWS's API alone, and no network",
}

Resource = dict[str, Any]


@cache
def translated(template: str = "template.yaml", release: str = RELEASE) -> dict[str, Any]:
    python = str(environment_of("sam") / "bin" / "python")
    parameters = {"ReleaseId": release, "Base": "base", "Runs": "both", "Canary": "AllAtOnce"}
    command = [python, "tests/cloud/translate.py", template, json.dumps(parameters)]
    environment = {"AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def of_type(kind: str, template: str = "template.yaml") -> dict[str, Resource]:
    found = {n: r for n, r in translated(template)["Resources"].items() if r["Type"] == kind}
    assert found, kind
    return found


def functions() -> dict[str, Resource]:
    return {name: found["Properties"] for name, found in of_type("AWS::Lambda::Function").items()}


def variables(function: Resource) -> dict[str, Any]:
    found: dict[str, Any] = function["Environment"]["Variables"]
    return found


def run(environment: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(environment_of(environment) / "bin" / program), *arguments]
    quiet = {"SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1"}
    return subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)


def test_sam_and_cloudformation_accept_them() -> None:
    done = run("sam", "sam", "validate", "--lint")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("sam", "cfn-lint", *TEMPLATES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_checkov_finds_nothing_that_was_not_thought_of(tmp_path: Path) -> None:
    """With all that can be: what a condition leaves out by default it does not look at."""
    text = (ROOT / "template.yaml").read_text()
    for default, given in {
        "Default: lambda,": "Default: both,",
        'DomainName: {Type: String, Default: "",': "DomainName: {Type: String, Default: api.example.com,",
    }.items():
        assert default in text
        text = text.replace(default, given)
    (tmp_path / "template.yaml").write_text(text)
    files = [word for one in (tmp_path / "template.yaml", *TEMPLATES[1:]) for word in ("--file", str(one))]
    options = ["--framework=cloudformation", "--skip-download", "--output=json"]
    results = json.loads(run("checkov", "checkov", *options, *files).stdout)["results"]
    failed = {(check["check_id"], check["resource"]) for check in results["failed_checks"]}
    assert not {check for check in failed if check[0] not in PASSED_OVER}
    assert {check for check, _ in failed} == set(PASSED_OVER), "one of those passed over is met now"
    assert any("Balancer" in check["resource"] for check in results["passed_checks"])
    assert len(results["passed_checks"]) > 60


def test_what_reaches_the_database_is_in_its_network_and_nothing_else_is() -> None:
    inside = {name for name, function in functions().items() if "VpcConfig" in function}
    assert inside == {"ApiFunction", "MigrationFunction"}
    for name in inside:
        network = functions()[name]["VpcConfig"]
        assert network["Ipv6AllowedForDualStack"] is True
        assert {"SubnetIds", "SecurityGroupIds"} <= set(network)


def test_no_traffic_moves_without_the_gate() -> None:
    """Nor with a canary or all at once: the preference is never off."""
    [alias] = [found for found in of_type("AWS::Lambda::Alias").values() if "UpdatePolicy" in found]
    assert alias["Properties"]["FunctionName"] == {"Ref": "ApiFunction"}
    policy = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert policy["BeforeAllowTrafficHook"] == {"Ref": "GateFunction"}
    assert policy["AfterAllowTrafficHook"] == {"Ref": "ReleasedFunction"}
    [group] = of_type("AWS::CodeDeploy::DeploymentGroup").values()
    watched = group["Properties"]["AlarmConfiguration"]
    assert watched["Enabled"] is True
    assert {alarm["Name"]["Ref"] for alarm in watched["Alarms"]} == set(alarms_of("Lambda"))
    # the alias waits for the function's version, and so for these
    function = translated()["Resources"]["ApiFunction"]
    assert {"GateFunction", "ReleasedFunction"} <= set(function["DependsOn"])
    assert "None" not in translated()["Parameters"]["Canary"]["AllowedValues"]
    # the API is reached by the alias alone
    template = json.dumps(translated()["Resources"]["Api"])
    assert "ApiFunctionAliaslive" in template
    assert "ApiFunction.Arn" not in template


def test_the_gate_asks_the_release_it_belongs_to() -> None:
    version = {"Ref": f"MigrationFunctionVersion{RELEASE[:10]}"}
    for name in ("GateFunction", "ReleasedFunction"):
        assert variables(functions()[name])["MIGRATION_FUNCTION"] == version
    timeouts = {name: function["Timeout"] for name, function in functions().items()}
    assert timeouts["MigrationFunction"] < timeouts["GateFunction"] == 900
    assert timeouts["ApiFunction"] == emulator.SECONDS


def test_each_release_is_a_version() -> None:
    """Of the same code, too; and the old ones stay, for a rollback."""
    before, after = translated()["Resources"], translated(release="1795612346-0123abcd4567")["Resources"]
    kind = "AWS::Lambda::Version"
    published = [{n for n, r in found.items() if r["Type"] == kind} for found in (before, after)]
    assert [len(names) for names in published] == [2, 2]
    assert not published[0] & published[1]
    assert {found["DeletionPolicy"] for found in of_type(kind).values()} == {"Retain"}


def alarms_of(condition: str) -> dict[str, Resource]:
    return {n: r for n, r in of_type("AWS::CloudWatch::Alarm").items() if r["Condition"] == condition}


def test_an_alarm_is_of_the_newest_version_alone() -> None:
    version = {"Fn::GetAtt": [f"ApiFunctionVersion{RELEASE[:10]}", "Version"]}
    for alarm in alarms_of("Lambda").values():
        assert version in [dimension["Value"] for dimension in alarm["Properties"]["Dimensions"]]
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching"


def test_logs_are_kept_and_end() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    assert all(group["Properties"]["RetentionInDays"] <= 90 for group in groups.values())
    for function in functions().values():
        assert function["LoggingConfig"]["LogGroup"]["Ref"] in groups
    [stage] = of_type("AWS::ApiGatewayV2::Stage").values()
    assert stage["Properties"]["AccessLogSettings"]["DestinationArn"]["Fn::GetAtt"][0] in groups
    assert stage["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"]


def test_data_is_kept_and_closed() -> None:
    [server] = of_type("AWS::RDS::DBInstance", "infra/database.yaml").values()
    assert {server["DeletionPolicy"], server["UpdateReplacePolicy"]} == {"Snapshot"}
    settings = server["Properties"]
    assert [settings["StorageEncrypted"], settings["PubliclyAccessible"]] == [True, False]
    assert settings["MasterUserAuthenticationType"] == "iam-db-auth"
    assert not {"MasterUserPassword", "ManageMasterUserPassword"} & set(settings)
    [parameters] = of_type("AWS::RDS::DBParameterGroup", "infra/database.yaml").values()
    assert parameters["Properties"]["Parameters"]["rds.force_ssl"] == "1"
    # a release holds none of it
    kinds = {found["Type"].split("::")[1] for found in translated()["Resources"].values()}
    assert not kinds & {"RDS", "SecretsManager", "S3", "ECR"}


def statements() -> Iterator[tuple[str, Any]]:
    for name, role in of_type("AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def test_no_role_may_more_than_it_does() -> None:
    for name, statement in statements():
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action], name
        if statement["Resource"] == "*":
            assert set(actions) <= set(ANY_RESOURCE), (name, actions)
    for role in of_type("AWS::IAM::Role").values():
        attached = json.dumps(role["Properties"].get("ManagedPolicyArns", []))
        assert set(re.findall(r"policy/(?:service-role/)?(\w+)", attached)) <= set(MANAGED)
        assert role["Properties"]["PermissionsBoundary"] == {
            "Fn::ImportValue": {"Fn::Sub": "${Base}-pipeline-Boundary"}
        }
    users = [json.dumps(s["Resource"]) for _, s in statements() if s["Action"] == "rds-db:connect"]
    assert sorted(re.findall(r"dbuser:\$\{Server\}/(\w+)", user) for user in users) == [
        ["app"],
        ["app"],
        ["migrator", "postgres"],
    ]


def test_both_hooks_may_the_same() -> None:
    for hook in ("GateFunction", "ReleasedFunction"):
        assert functions()[hook]["Role"] == {"Fn::GetAtt": ["GateRole", "Arn"]}


def test_only_what_has_ipv6_asks_for_its_endpoints() -> None:
    """CodeDeploy, which the gate speaks to, has none (AWS General Reference, "AWS CodeDeploy endpoints")."""
    for function in functions().values():
        assert ("AWS_USE_DUALSTACK_ENDPOINT" in variables(function)) is ("VpcConfig" in function)


def test_the_dashboard_is_json() -> None:
    [dashboard] = of_type("AWS::CloudWatch::Dashboard").values()
    body = json.loads(re.sub(r"\$\{[^}]+\}", "x", dashboard["Properties"]["DashboardBody"]["Fn::Sub"][0]))
    assert len(body["widgets"]) == 6


def test_every_environment_names_every_parameter() -> None:
    """What a deployment does not name keeps the last one's value."""
    known = set(translated()["Parameters"]) - {"ReleaseId"}
    file = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for name in ENVIRONMENTS:
        *given, release = file[name]["deploy"]["parameters"]["parameter_overrides"]
        assert {pair.partition("=")[0] for pair in given} == known
        assert release == "file://dist/release.yaml"


def test_the_documents_name_what_a_release_imports() -> None:
    imported = set(
        re.findall(r'"Fn::ImportValue": \{"Fn::Sub": "\$\{Base\}(-\w+-\w+)"', json.dumps(translated()))
    )
    told = (ROOT / "docs/deploy.md").read_text().partition("a database of your own")[2].partition("\n## ")[0]
    assert set(re.findall(r"`NAME(-\w+-\w+)`", told)) == imported


def test_no_variable_is_a_secret() -> None:
    for function in functions().values():
        for name, value in variables(function).items():
            if re.search("PASSWORD|SECRET_KEY|TOKEN$|^DATABASE_URL", name):
                assert value == "", name
            assert ":password@" not in json.dumps(value)
    assert not [n for n, p in translated()["Parameters"].items() if p.get("NoEcho")]


def test_variables_and_settings_are_the_same() -> None:
    fields = set(Settings.model_fields)
    named = {name for function in functions().values() for name in variables(function)}
    assert {name.lower() for name in named - NOT_SETTINGS} <= fields
    assert fields - {name.lower() for name in named} == set(NOT_VARIABLES)
    assert "ADMIN_DATABASE_URL" not in variables(functions()["ApiFunction"])


@pytest.mark.parametrize("name", ["ApiFunction", "MigrationFunction", "GateFunction", "ReleasedFunction"])
def test_every_handler_is_there(name: str) -> None:
    module, _, handler = functions()[name]["Handler"].rpartition(".")
    program = [sys.executable, "-c", f"from {module} import {handler}"]
    subprocess.run(program, env={"PYTHONPATH": "src", "ENVIRONMENT": "test"}, cwd=ROOT, check=True)


def test_parameters_are_few_and_described() -> None:
    for template in TEMPLATES:
        parameters = translated(template)["Parameters"]
        assert len(parameters) <= 14
        assert all(len(parameter["Description"]) > 20 for parameter in parameters.values()), template
    groups = translated()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(
        translated()["Parameters"]
    )
