"""What the pipelines may do in an account: no more than a deployment needs, and all of that."""

import fnmatch
import json
import re
from functools import cache
from typing import Any

import pytest

from app import NAME
from ops.cloud.account import ENVIRONMENTS
from ops.environment import ROOT
from ops.tools import environment_of
from tests.cloud.emulated import ACCOUNT, Cloud
from tests.cloud.test_rules import TEMPLATES, of_type, translated

TEMPLATE = "infra/pipeline.yaml"
STACK = "slipway-staging"
DEPLOYED = [name for name in TEMPLATES if name != TEMPLATE]
GITHUB = "token.actions.githubusercontent.com"
HERE = f"us-east-1:{ACCOUNT}"
IAM = f"arn:aws:iam::{ACCOUNT}"
PROVIDER = f"{IAM}:oidc-provider/{GITHUB}"
BOUNDARY = f"{IAM}:policy/{STACK}-pipeline-Boundary-1"
ROLE = f"{IAM}:role/{STACK}-ApiFunctionRole-1"
SECRET = f"arn:aws:secretsmanager:{HERE}:secret:Secret-1"
TAG = "aws:ResourceTag/aws:cloudformation:stack-name"
MANAGED = "arn:aws:iam::aws:policy"
EXECUTION = f"{IAM}:role/pipeline/execution"
OWN_STACK = f"arn:aws:cloudformation:{HERE}:stack/{STACK}-pipeline/1"
DOCUMENTS = ("Boundary", "DeployPolicy", "ExecutionRole")

# AWS Managed Policy Reference, the page of each name
POLICIES = {
    "AWSLambdaBasicExecutionRole": "logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents",
    "AWSLambdaVPCAccessExecutionRole": "logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents"
    " ec2:CreateNetworkInterface ec2:DescribeNetworkInterfaces ec2:DescribeSubnets ec2:DeleteNetworkInterface"
    " ec2:AssignPrivateIpAddresses ec2:UnassignPrivateIpAddresses",
    # and s3:GetObject, for revisions in buckets, which no function has
    "AWSCodeDeployRoleForLambdaLimited": "cloudwatch:DescribeAlarms lambda:UpdateAlias lambda:GetAlias"
    " lambda:GetProvisionedConcurrencyConfig lambda:InvokeFunction",
    "AmazonECSTaskExecutionRolePolicy": "ecr:GetAuthorizationToken ecr:BatchCheckLayerAvailability"
    " ecr:GetDownloadUrlForLayer ecr:BatchGetImage logs:CreateLogStream logs:PutLogEvents",
    "AmazonECSInfrastructureRolePolicyForLoadBalancers": "elasticloadbalancing:DescribeListeners"
    " elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTargetGroups"
    " elasticloadbalancing:DescribeTargetHealth elasticloadbalancing:RegisterTargets"
    " elasticloadbalancing:DeregisterTargets elasticloadbalancing:ModifyListener"
    " elasticloadbalancing:ModifyRule",
}
# what a resource may be that does not begin with the stack's name, and why
UNNAMED = {
    "this stack's": "arn:*:ecr:*:*:repository/images arn:aws:s3:::artifacts arn:aws:s3:::artifacts/*",
    "the parameter's": "arn:*:route53:::hostedzone/ZONE",
    "AWS's own": "arn:*:cloudformation:*:aws:transform/Serverless-2016-10-31 arn:*:rds:*:*:og:default:*"
    " arn:*:codedeploy:*:*:deploymentconfig:CodeDeployDefault.*",
    "begins as in the template": "arn:*:cloudwatch::*:dashboard/Dashboard-*"
    " arn:*:secretsmanager:*:*:secret:Secret-*",
    "has an id": "arn:*:apigateway:*::/apis* arn:*:apigateway:*::/domainnames* arn:*:apigateway:*::/tags/*"
    " arn:*:ec2:*:*:*/* arn:*:ec2:*:*:*internet-gateway/* arn:*:ec2:*:*:elastic-ip/*"
    " arn:*:ec2:*:*:natgateway/* arn:*:ec2:*:*:route-table/* arn:*:ec2:*:*:security-group*/*"
    " arn:*:ec2:*:*:subnet/* arn:*:ec2:*:*:vpc/*"
    " arn:*:rds-db:*:*:dbuser:*/app arn:*:rds-db:*:*:dbuser:*/migrator arn:*:rds-db:*:*:dbuser:*/postgres"
    " arn:*:route53:::change/*",
    "has a name of 32 characters, for which the stack's is cut": "arn:*:elasticloadbalancing:*:*:*",
}
# what may say "*", beside what describes and lists; in the second set with a condition alone
ANY_RESOURCE = {
    "codedeploy:PutLifecycleEventHookExecutionStatus",
    "ecr:GetAuthorizationToken",
    "lambda:GetAccountSettings",
    "lambda:GetAlias",
}
ANY_RESOURCE_IF = {
    "the region, as these know no resource": "acm:RequestCertificate codedeploy:StopDeployment"
    " ecs:*TaskDefinition logs:*LogDeliver* logs:PutResourcePolicy secretsmanager:GetRandomPassword",
    "the region, as these have ids": "acm:*Tags* acm:DeleteCertificate application-autoscaling:*"
    " elasticloadbalancing:*",
    "the services": "iam:CreateServiceLinkedRole",
    "the stack that has made it": "secretsmanager:* secretsmanager:GetSecretValue",
}
# what CloudFormation may call for a type, and does not for what the templates say of it
NOT_CALLED = {
    r"kms:": "AWS's own keys trust whoever may use the service",
    r"acm-pca:|acm:UpdateCertificateOptions": "certificates are public",
    r"apigateway:(Un)?[Tt]agResource": "POST and DELETE on /tags; IAM's list knows no such action",
    r"cloudwatch:GetMetricData": "for scaling by forecasts",
    r"cognito-idp:": "the load balancer signs nobody in",
    r"ecs:PutAccountSetting": "not said",
    r"elasticfilesystem:|s3files:": "functions have no file systems",
    r"ec2:AllocateIpamPoolCidr": "none is there",
    r"firehose:|s3:REST": "logs go nowhere else",
    r"iam:DeleteRolePermissionsBoundary": "never",
    r"iam:ListRoles": "the server has no role",
    r"lambda:(AssociateRuntimeAlias|GetCodeSigningConfig|GetLayerVersion|PassCapacityProvider)": "not said",
    r"logs:(DeleteIndex|DeleteResource|PutIndex)Policy": "not said",
}


def resolved(value: Any, values: dict[str, str]) -> Any:
    """With every condition met, but for those that `values` have as empty."""
    match value:
        case {"Ref": "AWS::NoValue"}:
            return None
        case {"Ref": str(name)}:
            return values.get(name, name)
        case {"Fn::GetAtt": [name, attribute]}:
            # of what a release makes, functions alone are named in its policies
            return values.get(f"{name}.{attribute}", f"arn:aws:lambda:{HERE}:function:{STACK}-{name}-1")
        case {"Fn::ImportValue": name}:
            return SECRET if resolved(name, values).endswith("-SecretArn") else "imported"
        case {"Fn::Sub": [text, own]}:
            known = values | {name: resolved(one, values) for name, one in own.items()}
            return resolved({"Fn::Sub": text}, known)
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: resolved(named(found[1]), values), text)
        case {"Fn::Split": [by, text]}:
            return resolved(text, values).split(by)
        case {"Fn::Join": [by, parts]}:
            return by.join(resolved(parts, values))
        case {"Fn::If": [name, then, otherwise]}:
            return resolved(otherwise if values.get(name) == "" else then, values)
        case dict():
            return {name: resolved(one, values) for name, one in value.items()}
        case list():
            return [resolved(one, values) for one in value]
        case _:
            return value


def named(word: str) -> dict[str, Any]:
    name, _, attribute = word.partition(".")
    return {"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": word}


def properties(name: str, **values: str) -> dict[str, Any]:
    usual = {
        "AWS::AccountId": ACCOUNT,
        "AWS::Partition": "aws",
        "AWS::Region": "us-east-1",
        "AWS::StackId": OWN_STACK,
        "AWS::StackName": f"{STACK}-pipeline",
        "Artifacts.Arn": "arn:aws:s3:::artifacts",
        "Boundary": BOUNDARY,
        "Environment": "staging",
        "ExecutionRole.Arn": EXECUTION,
        "HostedZoneId": "ZONE",
        "Provider": PROVIDER,
        "Repository": "images",
        "Subject": "repo:owner@1/name@2",
    }
    found: dict[str, Any] = resolved(translated(TEMPLATE)["Resources"][name]["Properties"], usual | values)
    return found


def statements(name: str, **values: str) -> list[dict[str, Any]]:
    """Of a policy, or of a role's own one."""
    found = properties(name, **values)
    [policy] = found.get("Policies", [found])
    own: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return own


def words(table: dict[str, str]) -> set[str]:
    return {word for text in table.values() for word in text.split()}


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allowed(own: list[dict[str, Any]], action: str, arn: str, context: dict[str, str] | None = None) -> bool:
    """As IAM decides ("Policy evaluation logic"): what is denied is, whatever allows it."""
    known = {"aws:RequestedRegion": "us-east-1"} | (context or {})
    effects = {one["Effect"] for one in own if concerns(one, action, arn) and met(one, known)}
    return effects == {"Allow"}


def concerns(statement: dict[str, Any], action: str, arn: str) -> bool:
    among = listed(statement.get("NotAction") or statement["Action"])
    named = any(fnmatch.fnmatchcase(action.lower(), one.lower()) for one in among)
    return named is ("Action" in statement) and any(
        fnmatch.fnmatchcase(arn, one) for one in listed(statement["Resource"])
    )


def met(statement: dict[str, Any], context: dict[str, str]) -> bool:
    """A key that is not there equals nothing."""
    for operator, condition in statement.get("Condition", {}).items():
        for key, values in condition.items():
            like = fnmatch.fnmatchcase if operator.endswith("Like") else str.__eq__
            same = any(key in context and like(context[key], one) for one in listed(values))
            if same is ("Not" in operator):
                return False
    return True


@cache
def linter() -> dict[str, Any]:
    """cfn-lint's copies of what AWS publishes: IAM's actions, and the types' schemas."""
    [data] = environment_of("sam").glob("lib/python3*/site-packages/cfnlint/data")
    schemas = (json.loads(file.read_text()) for file in (data / "schemas/resources").glob("*.json"))
    types = {one["typeName"]: one for one in schemas if "typeName" in one}
    return {"iam": json.loads((data / "AdditionalSpecs/Policies.json").read_text()), "types": types}


@cache
def handled() -> set[str]:
    """What CloudFormation may call for the types of the other templates, by the handlers in their schemas."""
    used = {one["Type"] for name in DEPLOYED for one in translated(name)["Resources"].values()}
    handlers = {kind: linter()["types"][kind].get("handlers", {}) for kind in used}
    assert {kind for kind in used if not handlers[kind]} <= {"AWS::Route53::RecordSetGroup"}
    return {
        action
        for handler in handlers.values()
        for name, one in handler.items()
        if name != "list"
        for action in one["permissions"]
    }


def read() -> set[str]:
    """What CloudFormation reads for drift, as who asks for it: by the read handlers of all types."""
    used = {one["Type"] for name in TEMPLATES for one in translated(name)["Resources"].values()}
    handlers = [linter()["types"][kind].get("handlers", {}).get("read", {}) for kind in used]
    called = {action for one in handlers for action in one.get("permissions", [])}
    return {one for one in called if not re.match("kms:|s3:getObject|secretsmanager:GetSecretValue", one)}


def examples(action: str) -> list[str]:
    """ARNs of each kind of resource that an action knows, with names that begin as the templates' do."""
    service, _, name = action.partition(":")
    known = linter()["iam"][service]
    kinds = {kind.lower(): one for kind, one in known["Resources"].items()}
    asked = known["Actions"].get(name.lower(), {}).get("Resources", [])
    patterns = [arn for kind in asked for arn in kinds[kind.lower()]["ARNFormats"]]
    where = {"${Partition}": "aws", "${Region}": "us-east-1", "${Account}": ACCOUNT}
    filled = [re.sub(r"\$\{\w+\}", lambda found: where[found[0]], arn) for arn in patterns]
    names = [
        f"{STACK}-1",
        "Secret-1",
        "Dashboard-1",
        "apis",
        "domainnames",
        "tags/1",
        "1",
        "ZONE",
        "artifacts/1",
    ]
    return [arn.replace(".*", name) for arn in filled for name in names] or ["*"]


@pytest.mark.artifact
def test_one_repository_and_one_environment_of_it_deploys() -> None:
    [statement] = properties("DeployRole")["AssumeRolePolicyDocument"]["Statement"]
    token = {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": "repo:owner@1/name@2:environment:staging"}
    assert statement == {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": PROVIDER},
        "Condition": {"StringEquals": token},
    }
    [other] = properties("DeployRole", OwnProvider="")["AssumeRolePolicyDocument"]["Statement"]
    assert other["Principal"] == {"Federated": "ProviderArn"}
    provider = translated(TEMPLATE)["Resources"]["Provider"]
    assert provider["Properties"] == {"Url": f"https://{GITHUB}", "ClientIdList": ["sts.amazonaws.com"]}
    assert translated(TEMPLATE)["Parameters"]["Environment"]["AllowedValues"] == list(ENVIRONMENTS)


@pytest.mark.artifact
@pytest.mark.parametrize(
    ("name", "fit", "unfit"),
    [
        (
            "Subject",
            ["", "repo:octo-org/octo.repo_1", "repo:octocat@123456/my-repo@456789"],
            ["repo:a/*", "repo:*/b", "repo:a/b?", "repo:a/b:ref:refs/heads/main", "repo:a/b c", "a/b"],
        ),
        ("JenkinsPrincipal", ["", f"{IAM}:role/jenkins"], ["*", f"{IAM}:root", f"{IAM}:role/*"]),
    ],
)
def test_who_deploys_is_named_in_full(name: str, fit: list[str], unfit: list[str]) -> None:
    pattern = translated(TEMPLATE)["Parameters"][name]["AllowedPattern"]
    assert [one for one in fit + unfit if re.fullmatch(pattern, one, re.ASCII)] == fit


@pytest.mark.artifact
def test_other_roles_are_taken_by_one_each_and_nobody_has_a_key() -> None:
    trusted = {
        name: properties(name)["AssumeRolePolicyDocument"]["Statement"]
        for name in ("JenkinsRole", "ExecutionRole")
    }
    principals = [{"AWS": "JenkinsPrincipal"}, {"Service": "cloudformation.amazonaws.com"}]
    assert [one["Principal"] for own in trusted.values() for one in own] == principals
    for name in ("DeployRole", "JenkinsRole"):
        assert properties(name)["ManagedPolicyArns"] == ["DeployPolicy"]
        assert "Policies" not in properties(name)
    types = {one["Type"] for name in TEMPLATES for one in translated(name)["Resources"].values()}
    assert not types & {"AWS::IAM::User", "AWS::IAM::AccessKey", "AWS::IAM::Group"}


@pytest.mark.artifact
def test_resources_begin_with_the_stacks_name() -> None:
    seen: set[str] = set()
    for one in [one for name in DOCUMENTS for one in statements(name) if one["Effect"] == "Allow"]:
        seen |= set(listed(one["Resource"]))
        if one["Resource"] == "*":
            known = words(ANY_RESOURCE_IF) if "Condition" in one else ANY_RESOURCE
            named = {act for act in listed(one["Action"]) if not re.search(":(Describe|List)", act)}
            # what doctor reads, for drift
            assert {act for act in named if not (":G" in act and fnmatch.filter(read(), act))} <= known
    others = {arn for arn in seen if not re.search(rf"[:/]{STACK}[-/]", arn)}
    assert others == words(UNNAMED) | {"*", EXECUTION}


# action, resource, and what else IAM knows of the call
NEVER = """
lambda:UpdateFunctionCode lambda:HERE:function:slipway-prod-ApiFunction-1
lambda:UpdateFunctionCode lambda:HERE:function:slipway-stagingother
lambda:UpdateFunctionCode lambda:eu-west-1:123456789012:function:slipway-staging aws:RequestedRegion=eu-west-1
rds:DeleteDBInstance rds:HERE:db:slipway-prod-database-server
ecs:DeleteService ecs:HERE:service/slipway-prod-Cluster/slipway-prod-Service
secretsmanager:GetSecretValue secretsmanager:HERE:secret:Secret-1
secretsmanager:GetSecretValue secretsmanager:HERE:secret:Secret-1 TAG=slipway-prod-database
ec2:RunInstances ec2:HERE:instance/*
ec2:DeleteTransitGateway ec2:HERE:transit-gateway/tgw-1
s3:GetObject s3:::others/key
s3:PutObject s3:::artifacts/key
iam:CreateRole ROLE
iam:CreateRole ROLE iam:PermissionsBoundary=arn:aws:iam::aws:policy/AdministratorAccess
iam:CreateRole iam::123456789012:role/slipway-prod-1 iam:PermissionsBoundary=BOUNDARY
iam:PutRolePolicy ROLE
iam:PutRolePermissionsBoundary ROLE iam:PermissionsBoundary=arn:aws:iam::aws:policy/AdministratorAccess
iam:DeleteRolePermissionsBoundary ROLE iam:PermissionsBoundary=BOUNDARY
iam:AttachRolePolicy ROLE iam:PermissionsBoundary=BOUNDARY iam:PolicyARN=arn:aws:iam::aws:policy/IAMFullAccess
iam:AttachRolePolicy ROLE iam:PolicyARN=arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole
iam:PassRole ROLE iam:PassedToService=ec2.amazonaws.com
iam:PassRole ROLE
iam:CreateUser iam::123456789012:user/slipway-staging-1
iam:CreateServiceLinkedRole iam::123456789012:role/aws-service-role/x iam:AWSServiceName=x.amazonaws.com
sts:AssumeRole ROLE
"""


@pytest.mark.artifact
@pytest.mark.parametrize("call", NEVER.split("\n")[1:-1])
def test_cloudformation_may_never(call: str) -> None:
    for short, long in {"HERE": HERE, "BOUNDARY": BOUNDARY, "TAG": TAG, "ROLE": ROLE[8:]}.items():
        call = call.replace(short, long)
    action, arn, *context = call.split()
    known = dict(pair.split("=") for pair in context)
    assert not allowed(statements("ExecutionRole"), action, f"arn:aws:{arn}", known)


@pytest.mark.artifact
@pytest.mark.parametrize(
    "action", ["CreateRole", "PutRolePolicy", "PutRolePermissionsBoundary", "DeleteRole"]
)
def test_it_makes_roles_with_the_boundary(action: str) -> None:
    assert allowed(statements("ExecutionRole"), f"iam:{action}", ROLE, {"iam:PermissionsBoundary": BOUNDARY})


@pytest.mark.artifact
def test_nobody_who_deploys_changes_what_is_here() -> None:
    """The roles' names begin as a release's do; their path does not."""
    most = {"iam:PermissionsBoundary": BOUNDARY, "iam:PassedToService": "lambda.amazonaws.com"}
    for name in of_type("AWS::IAM::Role", TEMPLATE):
        assert properties(name)["Path"] == "/pipeline/"
        for act in linter()["iam"]["iam"]["Actions"]:
            for arn in (f"{IAM}:role/pipeline/{STACK}-pipeline-{name}-1", BOUNDARY):
                assert not allowed(statements("ExecutionRole"), f"iam:{act}", arn, most)
                looks = re.match("get|list", act) is not None
                assert looks or not allowed(statements("DeployPolicy"), f"iam:{act}", arn, most)
    for act in linter()["iam"]["cloudformation"]["Actions"]:
        looks = re.match("describestack|detect", act) is not None
        assert allowed(statements("DeployPolicy"), f"cloudformation:{act}", OWN_STACK) is looks
    passed = {"iam:PassedToService": "cloudformation.amazonaws.com"}
    for context, whether in ((passed, True), ({}, False), (most, False)):
        assert allowed(statements("DeployPolicy"), "iam:PassRole", EXECUTION, context) is whether


# what a pipeline calls by itself, after what it calls it of: sam deploy, docker push, ops/cloud, ops/doctor
CALLS = """
cloudformation:HERE:stack/slipway-staging/1 CreateChangeSet DescribeChangeSet ExecuteChangeSet ListChangeSets
cloudformation:HERE:stack/slipway-staging/1 DeleteChangeSet
cloudformation:HERE:stack/slipway-staging/1 DescribeStackEvents DescribeStackResource DescribeStacks
cloudformation:HERE:stack/slipway-staging/1 GetTemplate GetTemplateSummary
cloudformation:HERE:stack/slipway-staging-database/1 CreateChangeSet ExecuteChangeSet
cloudformation:HERE:stack/slipway-staging-network/1 CreateChangeSet ExecuteChangeSet
cloudformation:HERE:stack/slipway-staging-preview-x/1 CreateChangeSet DescribeChangeSet ExecuteChangeSet
cloudformation:HERE:stack/slipway-staging-preview-x/1 DeleteStack DescribeStackEvents GetTemplateSummary
cloudformation:HERE:stack/slipway-staging-pipeline/1 DescribeStacks DetectStackDrift
cloudformation:HERE:stack/slipway-staging/1 DetectStackDrift DetectStackResourceDrift
cloudformation:* DescribeStacks DescribeStackDriftDetectionStatus DescribeStackResourceDrifts
acm:* DescribeCertificate
cloudformation:us-east-1:aws:transform/Serverless-2016-10-31 CreateChangeSet
codedeploy:HERE:deploymentgroup:slipway-staging-A/B GetDeploymentGroup UpdateDeploymentGroup
ec2:* DescribeInstanceTypes DescribeNetworkInterfaces
ecr:* GetAuthorizationToken
ecr:HERE:repository/images BatchCheckLayerAvailability BatchGetImage CompleteLayerUpload
ecr:HERE:repository/images DescribeImages InitiateLayerUpload PutImage UploadLayerPart
ecs:* ListTasks
ecs:HERE:service/slipway-staging-Cluster-1/slipway-staging-Service-1 DescribeServices
ecs:HERE:task/slipway-staging-Cluster-1/1 DescribeTasks
lambda:* GetAccountSettings GetAlias
elasticloadbalancing:* DescribeRules
cloudwatch:* DescribeAlarms
lambda:HERE:function:slipway-staging-MigrationFunction-1:live InvokeFunction
lambda:HERE:function:slipway-staging-preview-x-MigrationFunction-1:live InvokeFunction
rds:* DescribeDBInstances
s3:::artifacts ListBucket
s3:::artifacts/key AbortMultipartUpload GetObject PutObject
"""


def calls() -> list[tuple[str, str]]:
    """Action and ARN."""
    rows = [line.split() for line in CALLS.replace("HERE", HERE).split("\n")[1:-1]]
    return [
        (f"{arn.partition(':')[0]}:{name}", "*" if arn.endswith(":*") else f"arn:aws:{arn}")
        for arn, *names in rows
        for name in names
    ]


@pytest.mark.artifact
def test_a_pipeline_may_what_make_deploy_calls_and_nothing_else() -> None:
    own = statements("DeployPolicy")
    for action, arn in calls():
        assert allowed(own, action, arn), action
    for action in read():
        assert any(allowed(own, action, arn) for arn in (*examples(action), "*")), action
    called = {action.lower() for action in [*(action for action, _ in calls()), *read()]} | {"iam:passrole"}
    for action in {action for one in own for action in listed(one["Action"])}:
        assert any(fnmatch.fnmatchcase(call, action.lower()) for call in called), action
    for action, arn in (
        ("cloudformation:CreateChangeSet", f"cloudformation:{HERE}:stack/slipway-prod/1"),
        ("cloudformation:DeleteStack", f"cloudformation:{HERE}:stack/slipway-staging/1"),
        ("cloudformation:DeleteStack", f"cloudformation:{HERE}:stack/slipway-staging-database/1"),
        ("lambda:GetFunction", f"lambda:{HERE}:function:another"),
        ("lambda:InvokeFunction", f"lambda:{HERE}:function:slipway-staging-ApiFunction-1"),
        ("secretsmanager:GetSecretValue", f"secretsmanager:{HERE}:secret:Secret-1"),
        ("s3:GetObject", "s3:::others/key"),
        ("logs:FilterLogEvents", f"logs:{HERE}:log-group:slipway-staging-1"),
        (
            "lambda:UpdateFunctionCode",
            f"lambda:{HERE}:function:slipway-staging-MigrationFunction-1",
        ),
        ("s3:DeleteObject", "s3:::artifacts/key"),
        ("ecr:BatchDeleteImage", f"ecr:{HERE}:repository/images"),
    ):
        assert not allowed(own, action, f"arn:aws:{arn}"), action


@pytest.mark.artifact
def test_no_call_of_the_program_is_forgotten() -> None:
    """But for teardown's: data is deleted by people."""
    files = [path for part in ("cloud", "doctor") for path in (ROOT / "ops" / part).glob("*.py")]
    source = "".join(path.read_text() for path in files if path.stem != "teardown")
    written = {one.replace("_", "") for one in re.findall(r"\b(?:\w+_){1,4}\w+\b", source)}
    services = ("cloudformation", "codedeploy", "ec2", "ecr", "ecs", "lambda", "rds", "s3")
    known = {act for service in services for act in linter()["iam"][service]["Actions"]}
    assert "describestacks" in written & known
    assert written & known <= {action.partition(":")[2].lower() for action, _ in calls()}


@pytest.mark.artifact
def test_cloudformation_may_what_the_templates_types_need() -> None:
    own = statements("ExecutionRole")
    context = {
        "iam:PermissionsBoundary": BOUNDARY,
        "iam:PassedToService": "ecs-tasks.amazonaws.com",
        "iam:PolicyARN": f"{MANAGED}/service-role/AWSLambdaBasicExecutionRole",
        "iam:AWSServiceName": "ecs.application-autoscaling.amazonaws.com",
        TAG: f"{STACK}-database",
    }
    called = {one for one in handled() if not any(re.match(pattern, one) for pattern in NOT_CALLED)}
    assert not {one for one in called if not any(allowed(own, one, arn, context) for arn in examples(one))}
    for pattern in NOT_CALLED:
        assert any(re.match(pattern, one) for one in handled()), pattern


@pytest.mark.artifact
def test_no_action_is_unknown_or_unneeded() -> None:
    called = {one.lower() for one in handled()}
    beside = set()
    for name in DOCUMENTS:
        for action in {a for one in statements(name) for a in listed(one.get("Action", []))}:
            service, _, pattern = action.lower().partition(":")
            known = linter()["iam"][service]["Actions"]
            assert any(fnmatch.fnmatchcase(one, pattern) for one in known), action
            if name == "ExecutionRole" and not any(
                fnmatch.fnmatchcase(one, action.lower()) for one in called
            ):
                beside.add(action)
    # SAM's macro, and the group of records, which has no handlers
    assert beside == {"cloudformation:CreateChangeSet", "route53:Get*"}


@pytest.mark.artifact
def test_the_boundary_holds_what_a_release_needs() -> None:
    own, asked = statements("Boundary"), 0
    for name, role in of_type("AWS::IAM::Role").items():
        for policy in resolved(role["Properties"], {"Server": "db-1"}).get("Policies", []):
            for one in policy["PolicyDocument"]["Statement"]:
                for action in listed(one["Action"]):
                    for arn in listed(one["Resource"]):
                        assert allowed(own, action, arn, {TAG: f"{STACK}-database"}), (name, action, arn)
                        asked += 1
        attached = re.findall(r"policy/(?:service-role/)?(\w+)", json.dumps(role["Properties"]))
        assert set(attached) <= set(POLICIES)
    assert asked > 5
    for action in words(POLICIES):
        images = [f"arn:aws:ecr:{HERE}:repository/images"]
        assert any(allowed(own, action, arn) for arn in [*examples(action), *images]), action


@pytest.mark.artifact
@pytest.mark.parametrize("service", ["cloudformation", "iam", "s3", "sts", "ssm", "kms", "organizations"])
def test_the_boundary_holds_nothing_else(service: str) -> None:
    own = statements("Boundary")
    assert all(one["Effect"] == "Allow" for one in own)
    assert not [a for one in own for a in listed(one["Action"]) if a.startswith((f"{service}:", "*"))]
    for arn in (f"arn:aws:lambda:{HERE}:function:slipway-prod-1", f"arn:aws:lambda:{HERE}:function:other"):
        assert not allowed(own, "lambda:InvokeFunction", arn)
    assert not allowed(own, "secretsmanager:GetSecretValue", SECRET, {TAG: "slipway-prod-database"})


@pytest.mark.artifact
def test_images_elsewhere_are_pulled_and_not_pushed() -> None:
    for arn, there, pushed, pulled in (
        ("images", "x", True, True),
        ("other", "x", False, False),
        ("other", "", False, True),
    ):
        image = f"arn:aws:ecr:{HERE}:repository/{arn}"
        assert allowed(statements("DeployPolicy", OwnImages=there), "ecr:PutImage", image) is pushed
        assert allowed(statements("Boundary", OwnImages=there), "ecr:BatchGetImage", image) is pulled


@pytest.mark.artifact
def test_policies_and_names_fit() -> None:
    """IAM and AWS STS quotas: 6,144 characters for a policy, 10,240 in a role, 64 for a name."""
    for name, most in (("Boundary", 6144), ("DeployPolicy", 6144), ("ExecutionRole", 10240)):
        own = statements(name, **{"AWS::StackName": "a" * 28 + "-pipeline", "AWS::Region": "ap-northeast-1"})
        assert len(json.dumps(own, separators=(",", ":"))) + 50 < most
    names = of_type("AWS::IAM::Role") | of_type("AWS::Lambda::Function")
    assert len(f"{NAME}-staging") + 1 + max(map(len, names)) + 1 + 12 <= 64
    # the stack's name is cut there
    assert "pipeline" not in NAME


@pytest.mark.artifact
def test_images_and_artifacts_are_kept_and_end() -> None:
    for name in ("Repository", "Artifacts", "Provider"):
        one = translated(TEMPLATE)["Resources"][name]
        assert one["DeletionPolicy"] == one["UpdateReplacePolicy"] == "Retain"
    images, bucket = properties("Repository"), properties("Artifacts")
    assert images["ImageTagMutability"] == "IMMUTABLE"
    assert images["ImageScanningConfiguration"] == {"ScanOnPush": True}
    [rule] = json.loads(images["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert [rule["selection"]["countNumber"], rule["action"]] == [50, {"type": "expire"}]
    assert list(bucket["PublicAccessBlockConfiguration"].values()) == [True] * 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    [rule] = bucket["LifecycleConfiguration"]["Rules"]
    assert [rule["Status"], rule["ExpirationInDays"]] == ["Enabled", 365]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}  # of who is interrupted
    [statement] = statements("ArtifactsPolicy")
    assert [statement["Effect"], statement["Principal"], statement["Action"]] == ["Deny", "*", "s3:*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("given", "more"),
    [
        ({}, set()),
        ({"Subject": "repo:a/b"}, {"DeployRole", "ProviderArn"}),
        (
            {
                "Subject": "repo:a@1/b@2",
                "ProviderArn": PROVIDER,
                "JenkinsPrincipal": f"{IAM}:role/jenkins",
                "Images": "docker.io/you/slipway",
            },
            {"DeployRole", "ProviderArn", "JenkinsRole"},
        ),
    ],
)
def test_it_is_made_and_deleted(cloud: Cloud, given: dict[str, str], more: set[str]) -> None:
    stack = "slipway-dev-pipeline"
    created = cloud.apply((ROOT / TEMPLATE).read_text(), stack, Environment="dev", **given)
    assert created == "CREATE_COMPLETE", cloud.failures(stack)
    outputs = cloud.outputs(stack)
    assert set(outputs) == {"Bucket", "ExecutionRole", "Repository", "Boundary"} | more
    assert outputs["Repository"].endswith(given.get("Images", ""))
    assert outputs["Bucket"].startswith(stack)
    exported = {one["Name"]: one["Value"] for one in cloud.call("cloudformation", "list_exports")["Exports"]}
    ours = {name: value for name, value in exported.items() if name.startswith(stack)}
    assert ours == {f"{stack}-{name}": outputs[name] for name in ("Repository", "Boundary")}
    held = cloud.call("iam", "get_policy_version", PolicyArn=outputs["Boundary"], VersionId="v1")
    assert ":function:slipway-dev-*" in json.dumps(held["PolicyVersion"]["Document"])
    assert "DeployRole" not in more or trusted(cloud, outputs["DeployRole"]) == (
        f"{given['Subject']}:environment:dev"
    )

    assert cloud.delete(stack) == "DELETE_COMPLETE"
    # what may hold what somebody needs is still there
    assert outputs["Bucket"] in {one["Name"] for one in cloud.call("s3", "list_buckets")["Buckets"]}
    images = {one["repositoryUri"] for one in cloud.call("ecr", "describe_repositories")["repositories"]}
    assert ("Images" in given) is (outputs["Repository"] not in images)


def trusted(cloud: Cloud, role: str) -> str:
    found = cloud.call("iam", "get_role", RoleName=role.rpartition("/")[2])["Role"]
    [statement] = found["AssumeRolePolicyDocument"]["Statement"]
    return str(statement["Condition"]["StringEquals"][f"{GITHUB}:sub"])
