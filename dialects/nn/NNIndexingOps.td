//===- NNIndexingOps.td - Reading and writing at computed places -*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNINDEXINGOPS_TD
#define NACRE_DIALECTS_NN_NNINDEXINGOPS_TD

include "dialects/nn/NNBase.td"

// An op with an operand `indices` that holds positions in the operand `data`.
// Negative positions count from the end. Positions out of range end the run with a
// status (see IndexedOpInterface); `in_bounds` states that there are none and that
// none is negative.
class NN_IndexedOp<string mnemonic, list<Trait> traits = []>
    : NN_TensorOp<mnemonic, !listconcat([
        DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>,
        DeclareOpInterfaceMethods<NN_IndexedOpInterface, ["buildIndexLimit"]>,
        NN_IsChecked], traits)> {
  let results = (outs NN_AnyTensor:$result);
  let extraClassDefinition = [{
    ::mlir::OpOperand &$cppClass::getIndexOperand() { return getIndicesMutable(); }
    bool $cppClass::isInBounds() { return getInBounds(); }
    void $cppClass::markInBounds() { setInBounds(true); }
  }];
}

def NN_CheckedIndexOp : NN_Op<"checked_index", [NoMemoryEffect, NN_InferredTypes,
    DeclareOpInterfaceMethods<InferTypeOpInterface>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "Positions brought into [0, limit), or the end of the run";
  let description = [{
    Adds `limit` to negative positions. One that is then still outside of [0, limit)
    ends the run with a status that names the node, and becomes 0. `limit` broadcasts
    to `indices`. The op may be merged and dropped, but not hoisted out of a branch
    that is not taken.

    ```mlir
    %i = nn.checked_index %indices below %limit : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
    ```
  }];
  let arguments = (ins NN_IntTensor:$indices, RankedTensorOf<[I64]>:$limit);
  let results = (outs NN_IntTensor:$result);
  let assemblyFormat = "$indices `below` $limit attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = NN_InferredTypes.declaration;
  let hasFolder = 1;
}

def NN_GatherOp : NN_IndexedOp<"gather", [NN_Differentiable, DeclareOpInterfaceMethods<NN_MovementOpInterface>]> {
  let summary = "The slices of a dimension that indices name";
  let description = [{
    `result[a..., i..., b...] = data[a..., indices[i...], b...]`, where `a...` are the
    dimensions before `axis` and `b...` those after it.

    ```mlir
    %y = nn.gather %table, %ids along 0 : (tensor<30522x768xf32>, tensor<?x?xi64>) -> tensor<?x?x768xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$data, NN_IntTensor:$indices, I64Attr:$axis, UnitAttr:$in_bounds);
  let assemblyFormat = "$data `,` $indices `along` $axis attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def NN_GatherElementsOp : NN_IndexedOp<"gather_elements", [NN_Differentiable, DeclareOpInterfaceMethods<NN_MovementOpInterface>]> {
  let summary = "One element for each index, at the index's own place in other dimensions";
  let description = [{
    `result[a..., i, b...] = data[a..., indices[a..., i, b...], b...]`. Operands have
    the same rank; in the other dimensions `indices` may be smaller than `data`.

    ```mlir
    %y = nn.gather_elements %x, %i along 1 : (tensor<4x8xf32>, tensor<4x2xi64>) -> tensor<4x2xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$data, NN_IntTensor:$indices, I64Attr:$axis, UnitAttr:$in_bounds);
  let assemblyFormat = "$data `,` $indices `along` $axis attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def NN_GatherNdOp : NN_IndexedOp<"gather_nd", [NN_Differentiable, DeclareOpInterfaceMethods<NN_MovementOpInterface>]> {
  let summary = "The slices that index tuples name";
  let description = [{
    The last dimension of `indices`, of static size k, holds tuples: positions in the
    k dimensions of `data` after the first `batch_dims`, which both operands share.
    `result[n..., i..., b...] = data[n..., indices[n..., i..., 0..k-1], b...]`.

    ```mlir
    %y = nn.gather_nd %x, %i {batch_dims = 1 : i64} : (tensor<2x4x8xf32>, tensor<2x3x1xi64>) -> tensor<2x3x8xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$data, NN_IntTensor:$indices, DefaultValuedAttr<I64Attr, "0">:$batch_dims,
                   UnitAttr:$in_bounds);
  let assemblyFormat = "$data `,` $indices attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def NN_ScatterReduction : I32Enum<"ScatterReduction", "how an element is joined with what is there", [
    I32EnumCase<"Replace", 0, "replace">, I32EnumCase<"Add", 1, "add">, I32EnumCase<"Mul", 2, "mul">,
    I32EnumCase<"Min", 3, "min">, I32EnumCase<"Max", 4, "max">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_ScatterElementsOp : NN_IndexedOp<"scatter_elements", [NN_Differentiable, DeclareOpInterfaceMethods<NN_MovementOpInterface>]> {
  let summary = "A copy with single elements replaced or joined";
  let kinks = "equal extremes share; of several that replace one element each gets its gradient";
  let description = [{
    Starts from `data`; then, for each place of `updates`,
    `result[a..., indices[a..., i, b...], b...]` is joined with
    `updates[a..., i, b...]` by the reduction, in row-major order of the places:
    where two name the same element, `replace` leaves the last.

    ```mlir
    %y = nn.scatter_elements %x, %i, %u along 1 replace
        : (tensor<4x8xf32>, tensor<4x2xi64>, tensor<4x2xf32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$data, NN_IntTensor:$indices, NN_AnyTensor:$updates, I64Attr:$axis,
                   EnumProp<NN_ScatterReduction>:$reduction, UnitAttr:$in_bounds);
  let assemblyFormat = [{
    $data `,` $indices `,` $updates `along` $axis $reduction attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def NN_ScatterNdOp : NN_IndexedOp<"scatter_nd", [NN_Differentiable, DeclareOpInterfaceMethods<NN_MovementOpInterface>]> {
  let summary = "A copy with slices replaced or joined";
  let kinks = "equal extremes share; of several that replace one element each gets its gradient";
  let description = [{
    Starts from `data`; then, for each tuple in the last dimension of `indices`, whose
    size k is static, in row-major order, `result[indices[i..., 0..k-1], b...]` is
    joined with `updates[i..., b...]` by the reduction.

    ```mlir
    %y = nn.scatter_nd %x, %i, %u add
        : (tensor<8x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<8x4xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$data, NN_IntTensor:$indices, NN_AnyTensor:$updates,
                   EnumProp<NN_ScatterReduction>:$reduction, UnitAttr:$in_bounds);
  let assemblyFormat = [{
    $data `,` $indices `,` $updates $reduction attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

#endif // NACRE_DIALECTS_NN_NNINDEXINGOPS_TD
