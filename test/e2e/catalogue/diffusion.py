"""What makes images from noise step by step: the networks of a step, and of the way back to pixels."""

from __future__ import annotations

from torch import nn

from .model import Input, Model, floats
from .parts import Library

BATCHES = ({"batch": 2}, {"batch": 1}, {"batch": 3})
PLACES = ({"batch": 2, "height": 8, "width": 8}, {"batch": 1, "height": 12, "width": 8}, {"batch": 3, "height": 8, "width": 20})
UNET = {"sample_size": 8, "in_channels": 4, "out_channels": 4, "block_out_channels": (16, 32), "layers_per_block": 1,
        "norm_num_groups": 8}  # fmt: skip
TEXT_UNET = UNET | {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
                    "cross_attention_dim": 24, "attention_head_dim": 4}  # fmt: skip
FREE_UNET = UNET | {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
                    "attention_head_dim": 4}  # fmt: skip
VAE = {"block_out_channels": (16, 24), "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2,
       "layers_per_block": 1, "norm_num_groups": 8, "latent_channels": 4}  # fmt: skip
DIT = {"num_attention_heads": 4, "attention_head_dim": 8, "in_channels": 4, "out_channels": 4, "num_layers": 2, "sample_size": 8,
       "patch_size": 2, "num_embeds_ada_norm": 50, "norm_num_groups": 8}  # fmt: skip


def diffusers(name: str, task: str, exporter: str, kind: str, config: dict, inputs: dict[str, Input], sizes: tuple, fast: bool = False,
              method: str = "") -> Model:  # fmt: skip
    def build() -> nn.Module:
        import diffusers as library

        made = getattr(library, kind)(**config)
        if method:  # instead of the whole
            made.forward = getattr(made, method)
        return Library(made, list(inputs), ["sample"])

    return Model(name, task, exporter, build, inputs, ["image"], sizes, fast)


def times(*shape: int | str) -> Input:
    return floats(*shape, low=1, high=900)


LATENT = floats("batch", 4, "height", "width")
MODELS = [
    diffusers("diffusion_unet", "diffusion", "dynamo", "UNet2DConditionModel", TEXT_UNET,
              {"sample": LATENT, "timestep": times("batch"), "encoder_hidden_states": floats("batch", 5, 24)}, PLACES),
    diffusers("diffusion_free", "diffusion", "torchscript", "UNet2DModel", FREE_UNET,
              {"sample": LATENT, "timestep": times("batch")}, PLACES),
    diffusers("vae_decoder", "diffusion", "dynamo", "AutoencoderKL", VAE, {"z": LATENT}, PLACES, method="decode"),
]  # fmt: skip
