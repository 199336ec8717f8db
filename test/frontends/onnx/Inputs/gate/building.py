"""What the cases of the gate are made of: see gate.py."""

from onnx import TensorProto, helper

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
