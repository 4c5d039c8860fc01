"""The code that the documents show works."""

import re
from typing import Any

import pyarrow as pa

from docs.cli_reference import ROOT


def test_the_example_filter_filters() -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {"__name__": "shouting"}
    exec(code[1], names)
    batch = pa.RecordBatch.from_pydict({"caption": ["A DOG", "A dog", None]})
    reasons, added = names["ShoutingRule"]()(batch)
    assert reasons.to_pylist() == ["shouting", None, None]
    assert added == {}
