"""Words for mistakes in settings and profiles: all of them at once, in one line, with the nearest names that exist."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_FEW = 3
"""Names that a message offers at most."""
_NEAR = 0.7
"""Likeness from which a name may be meant: one or two wrong letters in a short name."""
_AS_GOOD = 0.1
"""How much less like a name than the best one another may be, to be offered, too."""
_PART = 0.8
"""How much likeness with one word of a name counts."""
_SHORTEST_PART = 3
"""Letters of the shortest part of a name that counts as a hint."""
_LONGEST_VALUE = 60
"""Characters of a wrong value that a message repeats."""


class MistakesError(ValueError):
    """Several mistakes in one value, for validators that find more than one.

    Attributes:
        texts: What is wrong, each with its remedy.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__("; ".join(texts))
        self.texts = tuple(texts)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The few known names that are most like a misspelt one, the best first.

    Names are alike if they differ in some letters, in case or in separators, or if one is a part of the other.
    """
    wanted = _letters(name)
    scored = sorted(((_likeness(wanted, one), one) for one in known), key=lambda pair: -pair[0])
    least = max(_NEAR, scored[0][0] - _AS_GOOD) if scored else _NEAR
    return [one for score, one in scored[:_FEW] if score >= least]


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _likeness(wanted: str, name: str) -> float:
    """How alike two names are, from 0 to 1. Being like one word of the name counts less than being like all of it."""
    other = _letters(name)
    words = [word for word in re.split(r"[\W_]+", name.lower()) if len(word) > _SHORTEST_PART]
    likeness = max(
        SequenceMatcher(None, wanted, other).ratio(),
        *(_PART * SequenceMatcher(None, wanted, word).ratio() for word in words),
        0.0,
    )
    short, long = sorted((wanted, other), key=len)
    if len(short) >= _SHORTEST_PART and short in long:
        return max(likeness, _NEAR)
    return likeness


def no_such(noun: str, name: object, known: Collection[str], otherwise: str) -> str:
    """Say that a name does not exist, and which one is probably meant.

    Args:
        noun: What the name should be, as `fault`.
        name: The name.
        known: The names that exist.
        otherwise: Where all of them are listed.
    """
    near = nearest(name, known) if isinstance(name, str) else []
    return f"there is no {noun} {shortened(name)}; {_meant(near, otherwise)}"


def _meant(near: Sequence[str], otherwise: str) -> str:
    return f"did you mean {_or(near)}? {otherwise[:1].upper()}{otherwise[1:]}".rstrip() if near else otherwise


def _or(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def shortened(value: object) -> str:
    """A wrong value as messages repeat it: in one line, and not too long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def told(texts: Sequence[str], about: str = "") -> str:
    """All mistakes in one line, numbered if there are several.

    Args:
        texts: The mistakes.
        about: Where they are, as `profile 'x.toml'`.
    """
    if len(texts) == 1:
        return f"{about}: {texts[0]}" if about else texts[0]
    numbered = " ".join(f"({number}) {text}" for number, text in enumerate(texts, 1))
    return f"{about} has {len(texts)} mistakes: {numbered}" if about else f"{len(texts)} mistakes: {numbered}"


def explained(
    error: ValidationError,
    known: Collection[str],
    *,
    named: Callable[[str], str] = str,
    otherwise: str,
    words: Mapping[str, str] | None = None,
    secret: Collection[str] = (),
) -> list[str]:
    """What pydantic found wrong, in our words.

    Args:
        error: Its error.
        known: Keys that people may write.
        named: How messages name a key.
        otherwise: Where the keys are listed, for an unknown key that is like no other.
        words: What to write, by key, where the type alone does not say it.
        secret: Keys whose values no message repeats.
    """
    details = error.errors(include_url=False)
    unknown = [str(one["loc"][-1]) for one in details if one["type"] == "extra_forbidden"]
    meant = {name: nearest(name, known) for name in unknown}
    spelt = {near[0] for near in meant.values() if near}  # a misspelt key is missing under its right name, too
    needed = {one["loc"][0]: one["loc"][1] for one in details if one["type"] == "missing" and len(one["loc"]) == 2}
    texts = []
    for one in details:
        place = one["loc"]
        key = str(place[0]) if place else ""
        is_made = bool(key) and one["type"] != "extra_forbidden" and key not in known  # from other keys, not by people
        if is_made or (one["type"] == "missing" and key in spelt):
            continue
        if one["type"] == "extra_forbidden":
            near = meant[str(place[-1])]
            texts.append(f"{named(key)}: there is no such key; {_meant(near, '' if near else otherwise)}")
            continue
        where = ".".join([named(key), *(str(part + 1) if isinstance(part, int) else str(part) for part in place[1:])])
        says = list(_what(one, (words or {}).get(key), is_secret=key in secret))
        if one["type"] == "missing" and len(place) == 2 and isinstance(one["input"], list | tuple):
            texts.append(f"{named(key)}: this list has {_values(len(one['input']))}; give {int(needed[place[0]]) + 1}")
            continue
        texts += [f"{where}: {text}" if key else text for text in says]
    return list(dict.fromkeys(texts))


def _what(one: ErrorDetails, words: str | None, *, is_secret: bool) -> Iterator[str]:
    """What is wrong with one value, and what to write."""
    context: dict[str, Any] = one.get("ctx", {})
    kind = one["type"]
    if kind in ("value_error", "assertion_error"):
        cause = context["error"]
        yield from cause.texts if isinstance(cause, MistakesError) else (str(cause),)
        return
    if kind == "missing":
        yield "this has no value; add it" + (f": {words}" if words else "")
        return
    if kind == "too_long":
        yield f"this list has {_values(context['actual_length'])}; give at most {context['max_length']}"
        return
    got = "" if is_secret else f", not {shortened(one['input'])}"
    yield (words or _expected(kind, context)) + got


def _values(number: int) -> str:
    return "1 value" if number == 1 else f"{number} values"


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    """What to write instead of a value, by pydantic's name of the mistake."""
    limits = {
        "greater_than_equal": "write at least {ge}",
        "greater_than": "write more than {gt}",
        "less_than_equal": "write at most {le}",
        "less_than": "write less than {lt}",
    }
    if kind in limits:
        return limits[kind].format(**context)
    if kind == "literal_error":
        return f"choose one of {context['expected']}"
    families = {
        "int": "write a whole number",
        "float": "write a number",
        "bool": "write true or false",
        "string": "write a text",
        "date": "write a day, as 2026-06-30",
        "tuple": "write a list, such as [1, 2]",
        "list": "write a list, such as [1, 2]",
    }
    return families.get(kind.partition("_")[0], "write another value")


__all__ = ["MistakesError", "explained", "nearest", "no_such", "shortened", "told"]
