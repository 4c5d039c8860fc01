"""open_clip's training step on given weights and inputs: run by benchmarks/step.py in the peers' environment.

In: a folder with job.json, weights.pt and inputs.npz. Out: the loss of the first step, and the processor seconds of
the best later one.
"""

import json
import math
import sys
import time

import numpy as np
import open_clip
import torch

folder = sys.argv[1]
with open(f"{folder}/job.json") as stream:
    job = json.load(stream)
torch.set_num_threads(1)
model = open_clip.create_model(job["model"], pretrained=None)
model.load_state_dict(torch.load(f"{folder}/weights.pt", weights_only=True))
model.train()
data = np.load(f"{folder}/inputs.npz")
images, texts = torch.from_numpy(data["pixels"]), torch.from_numpy(data["ids"])
decayed = [p for p in model.parameters() if p.ndim > 1]
rest = [p for p in model.parameters() if p.ndim <= 1]
optimizer = torch.optim.AdamW(
    [{"params": rest, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.2}],
    lr=1e-6,
    betas=(0.9, 0.98),
    eps=1e-6,
)
criterion = open_clip.ClipLoss()
first, best = 0.0, float("inf")
for step in range(job["steps"] + 1):
    begun = time.process_time()
    optimizer.zero_grad()
    loss = criterion(*model(images, texts))
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, math.log(100))
    if step == 0:
        first = loss.item()
    else:
        best = min(best, time.process_time() - begun)
print(json.dumps({"seconds": best, "loss": first}))
