"""What may fill a template's slots, and how each value is signed; how it is said is elsewhere.

Values are named by their usual German word, as the signs are. A noun may carry an adjective before
it ("stark regen").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

Signs = dict[str, tuple[str, ...]]
"""The glosses of each value, in signed order."""


def _named(words: Iterable[str]) -> Signs:
    """Each with a sign of its own name."""
    return {word: (word.upper(),) for word in words}


def _noun_phrases(nouns: Sequence[str]) -> tuple[str, ...]:
    """Each noun alone and with each of its adjectives: "regen", "stark regen"."""
    alone = tuple(nouns)
    return alone + tuple(f"{q} {noun}" for noun in nouns for q in _QUALITIES.get(noun, ()))


DAYS: Final = ("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag")
_TIMES: Final[Signs] = {
    **_named(DAYS),
    **{f"{day}abend": (day.upper(), "ABEND") for day in DAYS},
    **{f"nacht {day}": ("NACHT", day.upper()) for day in DAYS},
    **_named(("heute", "morgen", "übermorgen")),
    **_named(("nacht", "abend", "vormittag", "nachmittag", "mittag")),
    "heute abend": ("HEUTE", "ABEND"),
    "heute nacht": ("HEUTE", "NACHT"),
    "morgen früh": ("MORGEN", "FRÜH"),
    "wochenende": ("WOCHENENDE",),
    "nächste woche": ("NÄCHST", "WOCHE"),
    "nächste tage": ("NÄCHST", "TAG"),
}
LANDS: Final = ("bayern", "sachsen", "hessen", "thüringen", "brandenburg", "berlin", "hamburg",
                "münchen", "köln", "deutschland", "österreich")  # fmt: skip
_PLACES: Final[Signs] = {
    **_named(LANDS),
    "norden": ("NORD",),
    "süden": ("SÜD",),
    "westen": ("WEST",),
    "osten": ("OST",),
    "nordosten": ("NORD", "OST"),
    "nordwesten": ("NORD", "WEST"),
    "südosten": ("SÜD", "OST"),
    "südwesten": ("SÜD", "WEST"),
    "mitte": ("MITTE",),
    "küste": ("KÜSTE",),
    "nordsee": ("NORD", "SEE"),
    "ostsee": ("OST", "SEE"),
    "alpen": ("ALPEN",),
    "berge": ("BERG",),
    "täler": ("TAL",),
    "bodensee": ("BODENSEE",),
    "schwarzwald": ("SCHWARZ", "WALD"),
    "harz": ("HARZ",),
    "eifel": ("EIFEL",),
    "schweiz": ("SCHWEIZ",),
}
_COUNTRIES: Final = ("frankreich", "polen", "spanien", "italien", "england", "skandinavien",
                     "russland")  # fmt: skip
_DIRECTIONS: Final[Signs] = {
    "nord": ("NORD",),
    "süd": ("SÜD",),
    "west": ("WEST",),
    "ost": ("OST",),
    "nordost": ("NORD", "OST"),
    "nordwest": ("NORD", "WEST"),
    "südost": ("SÜD", "OST"),
    "südwest": ("SÜD", "WEST"),
}

_NOUNS: Final[Signs] = {
    "regen": ("REGEN",),
    "schauer": ("SCHAUER",),
    "gewitter": ("GEWITTER",),
    "schnee": ("SCHNEE",),
    "schneeregen": ("SCHNEE", "REGEN"),
    "schneeschauer": ("SCHNEE", "SCHAUER"),
    "hagel": ("HAGEL",),
    "nebel": ("NEBEL",),
    "frost": ("FROST",),
    "sturm": ("STURM",),
    "sturmböen": ("STURM", "BÖE"),
    "böen": ("BÖE",),
    "wolken": ("WOLKE",),
    "sonne": ("SONNE",),
    "glatteis": ("GLATT", "EIS"),
    "hochwasser": ("HOCHWASSER",),
    "hitze": ("HITZE",),
    "dunst": ("DUNST",),
    "niesel": ("NIESEL", "REGEN"),
    "tauwetter": ("TAU", "WETTER"),
}
_EVENTS: Final = ("regen", "schauer", "gewitter", "schnee", "schneeregen", "schneeschauer", "hagel",
                  "nebel", "frost", "sturm", "sturmböen", "böen", "glatteis", "dunst", "niesel",
                  "tauwetter")  # fmt: skip
_DANGERS: Final = ("gewitter", "hagel", "nebel", "sturm", "sturmböen", "glatteis", "hochwasser",
                   "hitze", "frost")  # fmt: skip
# Which adjectives go with which noun.
_QUALITIES: Final[dict[str, tuple[str, ...]]] = {
    "regen": ("stark", "leicht", "viel"),
    "schauer": ("stark", "leicht", "einzeln"),
    "gewitter": ("stark", "einzeln"),
    "schnee": ("viel", "wenig"),
    "nebel": ("dicht",),
    "frost": ("stark", "leicht"),
    "wolken": ("dicht", "viel", "wenig"),
    "sonne": ("viel", "wenig"),
    "böen": ("stark",),
    "schneeschauer": ("stark", "einzeln"),
}
_ADJECTIVES: Final[Signs] = {
    **_named(("stark", "leicht", "schwach", "dicht", "einzeln", "frisch", "kalt", "warm", "kühl")),
    **_named(("heiß", "mild", "feucht", "trocken", "freundlich", "trüb", "schön", "klar")),
    **_named(("heiter", "bedeckt", "blau", "schwül", "glatt", "nass", "viel", "wenig", "ruhig")),
    "sternenklar": ("STERN", "KLAR"),
    "windig": ("WIND",),
    "stürmisch": ("STURM",),
    "wechselhaft": ("WECHSEL",),
}
NUMBERS: Final = (2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 20, 22, 25, 30)
_SPELLED: Final = ("ZWEI", "DREI", "VIER", "FÜNF", "SECHS", "ACHT", "ZEHN", "ZWÖLF", "FÜNFZEHN",
                   "ACHTZEHN", "ZWANZIG", "ZWEIUNDZWANZIG", "FÜNFUNDZWANZIG",
                   "DREISSIG")  # fmt: skip
_NUMERALS: Final[Signs] = {
    str(number): (gloss,) for number, gloss in zip(NUMBERS, _SPELLED, strict=True)
}

PHRASES: Final[dict[str, Signs]] = {
    "time": _TIMES,
    "place": _PLACES,
    "river": _named(("rhein", "elbe", "donau", "oder")),
    "country": _named(_COUNTRIES),
    "direction": _DIRECTIONS,
    "verbal": {
        "regnen": ("REGEN",),
        "schneien": ("SCHNEE",),
        "hageln": ("HAGEL",),
        "nieseln": ("NIESEL", "REGEN"),
    },
    "more": {
        "wärmer": ("WARM",),
        "kälter": ("KALT",),
        "kühler": ("KÜHL",),
        "milder": ("MILD",),
        "freundlicher": ("FREUNDLICH",),
        "ruhiger": ("RUHIG",),
        "trockener": ("TROCKEN",),
    },
    "system": {"hoch": ("HOCH",), "tief": ("TIEF",), "sturmtief": ("STURM", "TIEF")},
    "season": _named(("frühling", "sommer", "herbst", "winter")),
    "month": _named(("januar", "märz", "mai", "juli", "september", "november")),
    "wish": {
        "abend": ("SCHÖN", "ABEND"),
        "tag": ("SCHÖN", "TAG"),
        "wochenende": ("SCHÖN", "WOCHENENDE"),
        "nacht": ("GUT", "NACHT"),
        "woche": ("GUT", "WOCHE"),
        "sonntag": ("SCHÖN", "SONNTAG"),
        "morgen": ("GUT", "MORGEN"),
        "sommer": ("SCHÖN", "SOMMER"),
    },
    "greeting": {"tag": ("GUT", "TAG"), "abend": ("GUT", "ABEND"), "morgen": ("GUT", "MORGEN")},
    "day": _named(DAYS),
    "number": _NUMERALS,
    "ordinal": _NUMERALS,
}
"""Kinds of slot whose values are said as they stand: what may fill them."""

ADJECTIVE_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "weather": ("warm", "kalt", "kühl", "heiß", "mild", "trocken", "freundlich", "trüb", "schön",
                "heiter", "schwül", "windig", "stürmisch", "glatt", "nass", "ruhig",
                "wechselhaft"),
    "sky": ("klar", "heiter", "bedeckt", "sternenklar", "blau", "trüb"),
    "air": ("kalt", "warm", "kühl", "mild", "feucht", "trocken", "frisch"),
    "wind": ("stark", "schwach", "frisch", "kalt", "mild"),
}  # fmt: skip
NOUN_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "event": _noun_phrases(_EVENTS),
    "noun": (*_EVENTS, "sonne", "wolken"),
    "danger": _DANGERS,
    "clearing": ("nebel", "wolken", "dunst", "gewitter", "schauer", "frost"),
    "seen": _noun_phrases(("sonne", "wolken")),
}


def signs_of(kind: str, value: str) -> tuple[str, ...]:
    """Topic before comment: the noun is signed before its adjective."""
    if kind in NOUN_KINDS:
        quality, _, noun = value.rpartition(" ")
        return _NOUNS[noun] + (_ADJECTIVES[quality] if quality else ())
    if kind in ADJECTIVE_KINDS:
        return _ADJECTIVES[value]
    return PHRASES[kind][value]
