"""The soak itself: that it runs, sees every kind of failure, and would notice a leak."""

import random

import pytest

from tests.faults.soak import MEASURES, growth, is_flat, soak
from tests.faults.soak_server import KINDS, kind_of


def test_a_rise_is_noticed_and_noise_is_not() -> None:
    draw = random.Random(3)
    flat = [200e6 + draw.uniform(-5e6, 5e6) for _ in range(60)]
    assert is_flat("memory", flat)
    assert is_flat("memory", [*(80e6 + 4e6 * step for step in range(30)), *flat]), "what it needs at first is no leak"
    assert not is_flat("memory", [value + 2e6 * step for step, value in enumerate(flat)])
    assert not is_flat("memory", [value + 0.9e6 * step for step, value in enumerate(flat)])
    assert is_flat("files", [100, 300, 210, 190, 205, 199, 204, 990, 203, 198])
    assert not is_flat("files", [float(100 + 3 * step) for step in range(40)])
    assert growth([5, 4, 3, 2, 1, 2, 3, 4]) == pytest.approx(3)
    assert growth([7]) == 0


def test_the_shares_of_answers() -> None:
    kinds = [kind_of(f"127.0.{number // 250}.{number % 250}", f"/{number}.jpg") for number in range(40_000)]
    for kind, share in KINDS.items():
        assert kinds.count(kind) == pytest.approx(4 * share, abs=6 + 0.2 * 4 * share), kind
    assert 0.85 < kinds.count("picture") / len(kinds) < 0.9


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_short_soak() -> None:
    report = soak(60, hosts=100, each=6)
    seen = set(report.statuses)
    wanted = {"success", "http_404", "http_403", "deadline_exceeded", "connection_refused", "tls_error", "wrong_type"}
    wanted |= {"truncated_body", "connection_lost", "not_an_image"}
    assert wanted <= seen, wanted - seen
    told = report.told()
    assert set(told["measures"]) == set(MEASURES)
    assert {name for name, measure in told["measures"].items() if not measure["flat"]} <= {"memory"}, told
