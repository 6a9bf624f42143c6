"""Deploys a SAM template to the local cloud.

Standard input: {"template", "endpoint", "stack", "parameters": {...}, "bootstraps": {function: path of its binary}}
Standard output: {"outputs": {...}, "api": id of the HTTP API}

The template is the one that is deployed to AWS, untouched. What happens to it here is what `sam deploy` and AWS do to
it: the code is uploaded, the transform is expanded, the template is uploaded, the stack is created. Four things are
done on top, because the local AWS does not do them: the OpenAPI body that SAM makes of an HTTP API is written out as
routes, integrations and authorizers, a number that comes from a parameter is made one, who may send or hide a message may
do so with a batch of them, and the API's address on AWS becomes the one that it has on this machine.
"""

import io
import json
import os
import sys
import time
import zipfile
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import boto3

from translate import read, translate, values

REGION = os.environ["AWS_DEFAULT_REGION"]  # boto3 and the SAM translator both look there.
BUCKET = "sandbox-artifacts"
PATIENCE = 300  # seconds


def zipped(path):
    """A deployment package that holds the binary as `bootstrap`; stored, because nobody waits for a download."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_STORED) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        with open(path, "rb") as binary:
            archive.writestr(entry, binary.read())
    return package.getvalue()


def upload_code(template, bootstraps, s3):
    """`sam deploy`: uploads what CodeUri names, and names the upload."""
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            function = PurePosixPath(resource["Properties"]["CodeUri"]).name
            s3.put_object(Bucket=BUCKET, Key=f"{function}.zip", Body=zipped(bootstraps[function]))
            resource["Properties"]["CodeUri"] = f"s3://{BUCKET}/{function}.zip"


def write_out_routes(template):
    """What AWS reads from the OpenAPI body of an HTTP API, as resources of their own."""
    resources = template["Resources"]
    for api_id, api in list(resources.items()):
        if api["Type"] != "AWS::ApiGatewayV2::Api" or "Body" not in api["Properties"]:
            continue
        body = api["Properties"].pop("Body")
        api["Properties"].update({"Name": body["info"]["title"], "ProtocolType": "HTTP"})
        authorizers = {}
        for name, scheme in body.get("components", {}).get("securitySchemes", {}).items():
            authorizer = scheme["x-amazon-apigateway-authorizer"]
            authorizers[name] = f"{api_id}{name}Authorizer"
            resources[authorizers[name]] = {
                "Type": "AWS::ApiGatewayV2::Authorizer",
                "Properties": {
                    "ApiId": {"Ref": api_id},
                    "Name": name,
                    "AuthorizerType": "JWT",
                    "IdentitySource": [authorizer["identitySource"]],
                    "JwtConfiguration": {
                        "Issuer": authorizer["jwtConfiguration"]["issuer"],
                        "Audience": authorizer["jwtConfiguration"]["audience"],
                    },
                },
            }
        for path, methods in body["paths"].items():
            for method, operation in methods.items():
                key = f"{method.upper()} {path}"
                stem = api_id + "".join(c for c in key.title() if c.isalnum())
                integration = operation["x-amazon-apigateway-integration"]
                resources[f"{stem}Integration"] = {
                    "Type": "AWS::ApiGatewayV2::Integration",
                    "Properties": {
                        "ApiId": {"Ref": api_id},
                        "IntegrationType": "AWS_PROXY",
                        "IntegrationUri": integration["uri"],
                        "PayloadFormatVersion": integration["payloadFormatVersion"],
                    },
                }
                route = {
                    "ApiId": {"Ref": api_id},
                    "RouteKey": key,
                    "Target": {"Fn::Join": ["/", ["integrations", {"Ref": f"{stem}Integration"}]]},
                    "AuthorizationType": "NONE",
                }
                for requirement in operation.get("security", []):
                    for name in requirement:
                        if name in authorizers:
                            route.update({"AuthorizationType": "JWT", "AuthorizerId": {"Ref": authorizers[name]}})
                resources[f"{stem}Route"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": route}


def make_numbers(template, values):
    """Parameters are texts; CloudFormation converts them to what a property wants."""
    for resource in template["Resources"].values():
        scaling = resource.get("Properties", {}).get("ScalingConfig", {})
        for name, value in scaling.items():
            if isinstance(value, dict) and "Ref" in value:
                scaling[name] = int(values[value["Ref"]])


def allow_batches(template):
    """AWS knows one permission for a call and its batch; the local one asks for one by each name."""
    batched = ["sqs:SendMessage", "sqs:ChangeMessageVisibility"]
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"].get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    actions = statement.get("Action", [])
                    actions = [actions] if isinstance(actions, str) else actions
                    statement["Action"] = actions + [f"{action}Batch" for action in actions if action in batched]


def name_the_api_here(template, endpoint):
    """The local AWS tells APIs by the host's name, as AWS does, and listens elsewhere."""
    here = f"http://${{Api}}.execute-api.localhost:{urlsplit(endpoint).port}"
    on_aws = "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
    return json.loads(json.dumps(template).replace(on_aws, here))


def main():
    order = json.load(sys.stdin)
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    client = lambda service: session.client(service, endpoint_url=order["endpoint"])
    template = read(order["template"])
    s3 = client("s3")
    upload_code(template, order["bootstraps"], s3)

    expanded = translate(template, order["parameters"])
    write_out_routes(expanded)
    make_numbers(expanded, values(template, order["parameters"]))
    allow_batches(expanded)
    expanded = name_the_api_here(expanded, order["endpoint"])

    # As `sam deploy` does it: a template in a request may have 50 KB, one in a bucket 1 MB.
    s3.put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(expanded))
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=order["stack"],
        TemplateURL=f"{order['endpoint']}/{BUCKET}/template.json",
        Parameters=[{"ParameterKey": k, "ParameterValue": str(v)} for k, v in order["parameters"].items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    )
    give_up = time.monotonic() + PATIENCE
    while True:
        if time.monotonic() > give_up:
            sys.exit("The stack could not be created in time.")
        time.sleep(0.1)
        stack = cloudformation.describe_stacks(StackName=order["stack"])["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            break
        if not stack["StackStatus"].endswith("IN_PROGRESS") or stack["StackStatus"].startswith("ROLLBACK"):
            events = cloudformation.describe_stack_events(StackName=order["stack"])["StackEvents"]
            failed = [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}" for e in events
                      if e["ResourceStatus"].endswith("FAILED")]
            sys.exit("The stack could not be created. " + "; ".join(failed))
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    api = client("apigatewayv2").get_apis()["Items"][0]["ApiId"]
    json.dump({"outputs": outputs, "api": api}, sys.stdout)


if __name__ == "__main__":
    main()
