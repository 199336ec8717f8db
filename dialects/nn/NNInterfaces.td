//===- NNInterfaces.td - What passes may ask an op --------------*- tablegen -*-===//
//
// A pass never switches over op names: it asks these interfaces.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_NNINTERFACES_TD
#define NACRE_DIALECTS_NN_NNINTERFACES_TD

include "mlir/IR/OpBase.td"

def NN_ElementwiseOpInterface : OpInterface<"ElementwiseOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op that computes each result element from the operand elements at the same
    place, after NumPy broadcasting (dimensions aligned at the right; 1 stretches).
    It is lowered by one pattern, fused freely, commutes with permutations, and
    runs on scalars and vectors alike.
  }];
  let methods = [
    InterfaceMethod<[{
      Builds the result elements from scalars, or vectors, of the operands' element
      types. Booleans are i1; unsigned types have been made signless, so the op
      reads signedness from its own tensor types.
    }], "::llvm::SmallVector<::mlir::Value>", "buildElements",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc, "::mlir::ValueRange":$elements)>
  ];
}

def NN_KernelOpInterface : OpInterface<"KernelOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    How an op takes part in kernel formation. Without this interface an element-wise op
    is fused freely, and any other becomes a kernel of its own.
  }];
  let methods = [
    InterfaceMethod<"The op's role in a kernel", "::nacre::nn::KernelRole", "getKernelRole",
      (ins), "", [{ return ::nacre::nn::KernelRole::Alone; }]>,
    InterfaceMethod<[{Floating-point operations of one execution, a multiply-add
      counted as two; 0 for an op that moves data or does little with each element.
      Computed from sizes where they are dynamic: the builder knows them
      (SizeResolver).}],
      "::mlir::OpFoldResult", "buildFlops", (ins "::mlir::OpBuilder &":$builder), "",
      [{ return builder.getIndexAttr(0); }]>
  ];
}

def NN_DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    Reverse-mode differentiation: the vector-Jacobian product as nn ops. At kinks the
    conventions are PyTorch's. An op without this interface, or one that fails, stops
    the compilation of a training step if a gradient reaches it and one of its operands
    depends on a trainable parameter.
  }];
  let methods = [
    InterfaceMethod<[{
      Builds the gradients of the operands from those of the results (null where a
      result has none; one has some). Pushes one value for each operand, null where no
      gradient flows (integer operands, shapes). Where an operand was broadcast, its
      gradient may have the broadcast shape: who asks sums it (sumToShape). Fails where
      the op has no gradient with these attributes; what it has built then stays unused.
      The builder knows sizes (SizeResolver).
    }], "::mlir::LogicalResult", "buildGradient",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$resultGradients,
         "::llvm::SmallVectorImpl<::mlir::Value> &":$operandGradients)>
  ];
}

def NN_DecomposableOpInterface : OpInterface<"DecomposableOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op without a gradient of its own that can be computed by ops that have one, though
    more slowly: a recurrent layer as a loop. Differentiation puts these in its place.
  }];
  let methods = [
    InterfaceMethod<[{
      Builds one value for each result. Fails where the op cannot be decomposed; what it
      has built then stays unused. The builder knows sizes (SizeResolver).
    }], "::mlir::LogicalResult", "decompose",
    (ins "::mlir::OpBuilder &":$builder, "::llvm::SmallVectorImpl<::mlir::Value> &":$results)>
  ];
}

def NN_LayoutOpInterface : OpInterface<"LayoutOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    A spatial op on [batch, channel, spatial...] that can also be computed on
    [batch, spatial..., channel].
  }];
  let methods = [
    InterfaceMethod<"Whether data operand and results have their channels last",
      "bool", "isChannelsLast">,
    InterfaceMethod<"Switches the op to channels last; types are the caller's to fix",
      "void", "setChannelsLast">,
    InterfaceMethod<"The operands that carry data in the op's layout",
      "::llvm::SmallVector<unsigned>", "getLayoutOperands", (ins), "",
      [{ return {0u}; }]>
  ];
}

def NN_ScalableOpInterface : OpInterface<"ScalableOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op that is linear in a weight operand, so that a factor per output channel can
    be multiplied into the weight instead of the result.
  }];
  let methods = [
    InterfaceMethod<"The dimension of the result that output channels run along",
      "int64_t", "getOutputChannelDim">,
    InterfaceMethod<"The weight (and bias) operands that a factor is multiplied into",
      "::llvm::SmallVector<unsigned>", "getScaledOperands">,
    InterfaceMethod<[{Multiplies `scale`, a vector with one factor per channel, into the
      scaled operands, building nn ops before the op.}], "void", "scaleChannels",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Value":$scale)>
  ];
}

def NN_PermutableOpInterface : OpInterface<"PermutableOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op that commutes with permutations of its data's dimensions, after renaming of
    its axes: concat, pad, slice, reductions that keep dimensions, softmax. Element-
    wise ops need not implement it.
  }];
  let methods = [
    InterfaceMethod<"The operands that carry data; all others stay as they are",
      "::llvm::SmallVector<unsigned>", "getPermutableOperands", (ins), "", [{ return {0u}; }]>,
    InterfaceMethod<[{
      Given that each data operand is `nn.transpose(x_i, permutation)`, builds the op on
      the x_i (which stand in `operands` in their places), such that each result is
      `nn.transpose(built result, permutation)`. Fails if it cannot.
    }], "::llvm::FailureOr<::mlir::Operation *>", "buildBeforeTranspose",
    (ins "::mlir::OpBuilder &":$builder, "::llvm::ArrayRef<int64_t>":$permutation,
         "::mlir::ValueRange":$operands)>
  ];
}

def NN_ShapeOperandsOpInterface : OpInterface<"ShapeOperandsOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op some of whose operands are small integer tensors that say what sizes its
    result has, or which elements it takes: shapes, pads, starts, k.
    ScalarizeShapes turns what computes them into scalar arithmetic.
  }];
  let methods = [
    InterfaceMethod<"The numbers of those operands", "::llvm::SmallVector<unsigned>", "getShapeOperands">,
    InterfaceMethod<[{Puts what such an operand leaves open (a size of -1) into it as a
      value, where one can be built}], "void", "resolveShapeOperands",
      (ins "::mlir::OpBuilder &":$builder), "", [{ (void)builder; }]>
  ];
}

def NN_ScalarsOpInterface : OpInterface<"ScalarsOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op whose result, where it is small, can be computed by scalar operations on the
    elements of its operands or on sizes, but that is neither element-wise nor a
    movement: nn.shape, nn.range, reductions.
  }];
  let methods = [
    InterfaceMethod<[{
      Builds the elements of the result, in row-major order. `operands` holds the
      elements of each operand, none where they are not known.
    }], "::mlir::LogicalResult", "buildScalars",
    (ins "::mlir::OpBuilder &":$builder, "::llvm::ArrayRef<::llvm::SmallVector<::mlir::Value>>":$operands,
         "::llvm::SmallVectorImpl<::mlir::Value> &":$results)>
  ];
}

def NN_MovementOpInterface : OpInterface<"MovementOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op with one result, each of whose elements is a copy of an operand's element
    that operand shapes and constant operands alone determine. One folder serves
    all such ops, and shape arithmetic is followed through them.
  }];
  let methods = [
    InterfaceMethod<[{
      Pushes the source of each result element, in row-major order. Fails unless the
      result and what is read have static shapes, and the operands that tell
      positions are known.
    }], "::mlir::LogicalResult", "getElementSources",
    (ins "::llvm::SmallVectorImpl<::nacre::nn::ElementSource> &":$sources)>
  ];
}

def NN_CheckedOpInterface : OpInterface<"CheckedOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op that is only defined if sizes or small operands fit together in ways that
    may be known only at run time. InsertChecks puts what is built here before the
    op, on the host side; the op's kernel may rely on it.
  }];
  let methods = [
    InterfaceMethod<"Builds the conditions that must hold", "void", "buildChecks",
      (ins "::mlir::OpBuilder &":$builder, "::llvm::SmallVectorImpl<::nacre::nn::RuntimeCheck> &":$checks)>
  ];
}

def NN_IndexedOpInterface : OpInterface<"IndexedOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op that takes positions in a tensor as data. Negative ones count from the end.
    InsertChecks replaces them by `nn.checked_index`; without that the op's lowering
    clamps each.
  }];
  let methods = [
    InterfaceMethod<"The operand that holds the positions", "::mlir::OpOperand &", "getIndexOperand">,
    InterfaceMethod<[{The sizes that the positions must lie below: an i64 tensor that
      broadcasts to the positions}], "::mlir::Value", "buildIndexLimit", (ins "::mlir::OpBuilder &":$builder)>,
    InterfaceMethod<"Whether the positions are known to lie in [0, limit)", "bool", "isInBounds">,
    InterfaceMethod<"States that they are", "void", "markInBounds">
  ];
}

def NN_HostOpInterface : OpInterface<"HostOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op that a function of the host library (runtime/host) computes, as what it does
    is not numeric. It becomes a kernel of its own that calls the function with the
    operands, room for the results, and the numbers below.
  }];
  let methods = [
    InterfaceMethod<"The function's symbol", "::llvm::StringRef", "getHostFunction">,
    InterfaceMethod<"What the op's attributes say, as the function wants it",
      "::llvm::SmallVector<int64_t>", "getHostNumbers", (ins), "", [{ return {}; }]>
  ];
}

def NN_BatchedOpInterface : OpInterface<"BatchedOpInterface"> {
  let cppNamespace = "::nacre::nn";
  let description = [{
    An op that is not element-wise, but whose operands' leading dimensions broadcast
    against each other as NumPy does (matmul).
  }];
  let methods = [
    InterfaceMethod<"How many trailing dimensions of operands and result do not broadcast",
      "int64_t", "getNumInnerDims">
  ];
}

#endif // NACRE_DIALECTS_NN_NNINTERFACES_TD
