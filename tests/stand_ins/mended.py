"""What ministack does otherwise than AWS, or leaves out, as far as the templates can tell."""

import json
import os
import secrets
import string
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.services import apigateway, lambda_svc, rds, secretsmanager
from ministack.services.cloudformation import changesets, drift, engine, handlers, provisioners
from samtranslator.translator import transform

from tests.stand_ins.recorded import Made, Properties, identifier, ipv6_blocks

HANDLERS = provisioners._RESOURCE_HANDLERS
METHODS = {"x-amazon-apigateway-any-method": "ANY"}

parameters: ContextVar[dict[str, str]] = ContextVar("parameters")  # of the template that is expanded


def with_attributes(kind: str, more: Callable[[str, Properties], dict[str, Any]]) -> None:
    """Adds what ministack's own handlers leave out of what GetAtt reads."""
    own = HANDLERS[kind]

    def create(logical_id: str, properties: Properties, stack_name: str) -> Made:
        made, attributes = own["create"](logical_id, properties, stack_name)
        return made, attributes | more(made, properties)

    def update(physical_id: str, old: Properties, new: Properties, *where: str) -> Made:
        made, attributes = own["update"](physical_id, old, new, *where)
        return made, attributes | more(made, new)

    HANDLERS[kind] = own | {"create": create, "update": update}


def network_of(vpc: str, properties: Properties) -> dict[str, Any]:
    return {"CidrBlock": properties.get("CidrBlock", ""), "Ipv6CidrBlocks": list(ipv6_blocks.get(vpc, []))}


def subnet_of(subnet: str, properties: Properties) -> dict[str, Any]:
    block = properties.get("Ipv6CidrBlock")
    return {name: properties.get(name, "") for name in ("CidrBlock", "VpcId")} | {
        "Ipv6CidrBlocks": [block] if block else []
    }


def network_interfaces_of(function: str, properties: Properties) -> dict[str, Any]:
    """What Lambda answers of its network; the versions published from it have it, too."""
    if asked := properties.get("VpcConfig"):
        lambda_svc._functions[function]["config"]["VpcConfig"] = asked
    return {}


def address_of(instance: str, properties: Properties) -> dict[str, Any]:
    """Of the database that stands in, and of the secret that RDS makes where it manages the password."""
    host, _, port = os.environ["STAND_IN_DATABASE"].rpartition(":")
    kept = rds._instances[instance]
    kept["Endpoint"] |= {"Address": host, "Port": int(port)}
    attributes = {"Endpoint.Address": host, "Endpoint.Port": port}
    if str(properties.get("ManageMasterUserPassword")).lower() == "true":
        if "MasterUserSecret" not in kept:
            password = os.environ.get("STAND_IN_MASTER_PASSWORD") or secrets.token_hex(16)
            value = {"username": kept["MasterUsername"], "password": password}
            called = {"Name": f"rds!{identifier('db')}", "SecretString": json.dumps(value)}
            arn, _ = create_secret("", called, "")
            kept["MasterUserSecret"] = {"SecretArn": arn, "SecretStatus": "active"}
        attributes["MasterUserSecret.SecretArn"] = kept["MasterUserSecret"]["SecretArn"]
    return attributes


def delete_database(physical_id: str, properties: Properties) -> None:
    """ministack forgets one that is protected, too."""
    kept = rds._instances.get(physical_id, {})
    if kept.get("DeletionProtection"):
        raise ValueError("Cannot delete protected DB Instance, please disable deletion protection")
    provisioners._rds_db_instance_delete(physical_id, properties)
    if "MasterUserSecret" in kept:
        delete_secret(kept["MasterUserSecret"]["SecretArn"], {})


def route(api: str, properties: Properties) -> dict[str, Any]:
    """Makes what an OpenAPI document asks for, as SAM writes an HTTP API; ministack does not read it."""
    if document := properties.get("Body"):
        apigateway._routes[api], apigateway._integrations[api] = {}, {}
        for path, methods in document.get("paths", {}).items():
            for method, asked in methods.items():
                key = path if path == "$default" else f"{METHODS.get(method, method.upper())} {path}"
                integrate(api, key, asked["x-amazon-apigateway-integration"])
    # by its path, as not every machine knows a name of its own under localhost
    return {"ApiEndpoint": f"http://localhost:{os.environ['GATEWAY_PORT']}/_aws/execute-api/{api}/$default"}


def integrate(api: str, key: str, asked: Properties) -> None:
    version = asked.get("payloadFormatVersion", "2.0")
    wanted = {"integrationUri": asked["uri"], "payloadFormatVersion": version}
    made = json.loads(apigateway._create_integration(api, wanted)[2])
    apigateway._create_route(api, {"routeKey": key, "target": f"integrations/{made['integrationId']}"})


def stage_settings(own: Callable[[Properties], Properties]) -> Callable[[Properties], Properties]:
    """Under the names that its API answers with."""

    def settings(properties: Properties) -> Properties:
        asked = properties.get("DefaultRouteSettings") or {}
        return own(properties) | {
            "defaultRouteSettings": {name[0].lower() + name[1:]: value for name, value in asked.items()}
        }

    return settings


def create_secret(logical_id: str, properties: Properties, stack_name: str) -> Made:
    """Ref gives the ARN; ministack's gives the name."""
    _, attributes = provisioners._sm_secret_create(logical_id, generated(properties), stack_name)
    return attributes["Arn"], attributes


def update_secret(physical_id: str, old: Properties, new: Properties, *where: str) -> Made:
    name = name_of(physical_id)
    _, attributes = provisioners._sm_secret_update(name, generated(old), generated(new), *where)
    return attributes["Arn"], attributes


def delete_secret(physical_id: str, properties: Properties) -> None:
    provisioners._sm_secret_delete(name_of(physical_id), properties)


def name_of(arn: str) -> str:
    return next((name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn), arn)


def generated(properties: Properties) -> Properties:
    """With what ministack overlooks in GenerateSecretString, in the words that it knows."""
    asked = dict(properties.get("GenerateSecretString") or {})
    if str(asked.get("ExcludePunctuation")).lower() == "true":
        asked["ExcludeCharacters"] = asked.get("ExcludeCharacters", "") + string.punctuation
    return properties | {"GenerateSecretString": asked} if asked else properties


def records_of(properties: Properties) -> list[Properties]:
    zone = {"HostedZoneId": properties["HostedZoneId"]}
    return [zone | record for record in properties["RecordSets"]]


def create_records(logical_id: str, properties: Properties, stack_name: str) -> Made:
    for record in records_of(properties):
        provisioners._r53_record_set_create(logical_id, record, stack_name)
    return identifier("records"), {}


def delete_records(physical_id: str, properties: Properties) -> None:
    for record in records_of(properties):
        provisioners._r53_record_set_delete(physical_id, record)


def update_records(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Made:
    delete_records(physical_id, old)
    create_records(physical_id, new, stack_name)
    return physical_id, {}


def transform_with_parameters() -> None:
    """ministack expands SAM without them, and `AutoPublishCodeSha256: !Ref ReleaseId` is no string then."""
    apply, expand = engine._apply_transforms, transform.transform

    def apply_transforms(template: Properties, provided: Any = None, previous: Any = None) -> Properties:
        parameters.set(engine._transform_parameters(template, provided, previous))
        applied: Properties = apply(template, provided, previous)
        return applied

    handlers._apply_transforms = changesets._apply_transforms = apply_transforms
    transform.transform = lambda template, _, policies: expand(template, parameters.get(), policies)


def register() -> None:
    transform_with_parameters()
    # ministack answers this path itself, whichever HTTP API is asked
    app._HEALTH_PATHS = tuple(path for path in app._HEALTH_PATHS if path != "/health")
    provisioners._apigw_v2_stage_props = stage_settings(provisioners._apigw_v2_stage_props)
    with_attributes("AWS::ApiGatewayV2::Api", route)
    with_attributes("AWS::EC2::Subnet", subnet_of)
    with_attributes("AWS::EC2::VPC", network_of)
    with_attributes("AWS::Lambda::Function", network_interfaces_of)
    with_attributes("AWS::RDS::DBInstance", address_of)
    HANDLERS["AWS::RDS::DBInstance"]["delete"] = delete_database
    group = {"create": create_records, "update": update_records, "delete": delete_records}
    HANDLERS["AWS::Route53::RecordSetGroup"] = group
    secret = {"create": create_secret, "update": update_secret, "delete": delete_secret}
    HANDLERS["AWS::SecretsManager::Secret"] |= secret
    read, known = drift._DRIFT_READERS["AWS::SecretsManager::Secret"]
    by_arn = (lambda physical_id, properties: read(name_of(physical_id), properties), known)
    drift._DRIFT_READERS["AWS::SecretsManager::Secret"] = by_arn
