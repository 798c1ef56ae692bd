"""One real training step, so that a broken environment is found before a job finds it."""
import google.cloud.storage  # noqa: F401
import hypertune  # noqa: F401
import pandas  # noqa: F401
import sklearn  # noqa: F401
import torch
import torch.distributed
from torch.utils.tensorboard import SummaryWriter  # noqa: F401

torch.manual_seed(0)
x = torch.randn(64, 3)
y = x.sum(dim=1, keepdim=True)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
losses = []
for _ in range(10):
    optimizer.zero_grad()
    loss = ((model(x) - y) ** 2).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
if not losses[-1] < losses[0]:
    raise SystemExit(f"training does not lower the loss: {losses}")
if not torch.distributed.is_available():
    raise SystemExit("torch.distributed is missing")
print(f"torch {torch.__version__} loss {losses[0]:.3f} to {losses[-1]:.3f}, "
      f"{torch.cuda.device_count()} GPUs")
