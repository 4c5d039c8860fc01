"""How long the fuzzers look: the same fifty examples each in every run, or as many as WEBIMAGETEXT_FUZZ says, drawn
anew."""

import os

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

from docs.cli_reference import ROOT

MORE = os.environ.get("WEBIMAGETEXT_FUZZ", "")

set_hypothesis_home_dir(str(ROOT / ".cache" / "hypothesis"))
settings.register_profile(
    "webimagetext",
    max_examples=int(MORE or 50),
    derandomize=not MORE,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("webimagetext")
