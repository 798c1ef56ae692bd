"""XGBoost over rows that are spread over the tasks; its tracker runs in the first of them."""
import argparse
import hashlib
import os
from contextlib import nullcontext

import numpy
import xgboost
from xgboost import collective
from xgboost.tracker import RabitTracker

from trainer import census


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--train-files", required=True)
    parser.add_argument("--rounds", type=int, default=20)
    return parser.parse_args()


def main():
    args = parse_arguments()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    arguments, tracker = {}, None
    if world > 1:
        host, port = os.environ["DMLC_TRACKER_URI"], int(os.environ["DMLC_TRACKER_PORT"])
        if rank == 0:
            tracker = RabitTracker(n_workers=world, host_ip=host, port=port)
            tracker.start()
        arguments = {"dmlc_communicator": "rabit", "dmlc_tracker_uri": host, "dmlc_tracker_port": port,
                     "dmlc_task_id": os.environ["DMLC_TASK_ID"], "dmlc_retry": 60}
    features, labels = census.read(args.train_files)
    with collective.CommunicatorContext(**arguments) if world > 1 else nullcontext():
        part = xgboost.DMatrix(features[rank::world], labels[rank::world])
        model = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1}, part, args.rounds)
        rows = int(collective.allreduce(numpy.array([part.num_row()]), collective.Op.SUM)[0])
        error = float(((model.predict(part) > 0.5) != (labels[rank::world, 0] > 0.5)).mean())
        value = hashlib.sha256(model.save_raw("ubj")).hexdigest()[:16]
        print(f"rank {rank} of {world}: model {value} from {rows} rows, error {error:.4f}", flush=True)
    if tracker:
        tracker.wait_for()


if __name__ == "__main__":
    main()
