"""Hostile and mistaken models: each must get its message within seconds and memory.

    gate.py [NAME...]

Each case is a function that writes a model into a folder and says what nacre-import
must answer. A case fails on any other text, a crash, a hang (10 s) or 3 GiB.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CASES = {}


def case(expected: str, options: list[str] = [], name: str = "model.onnx", code: int = 1):
    """Registers a case; `expected` is a line of the output, after "error: <file>: "."""

    def register(build):
        CASES[build.__name__] = (build, expected, options, name, code)
        return build

    return register


def info(name, shape=(2,), dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def node(op, inputs, outputs, name="n", **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), name=name, **attributes)


def model(*nodes, inputs=None, outputs=None, tensors=(), opset=17, ir=8, functions=(), opsets=()):
    graph = helper.make_graph(
        nodes, "g", inputs if inputs is not None else [info("x")], outputs or [info("y", None)], tensors
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(*o) for o in opsets)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir, functions=functions)


def relu(**rest):
    return model(node("Relu", "x", "y"), **rest)


def function(name, nodes, inputs="a", outputs="b", opset=17, attributes=(), local=True):
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid("f", 1)] if local else [])
    return helper.make_function("f", name, inputs.split(), outputs.split(), nodes, imports, attributes)


def call(name, inputs, outputs, label="n", **attributes):
    return helper.make_node(name, inputs.split(), outputs.split(), name=label, domain="f", **attributes)


def tensor(name="w", dims=(2,), dtype=TensorProto.FLOAT, raw=None, **fields):
    result = TensorProto(name=name, dims=dims, data_type=dtype)
    if raw is not None:
        result.raw_data = raw
    for field, value in fields.items():
        getattr(result, field).extend(value)
    return result


def external(dims=(2,), **entries):
    result = tensor(dims=dims)
    result.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        result.external_data.add(key=key, value=str(value))
    return result


def with_tensor(value, **rest):
    return model(node("Add", "x w", "y"), tensors=[value], **rest)


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


# --- the file ----------------------------------------------------------------------


@case("the file is empty")
def empty_file(folder):
    return b""


@case("it is truncated or corrupt, or no ONNX model (at byte 0 of 27)")
def text_file(folder):
    return b"\x7fELF is what stands here..."


@case("the file is no ONNX model: it has no graph")
def no_graph(folder):
    return onnx.ModelProto(ir_version=8)


@case("the file is no ONNX model: it has no IR version")
def no_ir_version(folder):
    result = relu()
    result.ClearField("ir_version")
    return result


@case("it is truncated or corrupt, or no ONNX model")
def truncated(folder):
    return relu().SerializeToString()[:-3]


@case("it is truncated or corrupt, or no ONNX model")
def length_beyond_the_file(folder):
    return field(7, b"")[:-1] + varint(1 << 40)


@case("it is truncated or corrupt, or no ONNX model")
def length_that_overflows(folder):
    return varint(7 << 3 | 2) + b"\xff" * 9 + b"\x01"


@case("it is truncated or corrupt, or no ONNX model")
def endless_varint(folder):
    return b"\x08" + b"\xff" * 11


@case("it is truncated or corrupt, or no ONNX model")
def group_field(folder):
    return relu().SerializeToString() + b"\x0b\x0c"


@case("it is truncated or corrupt, or no ONNX model")
def field_number_zero(folder):
    return relu().SerializeToString() + b"\x00\x00"


@case("it is corrupt, or no ONNX model: Protobuf can't parse it")
def wrong_wire_type(folder):
    # ints (field 8 of an attribute) as a packed list that ends within a varint.
    attribute = field(1, b"axes") + field(8, b"\xff\xff")
    return field(7, field(1, field(5, attribute)))


@case("graphs or types are nested deeper than the limit of 64")
def deep_graphs(folder):
    data = b""
    for _ in range(200):
        data = field(1, field(5, field(6, data)))
    return b"\x08\x08" + field(7, data)


@case("graphs or types are nested deeper than the limit of 64")
def deep_types(folder):
    data = b""
    for _ in range(100_000):
        if len(data) > 500_000:
            break
        data = field(4, field(1, data))
    return b"\x08\x08" + field(7, field(11, field(2, data)))


@case("it has more than 10000000 messages")
def many_empty_nodes(folder):
    return b"\x08\x08" + field(7, b"\x0a\x00" * 11_000_000)


@case("it is a folder, not a file")
def folder_as_model(folder):
    (folder / "model.onnx").mkdir()


@case("it is not a regular file")
def fifo_as_model(folder):
    os.mkfifo(folder / "model.onnx")


@case("it is not a regular file")
def device_as_model(folder):
    (folder / "model.onnx").symlink_to("/dev/zero")


@case("can't open it: No such file or directory")
def no_file(folder):
    pass


# --- versions ----------------------------------------------------------------------


@case("the model has IR version 99, expected 3 to 14")
def new_ir_version(folder):
    return relu(ir=99)


@case("the model has IR version 2, expected 3 to 14")
def old_ir_version(folder):
    return relu(ir=2)


@case("the model has IR version -1, expected 3 to 14")
def negative_ir_version(folder):
    return relu(ir=-1)


@case("the opset is 1000, newer than the newest known, 28")
def new_opset(folder):
    return relu(opset=1000)


@case("the opset is 0, expected 1 or more")
def opset_zero(folder):
    return relu(opset=0)


@case("the opset of the domain 'ai.onnx.ml' is 77, newer than the newest known, 5")
def new_ml_opset(folder):
    return relu(opsets=[("ai.onnx.ml", 77)])


@case("the opset is imported twice")
def opset_twice(folder):
    return relu(opsets=[("ai.onnx", 17)])


@case("the model does not say which opset it uses")
def no_opset(folder):
    result = relu()
    del result.opset_import[:]
    return result


@case("node 'n' (Relu): the domain '' is not among the opsets that the model imports")
def default_domain_not_imported(folder):
    result = relu()
    result.opset_import[0].domain = "ai.onnx.ml"
    result.opset_import[0].version = 1
    return result


@case("node 'n' (Gelu): the operator 'Gelu' exists since opset 20, but opset 17 is imported")
def operator_of_a_later_opset(folder):
    return model(node("Gelu", "x", "y"))


@case("node 'n' (Upsample): the operator 'Upsample' is deprecated in opset 11")
def deprecated_operator(folder):
    return model(node("Upsample", "x w", "y"), tensors=[tensor(dims=[1], float_data=[2])], opset=11)


@case("node 'n' (Relux): there is no operator 'Relux'")
def unknown_operator(folder):
    return model(node("Relux", "x", "y"))


@case("node 'n' (Foo): there is no operator 'Foo' of the domain 'ai.onnx.ml'")
def unknown_ml_operator(folder):
    return model(helper.make_node("Foo", ["x"], ["y"], name="n", domain="ai.onnx.ml"), opsets=[("ai.onnx.ml", 3)])


@case("node 'n' (Foo): the operator 'Foo' of the domain 'com.example' is not supported")
def unknown_domain(folder):
    return model(helper.make_node("Foo", ["x"], ["y"], name="n", domain="com.example"), opsets=[("com.example", 1)])


@case("node 'n' (Foo): the domain 'com.example' is not among the opsets that the model imports")
def domain_not_imported(folder):
    return model(helper.make_node("Foo", ["x"], ["y"], name="n", domain="com.example"))


# --- names and order -----------------------------------------------------------------


@case("node 'b' (Relu): input 'u' is made by the later node 'a'; expected nodes in topological order, without cycles")
def not_in_order(folder):
    return model(node("Relu", "u", "y", "b"), node("Relu", "x", "u", "a"))


@case("node 'a' (Add): input 'v' is made by the later node 'b'; expected nodes in topological order, without cycles")
def cycle(folder):
    return model(node("Add", "x v", "u", "a"), node("Relu", "u", "v", "b"), node("Relu", "v", "y", "c"))


@case("node 'a' (Add): input 'y' is made by the later node 'a'; expected nodes in topological order, without cycles")
def self_cycle(folder):
    return model(node("Add", "x y", "y", "a"))


@case("node 'n' (Relu): input 'z' is made by no node, and is no input or initializer")
def undefined_input(folder):
    return model(node("Relu", "z", "y"))


@case("node 'b' (Relu): the name 'y' is already taken by another value of the graph")
def output_name_twice(folder):
    return model(node("Relu", "x", "y", "a"), node("Relu", "x", "y", "b"))


@case("node 'n' (Split): the name 'y' is already taken by another value of the graph")
def output_name_twice_in_a_node(folder):
    return model(node("Split", "x", "y y", axis=0), opset=13)


@case("node 'n' (Relu): the name 'x' is already taken by another value of the graph")
def output_named_as_input(folder):
    return model(node("Relu", "x", "x"), outputs=[info("x")])


@case("node 'n' (Relu): the name 'w' is already taken by another value of the graph")
def output_named_as_initializer(folder):
    return model(node("Relu", "x", "w"), outputs=[info("w")], tensors=[tensor(float_data=[1, 2])])


@case("the name 'x' is already taken by another value of the graph")
def input_name_twice(folder):
    return relu(inputs=[info("x"), info("x")])


@case("two initializers are named 'w'")
def initializer_name_twice(folder):
    return with_tensor(tensor(float_data=[1, 2])).__class__.FromString(
        model(node("Add", "x w", "y"), tensors=[tensor(float_data=[1, 2])] * 2).SerializeToString()
    )


@case("two outputs are named 'y'")
def output_declared_twice(folder):
    return relu(outputs=[info("y"), info("y")])


@case("the graph's output 'z' is made by no node")
def output_of_no_node(folder):
    return relu(outputs=[info("z")])


@case("the model has no outputs")
def no_outputs(folder):
    result = relu()
    del result.graph.output[:]
    return result


@case("a graph has an input without a name")
def unnamed_input(folder):
    return relu(inputs=[info("x"), info("")])


@case("an initializer has no name")
def unnamed_initializer(folder):
    return relu(tensors=[tensor("", float_data=[1, 2])])


@case(r"node 'a\x00b\x1B[2Jc' (Relux\x0A): there is no operator 'Relux\x0A'")
def control_characters(folder):
    return model(node("Relux\n", "x", "y", "a\0b\x1b[2Jc"))


@case("node '%s%n'\"{0}' (Relux): there is no operator 'Relux'")
def quotes_and_formats(folder):
    return model(node("Relux", "x", "y", "%s%n'\"{0}"))


@case("node '" + "a" * 60 + "..." + "b" * 60 + "' (Relux): there is no operator 'Relux'")
def megabyte_name(folder):
    return model(node("Relux", "x", "y", "a" * 1_000_000 + "b" * 100))


@case("node 'n' (" + "R" * 60 + "..." + "R" * 60 + "): there is no operator '" + "R" * 60 + "..." + "R" * 60 + "'")
def megabyte_operator(folder):
    return model(node("R" * 1_000_000, "x", "y"))


@case(r"node 'n\xFF\xC3' (Relux): there is no operator 'Relux'")
def name_that_is_no_utf8(folder):
    data = model(node("Relux", "x", "y", "n~~")).SerializeToString()
    return data.replace(b"n~~", b"n\xff\xc3")


# --- inputs and outputs ----------------------------------------------------------------


@case("input 'x' has no shape; give one with --input-shape")
def unknown_rank(folder):
    return relu(inputs=[info("x", None)])


@case("input 'x' has the element type COMPLEX64, which is not supported")
def complex_input(folder):
    return relu(inputs=[info("x", dtype=TensorProto.COMPLEX64)])


@case("input 'x' has the element type type 99, which is not supported")
def unknown_element_type(folder):
    return relu(inputs=[info("x", dtype=99)])


@case("input 'x' has the size -5 in dimension 0")
def negative_size(folder):
    return relu(inputs=[info("x", [-5])])


@case("input 'x' has sizes that overflow 64 bits")
def overflowing_sizes(folder):
    return relu(inputs=[info("x", [1 << 32, 1 << 32])])


@case("input 'x' has rank 65, expected at most 64")
def high_rank(folder):
    return relu(inputs=[info("x", [1] * 65)])


@case("input 'x' is a sequence: how many elements it has must be known at compile time; say so with --input-length x=3")
def sequence_input(folder):
    return relu(inputs=[helper.make_tensor_sequence_value_info("x", 1, None)])


@case("input 'x' has no type")
def untyped_input(folder):
    return relu(inputs=[onnx.ValueInfoProto(name="x")])


@case("output 'y' is declared as INT64, but the graph makes another element type")
def output_of_another_type(folder):
    return relu(outputs=[info("y", None, TensorProto.INT64)])


@case("output 'y' is no tensor by its declaration")
def output_declared_as_sequence(folder):
    return relu(outputs=[helper.make_tensor_sequence_value_info("y", 1, None)])


@case("no input is named 'q'; the model's inputs are: 'x'", ["--input-shape=q=1"])
def shape_for_no_input(folder):
    return relu()


@case("input 'x' has rank 1, the shape given for it has rank 2", ["--input-shape=x=1x2"])
def shape_of_another_rank(folder):
    return relu()


@case("input 'x' has size 2 in dimension 0, the shape given for it 3", ["--input-shape=x=3"])
def shape_of_another_size(folder):
    return relu()


@case("no input has a dimension named 'q'; the model's named dimensions are: 'n', 'm'", ["--dim=q=3"])
def dim_of_no_name(folder):
    return relu(inputs=[info("x", ["n", "m", "n"])])


@case("dimension 'n' is given the sizes 3 and 4", ["--input-shape=x=3x4"])
def dim_given_two_sizes(folder):
    return relu(inputs=[info("x", ["n", "n"])])


@case("malformed shape 'x=3xa', expected NAME=1x3x224x224", ["--input-shape=x=3xa"], code=2)
def malformed_shape(folder):
    return relu()


@case("malformed shape 'x=-1', expected NAME=1x3x224x224", ["--input-shape=x=-1"], code=2)
def negative_shape(folder):
    return relu()


@case("malformed dimension 'n=99999999999999999999', expected NAME=8", ["--dim=n=99999999999999999999"], code=2)
def overflowing_dim(folder):
    return relu()


# --- attributes ------------------------------------------------------------------------


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


# --- inputs of nodes ---------------------------------------------------------------------


@case("node 'n' (Add): it has 3 inputs, expected 2 in opset 17")
def too_many_inputs(folder):
    return model(node("Add", "x x x", "y"))


@case("node 'n' (Add): it has 1 inputs, expected 2 in opset 17")
def too_few_inputs(folder):
    return model(node("Add", "x", "y"))


@case("node 'n' (Concat): it has 0 inputs, expected at least 1 in opset 17")
def no_inputs(folder):
    return model(node("Concat", "", "y", axis=0))


@case("node 'n' (Relu): it has 2 outputs, expected 1 in opset 17")
def too_many_outputs(folder):
    return model(node("Relu", "x", "y z"))


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


# --- tensors -----------------------------------------------------------------------------


@case("node 'w' (Initializer): the tensor: its data has 4 bytes, its type needs 8")
def too_little_data(folder):
    return with_tensor(tensor(raw=b"abcd"))


@case("node 'w' (Initializer): the tensor: its data has 12 bytes, its type needs 8")
def too_much_typed_data(folder):
    return with_tensor(tensor(float_data=[1, 2, 3]))


@case("node 'w' (Initializer): the tensor: its data has 0 bytes, its type needs 8")
def no_data(folder):
    return with_tensor(tensor())


@case("node 'w' (Initializer): the tensor: its data has 0 bytes, its type needs 8")
def data_in_the_field_of_another_type(folder):
    return with_tensor(tensor(int32_data=[1, 2]))


@case("node 'w' (Initializer): the tensor: its data is stored twice, raw and typed")
def data_twice(folder):
    return with_tensor(tensor(raw=b"abcdabcd", float_data=[1, 2]))


@case("node 'w' (Initializer): the tensor: it has the negative size -2")
def negative_dims(folder):
    return with_tensor(tensor(dims=[-2], float_data=[1, 2]))


@case("node 'w' (Initializer): the tensor: its sizes overflow 64 bits")
def overflowing_dims(folder):
    return with_tensor(tensor(dims=[1 << 62, 4]))


@case("node 'w' (Initializer): the tensor: its sizes overflow 64 bits")
def overflowing_dims_and_zero(folder):
    return with_tensor(tensor(dims=[1 << 62, 4, 0]))


@case("node 'w' (Initializer): the tensor: its data has 8 bytes, its type needs 4611686018427387904")
def exabytes(folder):
    return with_tensor(tensor(dims=[1 << 60], raw=b"abcdabcd"))


@case("node 'w' (Initializer): the tensor: its rank is 65, expected at most 64")
def tensor_of_high_rank(folder):
    return with_tensor(tensor(dims=[1] * 65, float_data=[1]))


@case("node 'n' (Add): input 1 (B) has the element type STRING, expected FLOAT")
def string_tensor(folder):
    return with_tensor(tensor(dtype=TensorProto.STRING, string_data=[b"a", b"b"]))


@case("node 'w' (Initializer): the tensor: its element type type 4711 is not supported")
def tensor_of_unknown_type(folder):
    return with_tensor(tensor(dtype=4711, raw=b"ab"))


@case("node 'w' (Initializer): the tensor: its element type UNDEFINED is not supported")
def tensor_of_no_type(folder):
    return with_tensor(tensor(dtype=0, raw=b"ab"))


@case("node 'w' (Initializer): the tensor: element 1 of its data does not fit the element type")
def element_out_of_range(folder):
    return with_tensor(tensor(dtype=TensorProto.INT8, int32_data=[1, 300]))


@case("node 'w' (Initializer): the tensor: it is stored in segments, which is not supported")
def segments(folder):
    value = tensor(float_data=[1, 2])
    value.segment.begin = 0
    return with_tensor(value)


@case("sparse initializer 'w' is not supported; store the tensor densely")
def sparse_initializer(folder):
    result = model(node("Add", "x w", "y"))
    sparse = helper.make_sparse_tensor(tensor(float_data=[1, 2]), tensor("i", [2], 7, int64_data=[0, 1]), [4])
    result.graph.sparse_initializer.append(sparse)
    return result


@case("node 'n' (Constant): attribute 'value': its data has 4 bytes, its type needs 8")
def constant_with_too_little_data(folder):
    return model(node("Constant", "", "w"), node("Add", "x w", "y")).__class__.FromString(
        model(
            node("Constant", "", "w", value=tensor(raw=b"abcd")), node("Add", "x w", "y", "m")
        ).SerializeToString()
    )


# --- external data -----------------------------------------------------------------------


@case("node 'w' (Initializer): the tensor: external data in '/etc/passwd': the path is absolute; expected one within the model's folder")
def external_absolute(folder):
    return with_tensor(external(location="/etc/passwd"))


@case("external data in '../w.bin': the path has '..'; expected one within the model's folder")
def external_parent(folder):
    return with_tensor(external(location="../w.bin"))


@case("external data in 'a/../../w.bin': the path has '..'; expected one within the model's folder")
def external_hidden_parent(folder):
    return with_tensor(external(location="a/../../w.bin"))


@case("external data in 'w.bin': a symbolic link leads out of the model's folder; allow symbolic links if you trust the model")
def external_symlink(folder):
    (folder / "w.bin").symlink_to("/etc/hostname")
    return with_tensor(external(location="w.bin"))


@case("external data in 'sub/passwd': a symbolic link leads out of the model's folder; allow symbolic links if you trust the model")
def external_symlinked_folder(folder):
    (folder / "sub").symlink_to("/etc")
    return with_tensor(external(location="sub/passwd"))


@case(r"external data in 'w\x00.bin': the file name has a NUL character")
def external_nul(folder):
    return with_tensor(external(location="w\0.bin"))


@case("external data in '': it names no file")
def external_nowhere(folder):
    return with_tensor(external())


@case("external data in 'w.bin': can't open it: No such file or directory")
def external_missing(folder):
    return with_tensor(external(location="w.bin"))


@case("external data in 'w.bin': it is not a regular file")
def external_fifo(folder):
    os.mkfifo(folder / "w.bin")
    return with_tensor(external(location="w.bin"))


@case("external data in '.': it is a folder, not a file")
def external_folder(folder):
    return with_tensor(external(location="."))


@case("external data: offset 100 and length 8 reach beyond the 16 bytes of 'w.bin'")
def external_offset(folder):
    (folder / "w.bin").write_bytes(bytes(16))
    return with_tensor(external(location="w.bin", offset=100, length=8))


@case("external data: offset 9 and length 8 reach beyond the 16 bytes of 'w.bin'")
def external_length(folder):
    (folder / "w.bin").write_bytes(bytes(16))
    return with_tensor(external(location="w.bin", offset=9, length=8))


@case("external data: offset 18446744073709551615 and length 8 reach beyond the 16 bytes of 'w.bin'")
def external_offset_that_wraps(folder):
    (folder / "w.bin").write_bytes(bytes(16))
    return with_tensor(external(location="w.bin", offset=(1 << 64) - 1, length=8))


@case("external data: offset is '-8', expected a number of bytes")
def external_negative_offset(folder):
    (folder / "w.bin").write_bytes(bytes(16))
    return with_tensor(external(location="w.bin", offset=-8))


@case("external data: length is '99999999999999999999', expected a number of bytes")
def external_overflowing_length(folder):
    (folder / "w.bin").write_bytes(bytes(16))
    return with_tensor(external(location="w.bin", length="99999999999999999999"))


@case("external data: unknown key 'codec'")
def external_unknown_key(folder):
    return with_tensor(external(location="w.bin", codec="zip"))


@case("node 'w' (Initializer): the tensor: its data has 4 bytes, its type needs 8")
def external_length_of_another_size(folder):
    (folder / "w.bin").write_bytes(bytes(16))
    return with_tensor(external(location="w.bin", length=4))


# --- functions -----------------------------------------------------------------------------


@case("node 'n/r' (r): the function 'r' calls itself")
def recursive_function(folder):
    return model(call("r", "x", "y"), functions=[function("r", [call("r", "a", "b", "r")])], opsets=[("f", 1)])


@case("node 'n/s/r' (r): the function 'r' calls itself")
def mutually_recursive_functions(folder):
    return model(
        call("r", "x", "y"),
        functions=[function("r", [call("s", "a", "b", "s")]), function("s", [call("r", "a", "b", "r")])],
        opsets=[("f", 1)],
    )


@case("the model has more than 1000000 nodes after its functions have been expanded")
def exponential_functions(folder):
    functions = [function("f0", [node("Relu", "a", "b")])]
    for i in range(1, 40):
        functions.append(function(f"f{i}", [call(f"f{i-1}", "a", "c"), call(f"f{i-1}", "c", "b")]))
    return model(call("f39", "x", "y"), functions=functions, opsets=[("f", 1)])


@case("graphs and functions are nested deeper than the limit of 64")
def deep_functions(folder):
    functions = [function("f0", [node("Relu", "a", "b")])]
    for i in range(1, 100):
        functions.append(function(f"f{i}", [call(f"f{i-1}", "a", "b", "c")]))
    return model(call("f99", "x", "y"), functions=functions, opsets=[("f", 1)])


@case("two functions are named 'r'")
def function_twice(folder):
    return model(call("r", "x", "y"), functions=[function("r", [node("Relu", "a", "b")])] * 2, opsets=[("f", 1)])


@case("node 'n' (r): the call has 2 inputs and 1 outputs, its function has 1 and 1")
def function_with_too_many_inputs(folder):
    return model(call("r", "x x", "y"), functions=[function("r", [node("Relu", "a", "b")])], opsets=[("f", 1)])


@case("node 'n' (r): the function's output 'b' is made by no node")
def function_without_its_output(folder):
    return model(call("r", "x", "y"), functions=[function("r", [node("Relu", "a", "c")])], opsets=[("f", 1)])


@case("node 'n' (r): the attribute 'q' is none of the function's")
def function_with_unknown_attribute(folder):
    return model(call("r", "x", "y", q=1), functions=[function("r", [node("Relu", "a", "b")])], opsets=[("f", 1)])


@case("node 'n/i' (Relu): the domain '' is not among the opsets that its function imports")
def function_without_opset(folder):
    body = function("r", [node("Relu", "a", "b", "i")])
    del body.opset_import[0]
    return model(call("r", "x", "y"), functions=[body], opsets=[("f", 1)])


@case("function 'r': the opset is 99, newer than the newest known, 28")
def function_of_a_new_opset(folder):
    return model(
        call("r", "x", "y"), functions=[function("r", [node("Relu", "a", "b")], opset=99)], opsets=[("f", 1)]
    )


@case("node 'n/i' (Relu): input 'x' is made by no node, and is no input or initializer")
def function_that_sees_the_outside(folder):
    return model(call("r", "x", "y"), functions=[function("r", [node("Relu", "x", "b", "i")])], opsets=[("f", 1)])


@case("node 'n' (r): the model has no function 'r' with the overload 'v2'")
def unknown_overload(folder):
    result = model(call("r", "x", "y"), functions=[function("r", [node("Relu", "a", "b")])], opsets=[("f", 1)])
    result.graph.node[0].overload = "v2"
    return result


# --- graphs in nodes -------------------------------------------------------------------------


def branch(*nodes, outputs=("b",), inputs=()):
    return helper.make_graph(list(nodes), "branch", [info(i) for i in inputs], [info(o, None) for o in outputs])


def if_model(then, otherwise=None):
    return model(
        helper.make_node("If", ["c"], ["y"], name="n", then_branch=then, else_branch=otherwise or then),
        inputs=[info("x"), info("c", [], TensorProto.BOOL)],
    )


@case("node 'n' (If): a branch has 1 inputs and 1 outputs, expected 0 and 1")
def branch_with_inputs(folder):
    return if_model(branch(node("Relu", "x", "b"), inputs=["i"]))


@case("node 'n' (If): a branch has 0 inputs and 1 outputs, expected 0 and 2")
def branch_with_too_few_outputs(folder):
    result = if_model(branch(node("Relu", "x", "b")))
    result.graph.node[0].output.append("z")
    return result


@case("it has more than 32000000 records")
def many_empty_names(folder):
    return b"\x08\x08" + field(7, field(1, b"\x0a\x00" * 33_000_000))


@case("node 'n' (If): the graph's output 'q' is made by no node")
def branch_without_its_output(folder):
    return if_model(branch(node("Relu", "x", "b"), outputs=["q"]))


@case("node 'i' (Relu): input 'y' is made by the later node 'n'; expected nodes in topological order, without cycles")
def branch_that_reads_its_own_node(folder):
    return if_model(branch(node("Relu", "y", "b", "i")))


@case("node 'n' (If): the condition has more or fewer elements than 1")
def condition_of_two_elements(folder):
    result = if_model(branch(node("Relu", "x", "b")))
    result.graph.input[1].type.tensor_type.shape.dim.add(dim_value=2)
    return result


# --- the whole list --------------------------------------------------------------------------


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


# --- what is unusual, but right ----------------------------------------------------------------


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


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(name: str) -> str | None:
    """What went wrong, or None."""
    build, expected, options, file, code = CASES[name]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        made = build(folder)
        if isinstance(made, onnx.ModelProto):
            made = made.SerializeToString()
        if made is not None:
            (folder / file).write_bytes(made)
        quiet = ["--mlir-elide-resource-strings-if-larger=16"]
        command = ["nacre-import", *quiet, *options, str(folder / file)]
        try:
            result = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10, preexec_fn=limit_memory
            )
        except subprocess.TimeoutExpired:
            return "it hangs"
    output = result.stdout.decode(errors="replace")
    if result.returncode != code:
        return f"exit code {result.returncode}, expected {code}\n{output[:2000]}"
    if expected not in output:
        return f"expected: {expected}\nfound: {output[:2000]}"
    if code and len(output) > 2000:
        return f"{len(output)} characters of output"
    return None


def main() -> int:
    failed = 0
    names = sys.argv[1:] or list(CASES)
    for name in names:
        problem = run(name)
        if problem:
            failed += 1
            print(f"FAILED {name}: {problem}", flush=True)
    print(f"{len(names) - failed} of {len(names)} cases passed")
    return 1 if failed else 0


sys.exit(main())
