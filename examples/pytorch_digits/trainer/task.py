"""Learns to read handwritten digits with PyTorch, on one replica or on several.

With several replicas ($WORLD_SIZE) each learns from its share of the pictures and the gradients are
averaged. Writes into --job-dir: event files below logs/, the exported model in model/model.pt2.
A replica that is started again goes on after the last epoch kept in $CLOUDML_CHECKPOINT_DIR.
"""
import argparse
import os

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler, TensorDataset
from torch.utils.tensorboard import SummaryWriter


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--job-dir", help="folder for the event files and the model")
    return parser.parse_args()


def load_data():
    pixels, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        (pixels / 16.0).astype("float32"), labels, test_size=0.2, random_state=1, stratify=labels)
    return (TensorDataset(torch.from_numpy(train_x), torch.from_numpy(train_y)),
            TensorDataset(torch.from_numpy(test_x), torch.from_numpy(test_y)))


def accuracy_of(model, data, device):
    pixels, labels = (tensor.to(device) for tensor in data.tensors)
    with torch.no_grad():
        return (model(pixels).argmax(dim=1) == labels).float().mean().item()


def save(state, path):
    """Whole or not at all: a replica may be killed at any time."""
    torch.save(state, path + ".unfinished")
    os.replace(path + ".unfinished", path)


def main():
    args = parse_arguments()
    replicas = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if replicas > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    torch.manual_seed(1)
    train, test = load_data()
    network = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
    optimizer = torch.optim.Adam(network.parameters(), args.learning_rate)

    first_epoch, checkpoint = 0, None
    if os.environ.get("CLOUDML_CHECKPOINT_DIR"):
        checkpoint = os.path.join(os.environ["CLOUDML_CHECKPOINT_DIR"], "checkpoint.pt")
        if os.path.exists(checkpoint):
            state = torch.load(checkpoint, map_location=device)
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            first_epoch = state["epoch"]
            print(f"resuming after epoch {first_epoch}", flush=True)
    model = nn.parallel.DistributedDataParallel(network) if replicas > 1 else network
    sampler = DistributedSampler(train) if replicas > 1 else RandomSampler(train)
    loader = DataLoader(train, args.batch_size, sampler=sampler)
    loss_function = nn.CrossEntropyLoss()
    writer = None
    if args.job_dir and rank == 0:
        writer = SummaryWriter(os.path.join(args.job_dir, "logs"))

    for epoch in range(first_epoch, args.epochs):
        if replicas > 1:
            sampler.set_epoch(epoch)
        total = 0.0
        for pixels, labels in loader:
            optimizer.zero_grad()
            loss = loss_function(model(pixels.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            total += loss.item()
        if rank == 0:
            accuracy, mean = accuracy_of(network, train, device), total / len(loader)
            print(f"epoch {epoch + 1}/{args.epochs} accuracy {accuracy:.3f} loss {mean:.3f}",
                  flush=True)
            if writer:
                writer.add_scalar("loss", mean, epoch + 1)
                writer.add_scalar("accuracy", accuracy_of(network, test, device), epoch + 1)
                writer.flush()
            if checkpoint:
                save({"network": network.state_dict(), "optimizer": optimizer.state_dict(),
                      "epoch": epoch + 1}, checkpoint)
        if replicas > 1:
            dist.barrier()  # nobody reads a checkpoint of another epoch after a restart

    if rank == 0:
        if args.job_dir:
            folder = os.path.join(args.job_dir, "model")
            os.makedirs(folder, exist_ok=True)
            any_batch = ({0: torch.export.Dim.DYNAMIC},)
            program = torch.export.export(network, (torch.zeros(2, 64, device=device),),
                                          dynamic_shapes=any_batch)
            torch.export.save(program, os.path.join(folder, "model.pt2"))
        print(f"test accuracy {accuracy_of(network, test, device):.3f}", flush=True)
    if replicas > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
