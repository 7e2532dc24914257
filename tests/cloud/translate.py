"""A SAM template as CloudFormation, by SAM's translator: `.venv/sam/bin/python translate.py FILE JSON`."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

MANAGED = {
    name: f"arn:aws:iam::aws:policy/service-role/{name}"
    for name in ("AWSLambdaBasicExecutionRole", "AWSLambdaVPCAccessExecutionRole")
}


def main(file: str, parameters: str) -> None:
    template = yaml_parse(Path(file).read_text())
    for resource in template["Resources"].values():
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = "s3://bucket/code"
    if "Transform" in template:
        session = SimpleNamespace(region_name="us-east-1")
        translator = Translator(MANAGED, Parser(), boto_session=session)
        template = translator.translate(template, json.loads(parameters))
    print(json.dumps(template))  # noqa: T201  # what it is for


main(*sys.argv[1:])
