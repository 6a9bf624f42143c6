"""Runs ministack for as long as standard input stays open.

Whoever started it need not live to end it: when the pipe closes, for whatever reason, this process ends its whole
group, the functions' processes included.
"""

import json
import os
import signal
import socketserver
import threading
import time


def end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


# The functions get their events from a server that sends head and body apart. Without this the kernel holds each body back
# until the head is acknowledged, which takes 40 milliseconds.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True


def forget_expired(queue) -> None:
    """Forgets the deduplication ids that have expired, which are the oldest; ministack's own way looks at all of them for
    every message."""
    ids = queue["dedup_cache"]
    while ids and ids[oldest := next(iter(ids))]["expire"] <= time.time():
        del ids[oldest]


def leading_keys(request):
    """The partition keys that a request to DynamoDB names, for the condition `dynamodb:LeadingKeys`."""
    keys = [request.get("Key"), request.get("Item")]
    for table in (request.get("RequestItems") or {}).values():
        keys += table.get("Keys", []) if isinstance(table, dict) else [
            write.get("PutRequest", {}).get("Item") or write.get("DeleteRequest", {}).get("Key") for write in table
        ]
    for item in request.get("TransactItems") or []:
        keys += [operation.get("Key") or operation.get("Item") for operation in item.values()]
    return [key["id"]["S"] for key in keys if key and "id" in key]


def with_leading_keys(context):
    """ministack's conditions of DynamoDB, with the one that it leaves out."""

    def extended(body):
        keys = leading_keys(json.loads(body or b"{}"))
        return {**context(body), **({"dynamodb:leadingkeys": keys} if keys else {})}

    return extended


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    from ministack.app import main
    from ministack.core import iam_actions
    from ministack.services import sqs

    iam_actions.dynamodb_service_context = with_leading_keys(iam_actions.dynamodb_service_context)
    sqs._prune_dedup = forget_expired
    main()
