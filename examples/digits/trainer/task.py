"""Learns to read handwritten digits: scikit-learn's 1,797 small pictures, a Keras network.

Writes into --job-dir: event files for TensorBoard below logs/, the trained SavedModel in model/1.
A replica that is started again goes on after the last epoch kept in $CLOUDML_CHECKPOINT_DIR.
"""
import argparse
import glob
import os
import re

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--hidden-units", type=int, default=128)
    parser.add_argument("--job-dir", help="folder for the event files and the model")
    return parser.parse_args()


def build_model(args):
    model = tf.keras.Sequential([
        tf.keras.layers.Input((64,), name="pixels"),
        tf.keras.layers.Dense(args.hidden_units, activation="relu"),
        tf.keras.layers.Dense(10, activation="softmax", name="probabilities"),
    ])
    model.compile(optimizer=tf.keras.optimizers.Adam(args.learning_rate),
                  loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Checkpoints(tf.keras.callbacks.Callback):
    """One file per finished epoch; an older one goes only when the newer is complete."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def files(self):
        found = []
        for path in glob.glob(os.path.join(self.folder, "epoch-*.keras")):
            number = re.search(r"epoch-(\d+)\.keras$", path)
            if number:
                found.append((int(number.group(1)), path))
        return sorted(found)

    def on_epoch_end(self, epoch, logs=None):
        unfinished = os.path.join(self.folder, "unfinished.keras")
        self.model.save(unfinished)
        os.replace(unfinished, os.path.join(self.folder, f"epoch-{epoch + 1}.keras"))
        for _, path in self.files()[:-1]:
            os.remove(path)


class Progress(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print(f"epoch {epoch + 1}/{self.params['epochs']} accuracy {logs['accuracy']:.3f} "
              f"loss {logs['loss']:.3f}", flush=True)


def main():
    args = parse_arguments()
    tf.keras.utils.set_random_seed(1)
    tf.keras.utils.disable_interactive_logging()
    pixels, labels = load_digits(return_X_y=True)
    pixels = (pixels / 16.0).astype("float32")
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, labels, test_size=0.2, random_state=1, stratify=labels)

    model, first_epoch = None, 0
    callbacks = [Progress()]
    if os.environ.get("CLOUDML_CHECKPOINT_DIR"):
        checkpoints = Checkpoints(os.environ["CLOUDML_CHECKPOINT_DIR"])
        os.makedirs(checkpoints.folder, exist_ok=True)
        callbacks.append(checkpoints)
        if checkpoints.files():
            first_epoch, path = checkpoints.files()[-1]
            model = tf.keras.models.load_model(path)
            print(f"resuming after epoch {first_epoch}", flush=True)
    model = model or build_model(args)
    if args.job_dir:
        callbacks.append(tf.keras.callbacks.TensorBoard(os.path.join(args.job_dir, "logs")))

    model.fit(train_x, train_y, batch_size=args.batch_size, epochs=args.epochs,
              initial_epoch=first_epoch, validation_data=(test_x, test_y),
              callbacks=callbacks, verbose=0)
    _, accuracy = model.evaluate(test_x, test_y, verbose=0)
    if args.job_dir:
        model.export(os.path.join(args.job_dir, "model", "1"))
    print(f"test accuracy {accuracy:.3f}", flush=True)


if __name__ == "__main__":
    main()
