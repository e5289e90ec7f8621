"""Examines a Whisper on clips that it never heard, through `elio transcribe`: whisper.cpp, Elio's search, Elio's trimming.

    python -m whisper.examine FOLDER MODEL... [--elio target/release/elio] [--clips 200]

Prints a table for each model: word error rate (case and punctuation aside) and exact sentences by group, how unfinished
sentences are written, and what is made of silence and noise.
"""

import argparse
import json
import pathlib
import random
import subprocess
import wave

import numpy as np

from . import clips, sentences, voices

SEED = 99
RATE = clips.RATE


def write(path, sound):
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, RATE, 0, "NONE", ""))
        wav.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


def surrounded(sound, generator, snr):
    """0.3 s of room before and after; noise `snr` dB under the speech (None: a converter's floor)."""
    edge = np.zeros(int(0.3 * RATE), np.float32)
    clip = np.concatenate([edge, sound * (0.4 / (np.abs(sound).max() + 1e-6)), edge])
    level = 10 ** (-70 / 20) if snr is None else np.sqrt(np.mean((sound * 0.4 / np.abs(sound).max()) ** 2)) * 10 ** (-snr / 20)
    return clip + generator.standard_normal(len(clip)).astype(np.float32) * level


def groups(count, rng):
    """Name of the group, and its (language, voice, text)."""
    train = {language: sentences.split(language)[0] for language in sentences.GRAMMARS}
    held = {language: sentences.split(language)[1] for language in sentences.GRAMMARS}

    def draw(texts, voice_of):
        for language in sentences.GRAMMARS:
            for _ in range(count // 2):
                yield language, voice_of(language), rng.choice(texts[language])

    known = lambda language: voices.train_voice(language, rng)  # noqa: E731
    own = lambda language: "espeak:" + rng.choice(voices.ACCENTS[language]) + "+" + rng.choice(voices.HELD_OUT_VARIANTS)  # noqa: E731
    yield "known voices, known sentences", draw(train, known)
    yield "held-out espeak-ng voices, known sentences", draw(train, own)
    for other in voices.HELD_OUT_OTHERS["en"]:
        texts = rng.sample(train["en"], count // 2)
        yield f"held-out {other}, known sentences", [("en", other, text) for text in texts]
    yield "known voices, held-out sentences", draw(held, known)
    yield "held-out espeak-ng voices, held-out sentences", draw(held, own)
    yield "known voices, unseen patterns", draw(sentences.UNSEEN, known)
    yield "held-out espeak-ng voices, unseen patterns", draw(sentences.UNSEEN, own)


def make(folder, count):
    """Writes every clip once, with expected.json beside."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, generator = random.Random(SEED), np.random.default_rng(SEED)
    listed = []

    def add(group, sound, language, text):
        path = folder / f"{len(listed):05}.wav"
        write(path, sound)
        listed.append({"wav": str(path), "group": group, "language": language, "text": text})

    for group, drawn in groups(count, rng):
        for language, voice, text in drawn:
            try:
                recording = clips.Recording(voice, language, text, rng)
            except ValueError:
                continue
            add(f"{group}, clean", surrounded(recording.sound, generator, None), language, text)
            add(f"{group}, 10 dB", surrounded(recording.sound, generator, 10), language, text)
            if voice.startswith("espeak") and "held-out espeak-ng voices" in group and (part := clips.cut(recording, rng)):
                sound, prefix, _, torn = part
                tail = np.zeros(0 if torn else int(rng.uniform(0.15, 0.6) * RATE), np.float32)
                clip = surrounded(np.concatenate([sound, tail]), generator, None)
                clip = clip[: -int(0.3 * RATE)] if torn else clip
                add("unfinished, held-out voices", clip, language, prefix)
            if voice.startswith("espeak") and "held-out espeak-ng voices" in group and (part := clips.paused(recording, rng)):
                add("a pause inside, held-out voices", surrounded(part[0], generator, None), language, text)
    for _ in range(count // 2):
        add("nothing", clips.nothing(rng, generator)[0], "en", "")
    (folder / "expected.json").write_text(json.dumps(listed))


def distance(expected, heard):
    """Words that must be changed to make one of the other."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(expected, 1):
        row, before = [i], row
        for j, other in enumerate(heard):
            row.append(min(before[j + 1] + 1, row[j] + 1, before[j] + (word != other)))
    return row[-1]


MANIFEST = """
[[model]]
name = "{name}"
kind = "whisper"
use = "to be examined"
licence = "MIT OR Apache-2.0"
source = "made by this project"
languages = ["en", "fr"]
audio_ctx_min = {context}
[[model.file]]
file = "{file}"
verify = "just made"
"""


def transcribe(elio, model, context, manifest, paths):
    """What Elio hears in each file, as its JSON, with an encoder context of at least `context` positions."""
    manifest.write_text(MANIFEST.format(name=model.stem, file=model.name, context=context))
    sets = [f"models.manifest={json.dumps(str(manifest))}", f"models.dirs=[{json.dumps(str(model.parent.resolve()))}]"]
    options = [*(word for key in sets for word in ("--set", key)), "--set", "stt.threads=1"]
    heard = []
    for begin in range(0, len(paths), 500):
        command = [elio, "transcribe", "--json", "--model", model.stem, *options, *paths[begin : begin + 500]]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        heard += [json.loads(line) for line in out.splitlines()]
    return heard


def report(title, listed, heard, wrong):
    by_group = {}
    for expected, got in zip(listed, heard):
        by_group.setdefault(expected["group"], []).append((expected, got))
    print(f"\n{title}\n\n| group | clips | WER % | exact words | language | ends as written |\n|---|---|---|---|---|---|")
    for group, pairs in by_group.items():
        if group == "nothing":
            empty = sum(not got["text"] for _, got in pairs)
            print(f"| nothing | {len(pairs)} | | {empty} of {len(pairs)} empty | | |")
            continue
        errors = total = exact = language = ends = 0
        for expected, got in pairs:
            words, said = sentences.words(expected["text"]), sentences.words(got["text"])
            errors, total = errors + distance(words, said), total + len(words)
            exact += words == said
            language += expected["language"] == got["language"]
            ends += expected["text"][-1:] in ".?!" and expected["text"][-1:] == got["text"][-1:] or (
                expected["text"][-1:] not in ".?!" and got["text"][-1:] not in ".?!"
            )
            if wrong and words != said:
                print(f"    {expected['text']!r} heard as {got['text']!r}")
        n = len(pairs)
        print(f"| {group} | {n} | {100 * errors / total:.1f} | {100 * exact / n:.0f} % | {100 * language / n:.0f} % | {100 * ends / n:.0f} % |")
    times = sorted(got["stt_compute_ms"] for got in heard if got["audio_ctx"])
    print(f"\ncompute: median {times[len(times) // 2]:.0f} ms, P95 {times[len(times) * 95 // 100]:.0f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    parser.add_argument("--elio", default="target/release/elio")
    parser.add_argument("--context", type=int, default=64, help="positions of the encoder, at least")
    parser.add_argument("--sample", type=int, default=1, help="examine one clip in so many")
    parser.add_argument("--clips", type=int, default=200, help="in each group")
    parser.add_argument("--wrong", action="store_true", help="print what was misheard")
    options = parser.parse_args()
    if not (options.folder / "expected.json").exists():
        make(options.folder, options.clips)
    listed = json.loads((options.folder / "expected.json").read_text())[:: options.sample]
    for model in options.models:
        manifest = options.folder.resolve() / "manifest.toml"
        heard = transcribe(options.elio, model, options.context, manifest, [clip["wav"] for clip in listed])
        report(f"{model.name}, encoder context from {options.context}", listed, heard, options.wrong)


if __name__ == "__main__":
    main()
