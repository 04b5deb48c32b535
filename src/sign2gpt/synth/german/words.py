"""German words of what fills a slot.

Adjectives are stems ("stark"), which the inflection ends; nouns carry gender and dative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sign2gpt.synth.language import Words
from sign2gpt.synth.weather import DAYS, LANDS, NUMBERS, PHRASES


@dataclass(frozen=True)
class Noun:
    """A noun without article: gender m, f, n or p (plural); dative where it differs."""

    word: str
    gender: str
    dative: str = ""


NOUNS: Final[dict[str, Noun]] = {
    "regen": Noun("regen", "m"),
    "schauer": Noun("schauer", "p", "schauern"),
    "gewitter": Noun("gewitter", "p", "gewittern"),
    "schnee": Noun("schnee", "m"),
    "schneeregen": Noun("schneeregen", "m"),
    "schneeschauer": Noun("schneeschauer", "p", "schneeschauern"),
    "hagel": Noun("hagel", "m"),
    "nebel": Noun("nebel", "m"),
    "frost": Noun("frost", "m"),
    "sturm": Noun("sturm", "m"),
    "sturmböen": Noun("sturmböen", "p"),
    "böen": Noun("böen", "p"),
    "wolken": Noun("wolken", "p"),
    "sonne": Noun("sonne", "f"),
    "glatteis": Noun("glatteis", "n"),
    "hochwasser": Noun("hochwasser", "n"),
    "hitze": Noun("hitze", "f"),
    "dunst": Noun("dunst", "m"),
    "niesel": Noun("nieselregen", "m"),
    "tauwetter": Noun("tauwetter", "n"),
}
OTHER_STEMS: Final[dict[str, str]] = {
    "stark": "kräftig",
    "einzeln": "vereinzelt",
    "trüb": "grau",
    "bedeckt": "bewölkt",
}
"""Adjectives that are said otherwise now and then; the usual stem is the value's own name."""

_TIMES: Final[Words] = {
    **{day: (f"am {day}", f"am kommenden {day}") for day in DAYS},
    **{f"{day}abend": (f"am {day}abend",) for day in DAYS},
    **{f"nacht {day}": (f"in der nacht zum {day}",) for day in DAYS},
    **{now: (now,) for now in ("heute", "morgen", "übermorgen", "heute abend", "morgen früh")},
    "nacht": ("in der nacht", "nachts"),
    **{part: (f"am {part}", f"{part}s") for part in ("abend", "vormittag", "nachmittag", "mittag")},
    "heute nacht": ("heute nacht", "in dieser nacht"),
    "wochenende": ("am wochenende",),
    "nächste woche": ("nächste woche", "in der nächsten woche"),
    "nächste tage": ("in den nächsten tagen",),
}
_PLACES: Final[Words] = {
    **{land: (f"in {land}", f"in ganz {land}") for land in LANDS},
    "norden": ("im norden",),
    "süden": ("im süden",),
    "westen": ("im westen",),
    "osten": ("im osten",),
    "nordosten": ("im nordosten",),
    "nordwesten": ("im nordwesten",),
    "südosten": ("im südosten",),
    "südwesten": ("im südwesten",),
    "mitte": ("in der mitte",),
    "küste": ("an der küste", "an den küsten"),
    "nordsee": ("an der nordsee",),
    "ostsee": ("an der ostsee",),
    "alpen": ("in den alpen", "an den alpen"),
    "berge": ("in den bergen",),
    "täler": ("in den tälern",),
    "bodensee": ("am bodensee",),
    "schwarzwald": ("im schwarzwald",),
    "harz": ("im harz",),
    "eifel": ("in der eifel",),
    "schweiz": ("in der schweiz",),
}
# What one wishes: the noun with its article and adjective in the accusative.
_WISHES: Final[Words] = {
    "abend": ("einen schönen abend",),
    "tag": ("einen schönen tag",),
    "wochenende": ("ein schönes wochenende",),
    "nacht": ("eine gute nacht",),
    "woche": ("eine gute woche",),
    "sonntag": ("einen schönen sonntag",),
    "morgen": ("einen guten morgen",),
    "sommer": ("einen schönen sommer",),
}
_NUMERALS: Final = ("zwei", "drei", "vier", "fünf", "sechs", "acht", "zehn", "zwölf", "fünfzehn",
                    "achtzehn", "zwanzig", "zweiundzwanzig", "fünfundzwanzig",
                    "dreißig")  # fmt: skip
_SPELLED: Final = dict(zip(NUMBERS, _NUMERALS, strict=True))
_ORDINALS: Final = {3: "dritten", 8: "achten"}


def _as_named(kind: str) -> Words:
    """Values that are said just as they are called."""
    return {value: (value,) for value in PHRASES[kind]}


PHRASE_WORDS: Final[dict[str, Words]] = {
    "time": _TIMES,
    "place": _PLACES,
    "river": {
        "rhein": ("am rhein",),
        **{river: (f"an der {river}",) for river in ("elbe", "donau", "oder")},
    },
    "country": _as_named("country"),
    # Wind "aus norden", turning "auf norden".
    "direction": {direction: (f"{direction}en",) for direction in PHRASES["direction"]},
    "verbal": {
        "regnen": ("regnet",),
        "schneien": ("schneit",),
        "hageln": ("hagelt",),
        "nieseln": ("nieselt",),
    },
    "more": _as_named("more"),
    "system": _as_named("system"),
    "season": _as_named("season"),
    "month": _as_named("month"),
    "wish": _WISHES,
    "greeting": {"tag": ("guten tag",), "abend": ("guten abend",), "morgen": ("guten morgen",)},
    "day": _as_named("day"),
    "number": {str(n): (word,) for n, word in _SPELLED.items()},
    "ordinal": {
        str(n): (_ORDINALS.get(n, word + ("ten" if n < 20 else "sten")),)
        for n, word in _SPELLED.items()
    },
}
"""Of each kind of slot that is said as it stands, the wordings of each value."""
