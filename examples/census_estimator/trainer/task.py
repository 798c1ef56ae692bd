"""Tells from census data who earns over 50,000 dollars a year: a wide and deep estimator.

Reads the UCI Adult files (CSV without a header, .gz allowed). Checkpoints, event files and the
exported model (export/census/<number>) go to --job-dir, from where a restarted job goes on. Runs on
TensorFlow 1.15 and 2.15, alone or with chief or master, workers, parameter servers and evaluator.
"""
import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402

COLUMNS = ["age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation",
           "relationship", "race", "gender", "capital_gain", "capital_loss", "hours_per_week",
           "native_country", "income_bracket"]
DEFAULTS = [[0.0], [""], [0.0], [""], [0.0], [""], [""], [""], [""], [""], [0.0], [0.0], [0.0], [""],
            [""]]
NUMBERS = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
WORDS = {"workclass": 20, "education": 40, "marital_status": 20, "occupation": 40,
         "relationship": 20, "race": 20, "gender": 10, "native_country": 100}  # name: hash buckets


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train-files", nargs="+", required=True)
    parser.add_argument("--eval-files", nargs="+", required=True)
    parser.add_argument("--train-steps", type=int, default=1500)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--job-dir", help="folder for checkpoints, event files and the model")
    return parser.parse_args()


def parse_line(line):
    features = dict(zip(COLUMNS, tf.io.decode_csv(line, DEFAULTS)))
    rich = tf.cast(tf.equal(features.pop("income_bracket"), ">50K"), tf.int32)
    features.pop("fnlwgt")
    return features, rich


def input_function(files, args, training):
    def read():
        packed = "GZIP" if files[0].endswith(".gz") else ""
        lines = tf.data.TextLineDataset(files, compression_type=packed)
        lines = lines.filter(lambda line: tf.strings.length(line) > 0)
        if training:
            lines = lines.shuffle(40000).repeat()
        size = args.batch_size if training else 1024
        return lines.batch(size).map(parse_line).prefetch(2)
    return read


def feature_columns():
    column = tf.feature_column
    age = column.bucketized_column(column.numeric_column("age"),
                                   [18, 25, 30, 35, 40, 45, 50, 55, 60, 65])
    hours = column.bucketized_column(column.numeric_column("hours_per_week"), [20, 35, 39, 41, 50, 60])
    words = [column.categorical_column_with_hash_bucket(name, size) for name, size in WORDS.items()]
    crossed = column.crossed_column(["education", "occupation"], 1000)
    wide = words + [age, hours, crossed]
    scaled = {"age": lambda x: (x - 38.0) / 14.0, "education_num": lambda x: (x - 10.0) / 2.6,
              "hours_per_week": lambda x: (x - 40.0) / 12.0,
              "capital_gain": lambda x: tf.math.log1p(x) / 4.0,
              "capital_loss": lambda x: tf.math.log1p(x) / 4.0}
    deep = [column.numeric_column(name, normalizer_fn=scaled[name]) for name in NUMBERS]
    deep += [column.embedding_column(word, 8) for word in words]
    return wide, deep


def serving_input():
    placeholder = tf.compat.v1.placeholder
    features = {name: placeholder(tf.float32, [None], name) for name in NUMBERS}
    features.update({name: placeholder(tf.string, [None], name) for name in WORDS})
    return tf.estimator.export.ServingInputReceiver(features, features)


class OwnSteps(tf.estimator.SessionRunHook):
    """Tells how many of the steps so far this task has made, after a start of all together.

    Workers join when they see the chief's session, half a minute after it in the worst case. A short
    training would be over by then: so each task waits for the others, a few steps from its start.
    """

    def __init__(self, config, every=50, together_at=5, patience=180):
        self.every, self.own, self.together_at, self.patience = every, 0, together_at, patience
        self.tasks = config.num_worker_replicas  # the chief among them
        self.folder = os.path.join(config.model_dir, "started")
        self.name = "{}-{}".format(config.task_type, config.task_id)

    def wait_for_others(self):
        tf.io.gfile.makedirs(self.folder)
        with tf.io.gfile.GFile(os.path.join(self.folder, self.name), "w") as file:
            file.write("started")
        until = time.time() + self.patience
        while time.time() < until and len(tf.io.gfile.listdir(self.folder)) < self.tasks:
            time.sleep(0.2)

    def begin(self):
        self.step = tf.compat.v1.train.get_global_step()

    def before_run(self, run_context):
        return tf.estimator.SessionRunArgs(self.step)

    def after_run(self, run_context, run_values):
        self.own += 1
        if self.own == self.together_at and self.tasks > 1:
            self.wait_for_others()
        if self.own % self.every == 0 or self.own == 1:
            print("has made {} of the {} steps so far".format(self.own, run_values.results), flush=True)


def main():
    args = parse_arguments()
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.INFO)
    config = tf.estimator.RunConfig(model_dir=args.job_dir, tf_random_seed=1,
                                    experimental_max_worker_delay_secs=0,
                                    save_checkpoints_steps=max(1, args.train_steps // 2))
    wide, deep = feature_columns()
    estimator = tf.estimator.DNNLinearCombinedClassifier(
        linear_feature_columns=wide, dnn_feature_columns=deep, dnn_hidden_units=[64, 32],
        dnn_optimizer="Adam", config=config)
    evaluate = input_function(args.eval_files, args, training=False)
    tf.estimator.train_and_evaluate(
        estimator,
        tf.estimator.TrainSpec(input_function(args.train_files, args, training=True),
                               max_steps=args.train_steps, hooks=[OwnSteps(config)]),
        tf.estimator.EvalSpec(evaluate, steps=None, start_delay_secs=1, throttle_secs=1,
                              exporters=tf.estimator.FinalExporter("census", serving_input)))
    if config.is_chief:
        accuracy = estimator.evaluate(evaluate, name="final")["accuracy"]
        print("eval accuracy {:.4f}".format(accuracy), flush=True)


if __name__ == "__main__":
    main()
