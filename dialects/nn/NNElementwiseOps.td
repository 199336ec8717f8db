//===- NNElementwiseOps.td - Arithmetic, comparison, logic ------*- tablegen -*-===//
//
// Activations stand in NNActivationOps.td, functions of one number in NNMathOps.td.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_NNELEMENTWISEOPS_TD
#define NACRE_DIALECTS_NN_NNELEMENTWISEOPS_TD

include "dialects/nn/NNBase.td"

// Folds an op whose operands are constants by evaluating its element-wise body.
def NN_FoldsElementwise : NativeOpTrait<"FoldsElementwise"> {
  let cppNamespace = "::nacre::nn";
}

// Result sizes are those of the broadcast operands. `elementType` is C++ for the
// results' element type; null: that of the operands, which must agree.
class NN_ElementwiseOp<string mnemonic, list<Trait> traits = [], string elementType = "{}">
    : NN_TensorOp<mnemonic, !listconcat([NN_FoldsElementwise,
        DeclareOpInterfaceMethods<NN_ElementwiseOpInterface>], traits)> {
  let results = (outs NN_AnyTensor:$result);
  // More definitions, after those below; $cppClass is the class.
  string definitions = "";
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *context,
        ::std::optional<::mlir::Location> loc, ::mlir::ValueRange operands, ::mlir::DictionaryAttr,
        ::mlir::OpaqueProperties properties, ::mlir::RegionRange, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      ::mlir::Type elementType = }] # elementType # [{;
      return ::nacre::nn::detail::inferBroadcastType(loc, operands.getTypes(), elementType, types);
    }
    ::llvm::LogicalResult $cppClass::reifyResultShapes(::mlir::OpBuilder &b, ::mlir::ReifiedRankedShapedTypeDims &dims) {
      return ::nacre::nn::detail::reifyBroadcastShape(b, *this, dims);
    }
  }] # definitions;
}

// One operand, result of the same type.
class NN_UnaryOp<string mnemonic, TypeConstraint type = NN_FloatTensor, list<Trait> traits = []>
    : NN_ElementwiseOp<mnemonic, traits> {
  let arguments = (ins type:$input);
  let results = (outs type:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

// Two operands of one element type, broadcast against each other.
class NN_BinaryOp<string mnemonic, TypeConstraint type = NN_NumberTensor, list<Trait> traits = []>
    : NN_ElementwiseOp<mnemonic, traits> {
  let arguments = (ins type:$lhs, type:$rhs);
  let results = (outs type:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

def NN_AddOp : NN_BinaryOp<"add", NN_NumberTensor, [Commutative, NN_Differentiable]> {
  let summary = "Element-wise sum";
  let description = [{
    Integers wrap around.

    ```mlir
    %y = nn.add %a, %b : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<4x?xf32>
    ```
  }];
  let hasFolder = 1;
}

def NN_SubOp : NN_BinaryOp<"sub", NN_NumberTensor, [NN_Differentiable]> {
  let summary = "Element-wise difference";
  let description = [{
    Integers wrap around.

    ```mlir
    %y = nn.sub %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let hasFolder = 1;
}

def NN_MulOp : NN_BinaryOp<"mul", NN_NumberTensor, [Commutative, NN_Differentiable]> {
  let summary = "Element-wise product";
  let description = [{
    Integers wrap around.

    ```mlir
    %y = nn.mul %a, %b : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    ```
  }];
  let hasFolder = 1;
}

def NN_DivOp : NN_BinaryOp<"div", NN_NumberTensor, [NN_Differentiable]> {
  let summary = "Element-wise quotient";
  let description = [{
    Integers are divided towards zero; the division never traps: `x / 0` is 0 and
    `MIN / -1` is MIN.

    ```mlir
    %y = nn.div %a, %b : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    ```
  }];
  let hasFolder = 1;
}

def NN_ModOp : NN_BinaryOp<"mod", NN_NumberTensor, [NN_Differentiable]> {
  let summary = "Remainder with the divisor's sign";
  let kinks = "the quotient's steps pass nothing on";
  let description = [{
    As Python's `%`. Integers never trap: `x % 0` is 0. Floats: NaN by zero.

    ```mlir
    %y = nn.mod %a, %b : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
    ```
  }];
}

def NN_FModOp : NN_BinaryOp<"fmod", NN_NumberTensor, [NN_Differentiable]> {
  let summary = "Remainder with the dividend's sign";
  let kinks = "the quotient's steps pass nothing on";
  let description = [{
    As C's `fmod` and `%`. Integers never trap: `fmod(x, 0)` is 0. Floats: NaN by zero.

    ```mlir
    %y = nn.fmod %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
}

def NN_PowOp : NN_ElementwiseOp<"pow", [NN_Differentiable, NN_ComputesWide],
    "::mlir::getElementTypeOrSelf(operands.front())"> {
  let summary = "Power";
  let kinks = "0 to a power of 0 or more: nothing to the exponent; an exponent has a gradient if it is floating-point";
  let description = [{
    The result has the base's element type; the exponent may have another. An integer
    to an integer power wraps around; with a negative exponent the fraction is
    dropped, and 0 gives 0. An integer to a float power is computed in f64.

    ```mlir
    %y = nn.pow %x, %p : (tensor<4xf32>, tensor<i64>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins NN_NumberTensor:$base, NN_NumberTensor:$exponent);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = "$base `,` $exponent attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
}

def NN_MinOp : NN_BinaryOp<"min", NN_NumberTensor, [Commutative, NN_Differentiable]> {
  let summary = "Smaller of two";
  let kinks = "equal elements get half each";
  let description = [{
    NaN if either is NaN. Which of +0 and -0 comes out is not defined.

    ```mlir
    %y = nn.min %a, %b : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    ```
  }];
}

def NN_MaxOp : NN_BinaryOp<"max", NN_NumberTensor, [Commutative, NN_Differentiable]> {
  let summary = "Larger of two";
  let kinks = "equal elements get half each";
  let description = [{
    NaN if either is NaN. Which of +0 and -0 comes out is not defined.

    ```mlir
    %y = nn.max %a, %b : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

def NN_ComparePredicateAttr : I32EnumAttr<"ComparePredicate", "how two elements are compared", [
    I32EnumAttrCase<"eq", 0>, I32EnumAttrCase<"ne", 1>, I32EnumAttrCase<"lt", 2>,
    I32EnumAttrCase<"le", 3>, I32EnumAttrCase<"gt", 4>, I32EnumAttrCase<"ge", 5>]> {
  let cppNamespace = "::nacre::nn";
}

def NN_CompareOp : NN_ElementwiseOp<"compare", [], "::mlir::IntegerType::get(context, 1)"> {
  let summary = "Element-wise comparison";
  let description = [{
    With NaN only `ne` holds. Booleans compare as 0 and 1.

    ```mlir
    %y = nn.compare lt, %a, %b : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>
    ```
  }];
  let arguments = (ins NN_ComparePredicateAttr:$predicate, NN_Tensor:$lhs, NN_Tensor:$rhs);
  let results = (outs NN_BoolTensor:$result);
  let assemblyFormat = "$predicate `,` $lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def NN_IsNaNOp : NN_ElementwiseOp<"is_nan", [], "::mlir::IntegerType::get(context, 1)"> {
  let summary = "Whether elements are NaN";
  let description = [{
    ```mlir
    %y = nn.is_nan %x : (tensor<4xf32>) -> tensor<4xi1>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input);
  let results = (outs NN_BoolTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def NN_IsInfOp : NN_ElementwiseOp<"is_inf", [], "::mlir::IntegerType::get(context, 1)"> {
  let summary = "Whether elements are infinite";
  let description = [{
    ```mlir
    %y = nn.is_inf %x {negative = false} : (tensor<4xf32>) -> tensor<4xi1>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, DefaultValuedAttr<BoolAttr, "true">:$positive,
                   DefaultValuedAttr<BoolAttr, "true">:$negative);
  let results = (outs NN_BoolTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

//===----------------------------------------------------------------------===//
// Booleans and bits
//===----------------------------------------------------------------------===//

def NN_BitsTensor : RankedTensorOf<[NN_SInt, NN_UInt, NN_Bool]>;

def NN_AndOp : NN_BinaryOp<"and", NN_BitsTensor, [Commutative]> {
  let summary = "Bitwise and; logical for booleans";
  let description = [{
    ```mlir
    %y = nn.and %a, %b : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
    ```
  }];
}

def NN_OrOp : NN_BinaryOp<"or", NN_BitsTensor, [Commutative]> {
  let summary = "Bitwise or; logical for booleans";
  let description = [{
    ```mlir
    %y = nn.or %a, %b : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
    ```
  }];
}

def NN_XorOp : NN_BinaryOp<"xor", NN_BitsTensor, [Commutative]> {
  let summary = "Bitwise exclusive or; logical for booleans";
  let description = [{
    ```mlir
    %y = nn.xor %a, %b : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
    ```
  }];
}

def NN_NotOp : NN_UnaryOp<"not", NN_BitsTensor> {
  let summary = "Bitwise complement; logical for booleans";
  let description = [{
    ```mlir
    %y = nn.not %x : (tensor<4xi1>) -> tensor<4xi1>
    ```
  }];
}

def NN_ShiftLeftOp : NN_BinaryOp<"shift_left", NN_IntTensor> {
  let summary = "Shift towards the high bits";
  let description = [{
    The amount is read as unsigned; by the width or more gives 0.

    ```mlir
    %y = nn.shift_left %a, %n : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
    ```
  }];
}

def NN_ShiftRightOp : NN_BinaryOp<"shift_right", NN_IntTensor> {
  let summary = "Shift towards the low bits";
  let description = [{
    Signed integers keep their sign. The amount is read as unsigned; by the width or
    more gives 0, or -1 for a negative number.

    ```mlir
    %y = nn.shift_right %a, %n : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Selection and conversion
//===----------------------------------------------------------------------===//

def NN_WhereOp : NN_ElementwiseOp<"where", [NN_Differentiable], "::mlir::getElementTypeOrSelf(operands[1])"> {
  let summary = "Picks elements by a condition";
  let description = [{
    ```mlir
    %y = nn.where %c, %a, %b : (tensor<4x1xi1>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins NN_BoolTensor:$condition, NN_AnyTensor:$on_true, NN_AnyTensor:$on_false);
  let assemblyFormat = "$condition `,` $on_true `,` $on_false attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def NN_RoundingAttr : I32EnumAttr<"Rounding", "where a number between two is rounded to", [
    I32EnumAttrCase<"up", 0>, I32EnumAttrCase<"down", 1>, I32EnumAttrCase<"nearest", 2>]> {
  let cppNamespace = "::nacre::nn";
}

def NN_CastOp : NN_ElementwiseOp<"cast", [NN_Differentiable],
    "properties.as<Properties *>()->getTo().getValue()"> {
  let summary = "Converts the element type";
  let description = [{
    As numpy's `astype`, every case defined: integers wrap around; floats to integers
    are truncated, and what is out of range, NaN among it, gives the most negative
    value of 32 or 64 bits, whose low bits the narrower types take; only zero becomes
    false; floats are rounded to nearest even, once, and overflow to infinity.

    Floats of at most 8 bits overflow, infinities included, to the largest number with `saturate`
    and where there is nothing else, without it to infinity or, where there is none, to
    NaN. Powers of two (f8E8M0FNU) are rounded as `rounding` says, away from zero (up),
    towards it, or to the nearest (ties up); the sign is dropped, and what is too small
    is the smallest with `saturate`, else NaN.

    ```mlir
    %y = nn.cast %x to f8E5M2 {saturate = false} : (tensor<4xf32>) -> tensor<4xf8E5M2>
    ```
  }];
  let kinks = "coded types and integers are steps, which pass nothing on";
  let arguments = (ins NN_ConvertibleTensor:$input, TypeAttr:$to, DefaultValuedAttr<BoolAttr, "true">:$saturate,
                   DefaultValuedAttr<NN_RoundingAttr, "::nacre::nn::Rounding::up">:$rounding);
  let assemblyFormat = "$input `to` $to attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def NN_BitcastOp : NN_ElementwiseOp<"bitcast", [NN_ComputesWide],
    "properties.as<Properties *>()->getTo().getValue()"> {
  let summary = "The same bits under another element type";
  let description = [{
    Both types have the same width; booleans are bytes, 0 or 1, and any other byte
    becomes true.

    ```mlir
    %y = nn.bitcast %x to i32 : (tensor<4xf32>) -> tensor<4xi32>
    ```
  }];
  let arguments = (ins NN_ConvertibleTensor:$input, TypeAttr:$to);
  let assemblyFormat = "$input `to` $to attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // NACRE_DIALECTS_NN_NNELEMENTWISEOPS_TD
