"""The container's door in template.yaml: what must hold in every choice of its parameters."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from app import NAME
from app.entrypoints.container import DRAIN, KEEP_ALIVE
from ops.environment import ROOT
from tests.cloud.test_rules import NOT_SETTINGS, of_type, translated, variables

pytestmark = pytest.mark.artifact

GONE = object()
CHOICES = {
    "Environment": ["dev", "prod"],
    "Runs": ["lambda", "container", "both"],
    "LoadBalancer": ["yes", "none"],
    "DomainName": ["", "api.example.com"],
    "HostedZoneId": ["", "Z1"],
    "CertificateArn": ["", "arn:aws:acm:us-east-1:123456789012:certificate/1"],
    "Canary": ["AllAtOnce", "Canary10Percent5Minutes", "Linear10PercentEvery1Minute"],
}
DEPLOYED = [dict(zip(CHOICES, values, strict=True)) for values in product(*CHOICES.values())]
GOLDEN = ROOT / "tests" / "cloud" / "listener-rule.json"


class Chosen:
    """What CloudFormation makes of the template for some parameters; references stay as they are."""

    def __init__(self, **given: str) -> None:
        template = translated()
        known = {name: one.get("Default", f"a {name}") for name, one in template["Parameters"].items()}
        self.template, self.parameters = template, known | given
        kept = template["Resources"].items()
        self.resources: dict[str, Any] = {n: self.resolve(r) for n, r in kept if self.holds(r)}
        self.outputs = {n: self.resolve(o) for n, o in template["Outputs"].items() if self.holds(o)}

    def holds(self, part: dict[str, Any]) -> bool:
        return "Condition" not in part or self.test({"Condition": part["Condition"]})

    def test(self, condition: dict[str, Any]) -> bool:
        [(name, value)] = condition.items()
        match name:
            case "Condition":
                return self.test(self.template["Conditions"][value])
            case "Fn::Equals":
                left, right = (self.resolve(one) for one in value)
                return bool(left == right)
            case "Fn::Not":
                return not self.test(value[0])
            case "Fn::And":
                return all(map(self.test, value))
            case _:
                return any(map(self.test, value))

    def resolve(self, part: Any) -> Any:
        if isinstance(part, list):
            return [one for one in map(self.resolve, part) if one is not GONE]
        if not isinstance(part, dict):
            return part
        match part:
            case {"Fn::If": [condition, yes, no]}:
                return self.resolve(yes if self.test({"Condition": condition}) else no)
            case {"Ref": "AWS::NoValue"}:
                return GONE
            case {"Ref": name} if name in self.parameters:
                return self.parameters[name]
            case {"Fn::FindInMap": [table, key, column]}:
                return self.template["Mappings"][table][self.resolve(key)][column]
        resolved = {name: self.resolve(value) for name, value in part.items()}
        return {name: value for name, value in resolved.items() if value is not GONE}

    def properties(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[name]["Properties"]
        return found

    def allowed(self) -> bool:
        """By the template's Rules."""
        rules = self.template["Rules"].values()
        meant = [rule for rule in rules if "RuleCondition" not in rule or self.test(rule["RuleCondition"])]
        return all(self.test(one["Assert"]) for rule in meant for one in rule["Assertions"])


def referred(part: Any) -> Iterator[str]:
    """The names of Ref, GetAtt and Sub in it."""
    if isinstance(part, list):
        for one in part:
            yield from referred(one)
    elif isinstance(part, dict):
        for name, value in part.items():
            match name, value:
                case "Ref", str():
                    yield value
                case "Fn::GetAtt", [resource, *_]:
                    yield resource
                case "Fn::Sub", str() | [str(), _]:
                    text, own = (value, {}) if isinstance(value, str) else value
                    names = {word.partition("}")[0].partition(".")[0] for word in text.split("${")[1:]}
                    yield from names - set(own)
                    yield from referred(own)
                case _:
                    yield from referred(value)


def test_nothing_refers_to_what_is_not_there() -> None:
    """In any choice of parameters that the template's rules allow."""
    allowed = [chosen for given in DEPLOYED if (chosen := Chosen(**given)).allowed()]
    assert len(allowed) > 100
    for chosen in allowed:
        there = set(chosen.resources) | set(chosen.parameters)
        # CloudFormation does not wait for what a condition leaves out
        parts = [{k: v for k, v in one.items() if k != "DependsOn"} for one in chosen.resources.values()]
        names = {name for name in referred([parts, chosen.outputs]) if not name.startswith("AWS::")}
        assert names <= there, chosen.parameters


def test_what_cannot_be_is_refused() -> None:
    assert Chosen(Runs="both").allowed()
    assert Chosen(Runs="container", LoadBalancer="none").allowed()
    named = {"DomainName": "api.example.com", "HostedZoneId": "Z1"}
    assert not Chosen(Runs="container", LoadBalancer="none", **named).allowed()
    for runs in ("container", "both"):
        assert not Chosen(Environment="prod", Runs=runs).allowed()
        assert not Chosen(Environment="prod", Runs=runs, LoadBalancer="none").allowed()
        assert Chosen(Environment="prod", Runs=runs, **named).allowed()
    assert Chosen(Environment="prod").allowed()


def test_each_door_can_be_without_the_other() -> None:
    kinds = {runs: {r["Type"] for r in Chosen(Runs=runs).resources.values()} for runs in CHOICES["Runs"]}
    assert not [kind for kind in kinds["lambda"] if kind.split("::")[1] in {"ECS", "EC2"}]
    assert not [kind for kind in kinds["lambda"] if kind.split("::")[1].startswith("Elastic")]
    assert not [k for k in kinds["container"] if k.split("::")[1] in {"ApiGatewayV2", "CodeDeploy"}]
    assert kinds["both"] == kinds["lambda"] | kinds["container"]
    migrates = {"MigrationFunction", "GateFunction", "ReleasedFunction"}
    assert migrates <= set(Chosen(Runs="container").resources)
    assert "ApiFunction" not in Chosen(Runs="container").resources


def test_no_task_starts_before_the_gate() -> None:
    for balancer in ("yes", "none"):
        chosen = Chosen(Runs="container", LoadBalancer=balancer)
        moving = chosen.properties("Service")["DeploymentConfiguration"]
        hooks = {hook["LifecycleStages"][0]: hook for hook in moving["LifecycleHooks"]}
        assert list(hooks) == ["PRE_SCALE_UP", "POST_PRODUCTION_TRAFFIC_SHIFT"]
        for hook, function in zip(hooks.values(), ("GateFunction", "ReleasedFunction"), strict=True):
            assert hook["HookTargetArn"] == {"Fn::GetAtt": [function, "Arn"]}
            assert hook["RoleArn"] == {"Fn::GetAtt": ["DeploymentRole", "Arn"]}
            assert hook["TimeoutConfiguration"] == {"TimeoutInMinutes": 60, "Action": "ROLLBACK"}
        # it is for rolling updates alone
        assert "DeploymentCircuitBreaker" not in moving
        watched = {"TaskErrors", "BalancerErrors"} if balancer == "yes" else {"TaskErrors"}
        names = {alarm["Ref"] for alarm in moving["Alarms"]["AlarmNames"]}
        assert names == watched == set(names) & set(chosen.resources)
        assert moving["Alarms"]["Enable"] is moving["Alarms"]["Rollback"] is True


def test_functions_have_no_traffic_before_containers() -> None:
    """Whose hook runs on a first creation, too; CloudFormation waits for what is referred to."""
    both, alone = Chosen(Runs="both"), Chosen(Runs="lambda")
    assert "Service" in set(referred(both.resources["ApiFunction"]))
    assert "Service" not in set(referred(alone.resources["ApiFunction"]))


def test_records_wait_for_what_they_lead_to() -> None:
    named = {"DomainName": "api.example.com", "HostedZoneId": "Z1"}
    for runs, name in (("lambda", "DomainOfApi"), ("both", "DomainOfApi"), ("container", "Service")):
        assert name in set(referred(Chosen(Runs=runs, **named).resources["Records"]))


def test_without_a_load_balancer_the_service_lets_go_of_one() -> None:
    """What is left out would stay ("AWS::ECS::Service", LoadBalancers and DesiredCount)."""
    service = Chosen(Runs="container", LoadBalancer="none").properties("Service")
    assert (service["LoadBalancers"], service["DesiredCount"]) == ([], 1)


def test_ecs_may_invoke_them() -> None:
    role = Chosen(Runs="container").properties("DeploymentRole")
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert "ecs.amazonaws.com" in trust["Principal"]["Service"]
    [statement] = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "lambda:InvokeFunction"
    assert [one["Fn::GetAtt"][0] for one in statement["Resource"]] == ["GateFunction", "ReleasedFunction"]


@pytest.mark.parametrize("canary", ["AllAtOnce", "Canary10Percent15Minutes", "Linear10PercentEvery2Minutes"])
def test_traffic_moves_as_on_lambda(canary: str) -> None:
    moving = Chosen(Runs="both", Canary=canary).properties("Service")["DeploymentConfiguration"]
    said = {
        "AllAtOnce": ("BLUE_GREEN", None, None),
        "Canary10Percent15Minutes": ("CANARY", {"CanaryPercent": 10, "CanaryBakeTimeInMinutes": 15}, None),
        "Linear10PercentEvery2Minutes": ("LINEAR", None, {"StepPercent": 10, "StepBakeTimeInMinutes": 2}),
    }
    shares = moving.get("CanaryConfiguration"), moving.get("LinearConfiguration")
    assert (moving["Strategy"], *shares) == said[canary]
    without = Chosen(Runs="both", Canary=canary, LoadBalancer="none").properties("Service")
    assert without["DeploymentConfiguration"]["Strategy"] == "BLUE_GREEN"
    assert not {"CanaryConfiguration", "LinearConfiguration"} & set(without["DeploymentConfiguration"])


def test_every_canary_has_its_words() -> None:
    template = translated()
    assert set(template["Mappings"]["Shift"]) == set(template["Parameters"]["Canary"]["AllowedValues"])


def test_the_rule_that_ecs_moves_is_as_it_always_was() -> None:
    """A later edit could lead the traffic to where no task is (aws/containers-roadmap#2853)."""
    written = {"ListenerRule": translated()["Resources"]["ListenerRule"]}
    assert written == json.loads(GOLDEN.read_text())
    # in every choice, so that no parameter moves it
    given = [Chosen(**one) for one in DEPLOYED if one["Runs"] != "lambda" and one["LoadBalancer"] == "yes"]
    assert {json.dumps(one.resources["ListenerRule"]) for one in given} == {
        json.dumps(written["ListenerRule"])
    }
    # nor does one replace what it refers to; a listener's port and protocol change in place
    for name in ("Blue", "Green"):
        assert len({json.dumps(one.resources[name]) for one in given}) == 1
    assert len({json.dumps(one.properties("Listener")["LoadBalancerArn"]) for one in given}) == 1


def test_blue_and_green_are_alike() -> None:
    groups = of_type("AWS::ElasticLoadBalancingV2::TargetGroup")
    assert len({json.dumps(group) for group in groups.values()}) == 1


def environment_of_task(**given: str) -> dict[str, Any]:
    [container] = Chosen(**given).properties("Task")["ContainerDefinitions"]
    return {one["Name"]: one["Value"] for one in container["Environment"]}


def test_task_and_function_have_the_same_settings() -> None:
    task, function = (
        environment_of_task(Runs="both"),
        variables(Chosen(Runs="both").properties("ApiFunction")),
    )
    # `sam local` alone needs these
    empty = {"DATABASE_URL", "SECRET_KEY"}
    assert task.keys() - function.keys() == {"AWS_REGION", "TRUSTED_PROXIES"}
    assert function.keys() - task.keys() == NOT_SETTINGS - {"MIGRATION_FUNCTION"} | empty
    for name in task.keys() & function.keys():
        assert task[name] == function[name], name


def test_the_callers_address_is_the_load_balancers_word_alone() -> None:
    assert environment_of_task(Runs="container", LoadBalancer="none")["TRUSTED_PROXIES"] == "127.0.0.1"
    network = {"Fn::ImportValue": {"Fn::Sub": "${Base}-network-Cidr"}}
    assert environment_of_task(Runs="container")["TRUSTED_PROXIES"] == network


def test_a_task_may_little_and_ends_in_time() -> None:
    task = Chosen(Runs="container").properties("Task")
    [container] = task["ContainerDefinitions"]
    assert container["ReadonlyRootFilesystem"] is True
    assert container["User"] == "10001:10001"
    assert container["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}}
    assert container["StopTimeout"] > DRAIN
    assert container["HealthCheck"]["Command"][0] == "CMD"
    assert task["RequiresCompatibilities"] == ["FARGATE"]
    for architecture in ("arm64", "x86_64"):
        platform = Chosen(Runs="container", Architecture=architecture).properties("Task")["RuntimePlatform"]
        assert platform["CpuArchitecture"] == architecture.upper()


def test_a_load_balancer_gives_up_a_connection_before_the_container_does() -> None:
    """Else a request meets one that ends at that moment. It has the usual idle timeout, 60 s."""
    attributes = Chosen(Runs="container").properties("Balancer")["LoadBalancerAttributes"]
    assert "idle_timeout.timeout_seconds" not in {one["Key"] for one in attributes}
    assert KEEP_ALIVE > 60


def test_a_container_is_reached_through_its_load_balancer_alone() -> None:
    [entry] = Chosen(Runs="container").properties("TaskSecurityGroup")["SecurityGroupIngress"]
    assert entry["SourceSecurityGroupId"] == {"Ref": "BalancerSecurityGroup"}
    assert (entry["FromPort"], entry["ToPort"]) == (8000, 8000)
    [entry] = Chosen(Runs="container", LoadBalancer="none").properties("TaskSecurityGroup")[
        "SecurityGroupIngress"
    ]
    assert (entry["CidrIp"], entry["FromPort"], entry["ToPort"]) == ("0.0.0.0/0", 8000, 8000)


def test_with_a_name_there_is_tls_and_nothing_else() -> None:
    named = Chosen(Runs="container", DomainName="api.example.com", HostedZoneId="Z1")
    listener, [target, *_] = named.properties("Listener"), named.properties("Records")["RecordSets"]
    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    assert listener["Certificates"] == [{"CertificateArn": {"Ref": "Certificate"}}]
    assert "TLS13" in listener["SslPolicy"]
    assert target["AliasTarget"]["DNSName"] == {"Fn::GetAtt": ["Balancer", "DNSName"]}
    entries = named.properties("BalancerSecurityGroup")["SecurityGroupIngress"]
    assert {entry["FromPort"] for entry in entries} == {443}
    plain = Chosen(Runs="container").properties("Listener")
    assert (plain["Port"], plain["Protocol"]) == (80, "HTTP")
    assert not {"Certificates", "SslPolicy"} & set(plain)


def test_with_both_doors_the_name_leads_to_api_gateway() -> None:
    both = Chosen(Runs="both", DomainName="api.example.com", HostedZoneId="Z1")
    for record in both.properties("Records")["RecordSets"]:
        assert record["AliasTarget"]["DNSName"] == {"Fn::GetAtt": ["Domain", "RegionalDomainName"]}
    assert both.properties("Listener")["Protocol"] == "HTTPS"


def test_tasks_are_where_they_can_pull_their_image() -> None:
    network = Chosen(Runs="container").properties("Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert "${Base}-network-TaskSubnets" in json.dumps(network["Subnets"])
    assert "${Base}-network-TaskPublicAddress" in json.dumps(network["AssignPublicIp"])
    alone = Chosen(Runs="container", LoadBalancer="none").properties("Service")["NetworkConfiguration"]
    assert "${Base}-network-PublicSubnets" in json.dumps(alone["AwsvpcConfiguration"]["Subnets"])
    assert alone["AwsvpcConfiguration"]["AssignPublicIp"] == "ENABLED"
    exports = translated("infra/network.yaml")["Outputs"]
    private, public = (
        {"Fn::Sub": f"${{{kind}SubnetA}},${{{kind}SubnetB}}"} for kind in ("Private", "Public")
    )
    assert exports["TaskSubnets"]["Value"] == {"Fn::If": ["Nat", private, public]}
    assert exports["TaskPublicAddress"]["Value"] == {"Fn::If": ["Nat", "DISABLED", "ENABLED"]}


def test_how_many_run_is_scalings_to_say() -> None:
    chosen = Chosen(Runs="container", Tasks="2-8")
    assert "DesiredCount" not in chosen.properties("Service")
    scaling = chosen.properties("Scaling")
    for place, name in enumerate(("MinCapacity", "MaxCapacity")):
        assert scaling[name] == {"Fn::Select": [place, {"Fn::Split": ["-", "2-8"]}]}
    assert "Scaling" not in Chosen(Runs="container", LoadBalancer="none").resources


def test_a_container_that_cannot_start_rings_the_alarm() -> None:
    """The line that it ends with is no JSON (entrypoints/container.py)."""
    filters = of_type("AWS::Logs::MetricFilter")
    fault = filters["TaskFaultLines"]["Properties"]
    assert fault["FilterPattern"] == f'"{NAME}: "'
    [made] = fault["MetricTransformations"]
    alarm = Chosen(Runs="container").properties("TaskErrors")
    assert (made["MetricName"], made["MetricNamespace"]) == (alarm["MetricName"], alarm["Namespace"])
    assert int(made["MetricValue"]) > alarm["Threshold"]
