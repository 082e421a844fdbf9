"""A cache of slow answers, for their further pages."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from math import inf
from time import monotonic
from typing import Any, TypeVar, cast

AnswerT = TypeVar("AnswerT")

KEPT_SECONDS = 60
"""Old answers do no harm: an answer says when it was found."""

INCOMPLETE_SECONDS = 10
"""An incomplete answer is kept no longer, so that a reload asks again; without any time, each of many reloads would
take seconds of processor time.
"""

KEPT_ANSWERS = 4
"""Few, since an answer may have tens of megabytes."""


class RecentAnswers:
    """Answers by key. A caller must have access to everything that the key names."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._answers: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    async def answer(
        self,
        key: Hashable,
        find: Callable[[], Awaitable[AnswerT]],
        is_whole: Callable[[AnswerT], bool] = lambda _: True,
    ) -> AnswerT:
        kept_until, known = self._answers.get(key, (-inf, None))
        if self._clock() < kept_until:
            return cast("AnswerT", known)
        answer = await find()
        seconds = KEPT_SECONDS if is_whole(answer) else INCOMPLETE_SECONDS
        self._answers[key] = (self._clock() + seconds, answer)
        self._answers.move_to_end(key)
        while len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)
        return answer
