"""Keras' models: channels last, by Keras' own export over PyTorch."""

from __future__ import annotations

from typing import Any

from .model import Model, floats, tokens

BATCHES = ({"batch": 2}, {"batch": 1}, {"batch": 5})


def mobilenet() -> Any:
    import keras

    image = keras.Input([64, 64, 3], name="image")
    return keras.applications.MobileNetV3Small(input_tensor=image, alpha=0.75, weights=None, classes=10, include_preprocessing=False)


def efficientnet() -> Any:
    """EfficientNet's blocks, two of them, from Keras' layers."""
    import keras
    from keras import layers

    image = x = keras.Input([32, 32, 3], name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.Conv2D(16, 3, strides=2, padding="valid", use_bias=False)(x)
    for width in (16, 24):
        y = layers.Conv2D(4 * width, 1, activation="swish")(x)
        y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(y))
        scale = layers.GlobalAveragePooling2D(keepdims=True)(y)
        scale = layers.Conv2D(4 * width, 1, activation="sigmoid")(layers.Conv2D(8, 1, activation="swish")(scale))
        y = layers.Conv2D(width, 1)(layers.Multiply()([y, scale]))
        x = layers.Add()([x, y]) if x.shape[-1] == width else y
    x = layers.SeparableConv2D(32, 3, strides=2, padding="same")(x)
    x = layers.GlobalMaxPooling2D()(layers.UpSampling2D(2, interpolation="bilinear")(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def reader() -> Any:
    """A text's kind: an LSTM both ways over words, and a GRU."""
    import keras
    from keras import layers

    words = keras.Input([12], dtype="int32", name="words")
    x = layers.Embedding(60, 16)(words)
    x = layers.Bidirectional(layers.LSTM(12, return_sequences=True))(x)
    x = layers.LayerNormalization()(layers.GRU(16)(x))
    return keras.Model(words, layers.Dense(3, activation="softmax")(x))


def transformer() -> Any:
    """Two inputs: a series, attended to, and what is known of it; two outputs."""
    import keras
    from keras import layers

    series, known = keras.Input([20, 4], name="series"), keras.Input([3], name="known")
    x = layers.Dense(16)(layers.Conv1D(16, 3, padding="causal", activation="relu")(series))
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.Dense(4, activation="elu")(known)])
    return keras.Model([series, known], [layers.Dense(1, name="next")(x), layers.Dense(3, activation="softmax", name="kind")(x)])


MODELS = [
    Model("keras_mobilenet_v3", "image classification", "keras", mobilenet, {"image": floats("batch", 64, 64, 3)}, ["chances"], BATCHES),
    Model("keras_efficientnet", "image classification", "keras", efficientnet, {"image": floats("batch", 32, 32, 3, low=0, high=255)},
          ["chances"], BATCHES, fast=True),
    Model("keras_reader", "text classification", "keras", reader, {"words": tokens(60, 2, 12)}, ["chances"]),
    Model("keras_transformer", "forecast", "keras", transformer, {"series": floats(2, 20, 4), "known": floats(2, 3)},
          ["next", "kind"]),
]  # fmt: skip
