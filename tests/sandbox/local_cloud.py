"""Runs ministack for as long as standard input stays open.

Whoever started it need not live to end it: when the pipe closes, for whatever reason, this process ends its whole
group, the functions' processes included.
"""

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


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    from ministack.app import main
    from ministack.services import sqs

    sqs._prune_dedup = forget_expired
    main()
