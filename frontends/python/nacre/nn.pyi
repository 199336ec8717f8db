"""Models written in Python, checked while they are written."""

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ._model import Input as Input
from ._model import Model as Model
from ._model import Sequential as Sequential

Ints = int | Sequence[int]
Padding = Literal["valid", "same"]
# A node's attributes.
Attribute = bool | int | float | str | Sequence[int] | Sequence[float] | Sequence[str]

class Tensor:
    """A value of a graph that is being written"""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int | None, ...]:
        """Sizes; None where a size is known only at run time"""
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def graph(self) -> Graph: ...
    def __neg__(self) -> Tensor: ...
    def __add__(self, other: Tensor | ArrayLike, /) -> Tensor: ...
    def __radd__(self, other: ArrayLike, /) -> Tensor: ...
    def __sub__(self, other: Tensor | ArrayLike, /) -> Tensor: ...
    def __rsub__(self, other: ArrayLike, /) -> Tensor: ...
    def __mul__(self, other: Tensor | ArrayLike, /) -> Tensor: ...
    def __rmul__(self, other: ArrayLike, /) -> Tensor: ...
    def __truediv__(self, other: Tensor | ArrayLike, /) -> Tensor: ...
    def __rtruediv__(self, other: ArrayLike, /) -> Tensor: ...
    def __pow__(self, other: Tensor | ArrayLike, /) -> Tensor: ...
    def __rpow__(self, other: ArrayLike, /) -> Tensor: ...
    def __matmul__(self, other: Tensor | ArrayLike, /) -> Tensor: ...
    def __rmatmul__(self, other: ArrayLike, /) -> Tensor: ...

class Graph:
    """ONNX operators, checked as they are added. `seed` is that of all random initial values"""

    def __init__(self, seed: int = 0) -> None: ...
    def input(self, name: str, shape: Sequence[int | str | None], dtype: DTypeLike = "float32") -> Tensor:
        """What the model takes; a size may be a number, a name, or None"""

    @overload
    def parameter(self, name: str, shape: list[int] | tuple[int, ...], initializer: str = "glorot_uniform") -> Tensor:
        """A weight with random or constant initial values: zeros, ones, constant:value=0,
        uniform:min=-0.05,max=0.05, normal:mean=0,stddev=0.05, truncated_normal, orthogonal:gain=1, or glorot,
        he or lecun with _uniform or _normal, of fans [..., in, out]"""

    @overload
    def parameter(self, name: str, values: NDArray[Any]) -> Tensor:
        """A weight with the initial values of an array"""

    def constant(self, value: ArrayLike) -> Tensor: ...
    @overload
    def op(self, type: str, inputs: Sequence[Tensor | ArrayLike | None], attributes: dict[str, Attribute] = {}, *, name: str = "") -> Tensor: ...
    @overload
    def op(self, type: str, inputs: Sequence[Tensor | ArrayLike | None], attributes: dict[str, Attribute], outputs: int, name: str = "") -> Tensor | tuple[Tensor, ...]:
        """A node of ONNX's operator `type` (opset 23): its output, or a tuple of `outputs`. None leaves out
        an optional input, arrays and numbers are constants"""

    def summary(self, outputs: Sequence[Tensor]) -> str:
        """A line for each layer that the outputs need, with its output's sizes and its weights, and sums"""

    def serialize(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> bytes:
        """What the outputs need of the graph, as an ONNX model"""

class Layer:
    """What is called with tensors: a function that keeps its weights"""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    def __call__(self, *inputs: Tensor | Sequence[Tensor]) -> Tensor: ...

class RecurrentLayer(Layer):
    """A layer over time, which Bidirectional takes"""

def Dense(units: int, activation: str | None = None, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", bias_initializer: str = "zeros", name: str | None = None) -> Layer:
    """[..., in] to [..., units]"""

def Embedding(input_dim: int, output_dim: int, embeddings_initializer: str = "uniform", name: str | None = None) -> Layer:
    """Integers below input_dim to their rows"""

def Conv1D(filters: int, kernel_size: Ints, strides: Ints = 1, padding: Padding = "valid", activation: str | None = None, dilation_rate: Ints = 1, groups: int = 1, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", bias_initializer: str = "zeros", channels_first: bool = False, name: str | None = None) -> Layer:
    """[batch, places..., channels] to [batch, places..., filters]"""

def Conv2D(filters: int, kernel_size: Ints, strides: Ints = 1, padding: Padding = "valid", activation: str | None = None, dilation_rate: Ints = 1, groups: int = 1, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", bias_initializer: str = "zeros", channels_first: bool = False, name: str | None = None) -> Layer:
    """[batch, places..., channels] to [batch, places..., filters]"""

def Conv3D(filters: int, kernel_size: Ints, strides: Ints = 1, padding: Padding = "valid", activation: str | None = None, dilation_rate: Ints = 1, groups: int = 1, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", bias_initializer: str = "zeros", channels_first: bool = False, name: str | None = None) -> Layer:
    """[batch, places..., channels] to [batch, places..., filters]"""

def Conv1DTranspose(filters: int, kernel_size: Ints, strides: Ints = 1, padding: Padding = "valid", activation: str | None = None, dilation_rate: Ints = 1, groups: int = 1, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", bias_initializer: str = "zeros", channels_first: bool = False, name: str | None = None) -> Layer:
    """[batch, places..., channels] to [batch, places..., filters]"""

def Conv2DTranspose(filters: int, kernel_size: Ints, strides: Ints = 1, padding: Padding = "valid", activation: str | None = None, dilation_rate: Ints = 1, groups: int = 1, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", bias_initializer: str = "zeros", channels_first: bool = False, name: str | None = None) -> Layer:
    """[batch, places..., channels] to [batch, places..., filters]"""

def Conv3DTranspose(filters: int, kernel_size: Ints, strides: Ints = 1, padding: Padding = "valid", activation: str | None = None, dilation_rate: Ints = 1, groups: int = 1, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", bias_initializer: str = "zeros", channels_first: bool = False, name: str | None = None) -> Layer:
    """[batch, places..., channels] to [batch, places..., filters]"""

def DepthwiseConv2D(kernel_size: Ints, strides: Ints = 1, padding: Padding = "valid", depth_multiplier: int = 1, activation: str | None = None, dilation_rate: Ints = 1, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", bias_initializer: str = "zeros", channels_first: bool = False, name: str | None = None) -> Layer:
    """Each channel by itself"""

def MaxPooling1D(pool_size: Ints = 2, strides: Ints | None = None, padding: Padding = "valid", channels_first: bool = False, name: str | None = None) -> Layer:
    """Of windows; strides are pool_size unless given"""

def MaxPooling2D(pool_size: Ints = 2, strides: Ints | None = None, padding: Padding = "valid", channels_first: bool = False, name: str | None = None) -> Layer:
    """Of windows; strides are pool_size unless given"""

def MaxPooling3D(pool_size: Ints = 2, strides: Ints | None = None, padding: Padding = "valid", channels_first: bool = False, name: str | None = None) -> Layer:
    """Of windows; strides are pool_size unless given"""

def AveragePooling1D(pool_size: Ints = 2, strides: Ints | None = None, padding: Padding = "valid", channels_first: bool = False, name: str | None = None) -> Layer:
    """Of windows; strides are pool_size unless given"""

def AveragePooling2D(pool_size: Ints = 2, strides: Ints | None = None, padding: Padding = "valid", channels_first: bool = False, name: str | None = None) -> Layer:
    """Of windows; strides are pool_size unless given"""

def AveragePooling3D(pool_size: Ints = 2, strides: Ints | None = None, padding: Padding = "valid", channels_first: bool = False, name: str | None = None) -> Layer:
    """Of windows; strides are pool_size unless given"""

def GlobalMaxPooling(keepdims: bool = False, channels_first: bool = False, name: str | None = None) -> Layer:
    """Over all dimensions but batch and channels"""

def GlobalAveragePooling(keepdims: bool = False, channels_first: bool = False, name: str | None = None) -> Layer:
    """Over all dimensions but batch and channels"""

def UpSampling2D(size: Ints = 2, interpolation: Literal["nearest", "bilinear"] = "nearest", channels_first: bool = False, name: str | None = None) -> Layer:
    """Height and width times `size`"""

def BatchNormalization(epsilon: float = 1e-3, momentum: float = 0.99, groups: int = 32, center: bool = True, scale: bool = True, channels_first: bool = False, name: str | None = None) -> Layer:
    """Each channel over the batch; in inference by running statistics"""

def GroupNormalization(epsilon: float = 1e-3, momentum: float = 0.99, groups: int = 32, center: bool = True, scale: bool = True, channels_first: bool = False, name: str | None = None) -> Layer:
    """Groups of channels of each sample"""

def InstanceNormalization(epsilon: float = 1e-3, momentum: float = 0.99, groups: int = 32, center: bool = True, scale: bool = True, channels_first: bool = False, name: str | None = None) -> Layer:
    """Each channel of each sample"""

def LayerNormalization(epsilon: float = 1e-3, momentum: float = 0.99, groups: int = 32, center: bool = True, scale: bool = True, channels_first: bool = False, name: str | None = None) -> Layer:
    """Along the last dimension"""

def RMSNormalization(epsilon: float = 1e-3, momentum: float = 0.99, groups: int = 32, center: bool = True, scale: bool = True, channels_first: bool = False, name: str | None = None) -> Layer:
    """Along the last dimension, by the root of the mean square"""

def Dropout(rate: float = 0.5, name: str | None = None) -> Layer:
    """Zeros a share of the elements in training; nothing in inference"""

def SimpleRNN(units: int, return_sequences: bool = False, go_backwards: bool = False, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", recurrent_initializer: str = "orthogonal", bias_initializer: str = "zeros", unit_forget_bias: bool = True, name: str | None = None) -> RecurrentLayer:
    """[batch, time, features] to [batch, units], or to [batch, time, units]"""

def GRU(units: int, return_sequences: bool = False, go_backwards: bool = False, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", recurrent_initializer: str = "orthogonal", bias_initializer: str = "zeros", unit_forget_bias: bool = True, name: str | None = None) -> RecurrentLayer:
    """[batch, time, features] to [batch, units], or to [batch, time, units]"""

def LSTM(units: int, return_sequences: bool = False, go_backwards: bool = False, use_bias: bool = True, kernel_initializer: str = "glorot_uniform", recurrent_initializer: str = "orthogonal", bias_initializer: str = "zeros", unit_forget_bias: bool = True, name: str | None = None) -> RecurrentLayer:
    """[batch, time, features] to [batch, units], or to [batch, time, units]"""

def Bidirectional(layer: RecurrentLayer, name: str | None = None) -> Layer:
    """The layer in both directions, results side by side"""

def MultiHeadAttention(num_heads: int, key_dim: int, value_dim: int | None = None, use_bias: bool = True, causal: bool = False, kernel_initializer: str = "glorot_uniform", bias_initializer: str = "zeros", name: str | None = None) -> Layer:
    """Called with query, value and key, the last ones as the first unless given"""

def Flatten(name: str | None = None) -> Layer:
    """[batch, ...] to [batch, all the rest]"""

def Reshape(target_shape: Sequence[int], name: str | None = None) -> Layer:
    """[batch, ...] to [batch, *target_shape]; one size may be -1"""

def Permute(dims: Sequence[int], name: str | None = None) -> Layer:
    """The dimensions after the batch in another order, from 1"""

def Activation(activation: str, name: str | None = None) -> Layer:
    """relu, gelu, softmax, ..."""

def Concatenate(axis: int = -1, name: str | None = None) -> Layer:
    """Several tensors to one"""
