"""After a step that is not finite: from where the run can go on, and what to change.

In: what the step was like, and the checkpoints there are. Out: the UserError that ends the run, whose advice works.
"""

import math

from trainer import checkpoint
from trainer.guard import Seen
from webimagetext.errors import UserError
from webimagetext.files import remove_file

__all__ = ["ended_by"]


def ended_by(seen: Seen, in_a_row: int, output: str, *, skipping: bool) -> UserError:
    """The error for the step ``seen``, the last of so many broken ones; ``skipping`` tells that single ones are passed
    over.

    A checkpoint of the step before leads to the same again with any learning rate. It is removed when there is an older
    one, from which a lower rate takes another way.
    """
    what = f"the loss is {seen.loss}" if not math.isfinite(seen.loss) else f"the gradient's norm is {seen.norm}"
    found = checkpoint.all_in(output)
    leading_on = [url for url in found if checkpoint.step_of(url) < seen.step - in_a_row]
    if found and not leading_on:
        remedy = "begin anew into another --output with a lower --learning-rate"
    else:
        for url in found[len(leading_on) :]:
            remove_file(url)
        where = f"from step {checkpoint.step_of(leading_on[-1]):,}" if leading_on else "from the beginning"
        remedy = f"lower --learning-rate: the same command then goes on {where}"
    if not skipping:
        remedy += "; where single steps are bad, --skip-spikes 10 passes over them"
    return UserError(f"step {seen.step:,}: {what}; it did not move the weights", remedy)
