//===- KernOps.td - Fused kernels -------------------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_KERN_KERNOPS_TD
#define NACRE_DIALECTS_KERN_KERNOPS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/TilingInterface.td"

def Kern_Dialect : Dialect {
  let name = "kern";
  let cppNamespace = "::nacre::kern";
  let summary = "Fused kernels as isolated functions";
  let description = [{
    A kernel is a fused group of ops, outlined: the unit of deduplication,
    compilation, caching, profiling and reporting. It is in destination-passing
    style: the last arguments are the destinations, one for each result.
  }];
  let useDefaultAttributePrinterParser = 1;
}

def Kern_TilingAttr : AttrDef<Kern_Dialect, "Tiling"> {
  let mnemonic = "tiling";
  let summary = "A kernel's tiling decision";
  let description = [{
    Tile sizes per loop of the kernel's root op, in its iteration order; 0 leaves a
    loop whole. Threads share the tiles; a thread takes at least `grain` at a time.

    ```mlir
    #kern.tiling<[64, 32, 0], grain = 4>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$sizes,
                        DefaultValuedParameter<"int64_t", "1">:$grain);
  let assemblyFormat = "`<` `[` $sizes `]` (`,` `grain` `=` $grain^)? `>`";
}

def Kern_HaloAttr : AttrDef<Kern_Dialect, "Halo"> {
  let mnemonic = "halo";
  let summary = "Where the windows of a structured op reach into zeros";
  let description = [{
    Of a linalg.generic that sums products, in the list `kern.halo`: along one dimension, an
    input is read at `place * stride + tap * dilation`, where `place` is a parallel loop of the
    op and `tap` a reduction, and it is zero but for the elements from `begin` on, `size` of
    them. So taps that reach none of these need not be run. It holds as long as the loops
    have `places` and `taps` iterations: tiles of either are about something else.

    ```mlir
    kern.halo = [#kern.halo<place = 1, tap = 4, stride = 1, dilation = 1, begin = 1, size = 7, places = 7, taps = 3>]
    ```
  }];
  let parameters = (ins "unsigned":$place, "unsigned":$tap, "int64_t":$stride, "int64_t":$dilation,
                        "int64_t":$begin, "int64_t":$size, "int64_t":$places, "int64_t":$taps);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Kern_FuncOp : Op<Kern_Dialect, "func", [
    FunctionOpInterface, IsolatedFromAbove, AffineScope, AutomaticAllocationScope]> {
  let summary = "A kernel";
  let description = [{
    Arguments are the inputs, then one destination for each result; result `i` has
    the type of destination `i` and is computed into it. After bufferization the
    arguments are memrefs and there are no results. `nodes` lists the model's nodes
    that the kernel computes, for profiles and reports.

    ```mlir
    kern.func @relu_add(%a: tensor<?xf32>, %b: tensor<?xf32>, %out: tensor<?xf32>) -> tensor<?xf32>
        attributes {nodes = ["/add", "/relu"]} {
      %0 = nn.add %a, %b : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %1 = nn.relu %0 : (tensor<?xf32>) -> tensor<?xf32>
      kern.return %1 : tensor<?xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type,
                   OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs,
                   OptionalAttr<Kern_TilingAttr>:$tiling, OptionalAttr<StrArrayAttr>:$nodes,
                   OptionalAttr<I64Attr>:$flops, OptionalAttr<I64Attr>:$bytes);
  let regions = (region AnyRegion:$body);
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::FunctionType":$type)>];
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    /// A kernel compiled elsewhere; only code generation makes such.
    bool isDeclaration() { return isExternal(); }
    /// The number of inputs, which precede the destinations.
    unsigned getNumInputs() { return getNumArguments() - getNumResults(); }
    ::mlir::Block::BlockArgListType getDestinations() {
      return getArguments().drop_front(getNumInputs());
    }
  }];
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def Kern_ReturnOp : Op<Kern_Dialect, "return", [Pure, HasParent<"FuncOp">, ReturnLike, Terminator]> {
  let summary = "Ends a kernel with its results";
  let description = [{
    ```mlir
    kern.return %0 : tensor<4xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$operands);
  let assemblyFormat = "attr-dict ($operands^ `:` type($operands))?";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange{}); }]>];
}

def Kern_CallOp : Op<Kern_Dialect, "call", [AttrSizedOperandSegments, DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Launches a kernel";
  let description = [{
    On tensors, result `i` is destination `i` after the kernel; on memrefs (after
    bufferization) there are no results.

    ```mlir
    %r = kern.call @k ins(%a, %b : tensor<4xf32>, tensor<4xf32>) outs(%d : tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<AnyType>:$inputs, Variadic<AnyType>:$outs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $callee (`ins` `(` $inputs^ `:` type($inputs) `)`)? (`outs` `(` $outs^ `:` type($outs) `)`)?
    attr-dict (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutsMutable(); }
  }];
}

def Kern_WinogradOp : Op<Kern_Dialect, "winograd", [
    DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<TilingInterface, ["getLoopIteratorTypes", "getIterationDomain",
      "getTiledImplementation", "getResultTilePosition", "generateResultTileValue"]>]> {
  let summary = "A convolution with 3 x 3 windows by fewer products";
  let description = [{
    Winograd's minimal filtering F(m x m, 3 x 3) (Lavin and Gray, arXiv:1509.09308), m 4 or 2: of each
    4 x 4 places of the result, and each pair of channels, 36 products instead of 144; of 2 x 2 places 16
    instead of 36. `input` is `[n, h + 2, w + 2, c]`, with its padding; `weights` are those of the windows,
    transformed (`G g G^T`), `[m + 2, m + 2, o / b, c, b]`; `destination` is `[n, h, w, o]`, of at least m x m
    places. Where m does not divide them, the last places are computed with their neighbours, once more.
    Tiles of the channels start at multiples of b.

    Sums of f32 in another order, of transformed values: the largest errors are about twice those of
    a direct convolution (m = 4). A value that is not finite makes NaN or infinities of the m x m places of
    each tile that reads it.

    ```mlir
    %y = kern.winograd %x, %u into %d : (tensor<1x58x58x64xf32>, tensor<6x6x2x64x32xf32>, tensor<1x56x56x64xf32>) -> tensor<1x56x56x64xf32>
    ```
  }];
  let arguments = (ins AnyShaped:$input, AnyShaped:$weights, AnyShaped:$destination);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $input `,` $weights `into` $destination attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getDestinationMutable(); }
  }];
  let hasVerifier = 1;
}

#endif // NACRE_DIALECTS_KERN_KERNOPS_TD
