//===- RtOps.cpp - The runtime's ABI as ops ---------------------*- C++ -*-===//
#include "dialects/rt/RtOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace nacre::rt;

#include "dialects/rt/RtDialect.cpp.inc"

void RtDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/rt/RtOps.cpp.inc"
      >();
}

#define GET_OP_CLASSES
#include "dialects/rt/RtOps.cpp.inc"

void ParallelOp::build(OpBuilder &builder, OperationState &state, Value count, int64_t grain) {
  state.addOperands(count);
  state.addAttribute(getGrainAttrName(state.name), builder.getI64IntegerAttr(grain));
  Region *body = state.addRegion();
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(body, {}, {builder.getIndexType(), builder.getIndexType()},
                      {state.location, state.location});
  ensureTerminator(*body, builder, state.location);
}

ParseResult ParallelOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::Argument> arguments;
  OpAsmParser::UnresolvedOperand count;
  Type index = parser.getBuilder().getIndexType();
  int64_t grain;
  if (parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren) ||
      parser.parseKeyword("to") || parser.parseOperand(count) ||
      parser.resolveOperand(count, index, result.operands) || parser.parseKeyword("grain") ||
      parser.parseInteger(grain))
    return failure();
  if (arguments.size() != 2)
    return parser.emitError(parser.getNameLoc(), "expects two arguments: begin and end");
  for (auto &argument : arguments)
    argument.type = index;
  result.addAttribute(getGrainAttrName(result.name), parser.getBuilder().getI64IntegerAttr(grain));
  Region *body = result.addRegion();
  if (parser.parseRegion(*body, arguments) ||
      parser.parseOptionalAttrDict(result.attributes))
    return failure();
  ensureTerminator(*body, parser.getBuilder(), result.location);
  return success();
}

void ParallelOp::print(OpAsmPrinter &printer) {
  Block &entry = getBody().front();
  printer << " (" << entry.getArgument(0) << ", " << entry.getArgument(1) << ") to " << getCount()
          << " grain " << getGrain() << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false,
                      /*printBlockTerminators=*/!getBody().hasOneBlock());
  printer.printOptionalAttrDict((*this)->getAttrs(), {getGrainAttrName()});
}

/// Memory of `type` needs one size for each of its dynamic dimensions.
static LogicalResult verifySizes(Operation *op, Type type, size_t sizes) {
  int64_t dynamic = cast<MemRefType>(type).getNumDynamicDims();
  if (dynamic != static_cast<int64_t>(sizes))
    return op->emitOpError("has ") << sizes << " sizes for " << dynamic << " dynamic dimensions of " << type;
  return success();
}

LogicalResult ArenaOp::verify() { return verifySizes(*this, getType(), 0); }
LogicalResult AllocOp::verify() { return verifySizes(*this, getType(), getSizes().size()); }
LogicalResult ScratchOp::verify() { return verifySizes(*this, getType(), getSizes().size()); }
LogicalResult OutputOp::verify() { return verifySizes(*this, getType(), getSizes().size()); }

LogicalResult StringsOp::verify() {
  if (cast<MemRefType>(getType()).getNumElements() != static_cast<int64_t>(getValues().size()))
    return emitOpError("has ") << getValues().size() << " strings for " << getType();
  return success();
}

LogicalResult HostCallOp::verify() {
  if (getTypes().size() != getInputs().size() + getOuts().size())
    return emitOpError("expects an element type for each input and destination, found ") << getTypes().size();
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto body = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(*this, getBodyAttr());
  if (!body)
    return emitOpError("names no function: ") << getBodyAttr();
  if (body.getNumArguments() != getCaptures().size() + 2)
    return emitOpError("captures ") << getCaptures().size() << " values for a body of " << body.getNumArguments()
                                    << " arguments, of which two are begin and end";
  return success();
}

/// The first name in a location, depth first.
static StringAttr findName(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName();
  if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      if (StringAttr name = findName(part))
        return name;
  if (auto call = dyn_cast<CallSiteLoc>(loc))
    return findName(call.getCallee());
  return nullptr;
}

std::string nacre::rt::nodeMessage(Location loc, const Twine &text) {
  StringAttr name = findName(loc);
  if (!name)
    return text.str();
  // Importers write "<node name> (<op type>)".
  auto [node, op] = name.getValue().rsplit(" (");
  if (op.empty())
    return ("node '" + node + "': " + text).str();
  return ("node '" + node + "' (" + op + ": " + text).str();
}

LogicalResult CheckOp::canonicalize(CheckOp op, PatternRewriter &rewriter) {
  if (!matchPattern(op.getCondition(), m_One()))
    return rewriter.notifyMatchFailure(op, "the condition is not known to hold");
  rewriter.eraseOp(op);
  return success();
}

void CheckOp::build(OpBuilder &builder, OperationState &state, Value condition, Status status,
                    const Twine &text) {
  build(builder, state, condition, static_cast<int32_t>(status), nodeMessage(state.location, text));
}

void HostCallOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand &operand : getInputsMutable())
    if (isa<BaseMemRefType>(operand.get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  for (OpOperand &operand : getOutsMutable())
    if (isa<BaseMemRefType>(operand.get().getType()))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
}
