"""DistributedDataParallel over gloo: every rank has the whole model, each step takes the mean of all
ranks' gradients."""
import argparse
import hashlib
import os
import sys

import torch
from torch import distributed, nn

from trainer import census


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--train-files", required=True)
    parser.add_argument("--steps", type=int, default=40)
    return parser.parse_args()


def main():
    args = parse_arguments()
    torch.set_num_threads(1)
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        distributed.init_process_group("gloo")
    features, labels = map(torch.from_numpy, census.read(args.train_files))
    features, labels = features[rank::world], labels[rank::world]
    torch.manual_seed(rank)  # the first rank's weights become everybody's
    model = nn.Sequential(nn.Linear(features.shape[1], 16), nn.ReLU(), nn.Linear(16, 1))
    trained = nn.parallel.DistributedDataParallel(model) if world > 1 else model
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.5)
    losses = []
    rows = torch.zeros(1)
    for _ in range(args.steps):
        chosen = torch.randint(len(labels), (64,))
        loss = nn.functional.binary_cross_entropy_with_logits(trained(features[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        rows += len(chosen)
    if world > 1:
        distributed.all_reduce(rows)
    value = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()
    print(f"rank {rank} of {world}: weights {value[:16]} after {args.steps} steps over {int(rows)} rows, "
          f"loss {losses[0]:.4f} to {losses[-1]:.4f}", flush=True)
    if world > 1:
        # Gloo's threads may abort a process that is being taken down while its peer has gone already
        # ("terminate called without an active exception"). All is said: leave without taking down.
        distributed.barrier()
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
