"""What the invented forecasts state: the kinds of statement, and how each is signed.

A template has slots ("name=kind", "?" where it may stay empty) and the order in which it is signed:
time, place, topic, comment, negation; capitals are signs of its own. How it is worded is the
business of each language (`german`, `english`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Template:
    """One kind of statement; `weight` is how often it is made."""

    name: str
    slots: str
    order: str
    weight: float


_ALL = (
    Template("event", "t=time p=place? n=event", "t p n", 4.0),
    Template("no_event", "t=time p=place? n=noun", "t p n KEIN", 1.5),
    Template("rainfall", "t=time p=place v=verbal", "t p v", 1.2),
    Template("rain_again", "t=time p=place? v=verbal", "t p v WIEDER", 1.0),
    Template("perhaps", "t=time p=place? n=event", "t p n VIELLEICHT", 1.5),
    Template("seldom", "t=time p=place? n=event", "t p MANCHMAL n", 1.5),
    Template("becomes", "t=time p=place? a=weather", "t p a", 3.0),
    Template("becomes_both", "t=time p=place? a=weather b=weather", "t p a b", 2.0),
    Template("stays", "t=time p=place? a=weather", "t p a BLEIBEN", 1.5),
    Template("not_so", "t=time p=place? a=weather", "t p a NICHT", 1.2),
    Template("more", "t=time p=place? a=more", "t p a MEHR", 1.2),
    Template("range", "t=time p=place? k=number l=number", "t p k BIS l GRAD", 9.0),
    Template("at_most", "t=time p=place? k=number", "t p HÖCHSTENS k GRAD", 1.8),
    Template("falling", "t=time p=place? k=number", "t p FALLEN MINUS k GRAD", 1.5),
    Template("rising", "t=time p=place? k=number", "t p TEMPERATUR STEIGEN k", 1.5),
    Template("two_values", "t=time p=place q=place k=number l=number", "t p k GRAD q l", 1.5),
    Template("wind_from", "t=time p=place? a=wind d=direction", "t p WIND a d", 2.0),
    Template("wind_turns", "t=time p=place? d=direction", "t p WIND DREHEN d", 1.0),
    Template("wind_grows", "t=time p=place?", "t p WIND ZUNEHMEN", 0.7),
    Template("wind_drops", "t=time p=place?", "t p WIND ABNEHMEN", 0.7),
    Template("system_comes", "t=time s=system c=country", "t c s KOMMEN", 1.6),
    Template("system_rules", "t=time s=system c=country", "t s c WETTER BESTIMMEN", 1.4),
    Template("air_comes", "t=time a=air c=country", "t c LUFT a KOMMEN", 2.0),
    Template("clears", "t=time p=place? n=clearing", "t p n WEG", 1.2),
    Template("mixed", "t=time p=place?", "t p SONNE WOLKE WECHSEL", 1.0),
    Template("sky", "t=time p=place? a=sky", "t p HIMMEL a", 2.2),
    Template("sun_or_clouds", "t=time p=place? n=seen", "t p n SEHEN", 1.5),
    Template("sun_shines", "t=time p=place", "t p SONNE SCHEINEN", 1.2),
    Template("lightning", "t=time p=place", "t p BLITZ DONNER", 0.8),
    Template("warning", "t=time p=place? n=danger", "t p n WARNUNG", 1.8),
    Template("careful", "t=time p=place? n=danger", "AUFPASSEN t p n", 1.0),
    Template("river_rises", "t=time r=river", "t r WASSER STEIGEN", 1.1),
    Template("river_falls", "t=time r=river", "t r WASSER FALLEN", 1.1),
    Template("season_starts", "t=time p=place? s=season", "t p s ANFANG", 0.8),
    Template("season_ends", "t=time p=place? s=season", "t p s ENDE", 0.8),
    Template("like_season", "t=time p=place? a=weather s=season", "t p a s GLEICH", 1.0),
    Template("then", "t=time p=place? n=event m=event", "t p ZUERST n DANN m", 2.0),
    Template("contrast", "t=time p=place q=place n=noun m=noun", "t p n q m", 2.0),
    Template("snow_stays", "t=time p=place", "t p SCHNEE LIEGEN BLEIBEN", 0.6),
    Template("umbrella", "t=time p=place?", "t p REGEN SCHIRM MITNEHMEN", 0.7),
    Template("forecast", "d=day o=ordinal m=month", "JETZT WETTER d o m", 2.2),
    Template("greeting", "g=greeting o=ordinal m=month", "g LIEB ZUSCHAUER HEUTE o m", 1.0),
    Template("wish", "w=wish", "w WÜNSCHEN", 0.5),
)

TEMPLATES: Final[dict[str, Template]] = {template.name: template for template in _ALL}
