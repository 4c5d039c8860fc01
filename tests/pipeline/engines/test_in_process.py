"""Small graphs give in this process what Beam's own runner makes of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner
from apache_beam.transforms.window import FixedWindows, GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.engines import in_process
from pipeline.engines.in_process import InProcessRunner

Graph = Callable[[beam.Pipeline], dict[str, beam.PCollection]]
FOUND: dict[str, list[str]] = {}  # Beam's runner copies what a step holds, but not what a module does
CALLED: list[str] = []


def note(value: Any, name: str) -> None:
    FOUND.setdefault(name, []).append(repr(value))


def outcome(runner: PipelineRunner, graph: Graph) -> dict[str, list[str]]:
    """What came out of a graph, each collection in an order of its own."""
    FOUND.clear()
    CALLED.clear()
    with beam.Pipeline(runner) as root:
        for name, collection in graph(root).items():
            collection | f"Note {name}" >> beam.Map(note, name)
    return {name: sorted(values) for name, values in FOUND.items()}


class Split(beam.DoFn):  # type: ignore[misc]
    """Gives some elements under a tag, and one more at the end of a bundle, whose size it tells."""

    def setup(self) -> None:
        CALLED.append("setup")

    def start_bundle(self) -> None:
        self.seen = 0

    def process(self, element: int) -> Iterator[Any]:
        self.seen += 1
        yield element if element % 3 else beam.pvalue.TaggedOutput("third", element)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        yield WindowedValue(1000 + self.seen, MIN_TIMESTAMP, [GlobalWindow()])
        yield beam.pvalue.TaggedOutput("third", WindowedValue(-1, MIN_TIMESTAMP, [GlobalWindow()]))

    def teardown(self) -> None:
        CALLED.append("teardown")


def tags(root: beam.Pipeline) -> dict[str, beam.PCollection]:
    split = root | beam.Create(range(10), reshuffle=False) | beam.ParDo(Split()).with_outputs("third", main="rest")
    return {"rest": split.rest, "third": split.third}


def groups(root: beam.Pipeline) -> dict[str, beam.PCollection]:
    """Keys of several kinds, some of which Python takes for equal."""
    keys: list[Any] = [1, "1", b"1", (1, 2), (1, 2), None, "a", "a", 1]
    pairs = root | beam.Create([(key, place) for place, key in enumerate(keys)])
    grouped = pairs | beam.GroupByKey() | beam.MapTuple(lambda key, values: (key, sorted(values)))
    sums = pairs | "Sum" >> beam.CombinePerKey(sum)
    return {"grouped": grouped, "sums": sums}


def joined(root: beam.Pipeline) -> dict[str, beam.PCollection]:
    left = root | "Left" >> beam.Create([("a", 1), ("b", 2), ("a", 3)])
    right = root | "Right" >> beam.Create([("b", "x"), ("c", "y")])
    met = {"left": left, "right": right} | beam.CoGroupByKey()
    both = ((left, right) | beam.Flatten(), met) | "Again" >> beam.Flatten()
    return {
        "met": met | beam.MapTuple(lambda key, sides: (key, sorted(sides["left"]), list(sides["right"]))),
        "both": both | beam.Map(lambda row: row[0]),
    }


def sides(root: beam.Pipeline) -> dict[str, beam.PCollection]:
    """A side input from elsewhere, from the same source as the elements, and one that is empty."""
    numbers = root | beam.Create([3, 1, 2], reshuffle=False)
    total = numbers | beam.CombineGlobally(sum)
    nothing = numbers | beam.Filter(lambda number: number > 9)
    halves = numbers | beam.Map(lambda x, all_of: x / sum(all_of), beam.pvalue.AsList(numbers))
    least = numbers | "Add" >> beam.Map(
        lambda x, y, extra: (x, y, list(extra)), beam.pvalue.AsSingleton(total), extra=[]
    )
    named = numbers | "Named" >> beam.Map(lambda x, extra: (x, list(extra)), extra=beam.pvalue.AsIter(nothing))
    return {"halves": halves, "least": least, "named": named, "none": nothing | "None" >> beam.CombineGlobally(sum)}


def spread(root: beam.Pipeline) -> dict[str, beam.PCollection]:
    spread = root | beam.Create(range(20)) | "Spread" >> beam.Reshuffle()
    return {"spread": spread, "twice": spread | beam.FlatMap(lambda x: [x] * (x % 3))}


@pytest.mark.parametrize("graph", [tags, groups, joined, sides, spread])
def test_a_graph_gives_what_beam_makes_of_it(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = outcome(FnApiRunner(), graph)
    calls = list(CALLED)
    monkeypatch.setattr(in_process, "FnApiRunner", None)  # nothing here is left to it
    assert expected and outcome(InProcessRunner(), graph) == expected
    assert calls == CALLED


def timed(root: beam.Pipeline) -> dict[str, beam.PCollection]:
    stamped = root | beam.Create([1, 5, 12]) | beam.Map(lambda x: beam.window.TimestampedValue(x, x))
    windows = stamped | beam.WindowInto(FixedWindows(10)) | beam.Map(lambda x: ("all", x)) | beam.GroupByKey()
    return {"windows": windows | beam.MapTuple(lambda _, values: sorted(values))}


def asked(root: beam.Pipeline) -> dict[str, beam.PCollection]:
    def at(element: int, when: Any = beam.DoFn.TimestampParam) -> tuple[int, bool]:
        return element, when == MIN_TIMESTAMP

    return {"at": root | beam.Create([1, 2]) | beam.Map(at)}


@pytest.mark.parametrize("graph", [timed, asked])
def test_what_is_not_known_here_is_left_to_beam(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = outcome(FnApiRunner(), graph)
    assert outcome(InProcessRunner(), graph) == expected
    monkeypatch.setattr(in_process, "FnApiRunner", None)
    with pytest.raises(TypeError):
        outcome(InProcessRunner(), graph)


class Breaks(Split):
    """Fails at its second element."""

    def process(self, element: int) -> Iterable[Any]:
        if element:
            raise ValueError(f"element {element}")
        return [element]


def test_an_error_comes_out_as_it_is_and_steps_are_ended() -> None:
    with pytest.raises(ValueError) as caught:
        outcome(InProcessRunner(), lambda root: {"x": root | beam.Create(range(3)) | beam.ParDo(Breaks())})
    assert str(caught.value) == "element 1" and caught.value.__notes__ == ["in the step ParDo(Breaks)"]
    assert CALLED == ["setup", "teardown"]


def test_groups_are_let_go_one_by_one() -> None:
    """What a group held can be freed once the steps after it have had it."""
    values, groups, held = in_process._Collection(), in_process._Collection(), list[int]()
    step = in_process._Group([values], {None: groups})
    groups.takers.append(lambda group: held.append(len(step.groups)))
    for key in range(4):
        values.give((key, 1))
    assert not held
    values.end()
    assert held == [3, 2, 1, 0] and groups.is_over
