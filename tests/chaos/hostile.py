"""Valid JSON documents that no server should send: the product stores them whole, or the suite fails."""

from collections.abc import Callable
from random import Random
from typing import Any

LEVELS = 60
"""Objects in lists in objects, so twice as many levels: within the limit of the canonical form."""


def hostile(random: Random, name: str) -> dict[str, Any]:
    """Properties of a hostile document of a random kind; they contain `name`."""
    make = random.choice((_deep, _large, _text, _numbers, _names))
    return {"description": name, "simulatedHostile": make(random)}


def _deep(_: Random) -> Any:
    value: Any = "the innermost"
    for _level in range(LEVELS):
        value = {"within": [value]}
    return value


def _large(random: Random) -> Any:
    return [f"{random.getrandbits(128):032x}" for _ in range(random.choice((1_000, 30_000)))]


def _text(random: Random) -> Any:
    planes = [chr(plane * 0x10000 + random.randrange(0x100, 0xD000)) for plane in range(17)]
    return ["".join(planes), "\0\x1b[31m\x7f", "\u202eright to left\u202c", "e\u0301 \u00e9", '\\"\n\r\t/</script>']


def _numbers(_: Random) -> Any:
    return {
        "big": 2**63 - 1,
        "negative": -(2**63),
        "exact": 9007199254740993,
        "small": 5e-324,
        "zero": -0.0,
        "whole": 1.0,
    }


def _names(random: Random) -> Any:
    odd: tuple[Callable[[int], str], ...] = (str, lambda n: f"a/{n}", lambda n: f"{n}.b", lambda n: f"\u0000{n}")
    return {random.choice(odd)(number): number for number in range(500)} | {
        "": None,
        "__proto__": {},
        "constructor": [],
    }
