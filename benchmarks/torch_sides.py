"""What a PyTorch user would do with timm: the peers that need torch, timm and pytorch-grad-cam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image

Settings = dict[str, Any]
Work = Callable[[], int]


def _network() -> torch.nn.Module:
    return timm.create_model("tf_efficientnetv2_b0", pretrained=False, num_classes=4)


def _ready(path: str) -> torch.Tensor:
    scan = np.asarray(Image.open(path).convert("RGB").resize((224, 224)), np.float32) / 255
    return torch.from_numpy(scan.transpose(2, 0, 1)[None])


def warm(settings: Settings) -> Work:
    """Call the network on ready tensors, one scan a call."""
    model, ready = _network().eval(), [_ready(name) for name in settings["images"][: settings["few"]]]

    def work() -> int:
        with torch.inference_mode():
            for scan in ready:
                model(scan)
        return len(ready)

    return work


def explained(settings: Settings) -> Work:
    """Predict and explain ready tensors with pytorch-grad-cam, one scan a call."""
    from pytorch_grad_cam import GradCAM

    model, ready = _network().eval(), [_ready(name) for name in settings["images"][: settings["few"]]]
    explain = GradCAM(model=model, target_layers=[model.conv_head])

    def work() -> int:
        for scan in ready:
            explain(input_tensor=scan, targets=None)
        return len(ready)

    return work


def step(settings: Settings) -> Work:
    """Train the whole network for four steps on one batch."""
    model = _network().train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    inputs = torch.rand(settings["batch"], 3, 224, 224)
    labels = torch.arange(settings["batch"]) % 4

    def work() -> int:
        for _ in range(4):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        return 4 * len(inputs)

    return work
