"""Checks what `elio demo --json` printed: words, order of the instants, the sound in its files, every field documented.

python3 .ci/check_demo.py DEMO.json docs/records.md
"""

import array
import json
import re
import sys
import wave

# Of each pair the first instant is never later than the second.
ORDER = [
    ("speech_end", "commit"),
    ("stt_final", "llm_sent"),
    ("llm_sent", "llm_first_text"),
    ("llm_first_text", "llm_done"),
    ("llm_first_text", "chunk_ready"),
    ("chunk_ready", "tts_first_pcm"),
    ("tts_first_pcm", "tts_done"),
    ("tts_first_pcm", "first_audible"),
    ("commit", "first_audible"),
    ("first_audible", "playback_end"),
]
AUDIBLE = 10 ** (-50 / 20) * 32768  # -50 dBFS of 16-bit PCM
TOLERANCE_MS = 10


def documented(page, heading):
    """The names in the first column of the tables under a heading of docs/records.md."""
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))


def first_audible_ns(path):
    """Nanoseconds from the first sample of a WAV file to its first audible one; None where it is silent."""
    with wave.open(path) as wav:
        assert wav.getsampwidth() == 2, f"{path} is not 16-bit PCM"
        samples = array.array("h", wav.readframes(wav.getnframes()))
        for index, sample in enumerate(samples):
            if abs(sample) > AUDIBLE:
                return index // wav.getnchannels() * 1e9 / wav.getframerate()
    return None


def faults(turn, fields, instants):
    """What is wrong with one turn, in words."""
    if turn["transcript"] != turn["expected"]:
        yield f"heard {turn['transcript']!r} instead of {turn['expected']!r}"
    if not turn["reply"].strip():
        yield "no reply"
    if turn["outcome"] != "answered":
        yield f"outcome {turn['outcome']}"
    for name in sorted(fields ^ turn.keys()):
        yield f"{name} is " + ("documented and not in the record" if name in fields else "not in docs/records.md")
    for name in sorted(instants ^ turn["instants"].keys()):
        yield f"instant {name} is " + ("documented and not there" if name in instants else "not in docs/records.md")
        return
    missing = sorted({name for pair in ORDER for name in pair if turn["instants"][name] is None})
    if missing:
        yield f"never happened: {', '.join(missing)}"
        return
    for first, second in ORDER:
        if turn["instants"][first] > turn["instants"][second]:
            yield f"{first} is later than {second}"
    if not (turn["total_perceived_ms"] or 0) > 0:
        yield f"total_perceived_ms is {turn['total_perceived_ms']}"
    heard = first_audible_ns(turn["wav"])
    if heard is None:
        yield f"{turn['wav']} is silent"
    else:
        off = (turn["wav_start_ns"] + heard - turn["instants"]["first_audible"]) / 1e6
        if abs(off) > TOLERANCE_MS:
            yield f"first_audible is {off:+.1f} ms off the first sound in {turn['wav']}"


def main(demo, records):
    with open(demo, encoding="utf-8") as file:
        turns = json.load(file)["turns"]
    with open(records, encoding="utf-8") as file:
        page = file.read()
    fields = documented(page, "Fields") | documented(page, "What the demo adds")
    instants = documented(page, "Instants")
    found = [f"turn {n}: {fault}" for n, turn in enumerate(turns, 1) for fault in faults(turn, fields, instants)]
    if len(turns) != 4:
        found.append(f"{len(turns)} turns instead of 4")
    for turn in turns:
        print(f"{turn['total_perceived_ms']} ms to the first sound: {turn['transcript']}")
    for fault in found:
        print(f"check_demo: {fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
