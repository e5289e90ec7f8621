"""What the teacher reads: the demo's replies and random phrases of dictionary and function words, in both languages."""

import random
import re
import tomllib
from functools import cache
from pathlib import Path

from .settings import MODELS

# Debian's packages wamerican and wfrench.
_DICTIONARY = {"en": "/usr/share/dict/american-english", "fr": "/usr/share/dict/french"}

# The small words change with their neighbours (weak forms, liaison, elision): they come more often than chance would.
_SMALL = {
    "en": """a an the this that these those my your his her its our their i you he she it we they me him us them
    who what which when where why how and or but if because so as than of to in on at by for with from
    about into over under after before between through is am are was were be been being do does did have
    has had will would can could shall should may might must not no yes there here now then just only very
    too also again more most some any all each every other such one two three four five six seven eight
    nine ten eleven twelve thirteen fifteen twenty thirty forty fifty hundred thousand first second third
    hello please thanks sorry good today tomorrow minutes hours degrees timer light music weather don't
    can't it's i'm you're let's what's""".split(),
    "fr": """un une le la les du des de à au aux ce cet cette ces mon ma mes ton ta tes son sa ses notre nos votre
    vos leur leurs je tu il elle on nous vous ils elles me te se lui y en qui que quoi dont où quel quelle
    quand comment pourquoi et ou mais si car donc ni parce comme dans sur sous avec sans pour par chez
    vers entre depuis pendant avant après est sont suis es êtes sommes était étaient ai as a ont avons
    avez avait fait font va vont peut peux doit ne pas plus très bien trop aussi encore toujours jamais
    tout tous toute ici là oui non voici voilà deux trois quatre cinq six sept huit neuf dix onze douze
    treize quatorze quinze seize vingt trente quarante cinquante soixante cent mille bonjour merci désolé
    bonne demain aujourd'hui minutes heures degrés minuteur lumière musique météo c'est j'ai l'heure
    d'accord n'est qu'il qu'est-ce s'il""".split(),
}
_FILLS = {"en": ["paris", "twenty five", "the kitchen", "jazz"], "fr": ["paris", "vingt cinq", "la cuisine", "jazz"]}


@cache
def words(language):
    """Words of the dictionary: lower case, letters only, at most 12."""
    lines = Path(_DICTIONARY[language]).read_text(encoding="utf-8").split()
    return [word for word in lines if word.isalpha() and word.islower() and 2 < len(word) <= 12]


@cache
def replies(language, plain_only=False):
    """The sentences of the demo's replies, each once; placeholders filled, or left out with their sentences."""
    rules = tomllib.loads((MODELS / "replies.toml").read_text(encoding="utf-8"))
    found = {}
    for rule in rules["rule"] + rules["fallback"]:
        if rule["language"] != language:
            continue
        for reply in rule["replies"]:
            for sentence in re.split(r"(?<=[.!?])\s+(?=\w|\{)", reply):
                if "{" in sentence and plain_only:
                    continue
                fills = _FILLS[language] if "{" in sentence else [""]
                for fill in fills:
                    found[re.sub(r"\{[^}]*\}", fill, sentence)] = None
    return list(found)


def phrase(language, random):
    """One text of 1 to 9 random words, with marks here and there, and often none at the end, as a first chunk has."""
    count = random.choice([1, 2, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9])
    text = ""
    for index in range(count):
        if index:
            text += random.choice([" "] * 20 + [", "] * 3 + [". ", "! ", "? ", ": "])
        text += random.choice(_SMALL[language] if random.random() < 0.5 else words(language))
    return text + random.choice([".", ".", "?", "!", ",", ":", "", ""])


def piece(language, random):
    """A reply's sentence, whole or cut at a word."""
    sentence = random.choice(replies(language))
    if random.random() < 0.5:
        return sentence
    split = sentence.split()
    start = random.randrange(len(split))
    return " ".join(split[start : start + random.randint(2, 10)]).strip(" :;!?,.") + random.choice([".", ",", "", ""])


def texts(count, seed):
    """`count` pairs (language, text), half in each language, a third of them from the replies; the same for a seed."""
    source = random.Random(seed)
    made = []
    for index in range(count):
        language = ("en", "fr")[index % 2]
        made.append((language, (piece if source.random() < 0.35 else phrase)(language, source)))
    return made
