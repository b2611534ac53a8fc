"""What fails after something was changed: never 'wrong use', and it says what goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from slipway.cli.aws.errors import translate
from slipway.cli.user.ending import going_on
from slipway.contracts.errors import SlipwayError, WorldFailed


class LeftBehind(WorldFailed):
    """A command that failed after it had begun something. `left` says what stays or goes on."""

    def __init__(self, why: str, left: str) -> None:
        super().__init__(f"{why}; {left}")
        self.left = left


@contextmanager
def begun(left: Callable[[], str]) -> Iterator[None]:
    """However this ends early, `left()` says what was begun and goes on; '' while nothing was.

    Exit code 2 means that nothing was changed, so a refusal in here is LeftBehind (3).
    """
    try:
        with going_on(left):
            yield
    except LeftBehind:
        raise
    except Exception as error:
        plain = error if isinstance(error, SlipwayError) else translate(error)
        said = left()
        if plain is None or not said:
            raise
        raise LeftBehind(str(plain), said) from error
