"""What left a board's speaker, heard again on the host."""

import difflib
import json
import math
import re
import subprocess
import wave

from board import ROOT, RUN, say

ELIO = [ROOT / "target/release/elio"]
DEMO = ["--config", ROOT / "configs/demo.toml"]
# Two sounds are of the same words where their loudness goes up and down together. The voice's noise is random, so that it never is
# quite 1; other lines of the same voice reach some 0.7.
ALIKE = 0.9


def answer(board):
    """True where the answer that was recorded is speech, of the words that Claude sent."""
    path = board.recorded("answer-press")
    if path is None:
        return False
    command = [*ELIO, "transcribe", path, *DEMO, "--json"]
    heard = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["text"]
    requests = [json.loads(line) for line in (board.share / "out/requests.jsonl").read_text().splitlines()]
    sent = next((request["reply"] for request in requests if request.get("reply")), "")
    words = lambda text: re.findall(r"[a-z]+", text.lower())
    common = sum(block.size for block in difflib.SequenceMatcher(None, words(sent), words(heard)).get_matching_blocks())
    share = common / max(len(words(sent)), 1)
    say(f"  Claude wrote:            {sent}\n  heard from the card:     {heard}\n  words that are the same: {share:.0%}")
    return share >= 0.8


def line(board, sound, text):
    """True where what was recorded has the line `text`, as the demo's voice speaks it."""
    path = board.recorded(sound)
    if path is None:
        return False
    wanted = RUN / f"{sound}-wanted.wav"
    subprocess.run([*ELIO, "say", text, *DEMO, "--out", wanted], check=True, capture_output=True)
    alike, at = _place(_loudness(wanted), _loudness(path))
    say(f"  “{text}” is heard {at / 100:.1f} s after the recording's begin, {alike:.0%} alike")
    return alike >= ALIKE


def _loudness(path):
    """The loudness of each 10 ms, a square root of it, so that soft sounds count too."""
    with wave.open(str(path)) as wav:
        samples = memoryview(wav.readframes(wav.getnframes())).cast("h")
        frame = wav.getframerate() // 100
    frames = (samples[at : at + frame] for at in range(0, len(samples) - frame, frame))
    return [math.sqrt(math.sqrt(sum(sample * sample for sample in each) / frame)) for each in frames]


def _place(wanted, heard):
    """Where `heard` follows `wanted` best: (correlation, place)."""
    return max(((_correlation(wanted, heard[at : at + len(wanted)]), at)
                for at in range(0, len(heard) - len(wanted) + 1)), default=(0.0, 0))


def _correlation(a, b):
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    a, b = [x - mean_a for x in a], [x - mean_b for x in b]
    size = math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b)) / size if size else 0.0
