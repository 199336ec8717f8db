"""Files, versions, tensors and external data."""

import os

import onnx
from building import case, external, field, model, node, relu, tensor, varint, with_tensor
from onnx import TensorProto, helper

# --- the file ---


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


# --- versions ---


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


@case("the opset is imported twice, as 17 and as 18")
def opset_twice(folder):
    return relu(opsets=[("ai.onnx", 18)])


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


# --- tensors ---


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


# --- external data ---


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
