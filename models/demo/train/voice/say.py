"""Speaks with an exported voice, as the program does: phonemes or letters into numbers, one inference, one core."""

import json
import time
import unicodedata

import numpy as np
import onnxruntime

from .phonemes import phonemes


class Voice:
    """A voice of either kind from its two files."""

    def __init__(self, onnx, table):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
        self.table = json.loads(table.read_text(encoding="utf-8"))
        self.of_phonemes = "phoneme_id_map" in self.table

    def ids(self, text, language):
        """The numbers of a text, int64 [1, T]."""
        if self.of_phonemes:
            known, replaced = self.table["phoneme_id_map"], self.table["phoneme_map"]
            symbols = "".join("".join(replaced.get(s, s)) for s in phonemes([text], language)[0])
            symbols = unicodedata.normalize("NFD", symbols)
            numbers = [known["^"], known["_"]]
            for symbol in symbols:
                if symbol in known and symbol not in "_^$":
                    numbers += [known[symbol], known["_"]]
            numbers = [each for number in numbers for each in number] + known["$"]
        else:
            known = self.table["vocab"]
            numbers = [0]
            for letter in text.lower().replace("’", "'"):
                if letter in known:
                    numbers += [known[letter], 0]
        return np.array([numbers])

    def run(self, ids):
        """Samples float32 [N] and the seconds that the inference took."""
        length, one = np.array([ids.shape[1]]), np.ones(1, np.float32)
        inputs = {"input": ids, "input_lengths": length, "scales": np.array([0.667, 1, 0.8], np.float32)}
        if not self.of_phonemes:
            inputs = {"x": ids, "x_length": length, "noise_scale": one, "length_scale": one, "noise_scale_w": one}
        begun = time.perf_counter()
        samples = self.session.run(None, inputs)[0].ravel()
        return samples, time.perf_counter() - begun

    def say(self, text, language):
        """Samples float32 [N] of a text."""
        return self.run(self.ids(text, language))[0]
