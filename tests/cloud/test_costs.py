"""docs/costs.md: a sourced row for each billed type in the templates, and sums that add up."""

import re
from decimal import ROUND_HALF_UP, Decimal
from math import prod
from pathlib import Path
from typing import NamedTuple

import pytest

from ops.environment import ROOT

# what costs nothing by itself (Infracost, "FreeResources" and "NoPrice": source E of docs/costs.md)
FREE = {
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::CertificateManager::Certificate",  # a public one
    "AWS::CodeDeploy::DeploymentConfig",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCCidrBlock",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ECS::Cluster",  # its tasks are billed
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::ListenerRule",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::OIDCProvider",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::Lambda::Permission",
    "AWS::RDS::DBParameterGroup",
    "AWS::RDS::DBSubnetGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
}


def tables(text: str) -> list[list[list[str]]]:
    """Each Markdown table as its rows, each row as its cells, without the two lines of the head."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    rows = [[line[1:].removesuffix("|").split("|") for line in block.splitlines()[2:]] for block in blocks]
    return [[[cell.strip() for cell in row] for row in table] for table in rows]


class Option(NamedTuple):
    name: str
    types: str
    unit: str
    arithmetic: str
    dollars: str
    sources: str


*PROFILES, ROWS, SOURCES = tables((ROOT / "docs" / "costs.md").read_text())
OPTIONS = [Option(*row) for row in ROWS]
PARTS = [row for profile in PROFILES for row in profile]


def terms(arithmetic: str) -> list[tuple[str, list[Decimal]]]:
    """`2 x 3 - 4` as [("", [2, 3]), ("-", [4])]."""
    found = re.findall(r"([+-]?) ?([\d.]+(?: x [\d.]+)*)", arithmetic)
    assert "".join(f" {sign} {term}" if sign else term for sign, term in found) == arithmetic
    return [(sign, [Decimal(factor) for factor in term.split(" x ")]) for sign, term in found]


def value(arithmetic: str) -> Decimal:
    amounts = (prod(term, start=Decimal(-1 if sign == "-" else 1)) for sign, term in terms(arithmetic))
    return sum(amounts, Decimal(0))


def prices(arithmetic: str) -> set[Decimal]:
    """The last factor of each term."""
    return {term[-1] for _, term in terms(arithmetic)}


def billed() -> set[str]:
    """The types that the options name."""
    return {type_ for option in OPTIONS for type_ in re.findall(r"`(AWS::[\w:]+)`", option.types)}


def templates() -> list[Path]:
    return [ROOT / "template.yaml", *sorted((ROOT / "infra").glob("*.yaml"))]


@pytest.mark.parametrize("template", templates(), ids=lambda path: path.name)
def test_each_type_has_a_row_or_is_free(template: Path) -> None:
    # a parameter's type, such as AWS::EC2::VPC::Id, has other than three parts
    used = set(re.findall(r"\bType: [\"']?(AWS::\w+::\w+)(?![\w:])", template.read_text()))
    unknown = sorted(used - billed() - FREE)
    assert used
    assert not unknown, (
        f"{template.name} has {', '.join(unknown)}: look the price up, name its source, and add a row to "
        "docs/costs.md; or, where it costs nothing by itself, add it to FREE"
    )


def test_nothing_is_both_billed_and_free() -> None:
    assert not billed() & FREE


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_each_figure_names_its_sources(option: Option) -> None:
    known = {key for key, _, _ in SOURCES}
    assert set(option.sources.split(", ")) <= known


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source[0])
def test_each_source_has_an_address_and_a_date_and_is_used(source: list[str]) -> None:
    key, title, dated = source
    assert re.match(r"\[.+\]\(https://\S+\)", title)
    assert re.search(r"\d{4}-\d\d-\d\d|no date", dated)
    assert any(key in option.sources.split(", ") for option in OPTIONS)


@pytest.mark.parametrize(
    ("arithmetic", "dollars"),
    [(option.arithmetic, option.dollars) for option in OPTIONS] + [(row[1], row[2]) for row in PARTS],
)
def test_the_arithmetic_is_right(arithmetic: str, dollars: str) -> None:
    """To as many places as are shown."""
    shown = Decimal(dollars)
    assert value(arithmetic).quantize(shown, ROUND_HALF_UP) == shown


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile[0][0])
def test_a_profile_is_the_sum_of_its_parts(profile: list[list[str]]) -> None:
    *parts, (name, arithmetic, _) = profile
    assert name.startswith("**")
    assert arithmetic == " + ".join(dollars for _, _, dollars in parts)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile[0][0])
def test_a_profile_takes_its_prices_from_the_options(profile: list[list[str]]) -> None:
    sourced = {price for option in OPTIONS for price in prices(option.arithmetic)}
    for _, arithmetic, _ in profile[:-1]:
        assert prices(arithmetic) <= sourced
