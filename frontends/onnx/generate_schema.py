"""Writes into the folder given what the importer must know of ONNX's messages,
versions and operators, read from the installed onnx package."""

import sys
from pathlib import Path

import onnx
from google.protobuf.descriptor import FieldDescriptor
from onnx.defs import OpSchema


def wire_table() -> str:
    """For each message and field number: which message it holds, if any."""
    messages = [onnx.ModelProto.DESCRIPTOR]
    for message in messages:
        for field in message.fields:
            if field.type == FieldDescriptor.TYPE_GROUP:
                raise SystemExit(f"{field.full_name}: groups are not handled")
            if field.message_type and field.message_type not in messages:
                messages.append(field.message_type)
    raw_data = onnx.TensorProto.DESCRIPTOR.fields_by_name["raw_data"]

    # Messages that hold tensor data, at any depth, have to be rewritten.
    holders = {raw_data.containing_type}
    while True:
        more = {m for m in messages for f in m.fields if f.message_type in holders} - holders
        if not more:
            break
        holders |= more

    width = 1 + max(f.number for m in messages for f in m.fields)
    if len(messages) > 250 or width > 256:
        raise SystemExit("the table's cells are too small")
    lines = [
        f"static constexpr unsigned kWireFields = {width};",
        f"static constexpr unsigned kWireMessages = {len(messages)};",
        "// Message that a field holds plus 1; 0: none; 255: tensor data.",
        "static constexpr uint8_t kWireTable[kWireMessages][kWireFields] = {",
    ]
    for message in messages:
        row = [0] * width
        for field in message.fields:
            if field == raw_data:
                row[field.number] = 255
            elif field.message_type:
                row[field.number] = 1 + messages.index(field.message_type)
        lines.append(f"    {{{', '.join(map(str, row))}}}, // {message.full_name}")
    lines += [
        "};",
        "// Whether a message may hold tensor data at some depth.",
        "static constexpr bool kWireHasData[kWireMessages] = {",
        "    " + ", ".join("true" if m in holders else "false" for m in messages),
        "};",
    ]
    return "\n".join(lines) + "\n"


def versions() -> str:
    """The newest version of the format and of each domain."""
    newest: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        newest[schema.domain] = max(newest.get(schema.domain, 0), schema.since_version)
    # A release may raise a domain's version without a new operator.
    domains = ("", "ai.onnx.ml", "ai.onnx.preview.training")
    for domain, version in zip(domains, onnx.helper.VERSION_TABLE[-1][2:]):
        newest[domain] = max(newest[domain], version)
    rows = "".join(f'    {{"{domain}", {version}}},\n' for domain, version in sorted(newest.items()))
    return (
        f"static constexpr int64_t kOldestIrVersion = 3, kNewestIrVersion = {onnx.IR_VERSION};\n"
        "static constexpr std::pair<llvm::StringLiteral, int64_t> kNewestOpsets[] = {\n"
        f"{rows}}};\n"
    )


# Bit 0 of a set of types: something that is no tensor (sequence, optional, map, ...).
TENSOR_BITS = {
    f"tensor({name.lower()})": 1 << number
    for name, number in onnx.TensorProto.DataType.items()
    if name != "UNDEFINED"
}


def type_set(types: list[str]) -> int:
    bits = 0
    for text in types:
        if text.startswith("tensor(") and text not in TENSOR_BITS:
            raise SystemExit(f"unknown type {text}")
        bits |= TENSOR_BITS.get(text, 1)
    return bits


def inline_tensors(nodes) -> None:
    """Typed fields instead of raw_data, which the importer looks for in the model file."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                inline_tensors([n for g in [attribute.g, *attribute.graphs] for n in g.node])
            for tensor in [attribute.t, *attribute.tensors]:
                if tensor.HasField("raw_data"):
                    array = onnx.numpy_helper.to_array(tensor)
                    tensor.CopyFrom(
                        onnx.helper.make_tensor(tensor.name, tensor.data_type, array.shape, array.flatten())
                    )


def operators() -> str:
    """Every version of every operator: attributes, inputs, outputs, function body."""
    schemas = sorted(
        onnx.defs.get_all_schemas_with_history(), key=lambda s: (s.domain, s.name, s.since_version)
    )
    attributes, params, bodies, rows = [], [], [], []
    for schema in schemas:
        constraints = {c.type_param_str: c for c in schema.type_constraints}
        names = list(constraints)

        def param(p: OpSchema.FormalParameter) -> str:
            if p.type_str in constraints:
                bits = type_set(constraints[p.type_str].allowed_type_strs)
                # The elements of a heterogeneous variadic parameter are not bound together.
                group = 1 + names.index(p.type_str) if p.is_homogeneous else 0
            else:
                bits, group = type_set([p.type_str]), 0
            option = str(p.option).rsplit(".", 1)[1]
            return f'{{"{p.name}", ParamOption::{option}, {group}, {bits:#x}}}'

        body = "nullptr, 0"
        if schema.has_function:
            function = onnx.FunctionProto()
            function.CopyFrom(schema.function_body)
            function.ClearField("doc_string")
            inline_tensors(function.node)
            # What a call leaves out has the default that the schema states.
            for attribute in list(function.attribute):
                default = schema.attributes[attribute].default_value
                if default.name:
                    function.attribute.remove(attribute)
                    function.attribute_proto.append(default)
            data = function.SerializeToString(deterministic=True)
            bodies.append(
                f"static const unsigned char kBody{len(bodies)}[] = {{{','.join(map(str, data))}}};"
            )
            body = f"kBody{len(bodies) - 1}, {len(data)}"
        row = [
            f'"{schema.domain}"',
            f'"{schema.name}"',
            str(schema.since_version),
            "true" if schema.deprecated else "false",
        ]
        row += [f"{n}" for n in (schema.min_input, schema.max_input, schema.min_output, schema.max_output)]
        row += [f"kAttributes + {len(attributes)}, {len(schema.attributes)}"]
        for name, a in sorted(schema.attributes.items()):
            kind = onnx.AttributeProto.AttributeType.Value(str(a.type).rsplit(".", 1)[1])
            attributes.append(f'{{"{name}", {kind}, {"true" if a.required else "false"}}}')
        for group in (schema.inputs, schema.outputs):
            row += [f"kParams + {len(params)}, {len(group)}"]
            params += map(param, group)
        rows.append("    {" + ", ".join(row) + ", " + body + "},")

    def array(declaration: str, lines: list[str]) -> str:
        return "\n".join([f"static const {declaration}[] = {{", *lines, "};"]) + "\n"

    return (
        array("SchemaAttribute kAttributes", [f"    {a}," for a in attributes])
        + array("SchemaParam kParams", [f"    {p}," for p in params])
        + "\n".join(bodies)
        + "\n// Ordered by domain, name and version.\n"
        + array("OpSchema kSchemas", rows)
    )


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, make in {
    "OnnxWire.inc": wire_table,
    "OnnxVersions.inc": versions,
    "OnnxOperators.inc": operators,
}.items():
    (folder / name).write_text("// Generated from the onnx package; see generate_schema.py.\n" + make())
