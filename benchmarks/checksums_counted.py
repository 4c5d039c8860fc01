"""``python -m pipeline`` with the time that comparing files with their SHA-256 takes, for checksums.py.

In: a file for the result, and the arguments of the command, with ``--workers 1``: no other process is looked into.
Out, in that file, as JSON: processor seconds of the comparisons, the bytes read for them, and the seconds of the whole.
"""

import json
import os
import sys
import time
from pathlib import Path

from pipeline.__main__ import main
from webimagetext import files

_digest = files.digest
_seconds, _bytes = 0.0, 0


def _counted(url: str) -> str:
    global _seconds, _bytes
    began = time.thread_time()
    found = _digest(url)
    _seconds, _bytes = _seconds + time.thread_time() - began, _bytes + os.path.getsize(url)
    return found


if __name__ == "__main__":
    files.digest = _counted
    status = main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps({"compared": _seconds, "bytes": _bytes, "whole": time.process_time()}))
    sys.exit(status)
