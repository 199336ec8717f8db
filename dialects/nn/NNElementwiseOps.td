//===- NNElementwiseOps.td - Element-wise ops -------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNELEMENTWISEOPS_TD
#define NACRE_DIALECTS_NN_NNELEMENTWISEOPS_TD

include "dialects/nn/NNBase.td"

// Result type and result sizes are those of the broadcast operands; both are
// implemented once, in NNElementwise.cpp.
class NN_ElementwiseOp<string mnemonic, list<Trait> traits = []>
    : NN_TensorOp<mnemonic, !listconcat([
        DeclareOpInterfaceMethods<NN_ElementwiseOpInterface>], traits)>;

// One operand, result of the same type.
class NN_UnaryOp<string mnemonic, TypeConstraint type = NN_FloatTensor, list<Trait> traits = []>
    : NN_ElementwiseOp<mnemonic, traits> {
  let arguments = (ins type:$input);
  let results = (outs type:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *, ::std::optional<::mlir::Location> loc,
        ::mlir::ValueRange operands, ::mlir::DictionaryAttr, ::mlir::OpaqueProperties, ::mlir::RegionRange,
        ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      return ::nacre::nn::detail::inferBroadcastType(loc, operands.getTypes(), {}, types);
    }
    ::llvm::LogicalResult $cppClass::reifyResultShapes(::mlir::OpBuilder &b, ::mlir::ReifiedRankedShapedTypeDims &dims) {
      return ::nacre::nn::detail::reifyBroadcastShape(b, *this, dims);
    }
  }];
}

// Two operands of one element type, broadcast against each other.
class NN_BinaryOp<string mnemonic, TypeConstraint type = NN_NumberTensor, list<Trait> traits = []>
    : NN_UnaryOp<mnemonic, type, traits> {
  let arguments = (ins type:$lhs, type:$rhs);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
}

def NN_AddOp : NN_BinaryOp<"add"> {
  let summary = "Element-wise sum";
  let description = [{
    Integers wrap around.

    ```mlir
    %y = nn.add %a, %b : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<4x?xf32>
    ```
  }];
}

def NN_MulOp : NN_BinaryOp<"mul"> {
  let summary = "Element-wise product";
  let description = [{
    Integers wrap around.

    ```mlir
    %y = nn.mul %a, %b : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    ```
  }];
}

def NN_ReluOp : NN_UnaryOp<"relu", NN_NumberTensor> {
  let summary = "max(x, 0); NaN stays NaN";
  let description = [{
    ```mlir
    %y = nn.relu %x : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
}

#endif // NACRE_DIALECTS_NN_NNELEMENTWISEOPS_TD
