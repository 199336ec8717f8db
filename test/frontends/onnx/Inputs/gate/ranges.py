"""Attributes and constant operands out of their range."""

from building import case, info, model, node, tensor
from onnx import TensorProto, helper

INTS, FLOATS, BOOLS = TensorProto.INT64, TensorProto.FLOAT, TensorProto.BOOL


def ints(name, *values):
    return tensor(name, [len(values)], INTS, int64_data=values)


def floats(name, *values):
    return tensor(name, [len(values)], FLOATS, float_data=values)


def one(op, shape, tensors=(), opset=17, operands="", dtype=FLOATS, outputs="y", out=None, **attributes):
    """A node of one input of the given shape, and constant operands."""
    inputs = " ".join(["x", *operands.split(), *(t.name for t in tensors)])
    return model(
        node(op, inputs, outputs, **attributes), inputs=[info("x", shape, dtype)],
        outputs=[info("y", None, out or dtype)], tensors=tensors, opset=opset,
    )


def weights(op, shape, kernel, **attributes):
    """A node of an input and a weight that is an input too."""
    opset = attributes.pop("opset", 17)
    return model(node(op, "x w", "y", **attributes), inputs=[info("x", shape), info("w", kernel)], opset=opset)


def range_case(build, expected, name):
    build.__name__ = name
    case(expected)(build)


# Each by its name: what is built, and what must be said.
FAULTS = {
    **{
        f"scan_of_{count}_inputs": (
            lambda count=count: model(
                node("Scan", "x", "y", num_scan_inputs=count,
                     body=helper.make_graph([node("Relu", "a", "b")], "b", [info("a", [3])], [info("b", [3])])),
                inputs=[info("x", [2, 3])]), f"node 'n' (Scan): the body has 1 inputs and 1 outputs, which does not fit the node's 1 and 1, of which {count} inputs are scanned")
        for count in (-(1 << 63), 0, 2, (1 << 63) - 1)
    },
    **{
        f"scan_{version}_of_a_rank_that_changes": (
            lambda version=version: model(
                helper.make_node("Scan", ["", "x", "z"] if version == 8 else ["x", "z"], ["y", "w"], name="n", num_scan_inputs=1,
                     body=helper.make_graph([node("Add", "q e", "t"), node("Identity", "t", "u")], "b",
                                            [info("s", [3]), info("e", [3])], [info("t", [3]), info("u", [3])])),
                inputs=[info("x", [2, 3]), info("z", [2, 4, 3]), info("q", [2, 3])], opset=version),
            "node 'n' (Scan): a state has another rank in one iteration than in the next, expected one shape in all")
        for version in (8, 9)
    },
    **{
        f"rank_of_{op.lower()}": (
            lambda op=op, inputs=inputs: model(node(op, " ".join(i.name for i in inputs), "y"), inputs=inputs, opset=21),
            f"node 'n' ({op}): the result has rank 65539, as there are so many {what}, expected at most 64")
        for op, inputs, what in (
            ("AffineGrid", [info("x", [1, 2, 3]), info("s", [65539], INTS)], "sizes"),
            ("Reshape", [info("x", [1, 2, 3]), info("s", [65539], INTS)], "sizes"),
            ("ConstantOfShape", [info("s", [65539], INTS)], "sizes"),
        )
    },
    "eye_of_strings": (lambda: model(node("EyeLike", "x", "y", dtype=TensorProto.STRING), inputs=[info("x", [2, 3])]), "node 'n' (EyeLike): it would make strings of numbers, or numbers of strings: expected a numeric element type"),
    "batch_normalization_of_a_vector": (
        lambda: one("BatchNormalization", [2], [floats("s", 1), floats("b", 0), floats("m", 0), floats("v", 1)],
                    training_mode=1), "node 'n' (BatchNormalization): input X has rank 1, expected [N, C, ...]"),
    "softmax_axis": (lambda: one("Softmax", [2, 3], axis=99), "node 'n' (Softmax): axis 99 is out of range for rank 2"),
    "softmax_axis_least": (lambda: one("Softmax", [2, 3], axis=-(1 << 63)), "node 'n' (Softmax): axis -9223372036854775808 is out of range for rank 2"),
    "old_softmax_axis": (lambda: one("Softmax", [2, 3], opset=11, axis=99), "node 'n' (Softmax): axis 99 is out of range for rank 2"),
    "concat_axis": (lambda: one("Concat", [2, 3], operands="x", axis=2), "node 'n' (Concat): axis 2 is out of range for rank 2"),
    "concat_axis_least": (lambda: one("Concat", [2, 3], operands="x", axis=-(1 << 63)), "node 'n' (Concat): axis -9223372036854775808 is out of range for rank 2"),
    "gather_axis": (lambda: one("Gather", [2, 3], [ints("i", 0)], axis=5), "node 'n' (Gather): axis 5 is out of range for rank 2"),
    "gather_elements_axis": (lambda: one("GatherElements", [2], [ints("i", 0)], axis=-3), "node 'n' (GatherElements): axis -3 is out of range for rank 1"),
    "gather_elements_rank": (lambda: one("GatherElements", [2, 2], [ints("i", 0)]), "node 'n' (GatherElements): expected indices of the data's rank 2, found 'tensor<1xi64>'"),
    "gather_nd_batch": (lambda: one("GatherND", [2], [ints("i", 0)], batch_dims=3), "node 'n' (GatherND): index tuples of length 1 after 3 shared dimensions do not fit 'tensor<2xf32>'"),
    "gather_nd_huge_batch": (
        lambda: model(node("GatherND", "x i", "y", batch_dims=2**63 - 1),
                      inputs=[info("x", [2, 2]), info("i", [2, 1], TensorProto.INT64)], outputs=[info("y", [2])]), "node 'n' (GatherND): index tuples of length 1 after 9223372036854775807 shared dimensions do not fit 'tensor<2x2xf32>'"),
    "gather_nd_negative_batch": (lambda: one("GatherND", [2], [ints("i", 0)], batch_dims=-1), "node 'n' (GatherND): index tuples of length 1 after -1 shared dimensions do not fit 'tensor<2xf32>'"),
    "gather_nd_tuple": (lambda: one("GatherND", [2], [ints("i", 0, 0, 0)]), "node 'n' (GatherND): index tuples of length 3 after 0 shared dimensions do not fit 'tensor<2xf32>'"),
    "gather_index": (lambda: one("Gather", [2, 3], [ints("i", 0, 2)]), "node 'n' (Gather): index 2 is out of range, expected -2 to 1"),
    "gather_negative_index": (lambda: one("Gather", [2, 3], [ints("i", -4)], axis=1), "node 'n' (Gather): index -4 is out of range, expected -3 to 2"),
    "gather_least_index": (lambda: one("Gather", [2, 3], [ints("i", -(1 << 63))]), "node 'n' (Gather): index -9223372036854775808 is out of range, expected -2 to 1"),
    "gather_nothing": (lambda: one("Gather", [0, 3], [ints("i", 0)]), "node 'n' (Gather): index 0 is into a dimension that has no elements"),
    "gather_many_indices": (lambda: one("Gather", [2, 3], [ints("i", *[0] * 1000000, 7)]), "node 'n' (Gather): index 7 is out of range, expected -2 to 1"),
    "gather_beside_unknown": (lambda: one("Gather", ["N", 3], [ints("i", 3)], axis=1), "node 'n' (Gather): index 3 is out of range, expected -3 to 2"),
    "gather_elements_index": (lambda: one("GatherElements", [2], [ints("i", 0, 5)]), "node 'n' (GatherElements): index 5 is out of range, expected -2 to 1"),
    "gather_nd_index": (lambda: one("GatherND", [2, 3], [tensor("i", [2, 2], INTS, int64_data=[1, 2, 0, 3])]), "node 'n' (GatherND): index 3 is out of range, expected -3 to 2"),
    "gather_nd_index_of_unknown": (lambda: one("GatherND", ["N", 3], [tensor("i", [2, 2], INTS, int64_data=[99, 2, 0, -4])]), "node 'n' (GatherND): index -4 is out of range, expected -3 to 2"),
    "scatter_index": (lambda: one("ScatterElements", [2], [ints("i", 2), floats("u", 1)]), "node 'n' (ScatterElements): index 2 is out of range, expected -2 to 1"),
    "scatter_nd_index": (lambda: one("ScatterND", [2, 3], [tensor("i", [1, 2], INTS, int64_data=[-3, 0]), floats("u", 1)]), "node 'n' (ScatterND): index -3 is out of range, expected -2 to 1"),
    "roi_align_index": (lambda: one("RoiAlign", [2, 1, 4, 4], [tensor("r", [1, 4], FLOATS, float_data=[0, 0, 1, 1]), ints("b", 2)]), "node 'n' (RoiAlign): index 2 is out of range, expected -2 to 1"),
    "scatter_axis": (lambda: one("ScatterElements", [2], [ints("i", 0), floats("u", 1)], axis=9), "node 'n' (ScatterElements): axis 9 is out of range for rank 1"),
    "scatter_reduction": (lambda: one("ScatterElements", [2], [ints("i", 0), floats("u", 1)], reduction="q"), "node 'n' (ScatterElements): the attribute 'reduction' is 'q', expected none, add, mul, min or max"),
    "transpose_twice": (lambda: one("Transpose", [2, 3], perm=[0, 0]), "node 'n' (Transpose): transpose expects a permutation of 2 dimensions"),
    "transpose_negative": (lambda: one("Transpose", [2, 3], perm=[0, -1]), "node 'n' (Transpose): transpose expects a permutation of 2 dimensions"),
    "transpose_short": (lambda: one("Transpose", [2, 3], perm=[0]), "node 'n' (Transpose): transpose expects a permutation of 2 dimensions"),
    "transpose_huge": (lambda: one("Transpose", [2, 3], perm=[0, (1 << 63) - 1]), "node 'n' (Transpose): transpose expects a permutation of 2 dimensions"),
    "flatten_axis": (lambda: one("Flatten", [2, 3], axis=3), "node 'n' (Flatten): the attribute 'axis' is 3, but the input has rank 2"),
    "squeeze_axis": (lambda: one("Squeeze", [2, 3], [ints("a", 4)]), "node 'n' (Squeeze): axis 4 is out of range for rank 2"),
    "squeeze_of_size_2": (lambda: one("Squeeze", [2, 3], [ints("a", 0)]), "node 'n' (Squeeze): cannot squeeze dimension 0 of 'tensor<2x3xf32>': its size is not 1"),
    "unsqueeze_axis": (lambda: one("Unsqueeze", [2, 3], [ints("a", 4)]), "node 'n' (Unsqueeze): axis 4 is out of range for rank 3"),
    "unsqueeze_twice": (lambda: one("Unsqueeze", [2, 3], [ints("a", 1, 1)]), "node 'n' (Unsqueeze): axis 1 is given twice"),
    "reduce_axis": (lambda: one("ReduceSum", [2, 3], [ints("a", 2)]), "node 'n' (ReduceSum): axis 2 is out of range for rank 2"),
    "reduce_axis_twice": (lambda: one("ReduceSum", [2, 3], [ints("a", 0, -2)]), "node 'n' (ReduceSum): axis -2 is given twice"),
    "argmax_axis": (lambda: one("ArgMax", [2, 3], axis=-3), "node 'n' (ArgMax): axis -3 is out of range for rank 2"),
    "cumsum_axis": (lambda: one("CumSum", [2, 3], [ints("a", 2)]), "node 'n' (CumSum): axis 2 is out of range for rank 2"),
    "split_axis": (lambda: one("Split", [2, 3], axis=7), "node 'n' (Split): axis 7 is out of range for rank 2"),
    "split_sizes": (lambda: one("Split", [2, 3], [ints("s", 1, 5)], outputs="y z", axis=0), "node 'n' (Split): its sizes add up to 6, but dimension 0 of the input has 2 elements"),
    "split_negative": (lambda: one("Split", [2, 3], [ints("s", 3, -1)], outputs="y z", axis=0), "node 'n' (Split): it has a size of -1"),
    "split_overflow": (
        lambda: one("Split", [2, 3], [ints("s", (1 << 63) - 1, (1 << 63) - 1, 4)], outputs="y z u", axis=0), "node 'n' (Split): it has a size of 9223372036854775807"),
    "split_num_outputs": (lambda: one("Split", [2, 3], outputs="y z", opset=18, num_outputs=0), "node 'n' (Split): the attribute 'num_outputs' is 0, but it has 2 outputs"),
    "reshape_product": (lambda: one("Reshape", [2, 3], [ints("s", 4, 2)]), "node 'n' (Reshape): cannot reshape 'tensor<2x3xf32>' to [4, 2]"),
    "reshape_two_unknown": (lambda: one("Reshape", [2, 3], [ints("s", -1, -1)]), "node 'n' (Reshape): reshape to a shape with two sizes of -1"),
    "reshape_negative": (lambda: one("Reshape", [2, 3], [ints("s", -2, -3)]), "node 'n' (Reshape): reshape to a size of -2"),
    "reshape_overflow": (lambda: one("Reshape", [2, 3], [ints("s", 1 << 62, 4)]), "node 'n' (Reshape): reshape to more elements than 64 bits can count"),
    "reshape_overflow_to_six": (lambda: one("Reshape", [2, 3], [ints("s", 3 << 1, 1 << 32, 1 << 32)]), "node 'n' (Reshape): reshape to more elements than 64 bits can count"),
    "reshape_zero_beyond": (lambda: one("Reshape", [2, 3], [ints("s", 6, 1, 0)]), "node 'n' (Reshape): reshape copies size 2 of 'tensor<2x3xf32>', which has none"),
    "expand_negative": (lambda: one("Expand", [1, 3], [ints("s", -1, 3)]), "node 'n' (Expand): broadcast to a size of -1"),
    "expand_mismatch": (lambda: one("Expand", [2, 3], [ints("s", 3, 3)]), "node 'n' (Expand): cannot broadcast 'tensor<2x3xf32>': size 2 to 3"),
    "expand_huge": (lambda: one("Expand", [1], [ints("s", 1 << 41)]), "node 'n' (Expand): a result has the type 'tensor<2199023255552xf32>', expected at most 1099511627776 elements"),
    "expand_overflow": (lambda: one("Expand", [1], [ints("s", 1 << 62, 1 << 62)]), "node 'n' (Expand): a result has the type 'tensor<4611686018427387904x4611686018427387904xf32>', expected at most 1099511627776 elements"),
    "tile_negative": (lambda: one("Tile", [2], [ints("r", -1)]), "node 'n' (Tile): it has a negative repeat: -1"),
    "tile_overflow": (lambda: one("Tile", [4], [ints("r", 1 << 62)]), "node 'n' (Tile): a result has the type 'tensor<4611686018427387904x4xf32>', expected at most 1099511627776 elements"),
    "tile_count": (lambda: one("Tile", [2], [ints("r", 1, 1)]), "node 'n' (Tile): it has 2 repeats, expected 1"),
    "pad_count": (lambda: one("Pad", [2], [ints("p", 1)]), "node 'n' (Pad): it has 1 pads, expected 2"),
    "pad_overflow": (lambda: one("Pad", [2], [ints("p", (1 << 63) - 1, (1 << 63) - 1)]), "node 'n' (Pad): pads must be from -1099511627776 to 1099511627776, found 9223372036854775807"),
    "pad_below_zero": (lambda: one("Pad", [2], [ints("p", -2, -2)]), "node 'n' (Pad): the pads -2 and -2 take away more elements than dimension 0 has, 2"),
    "pad_mode": (lambda: one("Pad", [2], [ints("p", 0, 0)], mode="q"), "node 'n' (Pad): the attribute 'mode' is 'q', expected constant, edge, reflect or wrap"),
    "slice_step_zero": (
        lambda: one("Slice", [4], [ints("s", 0), ints("e", 2), ints("a", 0), ints("t", 0)]), "node 'n' (Slice): slice with a step of 0"),
    "slice_axis": (lambda: one("Slice", [4], [ints("s", 0), ints("e", 2), ints("a", 1)]), "node 'n' (Slice): axis 1 is out of range for rank 1"),
    "slice_axis_twice": (lambda: one("Slice", [4, 4], [ints("s", 0, 0), ints("e", 2, 2), ints("a", 0, -2)]), "node 'n' (Slice): axis -2 is given twice"),
    "slice_counts": (lambda: one("Slice", [4], [ints("s", 0, 0), ints("e", 2)]), "node 'n' (Slice): it has 2 starts for an input of rank 1"),
    "constant_of_shape_huge": (
        lambda: model(node("ConstantOfShape", "s", "y"), inputs=[], tensors=[ints("s", 1 << 40, 1 << 20)]), "node 'n' (ConstantOfShape): a result has the type 'tensor<1099511627776x1048576xf32>', expected at most 1099511627776 elements"),
    "constant_of_shape_overflow": (
        lambda: model(node("ConstantOfShape", "s", "y"), inputs=[], tensors=[ints("s", 1 << 62, 1 << 62)]), "node 'n' (ConstantOfShape): a result has the type 'tensor<4611686018427387904x4611686018427387904xf32>', expected at most 1099511627776 elements"),
    "constant_of_shape_negative": (
        lambda: model(node("ConstantOfShape", "s", "y"), inputs=[], tensors=[ints("s", -1)]), "node 'n' (ConstantOfShape): broadcast to a size of -1"),
    "range_step_zero": (
        lambda: model(node("Range", "a b c", "y"), inputs=[], outputs=[info("y", None, INTS)],
                      tensors=[tensor(n, [], INTS, int64_data=[v]) for n, v in (("a", 0), ("b", 5), ("c", 0))]), "node 'n' (Range): delta is 0"),
    "range_huge": (
        lambda: model(node("Range", "a b c", "y"), inputs=[], outputs=[info("y", None, INTS)],
                      tensors=[tensor(n, [], INTS, int64_data=[v])
                               for n, v in (("a", -(1 << 63)), ("b", (1 << 63) - 1), ("c", 1))]), "node 'n' (Range): start or limit is beyond 2305843009213693952"),
    "one_hot_negative": (
        lambda: one("OneHot", [2], [tensor("d", [1], INTS, int64_data=[-1]), floats("v", 0, 1)], dtype=INTS, out=FLOATS), "node 'n' (OneHot): the depth is -1, expected no negative number"),
    "one_hot_huge": (
        lambda: one("OneHot", [2], [tensor("d", [1], INTS, int64_data=[1 << 62]), floats("v", 0, 1)], dtype=INTS, out=FLOATS), "node 'n' (OneHot): a result has the type 'tensor<2x4611686018427387904xf32>', expected at most 1099511627776 elements"),
    "one_hot_axis": (
        lambda: one("OneHot", [2], [tensor("d", [1], INTS, int64_data=[3]), floats("v", 0, 1)], dtype=INTS, out=FLOATS, axis=4),
        "node 'n' (OneHot): axis 4 is out of range for rank 2"),
    "top_k_negative": (lambda: one("TopK", [4], [ints("k", -1)], outputs="y i"), "node 'n' (TopK): k is -1, expected no negative number"),
    "top_k_beyond": (lambda: one("TopK", [4], [ints("k", 5)], outputs="y i"), "node 'n' (TopK): k is 5, but dimension 0 has 4 elements"),
    "top_k_axis": (lambda: one("TopK", [4], [ints("k", 1)], outputs="y i", axis=1), "node 'n' (TopK): axis 1 is out of range for rank 1"),
    "trilu_rank": (lambda: one("Trilu", [4]), "node 'n' (Trilu): expected matrices, found 'tensor<4xf32>'"),
    "eye_like_rank": (lambda: one("EyeLike", [4]), "node 'n' (EyeLike): the input has rank 1, expected 2"),
    "conv_group_zero": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], group=0), "node 'n' (Conv): groups must be positive, found 0"),
    "conv_group_negative": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], group=-1), "node 'n' (Conv): groups must be positive, found -1"),
    "conv_group_uneven": (lambda: weights("Conv", [1, 4, 5, 5], [4, 1, 3, 3], group=3), "node 'n' (Conv): the input has 4 channels, but the weight takes 1 in each of 3 groups"),
    "conv_stride_zero": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], strides=[0, 1]), "node 'n' (Conv): strides must be from 1 to 1048576, found 0"),
    "conv_stride_negative": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], strides=[1, -1]), "node 'n' (Conv): strides must be from 1 to 1048576, found -1"),
    "conv_dilation_zero": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], dilations=[0, 1]), "node 'n' (Conv): dilations must be from 1 to 1048576, found 0"),
    "conv_dilation_huge": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], dilations=[1 << 62, 1]), "node 'n' (Conv): dilations must be from 1 to 1048576, found 4611686018427387904"),
    "conv_pads_negative": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], pads=[-9, 0, 0, 0]), "node 'n' (Conv): pads must be from 0 to 2147483648, found -9"),
    "conv_pads_huge": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], pads=[1 << 62, 0, 1 << 62, 0]), "node 'n' (Conv): pads must be from 0 to 2147483648, found 4611686018427387904"),
    "deform_conv_pads_huge": (lambda: one("DeformConv", [1, 3, 8, 8], [tensor("w", [1, 3, 1, 1], FLOATS, float_data=[0] * 3), tensor("o", [1, 2, 1, 1], FLOATS, float_data=[0] * 2)], opset=19, pads=[0, -(1 << 63), 0, 0]), "node 'n' (DeformConv): pads must be from -2147483648 to 2147483648, found -9223372036854775808"),
    "lstm_bias_without_dimensions": (lambda: one("LSTM", [4, 2, 3], [tensor("w", [2, 4, 3], FLOATS, float_data=[0] * 24), tensor("r", [2, 4, 1], FLOATS, float_data=[0] * 8), tensor("b", [], FLOATS, float_data=[0])], hidden_size=1, direction="bidirectional"), "node 'n' (LSTM): input 3 has rank 0, expected 2"),
    "old_broadcast_axis_huge": (lambda: one("Add", [], [tensor("b", [5, 2], FLOATS, float_data=[0] * 10)], opset=1, broadcast=1, axis=(1 << 63) - 1), "node 'n' (Add): attribute 'axis' is 9223372036854775807, where 2 dimensions do not fit into 0"),
    "conv_pads_count": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], pads=[1, 1]), "node 'n' (Conv): expected 2 strides, 2 dilations and 4 pads, found 2, 2 and 2"),
    "conv_strides_count": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], strides=[1]), "node 'n' (Conv): expected 2 strides, 2 dilations and 4 pads, found 1, 2 and 4"),
    "conv_kernel_shape": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], kernel_shape=[5, 5]), "node 'n' (Conv): kernel_shape does not match the weight"),
    "conv_kernel_zero": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 0, 3]), "node 'n' (Conv): kernel sizes must be positive, found 0"),
    "conv_kernel_beyond": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 9, 3]), "node 'n' (Conv): a window of 9 does not fit into 5 elements, padding included"),
    "conv_channels": (lambda: weights("Conv", [1, 4, 5, 5], [4, 3, 3, 3]), "node 'n' (Conv): the input has 4 channels, but the weight takes 3 in each of 1 groups"),
    "conv_rank": (lambda: weights("Conv", [4, 5], [4, 5]), "node 'n' (Conv): expected an input of rank 3 or more, found rank 2"),
    "conv_auto_pad": (lambda: weights("Conv", [1, 4, 5, 5], [4, 4, 3, 3], auto_pad="q"), "node 'n' (Conv): auto_pad is 'q', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER"),
    "conv_transpose_stride_zero": (lambda: weights("ConvTranspose", [1, 4, 5, 5], [4, 4, 3, 3], strides=[0, 0]), "node 'n' (ConvTranspose): strides must be from 1 to 1048576, found 0"),
    "conv_transpose_group_zero": (lambda: weights("ConvTranspose", [1, 4, 5, 5], [4, 4, 3, 3], group=0), "node 'n' (ConvTranspose): groups must be positive, found 0"),
    "tensor_scatter_of_a_scalar": (
        lambda: model(node("TensorScatter", "x u i", "y"), opset=24, ir=11,
                      inputs=[info("x", [1, 4, 2]), info("u", [1, 1, 2]), info("i", [], TensorProto.INT64)]), "node 'n' (TensorScatter): expected one position for each batch entry, found 'tensor<i64>'"),
    "expand_by_a_scalar": (
        lambda: model(node("Expand", "x s", "y"), inputs=[info("x", [4]), info("s", [], TensorProto.INT64)],
                      outputs=[info("y", [None])]), "node 'n' (Expand): a tensor of rank 0 holds the sizes, expected a vector"),
    "compress_by_a_matrix": (
        lambda: model(node("Compress", "x c", "y"), inputs=[info("x", [4]), info("c", [2, 2], TensorProto.BOOL)]), "node 'n' (Compress): a tensor of rank 2 holds the conditions, expected a vector"),
    "conv_transpose_of_a_scalar": (
        lambda: weights("ConvTranspose", [], [4, 4, 3, 3]), "node 'n' (ConvTranspose): expected an input of rank 3 or more, found rank 0"),
    "conv_transpose_group_huge": (
        lambda: weights("ConvTranspose", [1, 0, 5, 5], [0, 4, 3, 3], group=1 << 62), "node 'n' (ConvTranspose): 4611686018427387904 groups of 4 output channels are too many"),
    "conv_transpose_padding": (
        lambda: weights("ConvTranspose", [1, 4, 5, 5], [4, 4, 3, 3], output_padding=[-1, 7]), "node 'n' (ConvTranspose): output_padding and output_shape must be from 0 to 1099511627776, found -1"),
    "conv_transpose_shape": (
        lambda: weights("ConvTranspose", [1, 4, 5, 5], [4, 4, 3, 3], output_shape=[1 << 62, 3]), "node 'n' (ConvTranspose): output_padding and output_shape must be from 0 to 1099511627776, found 4611686018427387904"),
    "max_pool_kernel_zero": (lambda: one("MaxPool", [1, 1, 5, 5], kernel_shape=[0, 2]), "node 'n' (MaxPool): kernel sizes must be from 1 to 1099511627776, found 0"),
    "max_pool_kernel_negative": (lambda: one("MaxPool", [1, 1, 5, 5], kernel_shape=[2, -2]), "node 'n' (MaxPool): kernel sizes must be from 1 to 1099511627776, found -2"),
    "max_pool_kernel_huge": (lambda: one("MaxPool", [1, 1, 5, 5], kernel_shape=[1 << 62, 2]), "node 'n' (MaxPool): kernel sizes must be from 1 to 1099511627776, found 4611686018427387904"),
    "max_pool_stride_zero": (lambda: one("MaxPool", [1, 1, 5, 5], kernel_shape=[2, 2], strides=[0, 1]), "node 'n' (MaxPool): strides must be from 1 to 1048576, found 0"),
    "average_pool_kernel_missing": (lambda: one("AveragePool", [1, 1, 5, 5]), "node 'n' (AveragePool): the attribute 'kernel_shape' is missing"),
    "average_pool_kernel_count": (lambda: one("AveragePool", [1, 1, 5, 5], kernel_shape=[2]), "node 'n' (AveragePool): expected 2 kernel sizes, found 1"),
    "average_pool_stride_zero": (lambda: one("AveragePool", [1, 1, 5, 5], kernel_shape=[2, 2], strides=[0, 0]), "node 'n' (AveragePool): strides must be from 1 to 1048576, found 0"),
    "lp_pool_p_zero": (lambda: one("LpPool", [1, 1, 5, 5], kernel_shape=[2, 2], p=0), "node 'n' (LpPool): p is 0, expected a positive number"),
    "lp_norm_p": (lambda: one("LpNormalization", [2, 3], p=3), "node 'n' (LpNormalization): 'p' is 3, expected 1 or 2"),
    "lrn_size_zero": (lambda: one("LRN", [1, 3, 2, 2], size=0), "node 'n' (LRN): 'size' is 0 and the input's rank 4, expected 1 or more and 2 or more"),
    "depth_to_space_block_zero": (lambda: one("DepthToSpace", [1, 4, 2, 2], blocksize=0), "node 'n' (DepthToSpace): the attribute 'blocksize' is 0, expected 1 to 1048576"),
    "depth_to_space_block_negative": (lambda: one("DepthToSpace", [1, 4, 2, 2], blocksize=-2), "node 'n' (DepthToSpace): the attribute 'blocksize' is -2, expected 1 to 1048576"),
    "depth_to_space_uneven": (lambda: one("DepthToSpace", [1, 3, 2, 2], blocksize=2), "node 'n' (DepthToSpace): cannot reshape 'tensor<1x3x2x2xf32>' to [1, 2, 2, 0, 2, 2]"),
    "depth_to_space_mode": (lambda: one("DepthToSpace", [1, 4, 2, 2], blocksize=2, mode="q"), "node 'n' (DepthToSpace): the attribute 'mode' is 'q', expected DCR or CRD"),
    "space_to_depth_block_zero": (lambda: one("SpaceToDepth", [1, 4, 2, 2], blocksize=0), "node 'n' (SpaceToDepth): the attribute 'blocksize' is 0, expected 1 to 1048576"),
    "space_to_depth_block_huge": (lambda: one("SpaceToDepth", [1, 4, 2, 2], blocksize=1 << 62), "node 'n' (SpaceToDepth): the attribute 'blocksize' is 4611686018427387904, expected 1 to 1048576"),
    "group_norm_groups_zero": (
        lambda: one("GroupNormalization", [1, 4, 2], [floats("s", 1, 1, 1, 1), floats("b", 0, 0, 0, 0)], opset=21,
                    num_groups=0), "node 'n' (GroupNormalization): attribute 'num_groups' is 0, expected a positive number"),
    "layer_norm_axis": (lambda: one("LayerNormalization", [2, 3], [floats("s", 1, 1, 1)], axis=2), "node 'n' (LayerNormalization): axis 2 is out of range for rank 2"),
    "batch_norm_sizes": (
        lambda: one("BatchNormalization", [1, 2, 3],
                    [floats("s", 1), floats("b", 0), floats("m", 0), floats("v", 1)]), "node 'n' (BatchNormalization): expects a vector of the channels' size 2, found 'tensor<1xf32>'"),
    "instance_norm_sizes": (
        lambda: one("InstanceNormalization", [1, 2, 3], [floats("s", 1), floats("b", 0, 0)]), "node 'n' (InstanceNormalization): expects a vector of the channels' size 2, found 'tensor<1xf32>'"),
    "matmul_sizes": (lambda: weights("MatMul", [2, 3], [4, 5]), "node 'n' (MatMul): matmul's inner sizes differ: 3 and 4"),
    "matmul_scalar": (lambda: weights("MatMul", [2, 3], []), "node 'n' (MatMul): expected operands of rank 1 or more, found a scalar"),
    "old_gemm_sizes": (
        lambda: model(node("Gemm", "x w c", "y", broadcast=1),
                      inputs=[info("x", [2, 3]), info("w", [9, 4]), info("c", [1])], opset=6), "node 'n' (Gemm): matmul's inner sizes differ: 3 and 9"),
    "gemm_rank": (lambda: weights("Gemm", [2], [2, 2]), "node 'n' (Gemm): expected matrices, found 1 dimensions in input 0"),
    "gemm_sizes": (lambda: weights("Gemm", [2, 3], [2, 3]), "node 'n' (Gemm): matmul's inner sizes differ: 3 and 2"),
    "einsum_equation": (lambda: weights("Einsum", [2, 3], [3, 4], equation="ij,jk->iz"), "node 'n' (Einsum): equation 'ij,jk->iz': the result must name labels of the operands, each once"),
    "einsum_ranks": (lambda: weights("Einsum", [2, 3], [3, 4], equation="ijk,jk->i"), "node 'n' (Einsum): equation 'ijk,jk->i': term 'ijk' for an operand of rank 2"),
    "einsum_sizes": (lambda: weights("Einsum", [2, 3], [2, 4], equation="ij,jk->ik"), "node 'n' (Einsum): matmul's inner sizes differ: 3 and 2"),
    "einsum_garbage": (lambda: weights("Einsum", [2, 3], [3, 4], equation="%s->\n->"), "node 'n' (Einsum): equation '%s->\\x0A->': 1 terms for 2 operands"),
    "einsum_operands": (lambda: weights("Einsum", [2, 3], [3, 4], equation="ij->ij"), "node 'n' (Einsum): equation 'ij->ij': 1 terms for 2 operands"),
    "resize_scale_zero": (lambda: model(helper.make_node("Resize", ["x", "", "s"], ["y"], name="n"), inputs=[info("x", [2, 3])],
                      tensors=[floats("s", 0, 1)]), "node 'n' (Resize): a scale is not above 0"),
    "upsample_scale_negative": (lambda: one("Upsample", [1, 1, 2, 2], [floats("s", 1, 1, -2, 1)], opset=9), "node 'n' (Upsample): a scale is not above 0"),
    "cast_to_nothing": (lambda: one("Cast", [2], to=0), "node 'n' (Cast): the element type UNDEFINED is not supported"),
    "cast_to_unknown": (lambda: one("Cast", [2], to=99), "node 'n' (Cast): the element type type 99 is not supported"),
    "bit_shift_direction": (
        lambda: one("BitShift", [2], operands="x", dtype=TensorProto.UINT8, direction="AROUND"), "node 'n' (BitShift): attribute 'direction' is 'AROUND', expected LEFT or RIGHT"),
    "lstm_hidden_zero": (
        lambda: model(node("LSTM", "x w r", "y", hidden_size=0),
                      inputs=[info("x", [3, 1, 2]), info("w", [1, 8, 2]), info("r", [1, 8, 2])]), "node 'n' (LSTM): hidden_size is 0, but the recurrence weight is for 2"),
    "lstm_hidden_negative": (
        lambda: model(node("LSTM", "x w r", "y", hidden_size=-2),
                      inputs=[info("x", [3, 1, 2]), info("w", [1, 8, 2]), info("r", [1, 8, 2])]), "node 'n' (LSTM): hidden_size is -2, but the recurrence weight is for 2"),
    "lstm_hidden_huge": (
        lambda: model(node("LSTM", "x w r", "y", hidden_size=2**63 - 1),
                      inputs=[info("x", [3, 1, 2]), info("w", [1, 8, 2]), info("r", [1, None, None])]), "node 'n' (LSTM): hidden_size is 9223372036854775807, expected 1 to 1099511627776"),
    "lstm_weights": (
        lambda: model(node("LSTM", "x w r", "y", hidden_size=2),
                      inputs=[info("x", [3, 1, 2]), info("w", [1, 7, 2]), info("r", [1, 8, 2])]), "node 'n' (LSTM): the size 7 in the gates, 'tensor<3x1x7xf32>', does not fit the other operands"),
    "lstm_direction": (
        lambda: model(node("LSTM", "x w r", "y", hidden_size=2, direction="up"),
                      inputs=[info("x", [3, 1, 2]), info("w", [1, 8, 2]), info("r", [1, 8, 2])]), "node 'n' (LSTM): direction is 'up', expected forward, reverse or bidirectional"),
    "lstm_activation": (
        lambda: model(node("LSTM", "x w r", "y", hidden_size=2, activations=["Foo", "Tanh", "Tanh"]),
                      inputs=[info("x", [3, 1, 2]), info("w", [1, 8, 2]), info("r", [1, 8, 2])]), "node 'n' (LSTM): unknown activation 'Foo'"),
    "gru_layout": (
        lambda: model(node("GRU", "x w r", "y", hidden_size=2, layout=7),
                      inputs=[info("x", [3, 1, 2]), info("w", [1, 6, 2]), info("r", [1, 6, 2])]), "node 'n' (GRU): attribute 'layout' is 7, expected 0 or 1"),
    "roi_align_size_zero": (
        lambda: model(node("RoiAlign", "x r i", "y", output_height=0, output_width=-1),
                      inputs=[info("x", [1, 1, 4, 4]), info("r", [2, 4]), info("i", [2], INTS)]), "node 'n' (RoiAlign): the attribute 'output_height' is 0, expected a positive number"),
    "roi_align_ratio": (
        lambda: model(node("RoiAlign", "x r i", "y", sampling_ratio=-1),
                      inputs=[info("x", [1, 1, 4, 4]), info("r", [2, 4]), info("i", [2], INTS)]), "node 'n' (RoiAlign): the attribute 'sampling_ratio' is -1, expected a number from 0 to 4096"),
    "grid_sample_sizes": (lambda: weights("GridSample", [1, 1, 4, 4], [1, 2, 2, 3]), "node 'n' (GridSample): a grid 'tensor<1x2x2x3xf32>' does not fit 'tensor<1x1x4x4xf32>'"),
    "col2im_block": (
        lambda: one("Col2Im", [1, 4, 4], [ints("s", 3, 3), ints("b", 0, 2)], opset=18), "node 'n' (Col2Im): dimension 1 of 'tensor<1x4x4xf32>' does not hold whole blocks"),
    "attention_heads": (
        lambda: model(node("Attention", "x x x", "y", q_num_heads=0, kv_num_heads=3),
                      inputs=[info("x", [1, 2, 4])], opset=23), "node 'n' (Attention): inputs of rank 3 need the attributes 'q_num_heads' and 'kv_num_heads', positive"),
    "attention_uneven": (
        lambda: model(node("Attention", "x x x", "y", q_num_heads=3, kv_num_heads=3),
                      inputs=[info("x", [1, 2, 4])], opset=23), "node 'n' (Attention): cannot reshape 'tensor<1x2x4xf32>' to [0, 0, 3, -1]"),
    "attention_past": (
        lambda: model(helper.make_node("Attention", ["x", "x", "x", "", "p", "p"], ["y", "k", "v"], name="n", is_causal=1),
                      inputs=[info("x", [1, 1, 2, 4]), info("p", [4])], opset=23), "node 'n' (Attention): a tensor has rank 1, expected at least 3"),
    "random_shape": (
        lambda: model(node("RandomNormal", "", "y", shape=[1 << 62, 1 << 62]), inputs=[]), "node 'n' (RandomNormal): a result has the type 'tensor<4611686018427387904x4611686018427387904xf32>', expected at most 1099511627776 elements"),
    "random_negative_shape": (lambda: model(node("RandomUniform", "", "y", shape=[-1]), inputs=[]), "node 'n' (RandomUniform): random numbers with a size of -1"),
    "multinomial_samples": (lambda: one("Multinomial", [1, 3], sample_size=-4), "node 'n' (Multinomial): attribute 'sample_size' is -4, expected no negative number"),
    "dft_axis": (lambda: one("DFT", [1, 4, 1], axis=7, opset=17), "node 'n' (DFT): axis 7 is out of range for rank 3"),
    "dft_length": (lambda: one("DFT", [1, 4, 1], [tensor("l", [], INTS, int64_data=[-4])], opset=17), "node 'n' (DFT): the transform's length is below 1"),
    "stft_step": (
        lambda: one("STFT", [1, 8, 1], [tensor("s", [], INTS, int64_data=[0]), floats("w", 1, 1)]), "node 'n' (STFT): the frames' step is below 1"),
    "quantize_axis": (
        lambda: one("QuantizeLinear", [2, 3], [floats("s", 1, 1)], axis=4), "node 'n' (QuantizeLinear): axis 4 is out of range for rank 2"),
    "quantize_block": (
        lambda: one("QuantizeLinear", [4], [floats("s", 1, 1)], axis=0, block_size=-2, opset=21), "node 'n' (QuantizeLinear): scales of blocks (block_size -2) have rank 1, expected blocks of positive size and rank 1"),
    "reverse_sequence_axes": (
        lambda: one("ReverseSequence", [2, 3], [ints("l", 1, 1)], batch_axis=0, time_axis=0), "node 'n' (ReverseSequence): expected two dimensions of 'tensor<2x3xf32>', found 0 and 0"),
    "center_crop_axes": (lambda: one("CenterCropPad", [2, 3], [ints("s", 2)], axes=[5], opset=18), "node 'n' (CenterCropPad): axis 5 is out of range for rank 2"),
    # What com.microsoft's operators are given: no schema says what they need.
    **{
        f"contrib_{op.lower()}": (
            lambda op=op, inputs=inputs, shapes=shapes, attributes=attributes: model(
                helper.make_node(op, inputs, ["y"], name="n", domain="com.microsoft", **attributes),
                inputs=[info(*shape) for shape in shapes], opsets=[("com.microsoft", 1)]), f"node 'n' ({op}): {message}")
        for op, inputs, shapes, attributes, message in (
            ("QLinearAveragePool", ["", "s", "", "s"], [("s", [])], {}, "input 0 is missing"),
            ("QLinearConcat", ["s", "", "", "s", ""], [("s", [])], {"axis": 0}, "input 2 is missing"),
            ("Rfft", [""], [], {}, "expected one tensor of rank 1 or more"),
            ("Irfft", ["x"], [("x", [2, 2], TensorProto.STRING)], {}, "it would make strings of numbers, or numbers of strings: expected a numeric element type"),
            ("Inverse", ["x"], [("x", [2, 2], INTS)], {}, "input 0 has the element type INT64, expected a floating-point type of at least 16 bits"),
            ("RotaryEmbedding", ["x", "p", "c", "c"], [("x", [2, 3, 8]), ("p", [2, 3], TensorProto.STRING), ("c", [9, 4])], {}, "it would make strings of numbers, or numbers of strings: expected a numeric element type"),
            ("MatMulNBits", ["x", "w", "s"], [("x", [2, 16]), ("w", [4, 1, 8], TensorProto.UINT8), ("s", [4, 1])],
             {"K": 16, "N": 4, "bits": 4, "block_size": 1 << 62}, f"'K', 'N', 'bits' and 'block_size' are 16, 4, 4 and {1 << 62}"),
            ("MultiHeadAttention", ["x", "x", "x", "b"], [("x", [2, 3, 4]), ("b", [])], {"num_heads": 2}, "a tensor has 1 dimensions less than expected"),
            ("GroupQueryAttention", ["q", "k", "k", "", "", "l", "t"],
             [("q", [2, 3, 8]), ("k", [2, 3, 4]), ("l", [2], INTS), ("t", [1], INTS)],
             {"num_heads": 1 << 62, "kv_num_heads": 1 << 62}, f"attribute 'num_heads' is {1 << 62}, expected 1 to 16777216"),
        )
    },
    "dft_of_any_length": (lambda: model(node("DFT", "x l", "y", axis=0), inputs=[info("x", [4, 1])], tensors=[tensor("l", [], INTS, int64_data=[(1 << 63) - 1])], opset=17), "node 'n' (DFT): "),
    "slice_of_many_starts": (
        lambda: model(node("Slice", "x s s", "y"), inputs=[info("x", [2]), info("s", [1 << 31], INTS)]), "node 'n' (Slice): it has 2147483648 starts for an input of rank 1"),
    "random_of_any_rank": (
        lambda: model(node("RandomNormal", "", "y", shape=[1] * 65), inputs=[]), "node 'n' (RandomNormal): the result has rank 65, as there are so many sizes, expected at most 64"),
    "deform_conv_groups": (
        lambda: model(node("DeformConv", "x w o", "y", group=1 << 62), opset=19,
                      inputs=[info("x", [1, 0, 3, 3]), info("w", [0, 3, 2, 2]), info("o", [1, 8, 2, 2])]), f"node 'n' (DeformConv): {1 << 62} groups and 1 groups of offsets do not fit the channels"),
    "tree_mode": (
        lambda: model(node("TreeEnsemble", "x", "y", domain="ai.onnx.ml", n_targets=1, tree_roots=[0], nodes_featureids=[0],
                           nodes_truenodeids=[0], nodes_falsenodeids=[0], nodes_trueleafs=[1], nodes_falseleafs=[1],
                           nodes_splits=floats("s", 1), nodes_modes=floats("m", 1e30), leaf_targetids=[0], leaf_weights=floats("w", 1)),
                      inputs=[info("x", [1, 1])], opsets=[("ai.onnx.ml", 5)]), "node 'n' (TreeEnsemble): a node's mode is "),
    "tree_of_wide_leaves": (
        lambda: model(node("TreeEnsembleRegressor", "x", "y", domain="ai.onnx.ml", n_targets=1, nodes_treeids=list(range(9000)),
                           nodes_nodeids=[0] * 9000, nodes_featureids=[0] * 9000, nodes_modes=["LEAF"] * 9000, nodes_values=[0.0] * 9000,
                           nodes_truenodeids=[0] * 9000, nodes_falsenodeids=[0] * 9000, target_treeids=[0] * 9000,
                           target_nodeids=[0] * 9000, target_ids=[0] * 9000, target_weights=[1.0] * 9000),
                      inputs=[info("x", [1, 1])], opsets=[("ai.onnx.ml", 1)]), "node 'n' (TreeEnsembleRegressor): it has 9000 leaves of up to 9000 weights, expected at most 67108864 in all"),
    "svm_of_many_classes": (
        lambda: model(node("SVMClassifier", "x", "y z", domain="ai.onnx.ml", classlabels_ints=list(range(600)), vectors_per_class=[1] * 600,
                           support_vectors=[0.0] * 600, coefficients=[0.0] * (599 * 600), rho=[0.0] * (300 * 599)),
                      inputs=[info("x", [1, 1])], outputs=[info("y", None, INTS)], opsets=[("ai.onnx.ml", 1)]), "node 'n' (SVMClassifier): it has 600 classes and 600 support vectors, of which 179700 pairs of classes make too many numbers"),
    "col2im_pads": (
        lambda: one("Col2Im", [1, 4, 4], [ints("i", 3, 3), ints("b", 2, 2)], opset=18, pads=[(1 << 63) - 1] * 4), f"node 'n' (Col2Im): pads must be from 0 to 2147483648, found {(1 << 63) - 1}"),
    "imputer_of_a_scalar": (
        lambda: model(node("Imputer", "x", "y", domain="ai.onnx.ml", imputed_value_floats=[1.0, 2.0], replaced_value_float=0.0),
                      inputs=[info("x", [])], opsets=[("ai.onnx.ml", 1)]), "node 'n' (Imputer): the attribute 'imputed_value_floats' has 2 numbers for 1 features"),
    "slice_of_many": (
        lambda: model(node("Slice", "x s e", "y"), inputs=[info("x", [2, 3]), info("s", [1 << 31], INTS), info("e", [1 << 31], INTS)]),
        "node 'n' (Slice): it has 2147483648 starts for an input of rank 2"),
    "det_of_no_square": (lambda: one("Det", [2, 3]), "node 'n' (Det): expected square matrices"),
    "nms_box": (
        lambda: model(node("NonMaxSuppression", "b s", "y", center_point_box=9),
                      inputs=[info("b", [1, 2, 4]), info("s", [1, 1, 2])]), "node 'n' (NonMaxSuppression): attribute 'center_point_box' is 9, expected 0 or 1"),
    "nms_sizes": (
        lambda: model(node("NonMaxSuppression", "b s", "y"),
                      inputs=[info("b", [1, 2, 5]), info("s", [1, 1, 3])]), "node 'n' (NonMaxSuppression): boxes and scores do not fit together: 'tensor<1x2x5xf32>' and 'tensor<1x1x3xf32>'"),
    "unique_axis": (lambda: one("Unique", [2, 3], axis=2), "node 'n' (Unique): axis 2 is out of range for rank 2"),
    "compress_axis": (
        lambda: one("Compress", [2, 3], [tensor("c", [2], BOOLS, int32_data=[0, 1])], axis=-3), "node 'n' (Compress): axis -3 is out of range for rank 2"),
    "hardmax_axis": (lambda: one("Hardmax", [2, 3], axis=2), "node 'n' (Hardmax): axis 2 is out of range for rank 2"),
    "max_unpool_kernel": (
        lambda: model(node("MaxUnpool", "x i", "y", kernel_shape=[0, 2]),
                      inputs=[info("x", [1, 1, 2, 2]), info("i", [1, 1, 2, 2], INTS)]), "node 'n' (MaxUnpool): a size of 'kernel_shape' or 'strides' is 0, expected 1 to 1048576"),
    "concat_shapes": (
        lambda: model(node("Concat", "x z", "y", axis=0), inputs=[info("x", [2, 3]), info("z", [2, 4])]), "node 'n' (Concat): concat along dimension 0: sizes of dimension 1 differ: 3 and 4"),
    "where_shapes": (
        lambda: model(node("Where", "c x z", "y"),
                      inputs=[info("c", [2], BOOLS), info("x", [3]), info("z", [2])]), "node 'n' (Where): shapes do not broadcast: 'tensor<2xi1>', 'tensor<3xf32>', 'tensor<2xf32>'"),
    "gelu_approximate": (lambda: one("Gelu", [2], approximate="none at all", opset=20), "node 'n' (Gelu): attribute 'approximate' is 'none at all', expected none or tanh"),
    "loss_reduction": (
        lambda: model(node("SoftmaxCrossEntropyLoss", "x t", "y", reduction="most"),
                      inputs=[info("x", [2, 3]), info("t", [2], INTS)]), "node 'n' (SoftmaxCrossEntropyLoss): attribute 'reduction' is 'most', expected none, sum or mean"),
    "loss_shapes": (
        lambda: model(node("NegativeLogLikelihoodLoss", "x t", "y"),
                      inputs=[info("x", [2, 3]), info("t", [4], INTS)]), "node 'n' (NegativeLogLikelihoodLoss): the labels 'tensor<4xi64>' do not fit the log-probabilities 'tensor<2x3xf32>'"),
    "if_of_two_types": (
        lambda: model(helper.make_node("If", ["c"], ["y"], name="n",
                      then_branch=helper.make_graph([node("Cast", "x", "a", to=7)], "t", [], [info("a", None, INTS)]),
                      else_branch=helper.make_graph([node("Relu", "x", "b")], "e", [], [info("b", None)])),
                      inputs=[info("c", [], BOOLS), info("x")]), "output 'y' is of another kind or element type in one branch of an If than in the other, which is not supported"),
}


# As an integer too large for one; it is a power like any other.
@case("nn.pow", code=0)
def lp_pool_of_a_huge_order(folder):
    return one("LpPool", [1, 1, 5, 5], kernel_shape=[2, 2], p=1 << 62)


@case("nn.pow", code=0)
def lp_pool_of_an_order_beyond_integers(folder):
    return one("LpPool", [1, 1, 5, 5], kernel_shape=[2, 2], p=1e30, opset=1)


for name, (build, expected) in FAULTS.items():
    range_case(lambda folder, build=build: build(), expected, name)
