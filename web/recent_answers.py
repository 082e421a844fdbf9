"""A cache of slow answers, for their further pages."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Any, TypeVar, cast

AnswerT = TypeVar("AnswerT")

KEPT_SECONDS = 60
"""Old answers do no harm: an answer says when it was found."""

KEPT_ANSWERS = 4
"""Few, since an answer may have tens of megabytes."""


class RecentAnswers:
    """Answers by key. A caller must have access to everything that the key names."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._answers: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    async def answer(self, key: Hashable, find: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        known = self._answers.get(key)
        if known is not None and self._clock() - known[0] < KEPT_SECONDS:
            return cast("AnswerT", known[1])
        answer = await find()
        self._answers[key] = (self._clock(), answer)
        self._answers.move_to_end(key)
        while len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)
        return answer
