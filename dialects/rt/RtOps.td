//===- RtOps.td - The runtime's ABI as ops ----------------------*- tablegen -*-===//
//
// Nothing else in the compiler knows runtime/abi. Every op here is one field or
// function of nacre_abi_context, or what nacre_host.h adds.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_RT_RTOPS_TD
#define NACRE_DIALECTS_RT_RTOPS_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Rt_Dialect : Dialect {
  let name = "rt";
  let cppNamespace = "::nacre::rt";
  let summary = "The runtime's ABI as ops";
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

class Rt_Op<string mnemonic, list<Trait> traits = []> : Op<Rt_Dialect, mnemonic, traits>;

def Rt_Offset : ConfinedAttr<I64Attr, [IntNonNegative]>;
def Rt_Grain : ConfinedAttr<I64Attr, [IntPositive]>;
// The failures of enum nacre_abi_status that code can report.
def Rt_Status : ConfinedAttr<I32Attr, [IntMinValue<1>, IntMaxValue<3>]>;

// Memory of one size for each `?` of its type.
class Rt_SizedOp<string mnemonic, list<Trait> traits = []> : Rt_Op<mnemonic, traits> {
  let hasVerifier = 1;
}

def Rt_ParallelOp : Rt_Op<"parallel", [
    SingleBlockImplicitTerminator<"YieldOp">, RecursiveMemoryEffects, AutomaticAllocationScope]> {
  let summary = "A parallel loop on the session's threads";
  let description = [{
    The region runs once per chunk [begin, end) of [0, count); chunks cover the range
    exactly once and are multiples of `grain` but for the last. With `alternating` each
    thread takes its chunks in turn forwards and backwards. The two arguments are
    begin and end. Outlined into a function at code generation. With a count of at
    most `grain` it runs in place.

    ```mlir
    rt.parallel (%begin, %end) to %count grain 4 {
      scf.for %i = %begin to %end step %c1 { ... }
    }
    ```
  }];
  let arguments = (ins Index:$count, Rt_Grain:$grain, UnitAttr:$alternating);
  let regions = (region AnyRegion:$body);
  let hasCustomAssemblyFormat = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$count, "int64_t":$grain)>];
}

def Rt_YieldOp : Rt_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "Ends the body of rt.parallel";
  let description = [{
    Implicit in the printed form of rt.parallel.

    ```mlir
    rt.yield
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def Rt_LaunchOp : Rt_Op<"launch", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A parallel loop whose body is a function";
  let description = [{
    What rt.parallel becomes at code generation: `body` is a private kern.func that
    takes the captured values, then begin and end of a chunk.

    ```mlir
    rt.launch @k.body(%a, %b : memref<64xf32>, memref<64xf32>) to %count grain 4
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$body, Variadic<AnyType>:$captures, Index:$count,
                   Rt_Grain:$grain, UnitAttr:$alternating);
  let assemblyFormat = [{
    $body `(` ($captures^ `:` type($captures))? `)` `to` $count `grain` $grain (`alternating` $alternating^)? attr-dict
  }];
}

def Rt_ParameterOp : Rt_Op<"parameter", [Pure]> {
  let summary = "A parameter's memory";
  let description = [{
    `offset` bytes into the parameter section, or into the mutable state with `state`.
    Before the section is laid out, `name` tells which parameter.

    ```mlir
    %w = rt.parameter "conv1.weight" : memref<64x3x7x7xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, UnitAttr:$state, OptionalAttr<Rt_Offset>:$offset);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "(`state` $state^)? $name (`at` $offset^)? attr-dict `:` type($result)";
}

def Rt_ArenaOp : Rt_SizedOp<"arena", [Pure]> {
  let summary = "A planned buffer in the arena";
  let description = [{
    ```mlir
    %b = rt.arena 4096 : memref<16x32xf32>
    ```
  }];
  let arguments = (ins Rt_Offset:$offset);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$offset attr-dict `:` type($result)";
}

def Rt_AllocOp : Rt_SizedOp<"alloc"> {
  let summary = "Memory whose size is known only at run time";
  let description = [{
    A failed allocation ends the run with a status. Only in host functions.

    ```mlir
    %b = rt.alloc(%n) : memref<?x8xf32>
    ```
  }];
  let arguments = (ins Variadic<Index>:$sizes);
  let results = (outs Res<AnyMemRef, "", [MemAlloc]>:$result);
  let assemblyFormat = "`(` $sizes `)` attr-dict `:` type($result)";
}

def Rt_ReleaseOp : Rt_Op<"release"> {
  let summary = "Gives back what rt.alloc gave";
  let description = [{
    ```mlir
    rt.release %b : memref<?x8xf32>
    ```
  }];
  let arguments = (ins Arg<AnyMemRef, "", [MemFree]>:$buffer);
  let assemblyFormat = "$buffer attr-dict `:` type($buffer)";
}

// Not an allocation or a release of a value, but neither may move past one.
def Rt_MarkOp : Rt_Op<"mark", [MemoryEffects<[MemWrite]>]> {
  let summary = "Where the memory of a loop begins";
  let description = [{
    What rt.alloc gives from here on, rt.release_since of the mark may take back. Only
    in host functions.

    ```mlir
    %m = rt.mark
    ```
  }];
  let results = (outs I64:$result);
  let assemblyFormat = "attr-dict";
}

def Rt_ReleaseSinceOp : Rt_Op<"release_since", [MemoryEffects<[MemWrite]>]> {
  let summary = "Gives back what a loop's iteration leaves behind";
  let description = [{
    Everything that rt.alloc gave since the mark, was not released, and is the memory
    of none of the buffers that are kept. Views keep the buffer that they are of.

    ```mlir
    rt.release_since %m keep(%next : memref<?x8xf32>)
    ```
  }];
  let arguments = (ins I64:$mark, Variadic<AnyMemRef>:$kept);
  let assemblyFormat = "$mark (`keep` `(` $kept^ `:` type($kept) `)`)? attr-dict";
}

def Rt_ScratchOp : Rt_SizedOp<"scratch"> {
  let summary = "Scratch memory of the calling worker";
  let description = [{
    Valid until the body of the enclosing rt.parallel ends. Only in kernels.

    ```mlir
    %b = rt.scratch(%n) : memref<?xf32>
    ```
  }];
  let arguments = (ins Variadic<Index>:$sizes);
  let results = (outs Res<AnyMemRef, "", [MemAlloc]>:$result);
  let assemblyFormat = "`(` $sizes `)` attr-dict `:` type($result)";
}

def Rt_InputOp : Rt_Op<"input", [Pure]> {
  let summary = "The memory of an input of the running function";
  let description = [{
    The runtime has checked rank, sizes and symbols; dynamic sizes are read from it.

    ```mlir
    %x = rt.input 0 : memref<?x784xf32>
    ```
  }];
  let arguments = (ins Rt_Offset:$index);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$index attr-dict `:` type($result)";
}

// Not an allocation: without it the run would lack an output, even one of no elements.
def Rt_OutputOp : Rt_SizedOp<"output", [MemoryEffects<[MemWrite]>]> {
  let summary = "The memory for an output of the running function";
  let description = [{
    The caller's memory if it gave some that fits, else the session's.

    ```mlir
    %y = rt.output 0 (%n) : memref<?x10xf32>
    ```
  }];
  let arguments = (ins Rt_Offset:$index, Variadic<Index>:$sizes);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$index `(` $sizes `)` attr-dict `:` type($result)";
}

def Rt_SeedOp : Rt_Op<"seed", [Pure]> {
  let summary = "The session's seed for random numbers";
  let description = [{
    The same during a run. Only in host functions.

    ```mlir
    %s = rt.seed
    ```
  }];
  let results = (outs I64:$result);
  let assemblyFormat = "attr-dict";
}

def Rt_RunOp : Rt_Op<"run", [Pure]> {
  let summary = "The number of the run";
  let description = [{
    How many runs the session has begun before, since its seed was set. Only in host
    functions.

    ```mlir
    %n = rt.run
    ```
  }];
  let results = (outs I64:$result);
  let assemblyFormat = "attr-dict";
}

def Rt_WorkOp : Rt_Op<"work", [MemoryEffects<[MemWrite]>]> {
  let summary = "Counts operations of the kernel that is called next";
  let description = [{
    For profiles, where how many floating-point operations a kernel takes depends on
    dynamic sizes. Several counts before a kernel add up. Only in host functions.

    ```mlir
    rt.work %n
    ```
  }];
  let arguments = (ins Index:$flops);
  let assemblyFormat = "$flops attr-dict";
}

def Rt_CheckOp : Rt_Op<"check"> {
  let summary = "Ends the run with a status unless a condition holds";
  let description = [{
    In a host function the run returns at once. In a kernel the failure is recorded
    and the kernel goes on: what follows must be safe (clamp the index).
    `status` is one of enum nacre_abi_status; the message names the node: the
    builder takes it from the location.

    ```mlir
    rt.check %ok, 2, "node 'add' (Add): sizes do not broadcast"
    ```
  }];
  let arguments = (ins I1:$condition, Rt_Status:$status, StrAttr:$message);
  let assemblyFormat = "$condition `,` $status `,` $message attr-dict";
  let hasCanonicalizeMethod = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$condition, "::nacre::rt::Status":$status,
                             "const ::llvm::Twine &":$text)>];
}

def Rt_StringsOp : Rt_Op<"strings", [Pure]> {
  let summary = "The memory of strings known at compile time";
  let description = [{
    Addresses of strings (nacre_abi_string), 0 for empty ones.

    ```mlir
    %s = rt.strings ["monday", "tuesday"] : memref<2xi64>
    ```
  }];
  let arguments = (ins StrArrayAttr:$values);
  let results = (outs AnyStaticShapeMemRef:$result);
  let assemblyFormat = "$values attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Rt_HostCallOp : Rt_Op<"host_call", [AttrSizedOperandSegments, DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Calls a function of the host library";
  let description = [{
    See runtime/abi/nacre_host.h. On tensors, result `i` is destination `i` after the
    call; on memrefs there are no results. `types` are the element types of inputs and
    destinations as the model has them, `numbers` what the function wants besides;
    `node` stands in front of its messages. Only in kernels, outside of rt.parallel.

    ```mlir
    rt.host_call "nacre_host_string_concat" for "node 'c' (StringConcat): " [] ins(%a, %b : memref<3xi64>, memref<3xi64>)
        outs(%d : memref<3xi64>) {types = [!nn.string, !nn.string, !nn.string]}
    ```
  }];
  let arguments = (ins StrAttr:$function, StrAttr:$node, DenseI64ArrayAttr:$numbers, TypeArrayAttr:$types,
                   Variadic<AnyType>:$inputs, Variadic<AnyType>:$outs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $function `for` $node $numbers (`ins` `(` $inputs^ `:` type($inputs) `)`)?
    (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict (`->` type($results)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutsMutable(); }
  }];
}

#endif // NACRE_DIALECTS_RT_RTOPS_TD
