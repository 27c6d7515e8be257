"""The tools of this folder say what they should: the same seed gives the same files, every operator occurs, and the survey's rule accepts what is drawn."""

import contextlib
import csv
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest

import numpy as np

import random_networks
import survey
from draw import OPERATORS
from oracles import Refused, guarded, litert, tflm

DIGITS = pathlib.Path(__file__).parents[2] / "examples/digits"


def generate(folder, count):
    sys.argv = ["random_networks.py", "--seed", "7", "--count", str(count), "--out", folder]
    with contextlib.redirect_stdout(io.StringIO()):
        random_networks.main()


class Networks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kept = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.kept.name)
        generate(cls.kept.name, 48)
        cls.entries = json.loads((cls.folder / "index.json").read_text())

    @classmethod
    def tearDownClass(cls):
        cls.kept.cleanup()

    def test_same_seed_gives_same_files(self):
        with tempfile.TemporaryDirectory() as again:
            generate(again, 48)
            for path in self.folder.iterdir():
                self.assertEqual(path.read_bytes(), (pathlib.Path(again) / path.name).read_bytes(), path.name)

    def test_single_operator_networks_take_every_operator_in_turn(self):
        for entry, name in zip(self.entries[::2], OPERATORS, strict=True):
            self.assertIn(name, entry["ops"])

    def test_survey_accepts_what_is_drawn(self):
        for path in sorted(self.folder.glob("*.tflite")):
            for network in survey.read(path):
                self.assertIsNone(network.refusal(), path.name)

    def test_arrays_are_of_the_dtypes_in_the_index(self):
        for entry in self.entries:
            arrays = np.load(self.folder / entry["file"].replace(".tflite", ".npz"))
            for call in range(random_networks.CALLS):
                self.assertEqual([arrays[f"in_{call}_{i}"].dtype.name for i in range(len(entry["inputs"]))], entry["inputs"])
                self.assertEqual([arrays[f"out_{call}_{i}"].dtype.name for i in range(len(entry["outputs"]))], entry["outputs"])

    def test_most_outputs_are_neither_saturated_nor_all_one_value(self):
        spread = []
        for entry in self.entries:
            values = np.load(self.folder / entry["file"].replace(".tflite", ".npz"))["out_0_0"]
            spread.append(np.unique(values, return_counts=True)[1].max() / values.size < 0.9 or values.size < 5)
        self.assertGreater(np.mean(spread), 0.8)


class Digits(unittest.TestCase):
    def test_both_oracles_give_the_expected_outputs(self):
        model = (DIGITS / "digits.tflite").read_bytes()
        _, *rows = csv.reader((DIGITS / "expected.csv").read_text().splitlines())
        images = [np.loadtxt(DIGITS / "test" / row[0], delimiter=",").reshape(1, 8, 8, 1) for row in rows]
        # The file's input scale is 1/255, its zero point -128.
        calls = [[(np.round(image / np.float32(1 / 255)) - 128).astype(np.int8)] for image in images]
        for outputs in (guarded(tflm, model, calls, 1), guarded(litert, model, calls)):
            self.assertEqual([[str(value) for value in output[0]] for (output,) in outputs], [row[2:] for row in rows])


class Guard(unittest.TestCase):
    def test_crash_is_a_refusal(self):
        with self.assertRaisesRegex(Refused, "exit code -6"):
            guarded(os.abort)


if __name__ == "__main__":
    unittest.main()
