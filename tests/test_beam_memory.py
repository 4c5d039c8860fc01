"""What the tests remember for Beam is what Beam itself answers, the first time and later."""

import inspect

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, SetupOptions, StandardOptions
from apache_beam.transforms import core

WORDS = ["--direct_num_workers=3", "--no_pipeline_type_check", "--setup_file=x", "--own=1"]


class Step(beam.DoFn):
    def process(self, element: int, number: int = 4, time: object = beam.DoFn.TimestampParam) -> list[int]:
        return [element + number]


def test_the_arguments_of_methods_are_those_that_beam_finds() -> None:
    plain = inspect.unwrap(core.get_function_args_defaults)
    assert plain is not core.get_function_args_defaults
    for step in (Step(), beam.CombineFn(), Step()):
        methods = [name for name in dir(step) if inspect.ismethod(getattr(step, name))]
        assert "setup" in methods
        for method in (getattr(step, name) for name in methods):
            assert core.get_function_args_defaults(method) == plain(method)
    core.get_function_args_defaults(Step().process)[1].clear()
    assert core.get_function_args_defaults(Step().process)[1] == [4, beam.DoFn.TimestampParam]


@pytest.mark.parametrize("kind", [PipelineOptions, DirectOptions, StandardOptions])
def test_options_are_those_that_beam_parses(kind: type[PipelineOptions]) -> None:
    parse = inspect.unwrap(PipelineOptions.__init__)
    assert parse is not PipelineOptions.__init__
    for words in (WORDS, [], WORDS):
        expected = object.__new__(kind)
        parse(expected, words)
        found = kind(words)
        assert vars(found) == vars(expected)
        assert found.get_all_options() == expected.get_all_options()
        # A view shares what is set with what it is a view of, and nothing with the next ones.
        found.view_as(DirectOptions).direct_num_workers = 8
        assert found.view_as(DirectOptions).direct_num_workers == 8
        found.view_as(SetupOptions).extra_packages = ["a"]
    assert kind(WORDS).view_as(DirectOptions).direct_num_workers == 3
    assert kind(WORDS).view_as(SetupOptions).extra_packages is None
    assert kind(WORDS, direct_num_workers=5).view_as(DirectOptions).direct_num_workers == 5
