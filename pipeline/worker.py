"""A worker process of a local run: Beam's own harness, with its chatter below errors left out.

Started by runners.py as ``python -m pipeline.worker``; never by hand.
"""

import logging

if __name__ == "__main__":
    logging.disable(logging.WARNING)
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])
