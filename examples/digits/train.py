#!/usr/bin/env python3
"""Trains the digit recogniser: UCI digits in, `digits.tflite` out, with test digits and what LiteRT makes of them.

The network has the shape of the MLPerf Tiny image models, small enough for a micro:bit. Figures are of the digits that training never saw, after quantisation.
"""

import pathlib
import shutil
import tempfile

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 20
HELD_OUT = 0.25
EPOCHS, BATCH = 120, 64
SHOWN_PER_CLASS = 2
HERE = pathlib.Path(__file__).parent


def data():
    """Grey levels 0 to 16 as [n, 8, 8, 1] in 0 to 1 and labels, for training and held out; every class in proportion."""
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[..., None]
    return train_test_split(images, digits.target, test_size=HELD_OUT, random_state=SEED, stratify=digits.target)


def network():
    """Convolution, depthwise and pointwise convolution, pooling, fully connected, softmax."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((8, 8, 1)),
        layers.Conv2D(12, 3, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.DepthwiseConv2D(3, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.Conv2D(24, 1, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Flatten(), layers.Dropout(0.3), layers.Dense(10, activation="softmax"),
    ])


def shifted(images, random):
    """Each image moved by up to one pixel, as handwriting is never centred alike."""
    moved = np.zeros_like(images)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for i, (row, column) in enumerate(random.choice(3, (len(images), 2), p=[0.15, 0.7, 0.15])):
        moved[i] = padded[i, row : row + 8, column : column + 8]
    return moved


def train(images, labels):
    model = network()
    rate = keras.optimizers.schedules.CosineDecay(3e-3, EPOCHS * -(-len(images) // BATCH))
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    random = np.random.default_rng(SEED)
    for _ in range(EPOCHS):
        model.fit(shifted(images, random), labels, batch_size=BATCH, verbose=0)
    return model


def quantise(model, images):
    """The int8 file: weights by channel, activations by the ranges that the training images show."""
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False, input_signature=[keras.InputSpec(shape=(1, 8, 8, 1), dtype="float32", name="image")])
        return convert(tf.lite.TFLiteConverter.from_saved_model(folder), images)


def convert(converter, images):
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in images[:500])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def run(file, images):
    """The int8 outputs [n, 10] of LiteRT's reference kernels."""
    interpreter = tf.lite.Interpreter(model_content=file, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = source["quantization"]
    outputs = []
    for image in images:
        interpreter.set_tensor(source["index"], np.clip(np.round(image[None] / np.float32(scale)) + zero, -128, 127).astype(np.int8))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target["index"])[0])
    return np.array(outputs)


def write_digits(file, images, labels):
    """The first held-out digits of each class as `.csv`, and the outputs expected for them."""
    folder = HERE / "test"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shown = sorted(index for digit in range(10) for index in np.flatnonzero(labels == digit)[:SHOWN_PER_CLASS])
    lines = ["file,label," + ",".join(f"output_{digit}" for digit in range(10))]
    for position, (index, outputs) in enumerate(zip(shown, run(file, images[shown]))):
        name = f"{position:02}.csv"
        np.savetxt(folder / name, images[index, ..., 0], "%.4f", ",")
        lines.append(f"{name},{labels[index]}," + ",".join(map(str, outputs)))
    (HERE / "expected.csv").write_text("\n".join(lines) + "\n")
    (HERE / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))


def main():
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    train_images, test_images, train_labels, test_labels = data()
    model = train(train_images, train_labels)
    file = quantise(model, train_images)
    (HERE / "digits.tflite").write_bytes(file)
    write_digits(file, test_images, test_labels)
    right = {
        "float": int(np.sum(np.argmax(model.predict(test_images, verbose=0), 1) == test_labels)),
        "int8": int(np.sum(np.argmax(run(file, test_images), 1) == test_labels)),
    }
    print(f"trained on {len(train_images)} digits, {len(test_images)} held out, seed {SEED}")
    for form, count in right.items():
        print(f"{form}: {count} of {len(test_labels)} right, {100 * count / len(test_labels):.2f} %")
    print(f"{len(file)} bytes")


if __name__ == "__main__":
    main()
