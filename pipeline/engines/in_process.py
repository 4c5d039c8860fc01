"""Runs a small graph in this process: each element goes through all steps up to the next grouping before the next one
is looked at.

Beam's own runner for one machine first writes a graph down as messages, and makes each stage of it from them again:
1 to 2 tenths of a second of processor time a graph, however little there is to do, and a run of 60 pairs has sixteen
graphs. Here a step's functions are called as they are. What goes into a step comes out as there: the order of elements
is another one, which no step may depend on. A graph with something in it that this runner does not know (windows,
state, timers, parameters that only Beam can give, readers that split themselves) goes to Beam's runner.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import FastPrimitivesCoder
from apache_beam.internal import util
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from apache_beam.pvalue import PValue, TaggedOutput
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState
from apache_beam.transforms.core import Impulse, ParDo, _DoFnParam
from apache_beam.transforms.userstate import is_stateful_dofn
from apache_beam.utils.windowed_value import WindowedValue

__all__ = ["InProcessRunner"]

Take = Callable[[Any], None]


class InProcessRunner(PipelineRunner):
    """Beam's runner of small graphs, by one thread and without a worker."""

    def run_pipeline(self, pipeline: beam.Pipeline, options: PipelineOptions) -> PipelineResult:
        """Runs the graph to its end."""
        found = _Steps()
        pipeline.visit(found)
        if found.unknown:
            return FnApiRunner().run_pipeline(pipeline, options)
        _run(found)
        return _Done(PipelineState.DONE)


class _Done(PipelineResult):
    def wait_until_finish(self, duration: float | None = None) -> str:
        return str(PipelineState.DONE)


class _Steps(PipelineVisitor):
    """The steps of a graph, those that make a collection before those that take it."""

    def __init__(self) -> None:
        self.steps: list[AppliedPTransform] = []
        self.same: dict[PValue, PValue] = {}  # what a step without work gives, and the collection that it is
        self.unknown = False
        self._skipped: AppliedPTransform | None = None

    def enter_composite_transform(self, transform_node: AppliedPTransform) -> None:
        """Passes over the inside of a shuffle that only spreads elements over workers."""
        if self._skipped is None and type(transform_node.transform) is beam.Reshuffle:
            self._skipped = transform_node
            (source,), (result,) = transform_node.inputs, transform_node.outputs.values()
            self.same[result] = source

    def leave_composite_transform(self, transform_node: AppliedPTransform) -> None:
        """Ends what was passed over."""
        if self._skipped is transform_node:
            self._skipped = None

    def visit_transform(self, transform_node: AppliedPTransform) -> None:
        """Takes a step with work."""
        if self._skipped is None:
            self.steps.append(transform_node)
            self.unknown = self.unknown or not _is_known(transform_node)

    def collection(self, value: PValue) -> PValue:
        """The collection that ``value`` is."""
        while value in self.same:
            value = self.same[value]
        return value


def _is_known(step: AppliedPTransform) -> bool:
    transform = step.transform
    if any(not pcollection.windowing.is_default() for pcollection in step.outputs.values()):
        return False
    if isinstance(transform, ParDo):
        return not is_stateful_dofn(transform.fn) and not _is_given_more(transform.fn)
    return isinstance(transform, Impulse | beam.Flatten | beam.GroupByKey)


def _is_given_more(function: beam.DoFn) -> bool:
    """Whether the step asks Beam for more than the element and its side inputs, or for batches."""
    for method in ("process", "start_bundle", "finish_bundle"):
        _, defaults = function.get_function_arguments(method)
        if any(isinstance(default, _DoFnParam) for default in defaults):
            return True
    return function.__class__.process_batch is not beam.DoFn.process_batch


class _Collection:
    """What flows from one step to others."""

    def __init__(self) -> None:
        self.takers: list[Take] = []
        self.enders: list[Callable[[], None]] = []
        self.kept: list[Any] | None = None  # all of it, where it is somebody's side input
        self.is_over = False

    def give(self, value: Any) -> None:
        if self.kept is not None:
            self.kept.append(value)
        for take in self.takers:
            take(value)

    def end(self) -> None:
        self.is_over = True
        for ender in self.enders:
            ender()


class _Step:
    """A step with ``inputs`` collections: works on each element as it comes, and ends when all of them are over."""

    def __init__(self, inputs: Iterable[_Collection], outputs: dict[str | None, _Collection]) -> None:
        self.outputs = outputs
        self.open = 0
        for collection in inputs:
            self.open += 1
            collection.takers.append(self.take)
            collection.enders.append(self.one_over)

    def one_over(self) -> None:
        self.open -= 1
        if not self.open:
            self.end()

    def take(self, value: Any) -> None:
        self.outputs[None].give(value)

    def end(self) -> None:
        for output in self.outputs.values():
            output.end()


class _Group(_Step):
    """Holds the values of each key until all have come."""

    def __init__(self, inputs: Iterable[_Collection], outputs: dict[str | None, _Collection]) -> None:
        super().__init__(inputs, outputs)
        self.groups: dict[Any, tuple[Any, list[Any]]] = {}
        self.encode = FastPrimitivesCoder().encode

    def take(self, value: Any) -> None:
        key, one = value
        known = key if type(key) in (int, str, bytes) else self.encode(key)
        self.groups.setdefault(known, (key, []))[1].append(one)

    def end(self) -> None:
        for known in list(self.groups):
            self.outputs[None].give(self.groups.pop(known))
        super().end()


class _Work(_Step):
    """Calls a function of ours. What comes before its side inputs are complete waits for them."""

    def __init__(
        self,
        label: str,
        transform: ParDo,
        inputs: Iterable[_Collection],
        sides: list[_Collection],
        outputs: dict[str | None, _Collection],
    ) -> None:
        super().__init__(inputs, outputs)
        self.label, self.transform, self.function, self.sides = label, transform, transform.fn, sides
        self.waiting: list[Any] = []
        self.given: tuple[list[Any], dict[str, Any]] | None = None
        self.begun = False
        for side in sides:
            side.kept = [] if side.kept is None else side.kept
            side.enders.append(self.side_over)

    def _is_ready(self) -> bool:
        return all(side.is_over for side in self.sides)

    def side_over(self) -> None:
        if self._is_ready():
            waiting, self.waiting = self.waiting, []
            for value in waiting:
                self.take(value)
            if not self.open:
                self.end()

    def take(self, value: Any) -> None:
        if not self._is_ready():
            self.waiting.append(value)
            return
        if not self.begun:
            self._begin()
        assert self.given is not None
        args, kwargs = self.given
        with self._named():
            self._emit(self.function.process(value, *args, **kwargs))

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Has a defect say in which step it came; the steps before that one hand it on."""
        try:
            yield
        except Exception as error:
            if not getattr(error, "__notes__", None):
                error.add_note(f"in the step {self.label}")
            raise

    def _begin(self) -> None:
        self.begun = True
        views = [
            view._from_runtime_iterable(side.kept, view._view_options())
            for view, side in zip(self.transform.side_inputs, self.sides, strict=True)
        ]
        self.given = util.insert_values_in_args(self.transform.args, self.transform.kwargs, views)
        self.function.setup()
        self._emit(self.function.start_bundle())

    def _emit(self, results: Iterable[Any] | None) -> None:
        for result in results or ():
            tag, value = (result.tag, result.value) if isinstance(result, TaggedOutput) else (None, result)
            if tag in self.outputs:
                self.outputs[tag].give(value.value if isinstance(value, WindowedValue) else value)

    def end(self) -> None:
        if not self._is_ready():
            return  # the last side input ends it
        if self.begun:
            self._emit(self.function.finish_bundle())
        super().end()

    def close(self) -> None:
        if self.begun:
            self.function.teardown()


def _run(found: _Steps) -> None:
    collections: dict[PValue, _Collection] = {}

    def of(value: PValue) -> _Collection:
        return collections.setdefault(found.collection(value), _Collection())

    sources, works = list[_Collection](), list[_Work]()
    for step in found.steps:
        transform, inputs = step.transform, [of(value) for value in step.inputs]
        outputs = {tag: of(value) for tag, value in step.outputs.items()}
        if isinstance(transform, Impulse):
            sources += outputs.values()
        elif isinstance(transform, ParDo):
            sides = [of(view.pvalue) for view in transform.side_inputs]
            works.append(_Work(step.full_label, transform, inputs, sides, outputs))
        elif isinstance(transform, beam.GroupByKey):
            _Group(inputs, outputs)
        else:
            _Step(inputs, outputs)
    try:
        for source in sources:
            source.give(b"")
            source.end()
    finally:
        for work in works:
            work.close()
