"""How a program of the trainer ends when it cannot go on: in one line with the remedy, whatever library it was.

In: the body of a program. Out: its exit status. What a user can mend (webimagetext/endings.py) becomes a UserError, too
little memory with what makes this program smaller. Imports no torch, so that ``--help`` answers at once.
"""

from collections.abc import Callable

from webimagetext.endings import user_error

__all__ = ["in_words"]


def in_words(body: Callable[[], int], memory: str) -> int:
    """Runs the body of a program; ``memory`` is the remedy when there is too little."""
    try:
        return body()
    except Exception as error:
        found = user_error(error, memory)
        if found is None or found is error:
            raise
        raise found from None
