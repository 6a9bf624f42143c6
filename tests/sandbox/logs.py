"""Prints everything that a function has logged, a line each.

Arguments: endpoint, log group
"""

import sys

import boto3

if __name__ == "__main__":
    endpoint, group = sys.argv[1:]
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
    pages = session.client("logs", endpoint_url=endpoint).get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=group):
        for event in page["events"]:
            print(event["message"].rstrip())
