"""MultiWorkerMirroredStrategy with a loop of its own: every task has the whole model, each step
takes the mean of all tasks' gradients."""
import argparse
import hashlib
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402

from trainer import census  # noqa: E402

BATCH = 64


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--train-files", required=True)
    parser.add_argument("--steps", type=int, default=40)
    return parser.parse_args()


def main():
    args = parse_arguments()
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    task = config.get("task", {"type": "worker", "index": 0})
    names = [f"{name}-{i}" for name in ("chief", "worker")
             for i in range(len(config.get("cluster", {"worker": [""]}).get(name, [])))]
    me, tasks = names.index(f"{task['type']}-{task['index']}"), len(names)
    features, labels = census.read(args.train_files)
    features, labels = tf.constant(features[me::tasks]), tf.constant(labels[me::tasks])
    with strategy.scope():
        mean = tf.VariableAggregation.MEAN
        weights = tf.Variable(tf.random.stateless_normal([features.shape[1], 1], [1, 2]), aggregation=mean)
        bias = tf.Variable([0.0], aggregation=mean)

    @tf.function
    def step(number):
        def one(number):
            at = tf.random.stateless_uniform([BATCH], [me, number], 0, features.shape[0], tf.int32)
            x, y = tf.gather(features, at), tf.gather(labels, at)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, x @ weights + bias))
            for variable, gradient in zip((weights, bias), tape.gradient(loss, (weights, bias))):
                variable.assign_sub(0.5 * gradient)
            return loss, tf.cast(BATCH, tf.float32)
        loss, rows = strategy.run(one, args=(number,))
        return (strategy.reduce(tf.distribute.ReduceOp.MEAN, loss, axis=None),
                strategy.reduce(tf.distribute.ReduceOp.SUM, rows, axis=None))

    total = 0
    first = last = 0.0
    for number in range(args.steps):
        loss, rows = step(tf.constant(number))
        total += int(rows)
        last = float(loss)
        first = first or last
    value = hashlib.sha256(weights.numpy().tobytes() + bias.numpy().tobytes()).hexdigest()[:16]
    print(f"{names[me]} of {tasks}: weights {value} after {args.steps} steps over {total} rows, "
          f"loss {first:.4f} to {last:.4f}", flush=True)


if __name__ == "__main__":
    main()
