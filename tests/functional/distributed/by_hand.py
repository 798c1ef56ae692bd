"""TensorFlow 1, as its tutorials taught it: TF_CONFIG is read by hand, each task starts its own
server, variables lie on the ps, and the gradients of all tasks make one step together."""
import argparse
import json
import os
import time

import numpy
import tensorflow as tf

from trainer import census


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--train-files", required=True)
    parser.add_argument("--steps", type=int, default=60)
    return parser.parse_args()


def main():
    args = parse_arguments()
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    cluster, task = config.get("cluster"), config.get("task", {})
    kind, index = task.get("type", "master"), task.get("index", 0)
    server = None
    if cluster:
        server = tf.train.Server(cluster, job_name=kind, task_index=index)
        if kind == "ps":
            server.join()
    names = [f"{name}-{i}" for name in ("master", "worker")
             for i in range(len((cluster or {"master": [""]}).get(name, [])))]
    me, tasks = names.index(f"{kind}-{index}"), len(names)
    features, labels = census.read(args.train_files)
    features, labels = features[me::tasks], labels[me::tasks]

    placed = tf.train.replica_device_setter(cluster=cluster, worker_device=f"/job:{kind}/task:{index}")
    with tf.device(placed if cluster else ""):
        x = tf.placeholder(tf.float32, [None, len(census.COLUMNS)])
        y = tf.placeholder(tf.float32, [None, 1])
        step = tf.train.get_or_create_global_step()
        weights = tf.get_variable("weights", [len(census.COLUMNS), 1])
        bias = tf.get_variable("bias", [1])
        counts = tf.get_variable("counts", [tasks], tf.int32, tf.zeros_initializer(), trainable=False)
        present = tf.get_variable("present", [tasks], tf.int32, tf.zeros_initializer(), trainable=False)
        arrive = present.assign_add(tf.one_hot(me, tasks, dtype=tf.int32), use_locking=True)
        loss = tf.reduce_mean(
            tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=tf.matmul(x, weights) + bias))
        optimizer = tf.train.GradientDescentOptimizer(0.5)
        hooks = [tf.train.StopAtStepHook(last_step=args.steps)]
        if cluster:
            optimizer = tf.train.SyncReplicasOptimizer(optimizer, tasks, tasks)
            hooks.append(optimizer.make_session_run_hook(kind == "master"))
        train = optimizer.minimize(loss, global_step=step)
        with tf.control_dependencies([train]):
            count = counts.assign_add(tf.one_hot(me, tasks, dtype=tf.int32), use_locking=True)

    session_config = tf.ConfigProto(device_filters=["/job:ps", f"/job:{kind}/task:{index}"] if cluster else [])
    own = 0
    seen = (0, 0.0, numpy.zeros(tasks))
    first = None
    random = numpy.random.RandomState(me)
    with tf.train.MonitoredTrainingSession(master=server.target if server else "", is_chief=kind == "master",
                                           hooks=hooks, config=session_config,
                                           stop_grace_period_secs=2) as session:
        session.run_step_fn(lambda step_context: step_context.session.run(arrive))
        while cluster and min(session.run_step_fn(lambda step_context: step_context.session.run(present))) < 1:
            time.sleep(0.1)  # all begin together, so that each has its part
        while not session.should_stop():
            chosen = random.randint(len(labels), size=128)
            _, at, now, counted = session.run([train, step, loss, count],
                                              {x: features[chosen], y: labels[chosen]})
            own += 1
            first = now if first is None else first
            seen = (at, now, counted)
            if own % 20 == 0:
                print(f"{names[me]} gave {own} gradients, step {at}, loss {now:.4f}", flush=True)
        if kind == "master":
            print(f"master: {seen[0]} steps of {tasks} tasks, gradients "
                  f"{' '.join(str(int(n)) for n in seen[2])}, loss {first:.4f} to {seen[1]:.4f}", flush=True)


if __name__ == "__main__":
    main()
