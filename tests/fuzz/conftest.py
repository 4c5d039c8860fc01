"""How long the fuzzers look: the same fifty examples each in every run, or as many as WEBIMAGETEXT_FUZZ says, drawn
anew."""

import os

from hypothesis import HealthCheck, settings

MORE = os.environ.get("WEBIMAGETEXT_FUZZ", "")

settings.register_profile(
    "webimagetext",
    max_examples=int(MORE or 50),
    derandomize=not MORE,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("webimagetext")
