"""The balance's plan as a file: t, the counts and the cutoffs that every pair is drawn by."""

import dataclasses
import io
import json
from typing import Any

import numpy as np

from pipeline.balance.capped import Cutoffs
from pipeline.balance.select import Cap, Plan
from pipeline.keeping.damage import read_sealed
from pipeline.keeping.folder import RunFolder
from webimagetext import files
from webimagetext.sealed import seal

__all__ = ["read_plan", "read_t", "write_plan"]


def write_plan(url: str, plan: Plan) -> str:
    """Writes a plan as one NumPy archive, sealed; returns its address."""
    arrays: dict[str, Any] = {"counts": plan.counts}
    if plan.cap is not None:
        arrays["owned"] = plan.cap.owned
        for name, limit in (("selected", plan.cap.selected), ("reserve", plan.cap.reserve)):
            arrays[f"{name}_draw"], arrays[f"{name}_pair"] = limit.draw, limit.pair
    about: dict[str, Any] = {"mode": plan.mode, "t": plan.t, "limit": plan.limit, "seed": plan.seed}
    about |= {"wanted_total": plan.wanted_total}
    content = io.BytesIO()
    np.savez(content, about=np.array(json.dumps(about)), **arrays)
    with files.write_atomic(url) as stream:
        stream.write(seal(content.getvalue()))
    return url


def read_plan(url: str) -> Plan:
    """Reads what :func:`write_plan` wrote. Raises UserError for a file that is damaged or missing."""
    with np.load(io.BytesIO(read_sealed(url))) as arrays:
        about = json.loads(str(arrays["about"]))
        plan = Plan(counts=arrays["counts"], **about)
        if "owned" not in arrays:
            return plan
        limits = [Cutoffs(arrays[f"{name}_draw"], arrays[f"{name}_pair"]) for name in ("selected", "reserve")]
        return dataclasses.replace(plan, cap=Cap(arrays["owned"], *limits))


def read_t(run: RunFolder) -> float | None:
    """The t that the balance went by; None where it has not run."""
    if not files.exists(run.plan):
        return None
    with np.load(io.BytesIO(read_sealed(run.plan))) as arrays:
        t: float = json.loads(str(arrays["about"]))["t"]
        return t
