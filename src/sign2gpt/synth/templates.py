"""Sentence templates of the invented forecasts.

A template has slots ("name=kind", "?" where it may stay empty), the order in which it is signed
(time, place, topic, comment, negation; capitals are signs of its own) and its wordings, all
equally likely. In a wording `{t}` is a slot's text; `{n_acc}` a case of a noun phrase; `{ist_n}` a
verb that agrees with it; `{a_er}` an adjective with its ending.
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
    wordings: tuple[str, ...]


_ALL = (
    Template("event", "t=time p=place? n=event", "t p n", 4.0, (
        "{t} gibt es {p} {n_acc}",
        "{t} ist {p} mit {n_dat} zu rechnen",
        "{p} gibt es {t} {n_acc}",
        "es gibt {t} {p} {n_acc}",
        "{t} {ist_n} {p} {n_nom} zu erwarten",
        "{t} kommt es {p} zu {n_dat}",
        "{p} muss {t} mit {n_dat} gerechnet werden",
        "{p} {ist_n} {t} {n_nom} möglich",
    )),
    Template("no_event", "t=time p=place? n=noun", "t p n KEIN", 1.5, (
        "{t} gibt es {p} {n_kein}",
        "{p} gibt es {t} {n_kein}",
        "es gibt {t} {p} {n_kein}",
        "{t} ist {p} nicht mit {n_dat} zu rechnen",
        "{t} bleibt es {p} ohne {n_acc}",
        "mit {n_dat} ist {t} {p} nicht zu rechnen",
    )),
    Template("rainfall", "t=time p=place v=verbal", "t p v", 1.2, (
        "{t} {v} es {p}",
        "{p} {v} es {t}",
        "es {v} {t} {p}",
        "{t} {v} es auch {p}",
        "auch {p} {v} es {t}",
    )),
    Template("rain_again", "t=time p=place? v=verbal", "t p v WIEDER", 1.0, (
        "{t} {v} es {p} immer wieder",
        "immer wieder {v} es {t} {p}",
        "{p} {v} es {t} immer wieder",
        "es {v} {t} {p} immer wieder",
        "{t} {v} es immer wieder {p}",
    )),
    Template("perhaps", "t=time p=place? n=event", "t p n VIELLEICHT", 1.5, (
        "{t} gibt es {p} vielleicht {n_acc}",
        "vielleicht gibt es {t} {p} {n_acc}",
        "{p} gibt es {t} vielleicht {n_acc}",
        "{t} kommt es {p} vielleicht zu {n_dat}",
        "es gibt {t} {p} vielleicht {n_acc}",
        "{t} {kommt_n} {p} vielleicht {n_nom}",
    )),
    Template("seldom", "t=time p=place? n=event", "t p MANCHMAL n", 1.5, (
        "{t} gibt es {p} manchmal {n_acc}",
        "{p} gibt es {t} manchmal {n_acc}",
        "manchmal gibt es {t} {p} {n_acc}",
        "es gibt {t} {p} ab und zu {n_acc}",
        "{t} kommt es {p} manchmal zu {n_dat}",
    )),
    Template("becomes", "t=time p=place? a=weather", "t p a", 3.0, (
        "{t} wird es {p} {a}",
        "{p} wird es {t} {a}",
        "es wird {t} {p} {a}",
        "{t} wird das wetter {p} {a}",
        "das wetter wird {t} {p} {a}",
    )),
    Template("becomes_both", "t=time p=place? a=weather b=weather", "t p a b", 2.0, (
        "{t} wird es {p} {a} und {b}",
        "{p} wird es {t} {a} und {b}",
        "es wird {t} {p} {a} und {b}",
        "{t} ist es {p} {a} und {b}",
        "das wetter wird {t} {p} {a} und {b}",
    )),
    Template("stays", "t=time p=place? a=weather", "t p a BLEIBEN", 1.5, (
        "{t} bleibt es {p} {a}",
        "{p} bleibt es {t} {a}",
        "es bleibt {t} {p} {a}",
        "auch {t} bleibt es {p} {a}",
        "{t} bleibt das wetter {p} {a}",
    )),
    Template("not_so", "t=time p=place? a=weather", "t p a NICHT", 1.2, (
        "{t} wird es {p} nicht so {a}",
        "{p} wird es {t} nicht so {a}",
        "es wird {t} {p} nicht so {a}",
        "{t} ist es {p} nicht so {a}",
        "so {a} wird es {t} {p} nicht",
    )),
    Template("more", "t=time p=place? a=more", "t p a MEHR", 1.2, (
        "{t} wird es {p} {a}",
        "{p} wird es {t} {a}",
        "es wird {t} {p} {a}",
        "{t} wird es {p} etwas {a}",
        "{t} wird das wetter {p} {a}",
    )),
    Template("range", "t=time p=place? k=number l=number", "t p k BIS l GRAD", 9.0, (
        "{t} {p} {k} bis {l} grad",
        "{t} werden es {p} {k} bis {l} grad",
        "{p} {t} {k} bis {l} grad",
        "{t} liegen die werte {p} bei {k} bis {l} grad",
        "{k} bis {l} grad werden es {t} {p}",
        "{t} erreichen wir {p} {k} bis {l} grad",
    )),
    Template("at_most", "t=time p=place? k=number", "t p HÖCHSTENS k GRAD", 1.8, (
        "{t} werden es {p} höchstens {k} grad",
        "{t} {p} höchstens {k} grad",
        "{p} werden es {t} höchstens {k} grad",
        "es werden {t} {p} höchstens {k} grad",
        "{t} erreichen wir {p} höchstens {k} grad",
        "höchstens {k} grad werden es {t} {p}",
    )),
    Template("falling", "t=time p=place? k=number", "t p FALLEN MINUS k GRAD", 1.5, (
        "{t} sinken die werte {p} auf minus {k} grad",
        "{p} sinken die werte {t} auf minus {k} grad",
        "die werte sinken {t} {p} auf minus {k} grad",
        "{t} fallen die werte {p} auf minus {k} grad",
        "auf minus {k} grad sinken die werte {t} {p}",
    )),
    Template("rising", "t=time p=place? k=number", "t p TEMPERATUR STEIGEN k", 1.5, (
        "{t} steigen die temperaturen {p} auf {k} grad",
        "{p} steigen die temperaturen {t} auf {k} grad",
        "die temperaturen steigen {t} {p} auf {k} grad",
        "{t} steigt die temperatur {p} auf {k} grad",
        "auf {k} grad steigen die temperaturen {t} {p}",
    )),
    Template("two_values", "t=time p=place q=place k=number l=number", "t p k GRAD q l", 1.5, (
        "{t} werden es {p} {k} grad und {q} {l} grad",
        "{t} {p} {k} grad und {q} {l} grad",
        "{p} werden es {t} {k} grad und {q} {l} grad",
        "{k} grad werden es {t} {p} und {q} {l} grad",
        "{t} liegen die werte {p} bei {k} grad und {q} bei {l} grad",
    )),
    Template("wind_from", "t=time p=place? a=wind d=direction", "t p WIND a d", 2.0, (
        "{t} weht {p} ein {a_er} wind aus {d}",
        "{p} weht {t} ein {a_er} wind aus {d}",
        "der wind weht {t} {p} {a} aus {d}",
        "{t} weht der wind {p} {a} aus {d}",
        "ein {a_er} wind weht {t} {p} aus {d}",
        "aus {d} weht {t} {p} ein {a_er} wind",
    )),
    Template("wind_turns", "t=time p=place? d=direction", "t p WIND DREHEN d", 1.0, (
        "{t} dreht der wind {p} nach {d}",
        "{p} dreht der wind {t} nach {d}",
        "der wind dreht {t} {p} nach {d}",
        "{t} dreht der wind {p} auf {d}",
        "nach {d} dreht {t} {p} der wind",
    )),
    Template("wind_grows", "t=time p=place?", "t p WIND ZUNEHMEN", 0.7, (
        "{t} nimmt der wind {p} zu",
        "{p} nimmt der wind {t} zu",
        "der wind nimmt {t} {p} zu",
        "{t} wird der wind {p} stärker",
        "der wind wird {t} {p} stärker",
    )),
    Template("wind_drops", "t=time p=place?", "t p WIND ABNEHMEN", 0.7, (
        "{t} lässt der wind {p} nach",
        "{p} lässt der wind {t} nach",
        "der wind lässt {t} {p} nach",
        "{t} wird der wind {p} schwächer",
        "der wind wird {t} {p} schwächer",
    )),
    Template("system_comes", "t=time s=system c=country", "t c s KOMMEN", 1.6, (
        "{t} kommt ein {s} aus {c} zu uns",
        "ein {s} aus {c} kommt {t} zu uns",
        "{t} zieht ein {s} aus {c} zu uns",
        "aus {c} kommt {t} ein {s} zu uns",
        "ein {s} zieht {t} von {c} zu uns",
    )),
    Template("system_rules", "t=time s=system c=country", "t s c WETTER BESTIMMEN", 1.4, (
        "{t} bestimmt ein {s} über {c} unser wetter",
        "ein {s} über {c} bestimmt {t} unser wetter",
        "ein {s} über {c} bestimmt {t} das wetter",
        "unser wetter bestimmt {t} ein {s} über {c}",
        "das wetter bestimmt {t} ein {s} über {c}",
    )),
    Template("air_comes", "t=time a=air c=country", "t c LUFT a KOMMEN", 2.0, (
        "{t} kommt {a_e} luft aus {c} zu uns",
        "{a_e} luft aus {c} kommt {t} zu uns",
        "aus {c} kommt {t} {a_e} luft zu uns",
        "{t} strömt {a_e} luft aus {c} zu uns",
        "mit {a_er} luft aus {c} ist {t} zu rechnen",
    )),
    Template("clears", "t=time p=place? n=clearing", "t p n WEG", 1.2, (
        "{t} {verschwindet_n} {p} {n_der}",
        "{p} {verschwindet_n} {t} {n_der}",
        "{n_der} {verschwindet_n} {t} {p}",
        "{t} {löst_n} sich {p} {n_der} auf",
        "{n_der} {löst_n} sich {t} {p} auf",
    )),
    Template("mixed", "t=time p=place?", "t p SONNE WOLKE WECHSEL", 1.0, (
        "{t} wechseln sich {p} sonne und wolken ab",
        "{p} wechseln sich {t} sonne und wolken ab",
        "sonne und wolken wechseln sich {t} {p} ab",
        "{t} gibt es {p} sonne und wolken im wechsel",
        "es gibt {t} {p} sonne und wolken im wechsel",
    )),
    Template("sky", "t=time p=place? a=sky", "t p HIMMEL a", 2.2, (
        "{t} ist der himmel {p} {a}",
        "{p} ist der himmel {t} {a}",
        "der himmel ist {t} {p} {a}",
        "{t} wird der himmel {p} {a}",
        "{t} bleibt der himmel {p} {a}",
        "der himmel wird {t} {p} {a}",
    )),
    Template("sun_or_clouds", "t=time p=place? n=seen", "t p n SEHEN", 1.5, (
        "{t} sehen wir {p} {n_acc}",
        "{p} sehen wir {t} {n_acc}",
        "wir sehen {t} {p} {n_acc}",
        "{t} sieht man {p} {n_acc}",
        "{n_acc} sehen wir {t} {p}",
    )),
    Template("sun_shines", "t=time p=place", "t p SONNE SCHEINEN", 1.2, (
        "{t} scheint {p} die sonne",
        "{p} scheint {t} die sonne",
        "die sonne scheint {t} {p}",
        "{t} scheint {p} überall die sonne",
        "die sonne scheint {t} auch {p}",
    )),
    Template("lightning", "t=time p=place", "t p BLITZ DONNER", 0.8, (
        "{t} gibt es {p} blitz und donner",
        "{p} gibt es {t} blitz und donner",
        "es gibt {t} {p} blitz und donner",
        "{t} ist {p} mit blitz und donner zu rechnen",
        "mit blitz und donner ist {t} {p} zu rechnen",
    )),
    Template("warning", "t=time p=place? n=danger", "t p n WARNUNG", 1.8, (
        "{t} gilt {p} eine warnung vor {n_dat}",
        "{p} gilt {t} eine warnung vor {n_dat}",
        "{t} gibt es {p} eine warnung vor {n_dat}",
        "es gibt {t} {p} eine warnung vor {n_dat}",
        "eine warnung vor {n_dat} gilt {t} {p}",
    )),
    Template("careful", "t=time p=place? n=danger", "AUFPASSEN t p n", 1.0, (
        "achtung {t} gibt es {p} {n_acc}",
        "achtung {t} ist {p} mit {n_dat} zu rechnen",
        "achtung {p} gibt es {t} {n_acc}",
        "achtung es gibt {t} {p} {n_acc}",
        "achtung {t} kommt es {p} zu {n_dat}",
    )),
    Template("river_rises", "t=time r=river", "t r WASSER STEIGEN", 1.1, (
        "{t} steigt {r} das wasser",
        "{r} steigt {t} das wasser",
        "das wasser steigt {t} {r}",
        "{t} steigt das wasser {r} an",
        "das wasser {r} steigt {t} an",
    )),
    Template("river_falls", "t=time r=river", "t r WASSER FALLEN", 1.1, (
        "{t} fällt {r} das wasser",
        "{r} fällt {t} das wasser",
        "das wasser fällt {t} {r}",
        "{t} sinkt {r} das wasser",
        "das wasser {r} sinkt {t}",
    )),
    Template("season_starts", "t=time p=place? s=season", "t p s ANFANG", 0.8, (
        "{t} beginnt {p} der {s}",
        "{p} beginnt {t} der {s}",
        "der {s} beginnt {t} {p}",
        "{t} fängt {p} der {s} an",
        "der {s} fängt {t} {p} an",
    )),
    Template("season_ends", "t=time p=place? s=season", "t p s ENDE", 0.8, (
        "{t} endet {p} der {s}",
        "{p} endet {t} der {s}",
        "der {s} endet {t} {p}",
        "{t} geht {p} der {s} zu ende",
        "der {s} geht {t} {p} zu ende",
    )),
    Template("like_season", "t=time p=place? a=weather s=season", "t p a s GLEICH", 1.0, (
        "{t} wird es {p} {a} wie im {s}",
        "{p} wird es {t} {a} wie im {s}",
        "es wird {t} {p} {a} wie im {s}",
        "{t} ist es {p} {a} wie im {s}",
        "{a} wie im {s} wird es {t} {p}",
    )),
    Template("then", "t=time p=place? n=event m=event", "t p ZUERST n DANN m", 2.0, (
        "{t} gibt es {p} zuerst {n_acc} dann {m_acc}",
        "{p} gibt es {t} zuerst {n_acc} dann {m_acc}",
        "{t} {kommt_n} {p} zuerst {n_nom} dann {m_nom}",
        "es gibt {t} {p} zuerst {n_acc} dann {m_acc}",
        "zuerst gibt es {t} {p} {n_acc} dann {m_acc}",
    )),
    Template("contrast", "t=time p=place q=place n=noun m=noun", "t p n q m", 2.0, (
        "{t} gibt es {p} {n_acc} und {q} {m_acc}",
        "{p} gibt es {t} {n_acc} und {q} {m_acc}",
        "{t} {p} {n_nom} und {q} {m_nom}",
        "es gibt {t} {p} {n_acc} und {q} {m_acc}",
        "{t} ist {p} mit {n_dat} und {q} mit {m_dat} zu rechnen",
    )),
    Template("snow_stays", "t=time p=place", "t p SCHNEE LIEGEN BLEIBEN", 0.6, (
        "{t} bleibt der schnee {p} liegen",
        "{p} bleibt der schnee {t} liegen",
        "der schnee bleibt {t} {p} liegen",
        "{t} bleibt {p} der schnee liegen",
        "liegen bleibt der schnee {t} {p}",
    )),
    Template("umbrella", "t=time p=place?", "t p REGEN SCHIRM MITNEHMEN", 0.7, (
        "nehmen sie {t} {p} einen regenschirm mit",
        "{t} nehmen sie {p} einen regenschirm mit",
        "bitte nehmen sie {t} {p} einen regenschirm mit",
        "{p} nehmen sie {t} einen regenschirm mit",
        "{t} bitte {p} einen regenschirm mitnehmen",
    )),
    Template("forecast", "d=day o=ordinal m=month", "JETZT WETTER d o m", 2.2, (
        "und nun das wetter für {d} den {o} {m}",
        "und jetzt das wetter für {d} den {o} {m}",
        "jetzt das wetter für {d} den {o} {m}",
        "hier ist nun das wetter für {d} den {o} {m}",
        "nun zum wetter für {d} den {o} {m}",
    )),
    Template("greeting", "g=greeting o=ordinal m=month", "g LIEB ZUSCHAUER HEUTE o m", 1.0, (
        "{g} liebe zuschauer heute ist der {o_nom} {m}",
        "{g} liebe zuschauer wir haben heute den {o} {m}",
        "liebe zuschauer {g} heute ist der {o_nom} {m}",
        "{g} liebe zuschauer heute haben wir den {o} {m}",
    )),
    Template("wish", "w=wish", "w WÜNSCHEN", 0.5, (
        "ich wünsche ihnen {w}",
        "wir wünschen ihnen {w}",
        "ihnen wünsche ich {w}",
        "ich wünsche ihnen noch {w}",
        "wir wünschen ihnen noch {w}",
    )),
)  # fmt: skip

TEMPLATES: Final[dict[str, Template]] = {template.name: template for template in _ALL}
