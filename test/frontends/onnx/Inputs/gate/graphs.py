"""Names, inputs and outputs, functions, graphs in nodes."""

import onnx
from building import call, case, field, function, info, model, node, relu, tensor, with_tensor
from onnx import TensorProto, helper

# --- names and order ---


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


# --- inputs and outputs ---


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


@case("input 'x' is a sequence of tensors of unknown rank; give their shape with --input-shape x=?x3")
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


# --- graphs in nodes ---


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


# --- functions ---


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


# --- what a function's call leaves out, given on ---


def left_out(*nodes, inputs):
    """A call that leaves out the function's input 'a', which nodes and graphs in them give on."""
    return model(
        call("F", inputs[0].name, "y"), inputs=inputs, functions=[function("F", nodes, "c a", "b")], opsets=[("f", 1)]
    )


@case("node 'n' (F): the function's output 'a' is an input that its call leaves out")
def output_left_out(folder):
    return model(
        call("F", "x", "y"), functions=[function("F", [], "c a", "a")], opsets=[("f", 1)]
    )


@case("node 'n/b' (If): the graph's output 'a' is an input that the function's call leaves out")
def branch_output_left_out(folder):
    branches = [helper.make_graph([], name, [], [info("a", None)]) for name in ("t", "e")]
    return left_out(
        helper.make_node("If", ["c"], ["b"], then_branch=branches[0], else_branch=branches[1]),
        inputs=[info("x", (), TensorProto.BOOL)],
    )


@case("node 'n/b' (Loop): the graph's output 'a' is an input that the function's call leaves out")
def loop_condition_left_out(folder):
    body = helper.make_graph(
        [], "l", [info("i", (), TensorProto.INT64), info("k", (), TensorProto.BOOL)], [info("a", None), info("k", None)]
    )
    return left_out(helper.make_node("Loop", ["c", ""], ["b"], body=body), inputs=[info("x", (), TensorProto.INT64)])


# --- values within values ---


@case("node 'm' (SequenceMap): the body gives a sequence or optional, expected tensors")
def sequence_of_sequences(folder):
    body = helper.make_graph([node("Identity", "s", "o")], "b", [info("e", None)], [info("o", None)])
    return model(
        node("SequenceConstruct", "x x", "s"),
        node("SequenceMap", "s", "q", name="m", body=body),
        node("SequenceAt", "q p", "y"),
        inputs=[info("x"), info("p", (), TensorProto.INT64)],
    )


@case("node 'm' (Optional): its input is an optional, expected a tensor or sequence")
def optional_of_an_optional(folder):
    return model(node("Optional", "x", "o"), node("Optional", "o", "q", name="m"), node("OptionalGetElement", "q", "y"))


@case(
    "node 'n' (SequenceInsert): the model's sequences are too long: what is made of their elements counts as more than "
    "1000000 nodes"
)
def sequence_that_grows(folder):
    # Each of the sequences lists all of its elements.
    inserts = [node("SequenceInsert", f"s{i} x", f"s{i + 1}") for i in range(8000)]
    return model(node("SequenceConstruct", "x", "s0"), *inserts, node("SequenceAt", "s8000 p", "y"),
                 inputs=[info("x"), info("p", (), TensorProto.INT64)])
