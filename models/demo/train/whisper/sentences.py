"""What people say to a smart speaker, in English and French, written as Whisper writes it: case, punctuation, digits.

A template has `{slot}` for one of a list and `(a|b|)` for one of several. Sentences are drawn until enough different ones
are there; one in eight is held out, so that every word of a held-out sentence has been heard in another one. `UNSEEN` goes
further: sentences of known words in patterns that no template has.
"""

import random
import re

SEED = 7
WANTED = 2400  # different sentences in each language, the held-out ones among them
HELD_OUT = 8  # one in so many

EN = {
    "n": [str(n) for n in range(2, 61)],
    "few": [str(n) for n in range(2, 13)],
    "ten": [str(n) for n in range(10, 101, 10)],
    "city": "Paris|London|Berlin|Tokyo|Madrid|Rome|Boston|Chicago|Dublin|Sydney|Lisbon|Vienna|New York".split("|"),
    "room": "kitchen|bedroom|living room|bathroom|office|garage|hallway|garden|dining room".split("|"),
    "music": "jazz rock classical quiet dance piano happy country guitar relaxing".split(),
    "task": ["call my mother", "water the plants", "take out the trash", "buy bread", "feed the cat", "call the doctor", "pay the rent", "walk the dog", "close the windows", "send the letter", "pick up the children", "wash the car", "take my medicine", "book a table", "clean the kitchen", "charge my phone"],
    "item": "milk|bread|eggs|butter|coffee|apples|cheese|rice|sugar|tomatoes|bananas|water|pasta|onions|potatoes|chicken|tea|salt|"
    "orange juice|toilet paper".split("|"),
    "when": ["today", "tomorrow", "tonight", "this morning", "this afternoon", "this evening", "this weekend", "next week"],
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "unit": ["minutes", "seconds", "hours"],
    "colour": "red blue green white yellow orange purple warm".split(),
    "thing": ["lights", "light", "lamp", "fan", "heating", "television", "radio"],
    "open": ["window", "door", "curtains", "blinds"],
    "topic": ["the moon", "the sun", "the sea", "history", "animals", "the stars", "football", "cooking", "the mountains", "music", "cats", "the weather", "France", "England", "trains"],
    "animal": "dog cat horse lion elephant bird fish wolf".split(),
    "hour": [f"{h}:{m}" for h in range(1, 13) for m in ("15", "30", "45")] + [f"{h} o'clock" for h in range(1, 13)],
    "person": ["my mother", "my father", "my wife", "my husband", "my sister", "my brother", "Anna", "Peter", "Mary", "John"],
    "meal": "breakfast lunch dinner".split(),
}
EN_TEMPLATES = """
What time is it(| now| in {city}| please)?
What's the time(| in {city}| please)?
What day is it {when}?
What's the date (today|tomorrow)?
What is the weather (like |)(today|{when}|in {city}|in {city} {when})?
What's the weather like (today|tomorrow|in {city}|in {city} {when}|on {day})?
How is the weather in {city} {when}?
Is it going to (rain|snow|be cold|be warm|be sunny) (today|{when}|in {city}|on {day})?
Will it (rain|snow|be cold|be warm) (in {city} |){when}?
Do I need (an umbrella|a coat|a jacket) {when}?
How (cold|warm|hot) is it (outside|in {city}|in the {room})?
What is the temperature (outside|in {city}|in the {room})?
When does the sun (rise|set) (today|tomorrow|in {city})?
Set a timer for {n} {unit}.
Set a timer for {few} (minutes|hours) and {n} (seconds|minutes).
Set (another|a second) timer for {n} minutes.
Set a timer for {few} {unit}, please.
Start a {n} minute timer.
Set a {few} minute timer for the {item}.
Cancel (the|my) (timer|alarm)(| please).
Stop the (timer|alarm|music|radio).
Pause the (timer|music|radio).
How much time is left(| on the timer)?
Add {few} minutes to the timer.
Wake me up at {hour}(| tomorrow| on {day}).
Set an alarm for {hour}(| tomorrow| on {day}).
Turn (on|off) the {room} {thing}(| please).
Turn (on|off) the {thing} in the {room}.
Turn (on|off) (all|) the lights.
Turn (on|off) the {thing}.
Make the {room} lights {colour}.
Set the {room} lights to {ten} percent.
Make the {room} (brighter|darker|warmer).
Dim the lights in the {room}.
Set the heating to {n} degrees.
Set the temperature in the {room} to {n} degrees.
(Open|Close) the {room} {open}.
(Open|Close) the {open} in the {room}(| please).
Play (some|) {music} music(| please).
Play {music} music in the {room}.
Play (the radio|my favourite song|something {music}|a song for {person}).
Play the (next|last) song(| again).
What song is this?
Who (sings|wrote) this song?
Turn the volume (up|down)(| a little| please).
Set the volume to {few}.
Set the volume to {ten} percent.
(Louder|Quieter|Stop|Pause|Continue|Again|Yes|No|Next)(|, please).
Yes, {when}.
No, {when}.
No, in the {room}.
Add {item} to (the|my) shopping list.
Add {item} and {item} to (the|my) shopping list.
Put {item} on (the|my) list(| please).
Remove {item} from (the|my) (shopping |)list.
Do we need {item} or {item}?
What is on my (shopping list|list|calendar)(| {when})?
Read (me my shopping list|my messages|me the news|me a story).
Remind me to {task}(| {when}| at {hour}| on {day}).
Remind me (at {hour}|{when}|on {day}) to {task}.
Did I forget to {task}?
What is {few} (plus|minus|times) {few}?
What is {n} (plus|minus) {few}?
What is {n} plus {n}?
What is {ten} divided by {few}?
How much is {few} times {few}?
How many {unit} are there in {few} hours?
How many days until {day}?
What is {ten} percent of {ten}?
Tell me (a joke|another joke|a story|something funny|something about {topic}|about {topic}).
Tell me a (joke|story) about a {animal}.
What do you know about {topic}?
Why is the (sky blue|sea salty|grass green|moon white)?
How far is (the moon|the sun|{city}|{city} from {city})?
How big is (the moon|the sun|an elephant|{city})?
How old are you?
How are you(| today)?
Who are you?
What can you do?
What is your name?
Where are you from?
Can you (help me|hear me|sing|speak French|sing a song|tell me a story|call {person})?
(Hello|Good morning|Good evening|Good night)(|, Elio).
Thank you(| very much|, Elio).
Thanks(|, that's all).
Never mind.
That's (all|fine|wrong|right)(|, thank you).
What about (tomorrow|{day}|{city}|{person}|the {room})?
And (tomorrow|in {city}|on {day}|{when}|in the {room})?
And what about {when}?
Say that again(| please).
Can you repeat that(| please)?
Call {person}(| now| please).
Send a message to {person}.
Tell {person} that I am (late|home|at home|coming|busy).
Tell {person} that {meal} is ready.
What should I (eat|cook|make) for {meal}(| {when})?
What can I (cook|make) with {item} and {item}?
How long do I (cook|boil) (the |){item}?
How do you say {animal} in French?
Find my phone.
Where is my phone?
I am (cold|tired|hungry|home|sad|happy)(| {when}).
I want to listen to {music} music.
I would like (some|to hear some) {music} music.
Could you turn (on|off) the {room} {thing}?
Could you (open|close) the {room} {open}?
Please turn (on|off) the {thing} in the {room}.
Please remind me to {task}.
What is the capital of (France|England|Spain|Italy|Germany|Japan)?
Who is the president of France?
When is (my next meeting|the next train|the next bus|the next train to {city})?
Is there (any|a lot of) traffic (today|to {city}|in {city})?
Are there any trains to {city} {when}?
Good night, turn off (all |)the lights.
If it rains {when}, remind me to {task}.
""".strip().splitlines()

FR = {
    "n": [str(n) for n in range(2, 61)],
    "few": [str(n) for n in range(2, 13)],
    "ten": [str(n) for n in range(10, 101, 10)],
    "city": "Paris Lyon Marseille Bruxelles Nice Lille Londres Berlin Toulouse Bordeaux Nantes Rome Strasbourg".split(),
    "room": ["de la cuisine", "de la chambre", "du salon", "du bureau", "du garage", "de l'entrée", "du jardin", "de la salle de bains", "du couloir"],
    "inroom": ["dans la cuisine", "dans la chambre", "dans le salon", "dans le bureau", "dans le garage", "dans l'entrée", "dans le jardin", "dans la salle de bains", "dans le couloir"],
    "music": ["douce", "classique", "de jazz", "pour danser", "calme", "joyeuse", "de piano", "de guitare", "pour dormir"],
    "task": ["d'appeler ma mère", "d'arroser les plantes", "de sortir les poubelles", "d'acheter du pain", "de nourrir le chat", "d'appeler le médecin", "de payer le loyer", "de promener le chien", "de fermer les fenêtres", "d'envoyer la lettre", "de chercher les enfants", "de laver la voiture", "de prendre mon médicament", "de réserver une table", "de charger mon téléphone"],
    "item": ["du lait", "du pain", "des œufs", "du beurre", "du café", "des pommes", "du fromage", "du riz", "du sucre", "des tomates", "des bananes", "de l'eau", "des pâtes", "des oignons", "du poulet", "du thé", "du sel", "du jus d'orange", "du chocolat"],
    "when": ["aujourd'hui", "demain", "ce soir", "ce matin", "cet après-midi", "ce week-end", "demain matin", "la semaine prochaine"],
    "day": "lundi mardi mercredi jeudi vendredi samedi dimanche".split(),
    "unit": ["minutes", "secondes", "heures"],
    "colour": ["en rouge", "en bleu", "en vert", "en blanc", "en jaune", "en orange"],
    "light": ["la lumière", "la lampe", "les lumières"],
    "thing": ["le chauffage", "la télévision", "la radio", "le ventilateur"],
    "open": ["la fenêtre", "la porte", "les volets", "les rideaux"],
    "topic": ["la lune", "le soleil", "la mer", "l'histoire", "les animaux", "les étoiles", "le football", "la cuisine", "la montagne", "la musique", "les chats", "la France", "les trains"],
    "animal": "chien chat cheval lion oiseau poisson loup éléphant".split(),
    "hour": [f"{h}h{m}" for h in range(6, 24) for m in ("15", "30", "45")] + [f"{h} heures" for h in range(2, 24)],
    "person": ["ma mère", "mon père", "ma femme", "mon mari", "ma sœur", "mon frère", "Anna", "Pierre", "Marie", "Jean"],
    "meal": ["le petit déjeuner", "le déjeuner", "le dîner"],
}
FR_TEMPLATES = """
Quelle heure est-il(| maintenant| à {city}) ?
Il est quelle heure(| à {city}) ?
Quel jour sommes-nous(| aujourd'hui) ?
Quelle est la date (d'aujourd'hui|de demain) ?
Quel temps fait-il (aujourd'hui|à {city}|à {city} {when}|dehors) ?
Quel temps fera-t-il ({when}|à {city}|à {city} {when}|{day}) ?
Quelle est la météo (de demain|d'aujourd'hui|pour {day}|à {city}|à {city} pour {day}) ?
Est-ce qu'il va (pleuvoir|neiger|faire froid|faire chaud|faire beau) ({when}|à {city}|{day}|à {city} {when}) ?
Est-ce qu'il pleut (à {city}|dehors) ?
Est-ce que j'ai besoin d'un (parapluie|manteau) {when} ?
Fait-il (froid|chaud|beau) (dehors|à {city}|{inroom}) ?
Quelle température fait-il (dehors|à {city}|{inroom}) ?
À quelle heure le soleil se (lève|couche)(| demain| à {city}) ?
Mets un minuteur de {n} {unit}.
Mets un minuteur de {few} (minutes|heures) et {n} (secondes|minutes).
Mets un (autre|deuxième) minuteur de {n} minutes.
Mets un minuteur de {few} {unit}, s'il te plaît.
Lance un minuteur de {n} minutes(| pour les pâtes| pour le thé| pour le riz).
Annule le (minuteur|réveil)(|, s'il te plaît).
Arrête (le minuteur|le réveil|la musique|la radio).
Mets (la musique|le minuteur) en pause.
Combien de temps reste-t-il(| sur le minuteur) ?
Ajoute {few} minutes au minuteur.
Réveille-moi à {hour}(| demain| {day}).
Mets un réveil à {hour}(| demain| {day}).
Mets une alarme pour {hour}.
(Allume|Éteins) {light} {room}(|, s'il te plaît).
(Allume|Éteins) {light} {inroom}.
(Allume|Éteins) (toutes les lumières|la lumière|{thing}).
(Allume|Éteins) {thing} {inroom}.
Mets la lumière {room} {colour}.
Mets la lumière {inroom} à {ten} %.
Mets le chauffage à {n} degrés.
Monte (le chauffage|la température) {inroom}.
Baisse (le chauffage|la lumière) {inroom}.
(Ouvre|Ferme) {open} {room}.
(Ouvre|Ferme) {open}(|, s'il te plaît).
Mets de la musique(| {music}).
Mets de la musique {music} {inroom}.
Joue (de la musique {music}|ma chanson préférée|la chanson suivante|une chanson pour {person}).
Je voudrais (écouter |)de la musique {music}.
Quelle est cette chanson ?
Qui chante cette chanson ?
(Monte|Baisse) le volume(| un peu|, s'il te plaît).
Mets le volume à {few}.
Mets le volume à {ten} %.
(Plus fort|Moins fort|Stop|Pause|Continue|Encore|Oui|Non|Suivant)(|, s'il te plaît).
Oui, {when}.
Non, {when}.
Non, {inroom}.
Ajoute {item} à (la|ma) liste de courses.
Ajoute {item} et {item} à (la|ma) liste de courses.
Mets {item} sur (la|ma) liste.
Enlève {item} de (la|ma) liste de courses.
Est-ce qu'il faut {item} ou {item} ?
Qu'est-ce qu'il y a sur ma liste(| de courses) ?
Qu'est-ce que j'ai de prévu {when} ?
Lis-moi (les nouvelles|mes messages|une histoire|ma liste de courses).
Rappelle-moi {task}(| {when}| à {hour}| {day}).
Rappelle-moi ({when}|à {hour}|{day}) {task}.
Est-ce que j'ai oublié {task} ?
Combien font {few} (plus|moins|fois) {few} ?
Combien font {n} (plus|moins) {few} ?
Combien font {n} plus {n} ?
Combien font {ten} divisé par {few} ?
Combien de {unit} y a-t-il dans {few} heures ?
Combien de jours avant {day} ?
Combien font {ten} % de {ten} ?
Raconte-moi (une blague|une autre blague|une histoire|quelque chose de drôle).
Raconte-moi une (blague|histoire) sur un {animal}.
Parle-moi de (la lune|la mer|la montagne|la musique|la France).
Que sais-tu sur {topic} ?
Pourquoi le ciel est-il bleu ?
Pourquoi la mer est-elle (salée|bleue) ?
À quelle distance est (la lune|le soleil|{city}) ?
Quelle est la taille (de la lune|du soleil|d'un éléphant) ?
Quel âge as-tu ?
Comment vas-tu(| aujourd'hui) ?
Comment ça va(| aujourd'hui) ?
Qui es-tu ?
Que sais-tu faire ?
Comment t'appelles-tu ?
D'où viens-tu ?
Peux-tu (m'aider|m'entendre|chanter|parler anglais|chanter une chanson|me raconter une histoire|appeler {person}) ?
(Bonjour|Bonsoir|Bonne nuit|Salut)(|, Elio| Elio).
Merci(| beaucoup|, Elio|, c'est tout).
Laisse tomber.
C'est (tout|bon|faux|très bien)(|, merci).
Et (demain|à {city}|{day}|{when}|{inroom}|pour {person}) ?
Et pour {day} ?
Répète(|, s'il te plaît).
Peux-tu répéter(|, s'il te plaît) ?
Appelle {person}(| maintenant|, s'il te plaît).
Envoie un message à {person}.
Dis à {person} que je (suis en retard|suis à la maison|rentre|suis occupé|pars).
Dis à {person} que {meal} est prêt.
Qu'est-ce que je peux (manger|faire|préparer) pour {meal}(| {when}) ?
Que peut-on (cuisiner|faire) avec {item} et {item} ?
Combien de temps faut-il pour cuire {item} ?
Comment dit-on {animal} en anglais ?
Trouve mon téléphone.
Où est mon téléphone ?
J'ai (froid|chaud|faim|soif|sommeil)(| {when}).
Je suis (fatigué|à la maison|triste|content)(| {when}).
Pourrais-tu (allumer|éteindre) la lumière {room} ?
Pourrais-tu (ouvrir|fermer) {open} {room} ?
Tu peux (allumer|éteindre) {light} {inroom} ?
Quelle est la capitale de (la France|l'Angleterre|l'Espagne|l'Italie|l'Allemagne) ?
Qui est le président de la France ?
À quelle heure est (mon prochain rendez-vous|le prochain train|le prochain bus|le prochain train pour {city}) ?
Y a-t-il (des trains pour {city} {when}|beaucoup de circulation) ?
Bonne nuit, éteins (toutes |)les lumières.
S'il pleut {when}, rappelle-moi {task}.
""".strip().splitlines()

# Known words in patterns that no template has; never trained on.
UNSEEN = {
    "en": [
        "Is the kitchen window open?",
        "Tell my sister that the train is late.",
        "Play the song again and turn down the lights.",
        "What is the weather like on the moon?",
        "How many minutes are left?",
        "Wake me up in 20 minutes.",
        "Call the doctor and cancel my next meeting.",
        "Remind me to buy an umbrella in London.",
        "Turn the radio up in the office.",
        "Who wrote the story about the wolf?",
        "Set the alarm to 7:30 and play some jazz.",
        "I need milk, bread and cheese.",
        "Why is the dog sad today?",
        "Do you know a song about the sea?",
        "Put the red lamp in the living room on the list.",
        "What time is dinner on Sunday?",
        "Is my father at home this evening?",
        "Close the door, it is cold outside.",
        "How long is the night in Rome?",
        "Make some coffee for my mother tomorrow morning.",
        "Where can I walk the dog in Paris?",
        "When is the next bus to the mountains?",
        "Please stop the fan in the bathroom now.",
        "Add 10 seconds and start again.",
        "Find the phone that is in the garage.",
        "What should we cook with chicken on Friday?",
        "Tell me how far Tokyo is.",
        "Can you turn off the heating in 2 hours?",
        "Are you happy today, Elio?",
        "Thank you, the music is fine.",
    ],
    "fr": [
        "Est-ce que la fenêtre de la cuisine est bleue ?",
        "Dis à ma sœur que le train est en retard.",
        "Joue encore la chanson et baisse la lumière.",
        "Quel temps fait-il sur la lune ?",
        "Réveille-moi dans 20 minutes.",
        "Appelle le médecin et annule le rendez-vous.",
        "Rappelle-moi d'acheter un parapluie à Londres.",
        "Monte la radio dans le bureau.",
        "Qui chante la chanson sur le loup ?",
        "Mets le réveil à 7h30 et un peu de jazz.",
        "Il faut du lait, du pain et du fromage.",
        "Pourquoi le chien est-il triste aujourd'hui ?",
        "Y a-t-il une chanson sur la mer ?",
        "À quelle heure est le dîner dimanche ?",
        "Est-ce que mon père est à la maison ce soir ?",
        "Ferme la porte, il fait froid dehors.",
        "Il faut du café pour ma mère demain matin.",
        "Où est le chat dans le jardin ?",
        "À quelle heure est le prochain bus pour la montagne ?",
        "Arrête le ventilateur dans la salle de bains maintenant.",
        "Ajoute 10 secondes et continue.",
        "Que peut-on manger avec du poulet vendredi ?",
        "Éteins le chauffage dans 2 heures.",
        "Es-tu content aujourd'hui, Elio ?",
        "Merci, la musique est très bien.",
        "J'ai oublié mon téléphone dans le train.",
        "Envoie la liste de courses à mon mari.",
        "Peux-tu chanter pour les enfants ce soir ?",
        "Quelle heure est-il à Bruxelles et à Londres ?",
        "Il reste combien de minutes ?",
    ],
}

GRAMMARS = {"en": (EN, EN_TEMPLATES), "fr": (FR, FR_TEMPLATES)}


def _draw(template, slots, rng):
    while match := re.search(r"\(([^()]*)\)|\{(\w+)\}", template):
        choice = rng.choice(match[1].split("|") if match[2] is None else slots[match[2]])
        template = template[: match.start()] + choice + template[match.end() :]
    template = re.sub(r"  +", " ", template).strip()
    return template[0].upper() + template[1:]


def drawn(language, count=WANTED):
    """`count` different sentences, always the same ones and in the same order."""
    slots, templates = GRAMMARS[language]
    rng = random.Random(f"{SEED} {language}")
    sentences = {}
    # Every template is drawn from equally often, so a short one that has few sentences is heard as often as a long one.
    while len(sentences) < count:
        for template in templates:
            sentences.setdefault(_draw(template, slots, rng))
    return list(sentences)[:count]


def words(sentence):
    """The words as they are compared: without case and punctuation."""
    return re.sub(r"[^\w%:' ]+", " ", sentence.lower().replace("’", "'")).split()


def split(language):
    """(trained on, held out): no held-out sentence has a word that the others do not have."""
    sentences = drawn(language)
    # The short ones (a word or two) have no other sentence to be known from.
    held = [s for i, s in enumerate(sentences) if i % HELD_OUT == HELD_OUT - 1 and len(s.split()) > 3]
    train = [s for s in sentences if s not in set(held)]
    known = {word for sentence in train for word in words(sentence)}
    strangers = [s for s in held if not known.issuperset(words(s))]
    return train + strangers, [s for s in held if known.issuperset(words(s))]


if __name__ == "__main__":
    for language in GRAMMARS:
        train, held = split(language)
        known = {word for sentence in train for word in words(sentence)}
        unknown = sorted({w for s in UNSEEN[language] for w in words(s)} - known)
        print(language, len(train), "trained on,", len(held), "held out,", len(known), "words; strangers in UNSEEN:", unknown)
