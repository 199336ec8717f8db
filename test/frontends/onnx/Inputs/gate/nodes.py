"""Nodes and their attributes, lists of faults, and what is unusual but right."""

import os

import numpy as np
from building import case, external, field, function, info, model, node, relu, tensor, varint, with_tensor
from graphs import branch, if_model
from onnx import TensorProto, helper

# --- attributes ---


@case("node 'n' (Relu): the attribute 'foo' does not exist in opset 17")
def unknown_attribute(folder):
    return model(node("Relu", "x", "y", foo=1))


@case("node 'n' (ReduceSum): the attribute 'axes' does not exist in opset 13")
def attribute_of_an_earlier_opset(folder):
    return model(node("ReduceSum", "x", "y", axes=[0]), opset=13)


@case("node 'n' (Transpose): the attribute 'perm' is an integer, expected a list of integers")
def attribute_of_another_type(folder):
    return model(node("Transpose", "x", "y", perm=0))


@case("node 'n' (Concat): the attribute 'axis' is missing")
def missing_attribute(folder):
    return model(node("Concat", "x x", "y"))


@case("node 'n' (Transpose): attribute 'perm' is given twice")
def attribute_twice(folder):
    result = model(node("Transpose", "x", "y", perm=[0]))
    result.graph.node[0].attribute.append(result.graph.node[0].attribute[0])
    return result


@case("node 'n' (Transpose): the attribute 'perm' is something else, expected a list of integers")
def attribute_without_type(folder):
    result = model(node("Transpose", "x", "y", perm=[0]))
    result.graph.node[0].attribute[0].ClearField("type")
    return result


@case("node 'n' (Relu): attribute 'foo' refers to 'bar', which is no attribute of a function around")
def reference_outside_of_a_function(folder):
    result = model(node("Relu", "x", "y"))
    result.graph.node[0].attribute.add(name="foo", ref_attr_name="bar", type=2)
    return result


@case("node 'n' (Transpose): transpose expects a permutation of 1 dimensions")
def permutation_out_of_range(folder):
    return model(node("Transpose", "x", "y", perm=[7]))


# --- inputs of nodes ---


@case("node 'n' (Add): it has 3 inputs, expected 2 in opset 17")
def too_many_inputs(folder):
    return model(node("Add", "x x x", "y"))


@case("node 'n' (Add): it has 1 inputs, expected 2 in opset 17")
def too_few_inputs(folder):
    return model(node("Add", "x", "y"))


@case("node 'n' (LayerNormalization): it has 1 inputs, expected 2 to 3 in opset 1")
def too_few_inputs_of_onnx_runtimes(folder):  # which it writes into opsets that lack it
    return model(node("LayerNormalization", "x", "y"), opset=1)


@case("node 'n' (Concat): it has 0 inputs, expected at least 1 in opset 17")
def no_inputs(folder):
    return model(node("Concat", "", "y", axis=0))


@case("node 'n' (Relu): it has 2 outputs, expected 1 in opset 17")
def too_many_outputs(folder):
    return model(node("Relu", "x", "y z"))


@case(
    "node 'c/n' (Relu): input 0 (X) is 'a', which the function's call leaves out, but it is not optional"
)
def missing_input_of_a_function(folder):
    body = function("F", [node("Relu", "a", "b")])
    call = helper.make_node("F", [], ["y"], name="c", domain="f")
    return model(call, functions=[body], opsets=[("f", 1)])


@case("node 'n' (Add): input 1 (B) is left out, but it is not optional")
def required_input_left_out(folder):
    result = model(node("Add", "x x", "y"))
    result.graph.node[0].input[1] = ""
    return result


@case("node 'n' (Sin): input 0 (input) has the element type INT64, expected FLOAT, FLOAT16, DOUBLE in opset 17")
def input_of_another_type(folder):
    return model(node("Sin", "x", "y"), inputs=[info("x", dtype=TensorProto.INT64)])


@case("node 'n' (Add): input 1 (B) has the element type INT64, expected FLOAT as input 0 (A) has")
def inputs_of_two_types(folder):
    return model(node("Add", "x z", "y"), inputs=[info("x"), info("z", dtype=TensorProto.INT64)])


@case("node 'n' (Add): shapes do not broadcast: ")
def shapes_do_not_broadcast(folder):
    return model(node("Add", "x z", "y"), inputs=[info("x"), info("z", [3])])


# --- the whole list ---


@case(
    "node 'a' (Foo): there is no operator 'Foo'\n"
    "error: model.onnx: node 'b' (Relu): the attribute 'q' does not exist in opset 17\n"
    "error: model.onnx: node 'd' (Sin): input 0 (input) has the element type INT64, expected FLOAT, FLOAT16, DOUBLE in opset 17\n"
    "error: model.onnx: node 'e' (Bar): there is no operator 'Bar'\n"
)
def every_fault_is_listed(folder):
    # A failed node does not hide what is wrong behind it, nor is it reported again there.
    result = model(
        node("Foo", "x", "u", "a"),
        node("Relu", "u", "v", "b", q=1),
        node("Relu", "v", "w", "c"),
        node("Sin", "w", "z", "d"),
        node("Bar", "z", "y", "e"),
    )
    result.graph.value_info.append(info("w", [2], TensorProto.INT64))
    return result


# --- what is unusual, but right ---


@case("", ["--quiet"], code=0)
def inline_tensor_of_three_gib(folder):
    # Beyond what Protobuf can parse: only its structure is. The file is sparse.
    size = 3 << 30
    header = field(8, b"w") + varint(1 << 3) + varint(size) + varint(2 << 3) + varint(TensorProto.INT8)
    raw = varint(9 << 3 | 2) + varint(size)
    initializer = varint(5 << 3 | 2) + varint(len(header) + len(raw) + size) + header + raw
    rest = model(node("Relu", "w", "y"), inputs=[]).graph
    rest.output[0].type.tensor_type.elem_type = TensorProto.INT8
    rest = rest.SerializeToString()
    graph = varint(7 << 3 | 2) + varint(len(rest) + len(initializer) + size)
    whole = relu(opset=14)
    whole.ClearField("graph")
    start = whole.SerializeToString() + graph + rest + initializer
    with open(folder / "model.onnx", "wb") as file:
        file.write(start)
        file.truncate(len(start) + size)


@case("nn.add", ["--allow-symlinks"], code=0)
def allowed_symlink(folder):
    (folder / "data").write_bytes(bytes(8))
    (folder / "m").mkdir()
    (folder / "m" / "w.bin").symlink_to("../data")
    (folder / "m" / "model.onnx").write_bytes(with_tensor(external(location="w.bin")).SerializeToString())
    (folder / "model.onnx").symlink_to("m/model.onnx")
    os.rename(folder / "m" / "w.bin", folder / "w.bin")
    (folder / "w.bin").unlink()
    (folder / "w.bin").symlink_to("data")


@case("nn.add", code=0)
def symlink_within_the_folder(folder):
    (folder / "data").write_bytes(bytes(8))
    (folder / "w.bin").symlink_to("data")
    return with_tensor(external(location="w.bin"))


@case("nn.constant dense<[1.000000e+00, 2.000000e+00]>", code=0)
def external_without_length(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "w.bin").write_bytes(b"1234" + np.array([1, 2, 3], np.float32).tobytes())
    return with_tensor(external(location="./sub/w.bin", offset=4))


@case("nn.relu", code=0)
def five_thousand_outputs(folder):
    return model(
        *(node("Relu", "x", f"y{i}", f"n{i}") for i in range(5000)),
        outputs=[info(f"y{i}", None) for i in range(5000)],
    )


@case("nn.relu", code=0)
def thirty_nested_ifs(folder):
    graph = branch(node("Relu", "x", "b"))
    for _ in range(30):
        graph = branch(helper.make_node("If", ["c"], ["b"], then_branch=graph, else_branch=branch(node("Relu", "x", "b"))))
    return if_model(graph)


@case("nn.constant dense<[true, false, true]>", code=0)
def booleans_that_are_no_bits(folder):
    return model(node("And", "x w", "y"), inputs=[info("x", [3], TensorProto.BOOL)],
                 outputs=[info("y", None, TensorProto.BOOL)],
                 tensors=[tensor(dims=[3], dtype=TensorProto.BOOL, raw=b"\x02\x00\xff")])


@case("nn.gather", code=0)
def least_and_largest_index(folder):
    indices = tensor("i", [3], TensorProto.INT64, int64_data=[-2, 1, 0])
    return model(node("Gather", "x i", "y"), inputs=[info("x", [2, 3])], tensors=[indices])


@case("nn.gather", code=0)
def index_out_of_range_in_a_branch(folder):
    """Which may never be taken."""
    indices = tensor("i", [1], TensorProto.INT64, int64_data=[5])
    branches = {
        "then_branch": helper.make_graph([node("Gather", "x i", "a")], "t", [], [info("a", None)]),
        "else_branch": helper.make_graph([node("Relu", "x", "b")], "e", [], [info("b", None)]),
    }
    return model(
        helper.make_node("If", ["c"], ["y"], name="n", **branches),
        inputs=[info("x", [2]), info("c", [], TensorProto.BOOL)], tensors=[indices],
    )


@case("there are more faults, which are not listed")
def faults_beyond_the_last_that_is_listed(folder):
    """A node that lacks an input is one, though nobody hears of it."""
    unknown = [node("Relux", "x", f"u{i}", f"n{i}") for i in range(120)]
    lacking = helper.make_node("Pad", ["", "x"], ["y"], "n")
    return model(*unknown, lacking)
