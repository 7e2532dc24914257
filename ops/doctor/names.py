"""Whether a release's own name leads to it, by a certificate that is good."""

import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from ops.cloud.account import Account
from ops.cloud.stack import SETTLED

# ACM renews 45 days before the end, if it can, and never what was imported (User Guide, "Managed certificate
# renewal in AWS Certificate Manager")
LEFT = timedelta(days=30)


def name(account: Account, parameters: Mapping[str, str]) -> Iterator[tuple[str, str] | str]:
    """Each fault with its fix; or what can be said of it."""
    stack, domain = account.stack(), parameters["DomainName"]
    if not domain:
        yield "none of its own"
        return
    there = stack.status() in SETTLED
    # while one is not proven, the stack waits for it
    if arn := (stack.resource("Certificate") if stack.status() else None) or parameters["CertificateArn"]:
        acm = boto3.client("acm", region_name=account.region)
        yield certificate(acm.describe_certificate(CertificateArn=arn)["Certificate"])
    if not (target := stack.outputs().get("DomainTarget") if there else None):
        yield f"{domain} is not deployed yet"
    elif addresses(domain) & addresses(target):
        yield f"{domain} leads to {target}"
    elif zone := parameters["HostedZoneId"]:
        yield f"{domain} does not lead to {target}", f"let its registrar name the servers of zone {zone}"
    else:
        yield f"{domain} does not lead to {target}", f"make its record point to {target}"


def certificate(told: dict[str, Any]) -> tuple[str, str] | str:
    """API Reference, "CertificateDetail"."""
    what = f"the certificate of {told['DomainName']}"
    if told["Status"] == "PENDING_VALIDATION":
        records = [one.get("ResourceRecord", {}) for one in told.get("DomainValidationOptions", [])]
        wanted = ", ".join(f"{one.get('Name')} {one.get('Type')} {one.get('Value')}" for one in records)
        return f"{what} is not proven yet", f"make the record {wanted}"
    if told["Status"] != "ISSUED":
        return f"{what} is {told['Status']}", "request another, and deploy with its CertificateArn"
    if told["NotAfter"] - datetime.now(UTC) < LEFT:
        imported = told.get("Type") == "IMPORTED"
        fix = "import another under its ARN" if imported else "make the record again that proves it"
        return f"{what} ends on {told['NotAfter']:%Y-%m-%d}", fix
    return f"{what} is good until {told['NotAfter']:%Y-%m-%d}"


def addresses(host: str) -> set[Any]:
    """With the name behind a CNAME, as one name may be answered with other addresses each time."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except OSError:
        return set()
    return {one[4][0] for one in found} | {one[3].rstrip(".") for one in found if one[3]}
