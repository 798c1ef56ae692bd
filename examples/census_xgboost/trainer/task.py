"""Tells from census data who earns over 50,000 dollars a year: boosted trees.

Reads the UCI Adult files (CSV without a header, .gz allowed). Writes the trained model to
JOB_DIR/model.ubj and reports its accuracy to a tuning job, if this is a trial of one.
"""
import argparse
import os

import hypertune
import pandas
import xgboost

COLUMNS = ["age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation",
           "relationship", "race", "gender", "capital_gain", "capital_loss", "hours_per_week",
           "native_country", "income_bracket"]
NUMBERS = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
WORDS = ["workclass", "education", "marital_status", "occupation", "relationship", "race", "gender",
         "native_country"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train-files", nargs="+", required=True)
    parser.add_argument("--eval-files", nargs="+", required=True)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--max-depth", type=int, default=6)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--job-dir", help="folder for the model")
    return parser.parse_args()


def read(paths):
    table = pandas.concat([pandas.read_csv(path, header=None, names=COLUMNS, skipinitialspace=True)
                           for path in paths], ignore_index=True)
    rich = table["income_bracket"].str.startswith(">50K").astype(int)
    return table[NUMBERS + WORDS], rich


class Progress(xgboost.callback.TrainingCallback):
    def __init__(self, rounds):
        super().__init__()
        self.rounds = rounds

    def after_iteration(self, model, epoch, evals_log):
        if (epoch + 1) % 20 == 0 or epoch + 1 == self.rounds:
            error = evals_log["validation_0"]["error"][-1]
            print(f"round {epoch + 1}/{self.rounds} accuracy {1 - error:.3f}", flush=True)
        return False


def main():
    args = parse_arguments()
    train_x, train_y = read(args.train_files)
    eval_x, eval_y = read(args.eval_files)
    for column in WORDS:  # the same codes in both
        kind = pandas.CategoricalDtype(sorted(train_x[column].unique()))
        train_x[column] = train_x[column].astype(kind)
        eval_x[column] = eval_x[column].astype(kind)
    model = xgboost.XGBClassifier(
        n_estimators=args.rounds, max_depth=args.max_depth, learning_rate=args.learning_rate,
        enable_categorical=True, eval_metric="error", callbacks=[Progress(args.rounds)])
    model.fit(train_x, train_y, eval_set=[(eval_x, eval_y)], verbose=False)
    accuracy = float((model.predict(eval_x) == eval_y).mean())
    if args.job_dir:
        os.makedirs(args.job_dir, exist_ok=True)
        model.save_model(os.path.join(args.job_dir, "model.ubj"))
    hypertune.HyperTune().report_hyperparameter_tuning_metric(
        hyperparameter_metric_tag="accuracy", metric_value=accuracy, global_step=args.rounds)
    print(f"eval accuracy {accuracy:.4f}", flush=True)


if __name__ == "__main__":
    main()
