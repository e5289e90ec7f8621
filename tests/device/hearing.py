"""What left a board's speaker, heard again on the host."""

import difflib
import hashlib
import json
import math
import re
import struct
import subprocess
import wave

from board import ROOT, say

ELIO = [ROOT / "target/release/elio"]
DEMO = ["--config", ROOT / "configs/demo.toml"]
# How well the loudness of what was heard follows that of the line: through the card it is the line itself, and no other line of the same
# voice comes near.
ALIKE = 0.95


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


def line(board, sound, language, text):
    """True where what was recorded under the name `sound` has the line `text` in it, as the board keeps it on its disk."""
    path = board.recorded(sound)
    kept = _kept(board.share / "out/lines", language, text)
    if path is None or kept is None:
        say(f"  “{text}”: {'nothing was recorded' if path is None else 'it is not on the disk'}")
        return False
    with wave.open(str(path)) as wav:
        heard = _loudness(memoryview(wav.readframes(wav.getnframes())).cast("h"), wav.getframerate())
    alike, at = _place(_loudness(*kept), heard)
    say(f"  “{text}” is heard {at / 100:.1f} s after the recording's begin, {alike:.0%} alike")
    return alike >= ALIKE


def _kept(folder, language, text):
    """Samples and rate of a kept line (src/tts/kept.rs), none where there is none."""
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = next(folder.glob(f"{language}-{name}-*.pcm"), None)
    if path is None:
        return None
    magic, rate, _, voice = struct.unpack_from("<8sIQH", data := path.read_bytes())
    if magic != b"ELIOPCM1":
        raise SystemExit(f"device-test: {path}: another layout of kept lines than hearing.py knows")
    return memoryview(data[struct.calcsize("<8sIQH") + voice : -32]).cast("h"), rate


def _loudness(samples, rate):
    """The loudness of each 10 ms, the square root of it, so that soft sounds count too."""
    frame = rate // 100
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
