"""Writes into the folder given what the importer must know of ONNX's messages and
versions, read from the installed onnx package: OnnxWire.inc and OnnxVersions.inc."""

import sys
from pathlib import Path

import onnx
from google.protobuf.descriptor import FieldDescriptor


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
    newest: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        newest[schema.domain] = max(newest.get(schema.domain, 0), schema.since_version)
    # A release may raise a domain's version without a new operator.
    for domain, version in zip(("", "ai.onnx.ml", "ai.onnx.preview.training"), onnx.helper.VERSION_TABLE[-1][2:]):
        newest[domain] = max(newest[domain], version)
    rows = "".join(f'    {{"{domain}", {version}}},\n' for domain, version in sorted(newest.items()))
    return (
        f"static constexpr int64_t kOldestIrVersion = 3, kNewestIrVersion = {onnx.IR_VERSION};\n"
        "static constexpr std::pair<llvm::StringLiteral, int64_t> kNewestOpsets[] = {\n"
        f"{rows}}};\n"
    )


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, text in {"OnnxWire.inc": wire_table(), "OnnxVersions.inc": versions()}.items():
    (folder / name).write_text("// Generated from the onnx package; see generate_schema.py.\n" + text)
