"""Elastic Load Balancing's part in a stack: a load balancer that can be called, and the weights of its rules.

Its DNSName is localhost:PORT. Where there are several listeners, that is the one for HTTPS; it has TLS with
STAND_IN_CERTIFICATE and STAND_IN_KEY (files), and is plain HTTP without. After the User Guide for Application
Load Balancers: "HTTP headers and Application Load Balancers", "Troubleshoot your Application Load Balancers".
"""

import contextvars
import os
import ssl
import threading
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ministack.services import alb

from tests.stand_ins.mended import HANDLERS, with_attributes
from tests.stand_ins.recorded import Properties

CERTIFICATE = os.environ.get("STAND_IN_CERTIFICATE", "")
OF_A_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}

balancers: dict[str, "Balancer"] = {}


class Balancer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, arn: str) -> None:
        self.arn, self.context = arn, contextvars.copy_context()  # ministack's state is one account's
        super().__init__(("127.0.0.1", 0), Door)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def process_request_thread(self, *given: Any) -> None:
        self.context.copy().run(super().process_request_thread, *given)

    def finish_request(self, request: Any, client: Any) -> None:
        if not CERTIFICATE or self.listener().get("Protocol") != "HTTPS":
            super().finish_request(request, client)
            return
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(CERTIFICATE, os.environ["STAND_IN_KEY"])
        with suppress(OSError), tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client)

    def listener(self) -> Properties:
        own = [one for one in alb._listeners.values() if one["LoadBalancerArn"] == self.arn]
        return max(own, key=lambda one: one["Protocol"] == "HTTPS", default={})

    def action(self, door: "Door") -> Properties:
        """Of the first rule whose conditions hold."""
        url, headers = urlsplit(door.path), {name.lower(): value for name, value in door.headers.items()}
        arn = self.listener().get("ListenerArn")
        own = [rule for rule in alb._rules.values() if rule["ListenerArn"] == arn]
        for rule in sorted(own, key=alb._rule_sort_key):
            wanted = (door.command, url.path, headers, parse_qs(url.query))
            if all(alb._match_condition(one, *wanted) for one in rule["Conditions"]):
                found: Properties = rule["Actions"][-1]
                return found
        return {}


class Door(BaseHTTPRequestHandler):
    server: Balancer
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        action = self.server.action(self)
        fixed = action.get("FixedResponseConfig")
        if fixed or not (targets := targets_of(action)):
            status, text = (int(fixed["StatusCode"]), fixed.get("MessageBody", "")) if fixed else (503, "")
            self.reply(status, [("Content-Type", "text/plain")], text.encode())
            return
        try:
            answer, said = self.forward(targets[0]["Id"], targets[0]["Port"], body)
        except (OSError, HTTPException):
            self.reply(502, [], b"")
            return
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in OF_A_CONNECTION]
        self.reply(answer.status, kept, said, answer.getheader("Content-Length"))

    def forward(self, host: str, port: int, body: bytes) -> tuple[HTTPResponse, bytes]:
        listener, before = self.server.listener(), self.headers.get("X-Forwarded-For")
        added = {
            "X-Forwarded-For": ", ".join(filter(None, (before, self.client_address[0]))),
            "X-Forwarded-Proto": listener["Protocol"].lower(),
            "X-Forwarded-Port": str(listener["Port"]),
        }
        left = OF_A_CONNECTION | {name.lower() for name in added}
        headers = [one for one in self.headers.items() if one[0].lower() not in left]
        target = HTTPConnection(host, port, timeout=60)
        try:
            target.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in (*headers, *added.items(), ("Content-Length", str(len(body)))):
                target.putheader(name, value)
            target.endheaders(body)
            answer = target.getresponse()
            return answer, answer.read()
        finally:
            target.close()

    def reply(
        self, status: int, headers: Iterable[tuple[str, str]], body: bytes, length: str | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in {204, 304}:
            bodiless = self.command == "HEAD" and length
            self.send_header("Content-Length", length if bodiless and length else str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def __getattr__(self, name: str) -> Any:
        """Whatever the method."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        """The program says enough."""


def groups_of(action: Properties) -> dict[str, int]:
    """The weight of each target group."""
    named = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
    weights = {one["TargetGroupArn"]: int(one.get("Weight", 1)) for one in named}
    return weights or ({action["TargetGroupArn"]: 1} if "TargetGroupArn" in action else {})


def targets_of(action: Properties) -> list[Properties]:
    """Of the group with the greatest weight: it is all or nothing here."""
    weights = groups_of(action)
    group = max(weights, key=lambda one: weights[one], default="")
    found: list[Properties] = alb._targets.get(group, []) if weights.get(group) else []
    return found


def shift(rule: str, group: str) -> None:
    """All traffic of the rule to that group. Raises ValueError where the rule does not know it."""
    action = alb._rules[rule]["Actions"][-1]
    weights = groups_of(action)
    if group not in weights:
        raise ValueError(f"Target group {group} is not in the actions of rule {rule}")
    shifted = [{"TargetGroupArn": one, "Weight": 100 * (one == group)} for one in weights]
    action["ForwardConfig"] = (action.get("ForwardConfig") or {}) | {"TargetGroups": shifted}


def address_of(arn: str, properties: Properties) -> dict[str, Any]:
    if arn not in balancers:
        balancers[arn] = Balancer(arn)
    alb._lbs[arn]["DNSName"] = f"localhost:{balancers[arn].server_address[1]}"
    return {"DNSName": alb._lbs[arn]["DNSName"]}


def weights_of(arn: str, properties: Properties) -> dict[str, Any]:
    """ministack keeps the first target group alone."""
    for kept, asked in zip(alb._rules[arn]["Actions"], properties["Actions"], strict=True):
        if "ForwardConfig" in asked:
            kept["ForwardConfig"] = asked["ForwardConfig"]
    return {}


def delete(arn: str, properties: Properties) -> None:
    if found := balancers.pop(arn, None):
        found.shutdown()
        found.server_close()
    own_delete(arn, properties)


own_delete = HANDLERS["AWS::ElasticLoadBalancingV2::LoadBalancer"]["delete"]
own_xml = alb._action_xml


def action_xml(action: Properties) -> str:
    groups = "".join(
        f"<member><TargetGroupArn>{arn}</TargetGroupArn><Weight>{weight}</Weight></member>"
        for arn, weight in groups_of(action).items()
    )
    config = f"<ForwardConfig><TargetGroups>{groups}</TargetGroups></ForwardConfig>" if groups else ""
    written: str = own_xml(action)
    return f"{written.removesuffix('</member>')}{config}</member>"


def register() -> None:
    with_attributes("AWS::ElasticLoadBalancingV2::LoadBalancer", address_of)
    with_attributes("AWS::ElasticLoadBalancingV2::ListenerRule", weights_of)
    HANDLERS["AWS::ElasticLoadBalancingV2::LoadBalancer"]["delete"] = delete
    alb._action_xml = action_xml
