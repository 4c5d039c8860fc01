"""The balance's plan as a file: t, the counts and the cutoffs that every pair is drawn by."""

import dataclasses
import json
from typing import Any

import numpy as np

from pipeline.balance.capped import Cutoffs
from pipeline.balance.select import Cap, Plan
from pipeline.keeping.folder import RunFolder
from webimagetext import files

__all__ = ["read_plan", "read_t", "write_plan"]


def write_plan(url: str, plan: Plan) -> str:
    """Writes a plan as one NumPy archive; returns its address."""
    arrays: dict[str, Any] = {"counts": plan.counts}
    if plan.cap is not None:
        arrays["owned"] = plan.cap.owned
        for name, limit in (("selected", plan.cap.selected), ("reserve", plan.cap.reserve)):
            arrays[f"{name}_draw"], arrays[f"{name}_pair"] = limit.draw, limit.pair
    about: dict[str, Any] = {"mode": plan.mode, "t": plan.t, "limit": plan.limit, "seed": plan.seed}
    about |= {"wanted_total": plan.wanted_total}
    with files.write_atomic(url) as stream:
        np.savez(stream, about=np.array(json.dumps(about)), **arrays)
    return url


def read_plan(url: str) -> Plan:
    """Reads what :func:`write_plan` wrote."""
    with files.open_input(url) as stream, np.load(stream) as arrays:
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
    with files.open_input(run.plan) as stream, np.load(stream) as arrays:
        t: float = json.loads(str(arrays["about"]))["t"]
        return t
