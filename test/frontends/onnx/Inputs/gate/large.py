"""Much of something: names of a megabyte, and models whose size must count once."""

from building import call, case, external, function, info, model, node, relu, tensor, with_tensor
from onnx import TensorProto, helper

MEGABYTE = "a" * 500_000 + "\x1b%n'" + "b" * 500_000
CUT = "a" * 60 + "..." + "b" * 60


# --- names of a megabyte, each in another place ---


@case(f"node 'n' (Relu): input '{CUT}' is made by no node, and is no input or initializer")
def megabyte_input(folder):
    return model(helper.make_node("Relu", [MEGABYTE], ["y"], name="n"))


@case(f"node 'n' (Foo): the domain '{CUT}' is not among the opsets that the model imports")
def megabyte_domain(folder):
    return model(helper.make_node("Foo", ["x"], ["y"], name="n", domain=MEGABYTE))


@case(f"node 'n' (Relu): the attribute '{CUT}' does not exist in opset 17")
def megabyte_attribute(folder):
    return model(node("Relu", "x", "y", **{MEGABYTE: 1}))


@case(f"the graph's output '{CUT}' is made by no node")
def megabyte_output(folder):
    return relu(outputs=[info(MEGABYTE)])


@case(f"node '{CUT}' (Initializer): the tensor: its data has 4 bytes, its type needs 8")
def megabyte_initializer(folder):
    return model(helper.make_node("Add", ["x", MEGABYTE], ["y"], name="n"), tensors=[tensor(MEGABYTE, raw=b"abcd")])


@case("external data in 'aaaa")
def megabyte_location(folder):
    return with_tensor(external(location=MEGABYTE))


@case(f"external data: offset is '{CUT}', expected a number of bytes")
def megabyte_offset(folder):
    return with_tensor(external(location="w.bin", offset=MEGABYTE))


@case(f"external data: unknown key '{CUT}'")
def megabyte_key(folder):
    return with_tensor(external(location="w.bin", **{MEGABYTE: 1}))


@case(f"node 'n' (Pad): the attribute 'mode' is '{CUT}', expected constant, edge, reflect or wrap")
def megabyte_string(folder):
    return model(node("Pad", "x w", "y", mode=MEGABYTE), tensors=[tensor(dims=[2], dtype=7, int64_data=[0, 0])])


@case(f"node 'n' (Einsum): equation '{CUT}'")
def megabyte_equation(folder):
    return model(node("Einsum", "x x", "y", equation=MEGABYTE))


@case(f"two functions are named '{CUT}'")
def megabyte_function(folder):
    body = function("r", [node("Relu", "a", "b")])
    body.name = MEGABYTE
    return model(call(MEGABYTE, "x", "y"), functions=[body, body], opsets=[("f", 1)])


@case("no input has a dimension named 'q'; the model's named dimensions are: ", ["--dim=q=3"])
def megabyte_dimension(folder):
    return relu(inputs=[info("x", [MEGABYTE])])


@case(r"the graph's output 'a\x00b\x1B[2J\x7F' is made by no node")
def control_characters_of_an_output(folder):
    return relu(outputs=[info("a\0b\x1b[2J\x7f")])


@case(r"input '\xC2\x9B%s' has no shape; give one with --input-shape")
def control_characters_of_an_input(folder):
    value = helper.make_tensor_value_info("\x9b%s", TensorProto.FLOAT, None)
    return model(helper.make_node("Relu", ["\x9b%s"], ["y"], name="n"), inputs=[value])


# --- linear in the model's size ---


@case("", ["--quiet"], code=0)
def hundred_thousand_nodes(folder):
    names = ["x", *(f"v{i}" for i in range(99_999)), "y"]
    return model(*(node("Relu", a, b, f"n{b}") for a, b in zip(names, names[1:])))


@case("", ["--quiet"], code=0)
def hundred_thousand_nodes_that_one_value_feeds(folder):
    return model(*(node("Relu", "x", f"v{i}", f"n{i}") for i in range(100_000)), node("Relu", "v7", "y"))


@case("", ["--quiet"], code=0)
def hundred_thousand_initializers(folder):
    return relu(tensors=[tensor(f"w{i}", float_data=[1, 2]) for i in range(100_000)])


@case("", ["--quiet"], code=0)
def ten_thousand_inputs(folder):
    return model(node("Sum", " ".join(f"x{i}" for i in range(10_000)), "y"),
                 inputs=[info(f"x{i}") for i in range(10_000)])


@case("", ["--quiet"], code=0)
def ten_thousand_functions(folder):
    functions = [function(f"f{i}", [node("Relu", "a", "b")]) for i in range(10_000)]
    calls = [call(f"f{i}", f"v{i}" if i else "x", f"v{i + 1}", f"n{i}") for i in range(10_000)]
    return model(*calls, outputs=[info("v10000", None)], functions=functions, opsets=[("f", 1)])


@case("node 'n99' (Relux): there is no operator 'Relux'\nerror: model.onnx: there are more faults, which are not listed\n")
def many_faults(folder):
    # Not all of them: their list is of use to no one.
    return model(*(node("Relux", "x", f"v{i}", f"n{i}") for i in range(20_000)), node("Relu", "x", "y"))


@case("", ["--quiet"], code=0)
def kilobytes_that_could_be_terabytes(folder):
    # 1024 elements doubled 25 times: not computed while it is imported.
    names = ["w", *(f"v{i}" for i in range(25))]
    return model(*(node("Concat", f"{a} {a}", b, f"n{b}", axis=0) for a, b in zip(names, names[1:])),
                 node("Relu", "v24", "y"), tensors=[tensor(dims=[1024], raw=bytes(4096))])


@case("a result has the type 'tensor<2199023255552xf32>', expected at most 1099511627776 elements")
def kilobytes_that_would_be_more(folder):
    names = ["w", *(f"v{i}" for i in range(31))]
    return model(*(node("Concat", f"{a} {a}", b, f"n{b}", axis=0) for a, b in zip(names, names[1:])),
                 node("Relu", "v30", "y"), tensors=[tensor(dims=[1024], raw=bytes(4096))])
