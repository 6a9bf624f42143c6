"""Runs ministack for as long as standard input stays open.

Whoever started it need not live to end it: when the pipe closes, for whatever reason, this process ends its whole
group, the functions' processes included.
"""

import os
import signal
import threading


def end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    from ministack.app import main

    main()
