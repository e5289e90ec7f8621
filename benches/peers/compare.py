"""Elio against whisper.cpp (pywhispercpp) and Piper (piper-tts), in turns; tables of Markdown on standard output."""

import argparse
import json
import math
import os
import subprocess
import time
import tomllib
import unicodedata
import wave
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "models/demo"
ROUNDS = 3
# ONNX Runtime's threads in Piper spin for a while after a run, and would take the core from whoever comes next.
REST = 0.1
CHUNKS = (
    "It is noon", "In the morning", "On the table", "The light is", "Turn it off", "At a quarter", "Your timer has",
    "There are two", "I have added", "The kitchen light", "Tomorrow it will", "You have three", "That is right",
    "Of course not", "Next to it", "The train leaves", "Rain is likely", "Here is one", "It starts at",
    "About ten minutes",
)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("hearing")
    voices = what.add_parser("voice")
    voices.add_argument("--peers", required=True, help="benches/peers/main.rs, built")
    voices.add_argument("voices", nargs="+", metavar="ONNX=THREADS", help="a voice, and Elio's tts.threads for it")
    args = parser.parse_args()
    print(f"{processor()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f} at the start\n")
    if args.what == "hearing":
        hearing()
    else:
        for voice in args.voices:
            path, threads = voice.rsplit("=", 1)
            speaking(args.peers, ROOT / path, threads)
    print(f"Load average {os.getloadavg()[0]:.2f} at the end.")


def processor():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else os.uname().machine


def percentile(values, percent):
    """Nearest rank, as `elio bench` has it."""
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


def table(rows, first):
    """`rows`: name → (values in ms, what else there is to say). Ratios are to the row `first`."""
    print("| | P50 ms | P95 ms | ratio of the P50 | of the P95 | |\n|---|---|---|---|---|---|")
    base = [percentile(rows[first][0], p) for p in (50, 95)]
    for name, (values, note) in rows.items():
        own = [percentile(values, p) for p in (50, 95)]
        ratios = " | ".join(f"{a / b:.2f}" for a, b in zip(own, base))
        print(f"| {name} | {own[0]:.1f} | {own[1]:.1f} | {ratios} | {note} |")
    print()


# Hearing


class Clip:
    def __init__(self, path, language, text):
        self.path, self.language, self.text = path, language, text
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2), path
            self.samples = numpy.frombuffer(file.readframes(file.getnframes()), numpy.int16).astype(numpy.float32) / 32768


def clips():
    for path, key in ((DEMO / "clips/clips.toml", "clip"), (DEMO / "questions/questions.toml", "question")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))[key]:
            yield Clip(path.parent / entry["file"], entry["language"], entry["text"])


def words(text):
    return "".join(c if c.isalnum() else " " for c in unicodedata.normalize("NFC", text).lower()).split()


class Elio:
    name = "Elio"

    def hear(self, clips):
        for language in ("en", "fr"):
            spoken = [clip for clip in clips if clip.language == language]
            command = [ROOT / "target/release/elio", "transcribe", "--json", "--config", ROOT / "configs/demo.toml"]
            command += ["--set", "stt.threads=1", "--language", language, *(clip.path for clip in spoken)]
            lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
            for clip, line in zip(spoken, map(json.loads, lines), strict=True):
                yield clip, line["stt_compute_ms"], line["text"]


class WhisperCpp:
    """Greedy, one segment, without timestamps and second tries, one thread, the language given: as Elio's search is."""

    def __init__(self, name, model, context):
        self.name, self.model, self.context = name, model, context

    def hear(self, clips):
        for clip in clips:
            start = time.perf_counter()
            segments = self.model.transcribe(clip.samples, language=clip.language, audio_ctx=self.context(clip))
            yield clip, (time.perf_counter() - start) * 1e3, " ".join(segment.text.strip() for segment in segments)


def fitted(clip):
    """src/stt/engine.rs, audio_ctx(); 64 is the demo model's least one in models/manifest.toml."""
    positions = -(-len(clip.samples) // 320) + 24
    return min(max(-(-positions // 16) * 16, 64), 1500)


def hearing():
    from pywhispercpp.model import Model

    settings = dict(
        n_threads=1, greedy={"best_of": 1}, temperature_inc=0.0, no_timestamps=True, single_segment=True,
        no_context=True, print_progress=False, print_realtime=False,
    )  # fmt: skip
    model = Model(str(DEMO / "whisper-demo-q5_1.bin"), redirect_whispercpp_logs_to=None, **settings)
    programs = [
        Elio(),
        WhisperCpp("whisper.cpp, its own context", model, lambda clip: 0),
        WhisperCpp("whisper.cpp, the context fitted", model, fitted),
    ]
    every = list(clips())
    for program in programs[1:]:
        list(program.hear(every[:2]))
    took, texts = {program.name: [] for program in programs}, {program.name: {} for program in programs}
    for round in range(ROUNDS):
        for program in programs[round:] + programs[:round]:
            for clip, ms, text in program.hear(every):
                took[program.name].append(ms)
                texts[program.name][clip.path] = words(text)
    print(f"{len(every)} clips, each {ROUNDS} times, whisper-demo-q5_1, one thread")
    print(f"pywhispercpp's build: {Model.system_info()}\n")
    rows, ours = {}, texts["Elio"]
    for name, heard in texts.items():
        right = sum(heard[clip.path] == words(clip.text) for clip in every)
        same = sum(heard[clip.path] == ours[clip.path] for clip in every)
        rows[name] = took[name], f"{right} of {len(every)} texts right" + (f", {same} as Elio's" if name != "Elio" else "")
    table(rows, "Elio")
    for clip in every:
        said = {name: " ".join(heard[clip.path]) for name, heard in texts.items()}
        if len(set(said.values())) > 1:
            print(f"- {clip.path.name}: {said}")
    print()


# Speaking


def speaking(peers, onnx, threads):
    from piper import PiperVoice

    piper = PiperVoice.load(onnx)

    def by_piper(text):
        start = time.perf_counter()
        chunk = next(iter(piper.synthesize(text)))
        return (time.perf_counter() - start) * 1e3, len(chunk.audio_float_array) / chunk.sample_rate * 1e3

    command = [peers, "voice", onnx, threads]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as elio:

        def by_elio(text):
            print(text, file=elio.stdin)
            said = json.loads(elio.stdout.readline())
            return said["ttfb_ms"], said["audio_ms"]

        programs = {"Elio": by_elio, "piper-tts": by_piper}
        took, audio = {name: [] for name in programs}, {name: [] for name in programs}
        # The first round warms both.
        for round in range(ROUNDS + 1):
            for n, text in enumerate(CHUNKS):
                for name in list(programs)[:: -1 if (n + round) % 2 else 1]:
                    time.sleep(REST)
                    ms, length = programs[name](text)
                    if round > 0:
                        took[name].append(ms)
                        audio[name].append(length)
        elio.stdin.close()
    print(f"{onnx.name}, {len(CHUNKS)} chunks of three words, each {ROUNDS} times: time to the first sample\n")
    notes = {"Elio": f"tts.threads = {threads}", "piper-tts": "as it is shipped: a thread for each core, which spins"}
    rows = {name: (took[name], f"{notes[name]}; {percentile(audio[name], 50):.0f} ms of sound") for name in programs}
    table(rows, "Elio")


if __name__ == "__main__":
    main()
