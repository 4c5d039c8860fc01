"""Which of the user's settings an answer of the image store hangs on, so that a changed one opens exactly those
addresses again.

In: what became of an image's address, and the settings under which it was asked. Out: :func:`decided_by`, the text that
is stored with the row; :func:`holds`, whether the row still answers under the settings of today; and
:func:`is_answered`, whether the address need not be asked.
"""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.image.config import ImageConfig
from pipeline.net.config import ALL_SIGNALS, HttpConfig
from pipeline.reasons import NOT_REACHED
from webimagetext.deciding import deciding

__all__ = ["FORM", "decided_by", "fetch_settings", "holds", "is_answered", "stored_form"]

SUCCESS = "success"
_CONSENT = ("binding_signals", "binding_directives", "binding_agents")
# A status and the [http] settings that decided it. A status that is not here no setting would change.
_HTTP = {
    "forbidden_address": ("allow_loopback",),
    "forbidden_port": ("allow_loopback", "ports"),
    "no_contact": ("has_contact",),
    "too_large": ("max_bytes",),
    "too_many_redirects": ("max_redirects",),
    "bad_response": ("max_header_bytes",),
    "connect_timeout": ("connect_timeout", "deadline"),
    "deadline_exceeded": ("deadline",),
    "host_given_up": ("host_failures", "max_backoff", "max_crawl_delay"),
    "tls_error": ("ca_file",),
    SUCCESS: _CONSENT,
    **{f"refused_by_{signal}": (*_CONSENT, "user_agent") for signal in ALL_SIGNALS},
}
# The same of [image]; ``too_small`` and ``bad_aspect_ratio`` of the store are its limits, not the rules of packaging.
_IMAGE = {
    "not_an_image": ("formats",),
    "format_not_read": ("formats",),
    "too_many_pixels": ("max_pixels",),
    "too_small": ("min_image_size",),
    "bad_aspect_ratio": ("max_aspect_ratio", "max_pixels", "image_size", "resize_mode", "encode_format"),
}
# What makes the bytes of a stored picture and is noted of it: a store has one form of these.
FORM = (
    "resize_mode",
    "image_size",
    "upscale",
    "interpolation",
    "skip_reencode",
    "encode_format",
    "quality",
    "decoder",
    "md5",
)


def _facts(status: str, http: HttpConfig, image: ImageConfig) -> dict[str, Any]:
    found = {f"http.{name}": getattr(http, name) for name in _HTTP.get(status, ())}
    found |= {f"image.{name}": getattr(image, name) for name in _IMAGE.get(status, ())}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def decided_by(status: str, http: HttpConfig, image: ImageConfig) -> str | None:
    """JSON of the settings that an answer with ``status`` hangs on; None where it hangs on none."""
    facts = _facts(status, http, image)
    return json.dumps(facts, sort_keys=True) if facts else None


def stored_form(image: ImageConfig) -> dict[str, Any]:
    """The settings that make the bytes of a stored picture."""
    return {name: getattr(image, name) for name in FORM}


def fetch_settings(http: HttpConfig, image: ImageConfig) -> dict[str, Any]:
    """Every setting that an answer of the store may hang on: when none of them changes, no address is open again."""
    names = sorted({name for fields in _HTTP.values() for name in fields})
    return {f"http.{name}": getattr(http, name) for name in names} | {
        f"image.{name}": value for name, value in deciding(image).items()
    }


def holds(rows: pa.RecordBatch | pa.Table, http: HttpConfig, image: ImageConfig) -> pa.Array:
    """A boolean for each row (columns status and decided_by): whether the settings of today would not have decided
    otherwise.

    A stored picture holds while nothing binds that did not bind when it was asked for; a refusal while the settings
    that made it are the same.
    """
    columns = [rows.column(name) for name in ("status", "decided_by")]
    pairs = list(zip(*(column.to_pylist() for column in columns), strict=True))
    verdicts = {(status, stored): _holds(status, stored, http, image) for status, stored in set(pairs)}
    return pa.array(np.fromiter((verdicts[pair] for pair in pairs), bool, len(pairs)))


def is_answered(rows: pa.RecordBatch | pa.Table, http: HttpConfig, image: ImageConfig) -> pa.Array:
    """A boolean for each row (columns status and decided_by): whether it is an answer, which is what came of asking,
    and one that holds."""
    asked = pc.not_equal(rows.column("status"), NOT_REACHED)
    return pc.and_(asked, holds(rows, http, image))


def _holds(status: str, stored: str | None, http: HttpConfig, image: ImageConfig) -> bool:
    now = _facts(status, http, image)
    then = json.loads(stored) if stored else {}
    if status == SUCCESS:
        return all(set(values) <= set(then.get(name, values)) for name, values in now.items())
    return bool(now == then)
