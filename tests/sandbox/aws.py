"""Calls an operation of the local AWS as often as there are lines of parameters, as the AWS CLI would.

Arguments: endpoint, service, operation (as boto3 spells it: put_events)
Standard input: one JSON object of parameters a line
Standard output: one JSON object a line
"""

import json
import sys

import boto3

if __name__ == "__main__":
    endpoint, service, operation = sys.argv[1:]
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
    call = getattr(session.client(service, endpoint_url=endpoint), operation)
    for line in sys.stdin:
        answer = call(**json.loads(line))
        answer.pop("ResponseMetadata", None)
        print(json.dumps(answer, default=str))
