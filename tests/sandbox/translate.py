"""Expands a SAM template as AWS does when it is deployed.

Argument: path of the template
Standard output: the CloudFormation template that becomes of it, with the parameters' defaults where SAM needs a value
"""

import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")  # The SAM translator looks there.

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class ManagedPolicies:
    """None by name: a role that needed one would not be written out."""

    def load(self):
        return {}


def read(path):
    with open(path, encoding="utf-8") as file:
        return yaml_parse(file.read())


def values(template, parameters):
    """The parameters with their defaults."""
    defaults = {name: p["Default"] for name, p in template["Parameters"].items() if "Default" in p}
    return {**defaults, **parameters}


def translate(template, parameters):
    """The expanded template; what `sam deploy` uploads has to be named in it already."""
    return transform(template, values(template, parameters), ManagedPolicies())


if __name__ == "__main__":
    template = read(sys.argv[1])
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/function.zip"
    json.dump(translate(template, {}), sys.stdout)
