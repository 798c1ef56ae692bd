"""ParameterServerStrategy: the chief hands out steps, the workers take them, the variables lie on
the ps. Each worker counts its own steps there."""
import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402

from trainer import census  # noqa: E402

ME = "/tmp/me"  # every task has a /tmp of its own


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--train-files", required=True)
    parser.add_argument("--steps", type=int, default=200)
    return parser.parse_args()


def main():
    args = parse_arguments()
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    cluster, task = config.get("cluster", {}), config.get("task", {})
    with open(ME, "w", encoding="ascii") as file:
        file.write(str(task.get("index", 0)))
    strategy, coordinator = tf.distribute.get_strategy(), None
    if cluster:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        if task["type"] in ("worker", "ps"):
            server = tf.distribute.Server(resolver.cluster_spec(), job_name=task["type"],
                                          task_index=task["index"], protocol="grpc", start=True)
            server.join()
        strategy = tf.distribute.ParameterServerStrategy(resolver)
        coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    workers = max(1, len(cluster.get("worker", [])))
    features, labels = census.read(args.train_files)
    with strategy.scope():
        weights = tf.Variable(tf.zeros([features.shape[1], 1]))
        bias = tf.Variable([0.0])
        counts = tf.Variable(tf.zeros([workers], tf.int32))

    def batches():
        rows = tf.data.Dataset.from_tensor_slices((features, labels))
        return rows.shuffle(4000).repeat().batch(64)

    @tf.function
    def step(rows, me):
        x, y = next(rows)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, x @ weights + bias))
        for variable, gradient in zip((weights, bias), tape.gradient(loss, (weights, bias))):
            variable.assign_sub(0.5 * gradient)
        counts.assign_add(tf.one_hot(tf.strings.to_number(tf.io.read_file(me), tf.int32), workers,
                                     dtype=tf.int32))
        return loss

    if coordinator:
        rows = iter(coordinator.create_per_worker_dataset(batches))
        losses = [coordinator.schedule(step, args=(rows, tf.constant(ME))) for _ in range(args.steps)]
        coordinator.join()
        losses = [loss.fetch() for loss in (losses[0], losses[-1])]
    else:
        rows = iter(batches())
        losses = [step(rows, tf.constant(ME)) for _ in range(args.steps)]
    print(f"steps of the workers: {' '.join(map(str, counts.numpy()))}, "
          f"loss {float(losses[0]):.4f} to {float(losses[-1]):.4f}", flush=True)


if __name__ == "__main__":
    main()
