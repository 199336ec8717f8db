//===- RtHost.cpp - Strings and the host library to llvm --------*- C++ -*-===//
#include "compiler/codegen/RtToLLVM.h"
#include "compiler/codegen/Signature.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;

//===----------------------------------------------------------------------===//
// rt.strings
//===----------------------------------------------------------------------===//

/// Text as an assembler's string: everything but plain letters by its number.
static void appendAscii(std::string &assembly, StringRef text) {
  constexpr char digits[] = "01234567";
  for (unsigned char c : text)
    if (llvm::isAlnum(c) || c == ' ') {
      assembly += char(c);
    } else {
      const char escaped[] = {'\\', digits[c >> 6], digits[c >> 3 & 7], digits[c & 7]};
      assembly.append(escaped, 4);
    }
}

// As assembly: an LLVM constant of many addresses costs the square of their number.
// The label is the object's own, and so may be the same in others.
void RtFunction::lowerStrings(rt::StringsOp op) {
  auto module = function->getParentOfType<ModuleOp>();
  StringRef attribute = LLVM::LLVMDialect::getModuleLevelAsmAttrName();
  SmallVector<Attribute> parts;
  if (auto existing = module->getAttrOfType<ArrayAttr>(attribute))
    llvm::append_range(parts, existing);
  std::string name = "nacre.strings." + std::to_string(parts.size());

  std::string table = ".section .data.rel.ro,\"aw\",@progbits\n.p2align 6\n" + name + ":\n", strings, bytes;
  llvm::StringMap<unsigned> numbers;
  for (auto value : op.getValues().getAsRange<StringAttr>()) {
    if (value.empty()) {
      table += ".quad 0\n";
      continue;
    }
    auto [entry, isNew] = numbers.try_emplace(value.getValue(), numbers.size());
    std::string label = name + "." + std::to_string(entry->second);
    table += ".quad " + label + "\n";
    if (!isNew)
      continue;
    strings += label + ":\n.quad " + label + ".text\n.quad " + std::to_string(value.size()) + "\n";
    bytes += label + ".text: .ascii \"";
    appendAscii(bytes, value.getValue());
    bytes += "\"\n";
  }
  parts.push_back(builder.getStringAttr(table + strings + ".section .rodata,\"a\",@progbits\n" + bytes + ".text\n"));
  module->setAttr(attribute, builder.getArrayAttr(parts));

  OpBuilder atModule = OpBuilder::atBlockBegin(function->getBlock());
  auto type = cast<MemRefType>(op.getType());
  auto global = LLVM::GlobalOp::create(atModule, loc,
                                       LLVM::LLVMArrayType::get(i64, op.getValues().size()),
                                       /*isConstant=*/true, LLVM::Linkage::External, name, Attribute());
  global.setVisibility_(LLVM::Visibility::Hidden);
  global.setDsoLocal(true);
  symbols.insert(global);
  Value address = LLVM::AddressOfOp::create(builder, loc, global);
  op.replaceAllUsesWith(calling.memref(builder, loc, type, address, {}));
  op.erase();
}

//===----------------------------------------------------------------------===//
// rt.host_call
//===----------------------------------------------------------------------===//

static Value atOffset(OpBuilder &builder, Location loc, Value base, int64_t offset) {
  return LLVM::GEPOp::create(builder, loc, base.getType(), builder.getI8Type(), base,
                             LLVM::GEPArg(static_cast<int32_t>(offset)));
}

Value RtFunction::describeTensors(ValueRange buffers, ArrayRef<Attribute> types) {
  constexpr int64_t words = abi::offset::hostTensorSize / sizeof(int64_t);
  Value tensors = entryAlloca(i64, std::max<int64_t>(words * buffers.size(), 1));
  for (auto [i, buffer, type] : llvm::enumerate(buffers, types)) {
    auto memref = cast<MemRefType>(buffer.getType());
    SmallVector<Value> flat;
    calling.flatten(builder, loc, buffer, flat);
    Value dims = entryAlloca(i64, std::max<int64_t>(memref.getRank(), 1));
    size_t dynamic = 1;
    for (auto [d, size] : llvm::enumerate(memref.getShape()))
      LLVM::StoreOp::create(builder, loc, ShapedType::isDynamic(size) ? flat[dynamic++] : constant(size),
                            atOffset(builder, loc, dims, d * sizeof(int64_t)));
    auto store = [&](Value value, int64_t offset) {
      LLVM::StoreOp::create(builder, loc, value,
                            atOffset(builder, loc, tensors, i * abi::offset::hostTensorSize + offset));
    };
    store(flat.front(), abi::offset::hostTensorData);
    store(dims, abi::offset::hostTensorDims);
    store(constant(getDtype(cast<TypeAttr>(type).getValue()), 32), abi::offset::hostTensorDtype);
    store(constant(memref.getRank(), 32), abi::offset::hostTensorRank);
  }
  return tensors;
}

// Everything that the call says of itself lies on the stack.
void RtFunction::lowerHostCall(rt::HostCallOp op) {
  size_t inputs = op.getInputs().size(), outputs = op.getOuts().size();
  ArrayRef<Attribute> types = op.getTypes().getValue();
  Value call = entryAlloca(i64, abi::offset::hostCallSize / sizeof(int64_t));
  auto store = [&](Value value, int64_t offset) {
    LLVM::StoreOp::create(builder, loc, value, atOffset(builder, loc, call, offset));
  };
  ArrayRef<int64_t> numbers = op.getNumbers();
  Value list = entryAlloca(i64, std::max<int64_t>(numbers.size(), 1));
  for (auto [i, number] : llvm::enumerate(numbers))
    LLVM::StoreOp::create(builder, loc, constant(number), atOffset(builder, loc, list, i * sizeof(int64_t)));
  store(describeTensors(op.getInputs(), types.take_front(inputs)), abi::offset::hostCallInputs);
  store(describeTensors(op.getOuts(), types.drop_front(inputs)), abi::offset::hostCallOutputs);
  store(list, abi::offset::hostCallNumbers);
  store(message(op.getNode()), abi::offset::hostCallNode);
  store(constant(inputs, 32), abi::offset::hostCallInputCount);
  store(constant(outputs, 32), abi::offset::hostCallOutputCount);
  store(constant(numbers.size(), 32), abi::offset::hostCallNumberCount);

  auto callee = symbols.lookup<LLVM::LLVMFuncOp>(op.getFunction());
  if (!callee) {
    OpBuilder atModule = OpBuilder::atBlockBegin(function->getBlock());
    callee = LLVM::LLVMFuncOp::create(atModule, loc, op.getFunction(),
                                      LLVM::LLVMFunctionType::get(voidType, {ptr, ptr}));
    callee.setVisibility_(LLVM::Visibility::Hidden);
    callee.setDsoLocal(true);
    callee.setNoUnwind(true);
    symbols.insert(callee);
  }
  LLVM::CallOp::create(builder, loc, callee, ValueRange{context, call});
  op.erase();
}
