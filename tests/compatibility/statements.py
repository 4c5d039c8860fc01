"""Runs statements of SQL with duckdb; runs in the peers' environment.

Argument: a JSON file with a list of statements. Last line printed: JSON with the rows of each.
"""

import json
import sys
from pathlib import Path

import duckdb

if __name__ == "__main__":
    statements = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps({"rows": [duckdb.sql(statement).fetchall() for statement in statements]}))
