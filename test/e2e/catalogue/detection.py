"""Detectors: boxes from anchors, from places and from queries, and which of them are kept."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .model import Model, floats
from .parts import conv, library


class Suppress(torch.autograd.Function):
    """ONNX's NonMaxSuppression, which PyTorch has no operator for: rows of image, class and box."""

    @staticmethod
    def forward(ctx, boxes: Tensor, scores: Tensor, limit: int, overlap: float, least: float) -> Tensor:
        rows = []
        for image in range(boxes.shape[0]):
            y1, x1, y2, x2 = boxes[image].unbind(1)
            areas = (y2 - y1) * (x2 - x1)
            for kind in range(scores.shape[1]):
                kept: list[int] = []
                for box in scores[image, kind].argsort(descending=True, stable=True).tolist():
                    if len(kept) == limit or not scores[image, kind, box] > least:
                        break
                    height = (torch.minimum(y2[box], y2[kept]) - torch.maximum(y1[box], y1[kept])).clamp(min=0)
                    width = (torch.minimum(x2[box], x2[kept]) - torch.maximum(x1[box], x1[kept])).clamp(min=0)
                    common = height * width
                    if not (common / (areas[box] + areas[kept] - common) > overlap).any():
                        kept.append(box)
                rows += [[image, kind, box] for box in kept]
        return torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)

    @staticmethod
    def symbolic(g, boxes, scores, limit: int, overlap: float, least: float):
        def constant(value: int | float, dtype: torch.dtype):
            return g.op("Constant", value_t=torch.tensor([value], dtype=dtype))

        limits = constant(limit, torch.int64), constant(overlap, torch.float32), constant(least, torch.float32)
        rows = g.op("NonMaxSuppression", boxes, scores, *limits)
        return rows.setType(scores.type().with_dtype(torch.int64).with_sizes([None, 3]))


def select(boxes: Tensor, scores: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Kept boxes, [n, 4], their scores, and rows of image and class; scores are [image, class, box]."""
    image, kind, box = Suppress.apply(boxes, scores, 20, 0.5, least).unbind(1)
    return boxes[image, box], scores[image, kind, box], torch.stack([image, kind], 1)


class Yolo(nn.Module):
    """YOLOv8's manner: two levels, a distribution over distances for each side of a box, suppression."""

    def __init__(self, classes: int = 3, bins: int = 8) -> None:
        super().__init__()
        self.classes, self.bins = classes, bins
        self.first = nn.Sequential(self.layer(3, 16, 2), self.layer(16, 24, 2), self.layer(24, 32, 2))
        self.second = self.layer(32, 40, 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.merge = self.layer(72, 32, 1)
        self.heads = nn.ModuleList(nn.Conv2d(c, 4 * bins + classes, 1) for c in (32, 40))

    @staticmethod
    def layer(inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.SiLU())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low = self.first(x)
        high = self.second(low)
        high = high + self.pool(high)
        low = self.merge(torch.cat([low, nn.functional.interpolate(high, size=low.shape[2:], mode="nearest")], 1))
        boxes, scores = [], []
        for level, head, stride in zip((low, high), self.heads, (8, 16)):
            n, _, h, w = level.shape
            sides, kinds = head(level).flatten(2).split((4 * self.bins, self.classes), 1)
            steps = torch.arange(self.bins).to(x)
            sides = (sides.view(n, 4, self.bins, -1).softmax(2) * steps[:, None]).sum(2).transpose(1, 2)
            ys = (torch.arange(h).to(x) + 0.5)[:, None].expand(h, w).reshape(-1)
            xs = (torch.arange(w).to(x) + 0.5)[None, :].expand(h, w).reshape(-1)
            centre = torch.stack([ys, xs], 1)
            boxes.append(torch.cat([centre - sides[..., :2], centre + sides[..., 2:]], 2) * stride)
            scores.append(kinds.sigmoid())
        return select(torch.cat(boxes, 1), torch.cat(scores, 2), 0.5)


class SSD(nn.Module):
    """SSD (Liu et al. 2016): offsets to fixed boxes of several shapes, softmax over classes, suppression."""

    def __init__(self, classes: int = 4, side: int = 64) -> None:
        super().__init__()
        self.classes = classes
        self.stages = nn.ModuleList([nn.Sequential(conv(3, 16, 3, 2), conv(16, 24, 3, 2), conv(24, 32, 3, 2)), conv(32, 32, 3, 2)])
        self.places = nn.ModuleList(nn.Conv2d(32, 3 * 4, 3, padding=1) for _ in range(2))
        self.kinds = nn.ModuleList(nn.Conv2d(32, 3 * classes, 3, padding=1) for _ in range(2))
        rows = []
        for cells, scale in ((side // 8, 0.2), (side // 16, 0.45)):
            for y in range(cells):
                for x in range(cells):
                    for ratio in (1.0, 2.0, 0.5):
                        size = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
                        rows.append([(y + 0.5) / cells, (x + 0.5) / cells, *size])
        self.register_buffer("priors", torch.tensor(rows))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        offsets, kinds = [], []
        for stage, place, kind in zip(self.stages, self.places, self.kinds):
            x = stage(x)
            offsets.append(place(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, 4))
            kinds.append(kind(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.classes))
        moves = torch.cat(offsets, 1)
        centre = self.priors[:, :2] + moves[..., :2] * 0.1 * self.priors[:, 2:]
        size = self.priors[:, 2:] * torch.exp(moves[..., 2:] * 0.2)
        boxes = torch.cat([centre - size / 2, centre + size / 2], 2).clamp(0, 1)
        scores = torch.cat(kinds, 1).softmax(2).transpose(1, 2)[:, 1:]
        return select(boxes, scores, 0.25)


class CentreNet(nn.Module):
    """Objects as points (Zhou et al. 2019): peaks of a map of each class, the best of all, and what stands there."""

    def __init__(self, classes: int = 3, best: int = 8) -> None:
        super().__init__()
        self.best = best
        self.body = nn.Sequential(conv(3, 16, 3, 2), conv(16, 24, 3, 2))
        self.heat, self.size, self.shift = nn.Conv2d(24, classes, 1), nn.Conv2d(24, 2, 1), nn.Conv2d(24, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = self.body(x)
        heat = self.heat(y).sigmoid()
        heat = torch.where(nn.functional.max_pool2d(heat, 3, 1, 1) == heat, heat, torch.zeros_like(heat))
        h, w = heat.shape[2:]
        scores, flat = heat.flatten(1).topk(self.best)
        kinds = torch.div(flat, h * w, rounding_mode="floor")
        places = flat - kinds * (h * w)
        index = places[:, None].expand(-1, 2, -1)
        size = self.size(y).abs().flatten(2).gather(2, index)
        shift = self.shift(y).flatten(2).gather(2, index)
        rows = torch.div(places, w, rounding_mode="floor")
        at = torch.stack([rows, places - rows * w], 1) + shift
        return torch.cat([at - size / 2, at + size / 2], 1).transpose(1, 2) * 4, scores, kinds


class Pose(nn.Module):
    """Joints of a body as maps (Xiao et al. 2018), and the place of each map's peak as its mean, soft-argmax."""

    def __init__(self, joints: int = 5) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 16, 3, 2), conv(16, 24, 3, 2), nn.ConvTranspose2d(24, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, joints, 1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.body(x)
        n, joints, h, w = maps.shape
        chances = (maps.flatten(2) * 5).softmax(2).view(n, joints, h, w)
        ys = (chances.sum(3) * torch.arange(h).to(x)).sum(2)
        xs = (chances.sum(2) * torch.arange(w).to(x)).sum(2)
        return torch.stack([ys, xs], 2), maps.flatten(2).amax(2)


BATCHES = ({"batch": 2}, {"batch": 1}, {"batch": 3})
IMAGES = ({"batch": 2, "height": 64, "width": 96}, {"batch": 1, "height": 96, "width": 64}, {"batch": 3, "height": 51, "width": 77})
OPEN = {"image": floats("batch", 3, "height", "width")}
DETR = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None,
        "backbone_config": {"model_type": "resnet", "embedding_size": 16, "hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 1, 1],
                            "out_features": ["stage4"]},
        "d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_queries": 6, "num_labels": 4}  # fmt: skip
YOLOS = {"image_size": [64, 64], "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 64, "num_detection_tokens": 6, "num_labels": 4}  # fmt: skip
KEPT = ["boxes", "scores", "labels"]
MODELS = [
    Model("yolo", "detection with suppression", "torchscript", Yolo, OPEN, KEPT, IMAGES, fast=True),
    Model("ssd", "detection with suppression", "torchscript", SSD, {"image": floats("batch", 3, 64, 64)}, KEPT,
          BATCHES[:2]),  # two boxes of the third image are 1.7e-8 apart in f64, and f32 ranks them otherwise
    Model("centrenet", "detection", "dynamo", CentreNet, OPEN, KEPT, IMAGES, fast=True),
    Model("pose", "pose estimation", "dynamo", Pose, OPEN, ["joints", "scores"], IMAGES),
    library("detr", "detection", "dynamo", "DetrConfig", "DetrForObjectDetection", DETR,
            {"pixel_values": floats("batch", 3, 64, 96)}, ["logits", "pred_boxes"], *BATCHES),
    library("yolos", "detection", "torchscript", "YolosConfig", "YolosForObjectDetection", YOLOS,
            {"pixel_values": floats("batch", 3, 64, 64)}, ["logits", "pred_boxes"], *BATCHES),
]  # fmt: skip
