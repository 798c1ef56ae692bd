"""Reads handwritten digits with a support vector machine, its parameters chosen by a grid search.

Writes the trained model to JOB_DIR/model.joblib.
"""
import argparse
import os

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=3, help="of the cross-validation")
    parser.add_argument("--job-dir", help="folder for the model")
    args = parser.parse_args()

    pixels, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, labels, test_size=0.2, random_state=1, stratify=labels)
    search = GridSearchCV(make_pipeline(MinMaxScaler(), SVC()),
                          {"svc__C": [0.1, 1, 10], "svc__gamma": [0.01, 0.05, 0.2]}, cv=args.folds)
    search.fit(train_x, train_y)
    results = search.cv_results_
    for parameters, accuracy in zip(results["params"], results["mean_test_score"]):
        print(f"C {parameters['svc__C']} gamma {parameters['svc__gamma']} accuracy {accuracy:.3f}",
              flush=True)
    if args.job_dir:
        os.makedirs(args.job_dir, exist_ok=True)
        joblib.dump(search.best_estimator_, os.path.join(args.job_dir, "model.joblib"))
    print(f"test accuracy {search.score(test_x, test_y):.3f}", flush=True)


if __name__ == "__main__":
    main()
