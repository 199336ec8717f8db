"""Models as people export them: small in width, of every kind of task, by four exporters.

    from catalogue import MODELS
    files = MODELS["crnn"].get()      # exported now, unless build/models has it

Each theme is a file with its own `MODELS`. A model's `Input`s say which of its sizes are open, and its `sizes` are the
data sets. What each of them should give comes from PyTorch in float64 or from scikit-learn where the model comes from
there, and from ONNX Runtime for Keras.
"""

from __future__ import annotations

from dataclasses import replace

from . import control, detection, diffusion, graphs, images, generation, language, layers, loops, recommenders, series, sound, tables, vision
from .model import Model

THEMES = (vision, images, detection, diffusion, language, generation, loops, sound, series, tables, layers, recommenders, graphs, control)
MODELS: dict[str, Model] = {}
for theme in THEMES:
    for model in theme.MODELS:
        assert model.name not in MODELS, model.name
        MODELS[model.name] = replace(model, theme=theme.__file__)
