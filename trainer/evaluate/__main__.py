"""``python -m trainer.evaluate``: what a trained model can do, beside chance.

In: ``retrieval`` or ``zeroshot`` with its flags. Out: a table, and the figures as JSON with ``--output``.
"""

import json
import sys

from trainer.threads import wait_asleep
from webimagetext.command import run_command
from webimagetext.errors import UserError
from webimagetext.flags import parse_flags
from webimagetext.settings import pop_verb

__all__ = ["main"]

PROGRAM = "python -m trainer.evaluate"
VERBS = {
    "retrieval": "finds each image's text and each text's image: recall at 1, 5 and 10",
    "zeroshot": "classifies pictures by prompts made of the class names",
}


def main(args: list[str], program: str = PROGRAM) -> int:
    """Runs one evaluation."""
    verb, rest = pop_verb(args, VERBS, prog=program, about="Measures a trained model.")
    from trainer.evaluate.config import EvaluateConfig, RetrievalConfig, ZeroshotConfig

    prog = f"{program} {verb}"
    config: EvaluateConfig
    if verb == "retrieval":
        config = parse_flags(RetrievalConfig, rest, prog=prog)
    else:
        config = parse_flags(ZeroshotConfig, rest, prog=prog)
    if not config.checkpoint or not config.data:
        raise UserError(
            f"{prog}: --checkpoint and --data are needed", "e.g. --checkpoint DIR --data 'run/holdout/*.tar'"
        )
    wait_asleep()
    if isinstance(config, RetrievalConfig):
        from trainer.evaluate import retrieval

        figures = retrieval.evaluate(config)
        text = retrieval.render(figures)
    else:
        from trainer.evaluate import zeroshot

        assert isinstance(config, ZeroshotConfig)
        figures = zeroshot.evaluate(config)
        text = zeroshot.render(figures)
    print(text)
    if config.output:
        from webimagetext.files import write_atomic

        with write_atomic(config.output, "w") as stream:
            json.dump(figures, stream, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(sys.argv[1:])))
