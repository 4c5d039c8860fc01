"""``python -m trainer.evaluate``: what a trained model can do, beside chance.

In: the name of an evaluation, with its flags. Out: a table, the figures as JSON with ``--output``, and a
page with a drawing with ``--page``.
"""

import json
import sys
from importlib import import_module

from trainer.endings import in_words
from trainer.evaluate.config import (
    EvaluateConfig,
    FewshotConfig,
    OverlapConfig,
    ProbeConfig,
    ReportConfig,
    RetrievalConfig,
    RobustnessConfig,
    ScalingConfig,
    SuiteConfig,
    ZeroshotConfig,
)
from trainer.evaluate.report import report
from trainer.threads import wait_asleep
from webimagetext.command import leave, run_command
from webimagetext.files import write_atomic
from webimagetext.flags import need, parse_flags
from webimagetext.settings import pop_verb

__all__ = ["main"]

PROG = "python -m trainer.evaluate"
ABOUT = "Measures a trained model."
VERBS = {
    "retrieval": "finds each image's text and each text's image: recall at 1, 5 and 10",
    "zeroshot": "classifies pictures by prompts made of the class names",
    "probe": "fits logistic regression to features of labelled pictures, and classifies others by it",
    "fewshot": "the same from 1 to 16 pictures a class, and how many match zero-shot classification",
    "overlap": "the evaluated pictures that were trained on, and what they make of the accuracy",
    "suite": "zero-shot classification on every evaluation set in a folder, in one table",
    "robustness": "accuracy on shifted sets beside that on a base set of the same classes",
    "scaling": "a power law over runs: the error by compute, samples or parameters",
}
CONFIGS: dict[str, type[ReportConfig]] = {
    "retrieval": RetrievalConfig,
    "zeroshot": ZeroshotConfig,
    "probe": ProbeConfig,
    "fewshot": FewshotConfig,
    "overlap": OverlapConfig,
    "suite": SuiteConfig,
    "robustness": RobustnessConfig,
    "scaling": ScalingConfig,
}


def main(args: list[str], prog: str = PROG) -> int:
    """Runs one evaluation; returns the exit status."""
    verb, rest = pop_verb(args, VERBS, prog=prog, about=ABOUT)
    prog = f"{prog} {verb}"
    if rest and not rest[0].startswith("-"):
        rest = ["--runs" if verb == "scaling" else "--data", *rest]  # `suite FOLDER`, for short
    config = parse_flags(CONFIGS[verb], rest, prog=prog)
    if isinstance(config, EvaluateConfig):
        need(config, "checkpoint", "data", prog=prog, example="--checkpoint DIR --data 'run/holdout/*.tar'")
        memory = f"give a smaller --batch-size than {config.batch_size}, or --limit"
    else:
        memory = "give fewer --runs"
    return in_words(lambda: _evaluate(verb, config), memory)


def _evaluate(verb: str, config: ReportConfig) -> int:
    wait_asleep()
    evaluation = import_module(f"trainer.evaluate.{verb}")
    figures = evaluation.evaluate(config)
    table = evaluation.render(figures)
    print(table)
    if config.output:
        with write_atomic(config.output, "w") as stream:
            json.dump(figures, stream, indent=1)
    if config.page:
        with write_atomic(config.page, "w") as stream:
            stream.write(report(verb, figures, table))
    return 0


if __name__ == "__main__":
    leave(run_command(lambda: main(sys.argv[1:])))
