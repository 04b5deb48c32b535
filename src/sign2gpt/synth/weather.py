"""Words of the invented forecasts: what may fill a template's slots, with glosses and inflection.

An entry is (glosses, wordings): the wordings are interchangeable, the first the usual one.
Adjectives are stems ("stark"), which `grammar` inflects; nouns carry gender and dative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Phrases = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]


@dataclass(frozen=True)
class Noun:
    """A noun without article: gender m, f, n or p (plural); dative where it differs."""

    glosses: tuple[str, ...]
    word: str
    gender: str
    dative: str = ""


_DAYS: Final = ("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag")
TIMES: Final[Phrases] = {
    **{day: ((day.upper(),), (f"am {day}", f"am kommenden {day}")) for day in _DAYS},
    **{f"{day}abend": ((day.upper(), "ABEND"), (f"am {day}abend",)) for day in _DAYS},
    **{f"nacht {day}": (("NACHT", day.upper()), (f"in der nacht zum {day}",)) for day in _DAYS},
    "heute": (("HEUTE",), ("heute",)),
    "morgen": (("MORGEN",), ("morgen",)),
    "übermorgen": (("ÜBERMORGEN",), ("übermorgen",)),
    "nacht": (("NACHT",), ("in der nacht", "nachts")),
    "abend": (("ABEND",), ("am abend", "abends")),
    "vormittag": (("VORMITTAG",), ("am vormittag", "vormittags")),
    "nachmittag": (("NACHMITTAG",), ("am nachmittag", "nachmittags")),
    "mittag": (("MITTAG",), ("am mittag", "mittags")),
    "heute abend": (("HEUTE", "ABEND"), ("heute abend",)),
    "heute nacht": (("HEUTE", "NACHT"), ("heute nacht", "in dieser nacht")),
    "morgen früh": (("MORGEN", "FRÜH"), ("morgen früh",)),
    "wochenende": (("WOCHENENDE",), ("am wochenende",)),
    "nächste woche": (("NÄCHST", "WOCHE"), ("nächste woche", "in der nächsten woche")),
    "nächste tage": (("NÄCHST", "TAG"), ("in den nächsten tagen",)),
}
_LANDS: Final = ("bayern", "sachsen", "hessen", "thüringen", "brandenburg", "berlin", "hamburg",
                 "münchen", "köln", "deutschland", "österreich")  # fmt: skip
PLACES: Final[Phrases] = {
    **{land: ((land.upper(),), (f"in {land}", f"in ganz {land}")) for land in _LANDS},
    "norden": (("NORD",), ("im norden",)),
    "süden": (("SÜD",), ("im süden",)),
    "westen": (("WEST",), ("im westen",)),
    "osten": (("OST",), ("im osten",)),
    "nordosten": (("NORD", "OST"), ("im nordosten",)),
    "nordwesten": (("NORD", "WEST"), ("im nordwesten",)),
    "südosten": (("SÜD", "OST"), ("im südosten",)),
    "südwesten": (("SÜD", "WEST"), ("im südwesten",)),
    "mitte": (("MITTE",), ("in der mitte",)),
    "küste": (("KÜSTE",), ("an der küste", "an den küsten")),
    "nordsee": (("NORD", "SEE"), ("an der nordsee",)),
    "ostsee": (("OST", "SEE"), ("an der ostsee",)),
    "alpen": (("ALPEN",), ("in den alpen", "an den alpen")),
    "berge": (("BERG",), ("in den bergen",)),
    "täler": (("TAL",), ("in den tälern",)),
    "bodensee": (("BODENSEE",), ("am bodensee",)),
    "schwarzwald": (("SCHWARZ", "WALD"), ("im schwarzwald",)),
    "harz": (("HARZ",), ("im harz",)),
    "eifel": (("EIFEL",), ("in der eifel",)),
    "schweiz": (("SCHWEIZ",), ("in der schweiz",)),
}
RIVERS: Final[Phrases] = {
    "rhein": (("RHEIN",), ("am rhein",)),
    "elbe": (("ELBE",), ("an der elbe",)),
    "donau": (("DONAU",), ("an der donau",)),
    "oder": (("ODER",), ("an der oder",)),
}
COUNTRIES: Final[Phrases] = {
    land: ((land.upper(),), (land,))
    for land in ("frankreich", "polen", "spanien", "italien", "england", "skandinavien", "russland")
}
# Wind "aus norden", turning "auf nord".
DIRECTIONS: Final[Phrases] = {
    "nord": (("NORD",), ("norden",)),
    "süd": (("SÜD",), ("süden",)),
    "west": (("WEST",), ("westen",)),
    "ost": (("OST",), ("osten",)),
    "nordost": (("NORD", "OST"), ("nordosten",)),
    "nordwest": (("NORD", "WEST"), ("nordwesten",)),
    "südost": (("SÜD", "OST"), ("südosten",)),
    "südwest": (("SÜD", "WEST"), ("südwesten",)),
}

NOUNS: Final[dict[str, Noun]] = {
    "regen": Noun(("REGEN",), "regen", "m"),
    "schauer": Noun(("SCHAUER",), "schauer", "p", "schauern"),
    "gewitter": Noun(("GEWITTER",), "gewitter", "p", "gewittern"),
    "schnee": Noun(("SCHNEE",), "schnee", "m"),
    "schneeregen": Noun(("SCHNEE", "REGEN"), "schneeregen", "m"),
    "schneeschauer": Noun(("SCHNEE", "SCHAUER"), "schneeschauer", "p", "schneeschauern"),
    "hagel": Noun(("HAGEL",), "hagel", "m"),
    "nebel": Noun(("NEBEL",), "nebel", "m"),
    "frost": Noun(("FROST",), "frost", "m"),
    "sturm": Noun(("STURM",), "sturm", "m"),
    "sturmböen": Noun(("STURM", "BÖE"), "sturmböen", "p"),
    "böen": Noun(("BÖE",), "böen", "p"),
    "wind": Noun(("WIND",), "wind", "m"),
    "wolken": Noun(("WOLKE",), "wolken", "p"),
    "sonne": Noun(("SONNE",), "sonne", "f"),
    "glatteis": Noun(("GLATT", "EIS"), "glatteis", "n"),
    "hochwasser": Noun(("HOCHWASSER",), "hochwasser", "n"),
    "hitze": Noun(("HITZE",), "hitze", "f"),
    "dunst": Noun(("DUNST",), "dunst", "m"),
    "niesel": Noun(("NIESEL", "REGEN"), "nieselregen", "m"),
    "tauwetter": Noun(("TAU", "WETTER"), "tauwetter", "n"),
}
EVENTS: Final = ("regen", "schauer", "gewitter", "schnee", "schneeregen", "schneeschauer", "hagel",
                 "nebel", "frost", "sturm", "sturmböen", "böen", "glatteis", "dunst", "niesel",
                 "tauwetter")  # fmt: skip
DANGERS: Final = ("gewitter", "hagel", "nebel", "sturm", "sturmböen", "glatteis", "hochwasser",
                  "hitze", "frost")  # fmt: skip
# Which adjectives go with which noun.
QUALITIES: Final[dict[str, tuple[str, ...]]] = {
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
# Weather that has a verb of its own.
VERBAL: Final[Phrases] = {
    "regnen": (("REGEN",), ("regnet",)),
    "schneien": (("SCHNEE",), ("schneit",)),
    "hageln": (("HAGEL",), ("hagelt",)),
    "nieseln": (("NIESEL", "REGEN"), ("nieselt",)),
}
ADJECTIVES: Final[Phrases] = {
    "stark": (("STARK",), ("stark", "kräftig")),
    "leicht": (("LEICHT",), ("leicht",)),
    "schwach": (("SCHWACH",), ("schwach",)),
    "dicht": (("DICHT",), ("dicht",)),
    "einzeln": (("EINZELN",), ("einzeln", "vereinzelt")),
    "frisch": (("FRISCH",), ("frisch",)),
    "kalt": (("KALT",), ("kalt",)),
    "warm": (("WARM",), ("warm",)),
    "kühl": (("KÜHL",), ("kühl",)),
    "heiß": (("HEISS",), ("heiß",)),
    "mild": (("MILD",), ("mild",)),
    "feucht": (("FEUCHT",), ("feucht",)),
    "trocken": (("TROCKEN",), ("trocken",)),
    "freundlich": (("FREUNDLICH",), ("freundlich",)),
    "trüb": (("TRÜB",), ("trüb", "grau")),
    "schön": (("SCHÖN",), ("schön",)),
    "klar": (("KLAR",), ("klar",)),
    "heiter": (("HEITER",), ("heiter",)),
    "bedeckt": (("BEDECKT",), ("bedeckt", "bewölkt")),
    "sternenklar": (("STERN", "KLAR"), ("sternenklar",)),
    "blau": (("BLAU",), ("blau",)),
    "schwül": (("SCHWÜL",), ("schwül",)),
    "windig": (("WIND",), ("windig",)),
    "stürmisch": (("STURM",), ("stürmisch",)),
    "glatt": (("GLATT",), ("glatt",)),
    "nass": (("NASS",), ("nass",)),
    "viel": (("VIEL",), ("viel",)),
    "wenig": (("WENIG",), ("wenig",)),
    "ruhig": (("RUHIG",), ("ruhig",)),
    "wechselhaft": (("WECHSEL",), ("wechselhaft",)),
}
WEATHER_IS: Final = ("warm", "kalt", "kühl", "heiß", "mild", "trocken", "freundlich", "trüb",
                     "schön", "heiter", "schwül", "windig", "stürmisch", "glatt", "nass", "ruhig",
                     "wechselhaft")  # fmt: skip
SKY_IS: Final = ("klar", "heiter", "bedeckt", "sternenklar", "blau", "trüb")
AIR_IS: Final = ("kalt", "warm", "kühl", "mild", "feucht", "trocken", "frisch")
WIND_IS: Final = ("stark", "schwach", "frisch", "kalt", "mild")
MORE: Final[Phrases] = {
    "wärmer": (("WARM",), ("wärmer",)),
    "kälter": (("KALT",), ("kälter",)),
    "kühler": (("KÜHL",), ("kühler",)),
    "milder": (("MILD",), ("milder",)),
    "freundlicher": (("FREUNDLICH",), ("freundlicher",)),
    "ruhiger": (("RUHIG",), ("ruhiger",)),
    "trockener": (("TROCKEN",), ("trockener",)),
}

SYSTEMS: Final[Phrases] = {
    "hoch": (("HOCH",), ("hoch",)),
    "tief": (("TIEF",), ("tief",)),
    "sturmtief": (("STURM", "TIEF"), ("sturmtief",)),
}
SEASONS: Final[Phrases] = {
    word: ((word.upper(),), (word,)) for word in ("frühling", "sommer", "herbst", "winter")
}
MONTHS: Final[Phrases] = {
    word: ((word.upper(),), (word,))
    for word in ("januar", "märz", "mai", "juli", "september", "november")
}
# What one wishes: the noun with its article and adjective in the accusative.
WISHES: Final[Phrases] = {
    "abend": (("SCHÖN", "ABEND"), ("einen schönen abend",)),
    "tag": (("SCHÖN", "TAG"), ("einen schönen tag",)),
    "wochenende": (("SCHÖN", "WOCHENENDE"), ("ein schönes wochenende",)),
    "nacht": (("GUT", "NACHT"), ("eine gute nacht",)),
    "woche": (("GUT", "WOCHE"), ("eine gute woche",)),
    "sonntag": (("SCHÖN", "SONNTAG"), ("einen schönen sonntag",)),
    "morgen": (("GUT", "MORGEN"), ("einen guten morgen",)),
    "sommer": (("SCHÖN", "SOMMER"), ("einen schönen sommer",)),
}

_SPELLED: Final = {
    2: "zwei", 3: "drei", 4: "vier", 5: "fünf", 6: "sechs", 8: "acht", 10: "zehn", 12: "zwölf",
    15: "fünfzehn", 18: "achtzehn", 20: "zwanzig", 22: "zweiundzwanzig", 25: "fünfundzwanzig",
    30: "dreißig",
}  # fmt: skip
NUMBERS: Final[Phrases] = {
    str(number): ((word.upper(),), (word,)) for number, word in _SPELLED.items()
}
_ORDINALS: Final = {3: "dritten", 8: "achten"}
ORDINALS: Final[Phrases] = {
    str(n): ((word.upper(),), (_ORDINALS.get(n, word + ("ten" if n < 20 else "sten")),))
    for n, word in _SPELLED.items()
}
DAYS: Final[Phrases] = {day: ((day.upper(),), (day,)) for day in _DAYS}
GREETINGS: Final[Phrases] = {
    "tag": (("GUT", "TAG"), ("guten tag",)),
    "abend": (("GUT", "ABEND"), ("guten abend",)),
    "morgen": (("GUT", "MORGEN"), ("guten morgen",)),
}
