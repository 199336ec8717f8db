//===- Parameters.cpp - Where parameters lie, and their bytes ---*- C++ -*-===//
#include "compiler/codegen/Parameters.h"
#include "compiler/codegen/Signature.h"
#include "dialects/nn/CodedTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "runtime/abi/nacre_dtype.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;

//===----------------------------------------------------------------------===//
// ParameterBytes
//===----------------------------------------------------------------------===//

FailureOr<ParameterBytes> ParameterBytes::get(nn::ParameterOp parameter) {
  RankedTensorType type = parameter.getType();
  int32_t dtype = getDtype(nn::getStoredType(type.getElementType()));
  ParameterBytes result;
  result.total =
      type.hasStaticShape() ? nacre_abi_dtype_bytes(dtype, type.getNumElements()) : -1;
  if (result.total < 0)
    return parameter.emitError("parameter of type ") << type << " cannot be stored";

  if (auto resource = dyn_cast<DenseResourceElementsAttr>(parameter.getValue())) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob)
      return parameter.emitError("the value of this parameter is missing: was it elided when "
                                 "the module was printed?");
    result.bytes = blob->getData();
  } else if (auto dense = dyn_cast<DenseElementsAttr>(parameter.getValue())) {
    dense = nn::getStored(dense);
    if (dense.isSplat()) {
      result.pattern = std::string(dense.getRawData().data(), nacre_abi_dtype_bits(dtype) / 8);
      return result;
    }
    result.bytes = dense.getRawData();
  } else {
    return parameter.emitError("the value of this parameter is of a kind that cannot be stored: ")
           << parameter.getValue().getAbstractAttribute().getName();
  }
  if (int64_t(result.bytes.size()) != result.total)
    return parameter.emitError("the value of this parameter has ")
           << result.bytes.size() << " bytes, but " << type << " needs " << result.total;
  return result;
}

bool ParameterBytes::isZero() const {
  return !pattern.empty() && llvm::all_of(pattern, [](char c) { return c == 0; });
}

bool ParameterBytes::forEachPiece(llvm::function_ref<bool(ArrayRef<char>)> consume) const {
  if (pattern.empty())
    return consume(bytes);
  constexpr int64_t pieceSize = 1 << 18; // a multiple of every element size
  std::vector<char> piece(std::min(total, pieceSize));
  for (size_t i = 0; i < piece.size(); ++i)
    piece[i] = pattern[i % pattern.size()];
  for (int64_t done = 0; done < total; done += piece.size())
    if (!consume(ArrayRef(piece).take_front(std::min<int64_t>(total - done, piece.size()))))
      return false;
  return true;
}

void ParameterBytes::copyTo(char *destination) const {
  forEachPiece([&](ArrayRef<char> piece) {
    std::memcpy(destination, piece.data(), piece.size());
    destination += piece.size();
    return true;
  });
}

const void *nacre::codegen::getValueStorage(nn::ParameterOp parameter) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(parameter.getValue()))
    return resource.getRawHandle().getResource();
  return parameter.getValue().getAsOpaquePointer();
}

void nacre::codegen::releaseValue(nn::ParameterOp parameter) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(parameter.getValue()))
    resource.getRawHandle().getResource()->setBlob({});
}

//===----------------------------------------------------------------------===//
// ParameterTable
//===----------------------------------------------------------------------===//

FailureOr<ParameterTable> codegen::readParameterTable(ModuleOp module) {
  ParameterTable table;
  for (auto op : module.getOps<nn::ParameterOp>()) {
    auto offset = op->getAttrOfType<IntegerAttr>("nacre.offset");
    auto state = op->getAttrOfType<IntegerAttr>("nacre.state_offset");
    if (!offset && !state)
      continue; // only @prepare reads it
    RankedTensorType type = op.getType();
    Parameter parameter{op};
    parameter.isComputed = op->hasAttr("nn.computed");
    parameter.isShared = offset && op->hasAttr(kSharedOffsetAttr);
    parameter.size = type.hasStaticShape()
                         ? nacre_abi_dtype_bytes(getDtype(type.getElementType()), type.getNumElements())
                         : -1;
    if (parameter.size < 0)
      return op.emitError("parameter of type ") << type << " cannot be stored";
    if (offset) {
      parameter.offset = offset.getInt();
      table.sectionSize = std::max(table.sectionSize, parameter.offset + parameter.size);
    }
    if (state) {
      parameter.stateOffset = state.getInt();
      table.stateSize = std::max(table.stateSize, parameter.stateOffset + parameter.size);
    }
    table.parameters.push_back(parameter);
  }
  llvm::sort(table.parameters, [](const Parameter &a, const Parameter &b) {
    // Those without a place in the section last; empty ones before what follows.
    auto key = [](const Parameter &p) {
      return std::tuple(uint64_t(p.offset), p.size, p.stateOffset, nn::ParameterOp(p.op).getSymName());
    };
    return key(a) < key(b);
  });
  return table;
}
