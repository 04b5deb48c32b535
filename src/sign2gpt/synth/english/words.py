"""English words of what fills a slot. Numbers are written without hyphens: "twenty two"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sign2gpt.synth.language import Words
from sign2gpt.synth.weather import DAYS, NUMBERS


@dataclass(frozen=True)
class Noun:
    """What a noun with its adjective, if it has one, may be called.

    Args:
        words: interchangeable, the first the usual one; without article.
        plural: whether its verbs are.
        article: an indefinite one that it takes.
    """

    words: tuple[str, ...]
    plural: bool = False
    article: str = ""


NOUNS: Final[dict[str, Noun]] = {
    "regen": Noun(("rain",)),
    "stark regen": Noun(("heavy rain", "intense rain")),
    "leicht regen": Noun(("light rain",)),
    "viel regen": Noun(("a lot of rain", "plenty of rain")),
    "schauer": Noun(("showers",), plural=True),
    "stark schauer": Noun(("heavy showers", "intense showers"), plural=True),
    "leicht schauer": Noun(("light showers",), plural=True),
    "einzeln schauer": Noun(("isolated showers", "scattered showers"), plural=True),
    "gewitter": Noun(("thunderstorms",), plural=True),
    "stark gewitter": Noun(("heavy thunderstorms", "severe thunderstorms"), plural=True),
    "einzeln gewitter": Noun(("isolated thunderstorms", "scattered thunderstorms"), plural=True),
    "schnee": Noun(("snow",)),
    "viel schnee": Noun(("a lot of snow", "plenty of snow")),
    "wenig schnee": Noun(("little snow",)),
    "schneeregen": Noun(("sleet",)),
    "schneeschauer": Noun(("snow showers",), plural=True),
    "stark schneeschauer": Noun(("heavy snow showers", "intense snow showers"), plural=True),
    "einzeln schneeschauer": Noun(("isolated snow showers", "scattered snow showers"), plural=True),
    "hagel": Noun(("hail",)),
    "nebel": Noun(("fog",)),
    "dicht nebel": Noun(("dense fog", "thick fog")),
    "frost": Noun(("frost",)),
    "stark frost": Noun(("severe frost", "hard frost")),
    "leicht frost": Noun(("light frost",)),
    "sturm": Noun(("gales",), plural=True),
    "sturmböen": Noun(("stormy gusts",), plural=True),
    "böen": Noun(("gusts",), plural=True),
    "stark böen": Noun(("strong gusts", "severe gusts"), plural=True),
    "wolken": Noun(("clouds",), plural=True),
    "dicht wolken": Noun(("dense clouds", "thick clouds"), plural=True),
    "viel wolken": Noun(("a lot of clouds", "many clouds"), plural=True),
    "wenig wolken": Noun(("few clouds",), plural=True),
    "sonne": Noun(("sunshine",)),
    "viel sonne": Noun(("a lot of sunshine", "plenty of sunshine")),
    "wenig sonne": Noun(("little sunshine",)),
    "glatteis": Noun(("black ice",)),
    "hochwasser": Noun(("flooding",)),
    "hitze": Noun(("extreme heat",)),
    "dunst": Noun(("haze",)),
    "niesel": Noun(("drizzle",)),
    "tauwetter": Noun(("thaw",), article="a"),
}
ADJECTIVES: Final[Words] = {
    "stark": ("strong",),
    "schwach": ("light", "weak"),
    "frisch": ("fresh",),
    "kalt": ("cold",),
    "warm": ("warm",),
    "kühl": ("cool",),
    "heiß": ("hot",),
    "mild": ("mild",),
    "feucht": ("humid", "moist"),
    "trocken": ("dry",),
    "freundlich": ("pleasant",),
    "trüb": ("dull", "grey"),
    "schön": ("nice", "lovely"),
    "klar": ("clear",),
    "heiter": ("bright",),
    "bedeckt": ("overcast", "cloudy"),
    "sternenklar": ("clear and starry",),
    "blau": ("blue",),
    "schwül": ("muggy",),
    "windig": ("windy",),
    "stürmisch": ("stormy",),
    "glatt": ("icy",),
    "nass": ("wet",),
    "ruhig": ("calm",),
    "wechselhaft": ("changeable", "unsettled"),
}

_DAYS: Final = dict(
    zip(
        DAYS,
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        strict=True,
    )
)
_TIMES: Final[Words] = {
    **{day: (f"on {name}", f"this coming {name}") for day, name in _DAYS.items()},
    **{f"{day}abend": (f"on {name} evening",) for day, name in _DAYS.items()},
    **{
        f"nacht {day}": (f"overnight into {name}", f"during the night into {name}")
        for day, name in _DAYS.items()
    },
    "heute": ("today",),
    "morgen": ("tomorrow",),
    "übermorgen": ("the day after tomorrow",),
    "nacht": ("in the night", "overnight"),
    "abend": ("in the evening", "during the evening"),
    "vormittag": ("in the morning", "during the morning"),
    "nachmittag": ("in the afternoon", "during the afternoon"),
    "mittag": ("at midday", "at noon"),
    "heute abend": ("this evening",),
    "heute nacht": ("tonight",),
    "morgen früh": ("early tomorrow", "early tomorrow morning"),
    "wochenende": ("at the weekend", "over the weekend"),
    "nächste woche": ("next week",),
    "nächste tage": ("in the next few days", "over the next few days"),
}
_LANDS: Final = {
    "bayern": "bavaria",
    "sachsen": "saxony",
    "hessen": "hesse",
    "thüringen": "thuringia",
    "brandenburg": "brandenburg",
    "berlin": "berlin",
    "hamburg": "hamburg",
    "münchen": "munich",
    "köln": "cologne",
    "deutschland": "germany",
    "österreich": "austria",
}
_PLACES: Final[Words] = {
    **{land: (f"in {name}", f"across {name}") for land, name in _LANDS.items()},
    "norden": ("in the north",),
    "süden": ("in the south",),
    "westen": ("in the west",),
    "osten": ("in the east",),
    "nordosten": ("in the northeast",),
    "nordwesten": ("in the northwest",),
    "südosten": ("in the southeast",),
    "südwesten": ("in the southwest",),
    "mitte": ("in the centre",),
    "küste": ("on the coast", "along the coast"),
    "nordsee": ("by the north sea",),
    "ostsee": ("by the baltic sea",),
    "alpen": ("in the alps",),
    "berge": ("in the mountains",),
    "täler": ("in the valleys",),
    "bodensee": ("at lake constance", "around lake constance"),
    "schwarzwald": ("in the black forest",),
    "harz": ("in the harz",),
    "eifel": ("in the eifel",),
    "schweiz": ("in switzerland",),
}
_NUMERALS: Final = ("two", "three", "four", "five", "six", "eight", "ten", "twelve", "fifteen",
                    "eighteen", "twenty", "twenty two", "twenty five", "thirty")  # fmt: skip
_ORDINALS: Final = ("second", "third", "fourth", "fifth", "sixth", "eighth", "tenth", "twelfth",
                    "fifteenth", "eighteenth", "twentieth", "twenty second", "twenty fifth",
                    "thirtieth")  # fmt: skip

PHRASE_WORDS: Final[dict[str, Words]] = {
    "time": _TIMES,
    "place": _PLACES,
    "river": {
        "rhein": ("on the rhine", "along the rhine"),
        "elbe": ("on the elbe", "along the elbe"),
        "donau": ("on the danube", "along the danube"),
        "oder": ("on the oder", "along the oder"),
    },
    "country": {
        "frankreich": ("france",),
        "polen": ("poland",),
        "spanien": ("spain",),
        "italien": ("italy",),
        "england": ("england",),
        "skandinavien": ("scandinavia",),
        "russland": ("russia",),
    },
    "direction": {
        "nord": ("the north",),
        "süd": ("the south",),
        "west": ("the west",),
        "ost": ("the east",),
        "nordost": ("the northeast",),
        "nordwest": ("the northwest",),
        "südost": ("the southeast",),
        "südwest": ("the southwest",),
    },
    "verbal": {
        "regnen": ("rain",),
        "schneien": ("snow",),
        "hageln": ("hail",),
        "nieseln": ("drizzle",),
    },
    "more": {
        "wärmer": ("warmer",),
        "kälter": ("colder",),
        "kühler": ("cooler",),
        "milder": ("milder",),
        "freundlicher": ("more pleasant",),
        "ruhiger": ("calmer",),
        "trockener": ("drier",),
    },
    "system": {
        "hoch": ("a high", "an area of high pressure"),
        "tief": ("a low", "an area of low pressure"),
        "sturmtief": ("a stormy low",),
    },
    "season": {
        "frühling": ("spring",),
        "sommer": ("summer",),
        "herbst": ("autumn",),
        "winter": ("winter",),
    },
    "month": {
        "januar": ("january",),
        "märz": ("march",),
        "mai": ("may",),
        "juli": ("july",),
        "september": ("september",),
        "november": ("november",),
    },
    "wish": {
        "abend": ("a nice evening", "a lovely evening"),
        "tag": ("a nice day", "a lovely day"),
        "wochenende": ("a nice weekend", "a lovely weekend"),
        "nacht": ("a good night",),
        "woche": ("a good week",),
        "sonntag": ("a nice sunday", "a lovely sunday"),
        "morgen": ("a good morning",),
        "sommer": ("a nice summer", "a lovely summer"),
    },
    "greeting": {
        "tag": ("good day",),
        "abend": ("good evening",),
        "morgen": ("good morning",),
    },
    "day": {day: (name,) for day, name in _DAYS.items()},
    "number": {str(n): (word,) for n, word in zip(NUMBERS, _NUMERALS, strict=True)},
    "ordinal": {str(n): (word,) for n, word in zip(NUMBERS, _ORDINALS, strict=True)},
}
"""Of each kind of slot that is said as it stands, the wordings of each value."""
