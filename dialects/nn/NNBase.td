//===- NNBase.td - The nn dialect's base definitions ------------*- tablegen -*-===//
//
// The dialect, its types and base classes. Ops stand in NN<Theme>Ops.td.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_NNBASE_TD
#define NACRE_DIALECTS_NN_NNBASE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/nn/NNInterfaces.td"

def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::nacre::nn";
  let summary = "Neural-network graphs as tensor operations with value semantics";
  let description = [{
    The graph that every frontend produces and every graph pass transforms.
    Operations work on ranked tensors whose dimensions may be dynamic. Element
    types are f16, bf16, f32, f64, i8..i64 (signless, read as signed),
    ui8..ui64 (unsigned), i1 (booleans) and `!nn.string`; coded ones, which are moved
    and converted but not calculated with, are i2, i4, ui2, ui4 and floats of 4, 6 and 8
    bits (CodedTypes.h).
  }];
  let useDefaultTypePrinterParser = 1;
  // Folders evaluate and reified sizes are built with these.
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
  let hasConstantMaterializer = 1;
}

def NN_StringType : TypeDef<NN_Dialect, "String"> {
  let mnemonic = "string";
  let summary = "A string: bytes, by convention UTF-8";
  let description = [{
    An element type. In memory an element is the address of an immutable string that
    lives as long as the run, or 0 for the empty one: moving elements moves addresses,
    and only functions of the host library (see HostOpInterface) look inside.

    ```mlir
    tensor<?x4x!nn.string>
    ```
  }];
}

// Element types.
def NN_Float : AnyTypeOf<[F16, BF16, F32, F64], "floating-point">;
def NN_SInt : AnyTypeOf<[I8, I16, I32, I64], "signed integer">;
def NN_UInt : AnyTypeOf<[UI8, UI16, UI32, UI64], "unsigned integer">;
def NN_Bool : TypeAlias<I1, "boolean">;
def NN_Number : AnyTypeOf<[NN_Float, NN_SInt, NN_UInt], "number">;
def NN_CodedFloat : AnyTypeOf<[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0FNU, F6E2M3FN, F6E3M2FN, F4E2M1FN],
    "coded floating-point">;
def NN_Coded : AnyTypeOf<[I<2>, I<4>, UI<2>, UI<4>, NN_CodedFloat], "coded number">;
def NN_Element : AnyTypeOf<[NN_Number, NN_Bool], "number or boolean">;
def NN_Convertible : AnyTypeOf<[NN_Element, NN_Coded], "number or boolean, also coded">;
def NN_AnyElement : AnyTypeOf<[NN_Element, NN_Coded, NN_StringType], "number, boolean or string">;

// Tensors.
def NN_Tensor : RankedTensorOf<[NN_Element]>;
def NN_ConvertibleTensor : RankedTensorOf<[NN_Convertible]>;
// For ops that only move elements.
def NN_AnyTensor : RankedTensorOf<[NN_AnyElement]>;
def NN_StringTensor : RankedTensorOf<[NN_StringType]>;
def NN_NumberTensor : RankedTensorOf<[NN_Number]>;
def NN_FloatTensor : RankedTensorOf<[NN_Float]>;
def NN_BoolTensor : RankedTensorOf<[NN_Bool]>;
def NN_IntTensor : RankedTensorOf<[NN_SInt, NN_UInt]>;
// Shapes, axes, pads and the like that may arrive at run time: 1-D, i64.
def NN_IndexVector : RankedTensorOf<[I64]>;

// A result type may be more or less precise in its dimensions than the inferred one.
def NN_InferredTypes : NativeOpTrait<"InferredTypes"> {
  let cppNamespace = "::nacre::nn";
  code declaration = [{
    static bool isCompatibleReturnTypes(::mlir::TypeRange l, ::mlir::TypeRange r) {
      return ::nacre::nn::detail::areCompatibleTypes(l, r);
    }
  }];
}

// The base of every op. Result types are inferred (InferTypeOpInterface), so that
// builders need no result type and InferShapes can refine; dynamic result sizes
// are computed from the operands (ReifyRankedShapedTypeOpInterface).
class NN_Op<string mnemonic, list<Trait> traits = []>
    : Op<NN_Dialect, mnemonic, traits> {
  // For the table of gradients (tools/dev/gradients): what holds where the function has a kink
  // or a step, and what has no gradient, and why. No code is made of them.
  string kinks = "";
  string noGradient = "";
}

class NN_TensorOp<string mnemonic, list<Trait> traits = []>
    : NN_Op<mnemonic, !listconcat([Pure, NN_InferredTypes,
        DeclareOpInterfaceMethods<InferTypeOpInterface>,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>], traits)> {
  // An op that declares more must repeat this line (see CONTRIBUTING.md).
  let extraClassDeclaration = NN_InferredTypes.declaration;
}

// Operands that tell sizes; conditions on sizes or small operands that may have to
// be checked at run time.
def NN_HasShapeOperands : DeclareOpInterfaceMethods<NN_ShapeOperandsOpInterface>;
// A gradient, built in gradients/NN<Theme>Gradients.cpp.
def NN_Differentiable : DeclareOpInterfaceMethods<NN_DifferentiableOpInterface>;
// Ops that have gradients in its place, built there too.
def NN_Decomposable : DeclareOpInterfaceMethods<NN_DecomposableOpInterface>;
// What a training step computes an op in if it is to compute in f16 or bf16
// (compiler/train/NarrowCompute.cpp). Without one of these, ops that move elements and
// element-wise ones keep the type of their operands, and all others compute in f32.
class NN_PrecisionTrait<string name> : NativeOpTrait<name> {
  let cppNamespace = "::nacre::nn";
}
// A sum of products, kept in f32: the narrow type.
def NN_ComputesNarrow : NN_PrecisionTrait<"ComputesNarrow">;
// A function that makes much of a rounding error, or leaves the narrow type's range: f32.
def NN_ComputesWide : NN_PrecisionTrait<"ComputesWide">;
// Results are operands' elements: their type.
def NN_KeepsPrecision : NN_PrecisionTrait<"KeepsPrecision">;
def NN_IsChecked : DeclareOpInterfaceMethods<NN_CheckedOpInterface>;

#endif // NACRE_DIALECTS_NN_NNBASE_TD
