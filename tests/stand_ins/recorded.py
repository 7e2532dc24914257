"""The resource types that ministack lacks: written down, and nothing behind them."""

import secrets
from typing import Any

from ministack.services.cloudformation import _stacks, provisioners

Properties = dict[str, Any]
Made = tuple[str, dict[str, Any]]  # what Ref gives, and what GetAtt does

ipv6_blocks: dict[str, list[str]] = {}  # of each VPC


def identifier(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


def record(prefix: str, *attributes: str) -> dict[str, Any]:
    """A resource that is only written down. Ref and each of `attributes` give its id."""

    def create(logical_id: str, properties: Properties, stack_name: str) -> Made:
        made = identifier(prefix)
        return made, dict.fromkeys(attributes, made)

    def update(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Made:
        return physical_id, dict.fromkeys(attributes, physical_id)

    return {"create": create, "update": update, "delete": forget}


def forget(physical_id: str, properties: Properties) -> None:
    """There is nothing behind it."""


def create_address(logical_id: str, properties: Properties, stack_name: str) -> Made:
    address = f"203.0.113.{secrets.randbelow(254) + 1}"
    return address, {"AllocationId": identifier("eipalloc"), "PublicIp": address}


def keep_address(physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Made:
    return physical_id, _stacks[stack]["_resources"][logical_id]["Attributes"]


def create_cidr_block(logical_id: str, properties: Properties, stack_name: str) -> Made:
    """From here on `GetAtt Vpc.Ipv6CidrBlocks` has it; a template that does not wait for it fails."""
    vpc = properties["VpcId"]
    if str(properties.get("AmazonProvidedIpv6CidrBlock")).lower() == "true":
        blocks = ipv6_blocks.setdefault(vpc, [])
        blocks.append(f"2001:db8:{secrets.randbelow(0xFFFF):x}:{secrets.randbelow(0xFF):x}00::/56")
        for resource in _stacks[stack_name]["_resources"].values():
            if resource["PhysicalResourceId"] == vpc:
                resource["Attributes"] |= {"Ipv6CidrBlocks": list(blocks)}
    made = identifier("vpc-cidr-assoc")
    return made, {"Id": made}


def register() -> None:
    provisioners._RESOURCE_HANDLERS.update(
        {
            "AWS::ApplicationAutoScaling::ScalableTarget": record("target", "Id"),
            "AWS::ApplicationAutoScaling::ScalingPolicy": record("policy", "Arn"),
            "AWS::CloudWatch::CompositeAlarm": record("alarm", "Arn"),
            "AWS::EC2::EIP": {
                "create": create_address,
                "update": keep_address,
                "update_with_logical_id": True,
                "delete": forget,
            },
            "AWS::EC2::EgressOnlyInternetGateway": record("eigw", "Id"),
            "AWS::EC2::FlowLog": record("fl", "Id"),
            "AWS::EC2::NatGateway": record("nat", "NatGatewayId"),
            "AWS::EC2::SecurityGroupEgress": record("sgr", "Id"),
            "AWS::EC2::SecurityGroupIngress": record("sgr", "Id"),
            "AWS::EC2::VPCCidrBlock": record("vpc-cidr-assoc", "Id") | {"create": create_cidr_block},
            "AWS::IAM::OIDCProvider": record("arn:aws:iam::123456789012:oidc-provider/provider", "Arn"),
        }
    )
