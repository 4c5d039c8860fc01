"""What the Flex Template's launcher runs: builds the job whose one step drives a run
(pipeline/engines/driver_job.py)."""

import sys

from pipeline.engines.driver_job import main
from webimagetext.command import run_command

if __name__ == "__main__":
    sys.exit(run_command(lambda: main(sys.argv[1:])))
