//===- NNTextOps.td - Strings, and what the host library does ---*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNTEXTOPS_TD
#define NACRE_DIALECTS_NN_NNTEXTOPS_TD

include "dialects/nn/NNBase.td"

def NN_StringConstantOp : NN_Op<"string_constant", [Pure,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>]> {
  let summary = "Strings known at compile time";
  let noGradient = "depends on nothing";
  let description = [{
    In row-major order, as many as the result has elements. Strings are never folded:
    this is no constant to generic folders, which know numbers alone.

    ```mlir
    %0 = nn.string_constant ["monday", "tuesday"] : tensor<2x!nn.string>
    ```
  }];
  let arguments = (ins StrArrayAttr:$values);
  // Stored as i64 after the lower phase.
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$values attr-dict `:` type($result)";
  let hasVerifier = 1;
}

// An op that a function of the host library computes.
class NN_HostOp<string mnemonic, string function, list<Trait> traits = []>
    : NN_TensorOp<mnemonic, !listconcat([DeclareOpInterfaceMethods<NN_HostOpInterface, ["getHostNumbers"]>], traits)> {
  // C++ for the numbers that the function wants.
  string numbers = "{}";
  // More definitions; $cppClass is the class.
  string definitions = "";
  let extraClassDefinition = [{
    ::llvm::StringRef $cppClass::getHostFunction() { return "}] # function # [{"; }
    ::llvm::SmallVector<int64_t> $cppClass::getHostNumbers() { return }] # numbers # [{; }
  }] # definitions;
}

// One whose result has the shape that its operands broadcast to.
class NN_BroadcastingHostOp<string mnemonic, string function, string elementType>
    : NN_HostOp<mnemonic, function, [DeclareOpInterfaceMethods<NN_BatchedOpInterface>]> {
  let definitions = [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *context,
        ::std::optional<::mlir::Location> loc, ::mlir::ValueRange operands, ::mlir::DictionaryAttr,
        ::mlir::OpaqueProperties properties, ::mlir::RegionRange, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      return ::nacre::nn::detail::inferBroadcastType(loc, operands.getTypes(), }] # elementType # [{, types);
    }
    ::llvm::LogicalResult $cppClass::reifyResultShapes(::mlir::OpBuilder &b, ::mlir::ReifiedRankedShapedTypeDims &dims) {
      return ::nacre::nn::detail::reifyBroadcastShape(b, *this, dims);
    }
    int64_t $cppClass::getNumInnerDims() { return 0; }
  }];
}

def NN_StringConcatOp : NN_BroadcastingHostOp<"string_concat", "nacre_host_string_concat", "::mlir::Type()"> {
  let summary = "Strings one after the other, element by element";
  let description = [{
    ```mlir
    %y = nn.string_concat %a, %b : (tensor<3x!nn.string>, tensor<!nn.string>) -> tensor<3x!nn.string>
    ```
  }];
  let arguments = (ins NN_StringTensor:$lhs, NN_StringTensor:$rhs);
  let results = (outs NN_StringTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
}

def NN_StringEqualOp : NN_BroadcastingHostOp<"string_equal", "nacre_host_string_equal",
    "::mlir::IntegerType::get(context, 1)"> {
  let summary = "Whether strings are the same bytes, element by element";
  let description = [{
    ```mlir
    %y = nn.string_equal %a, %b : (tensor<3x!nn.string>, tensor<!nn.string>) -> tensor<3xi1>
    ```
  }];
  let arguments = (ins NN_StringTensor:$lhs, NN_StringTensor:$rhs);
  let results = (outs NN_BoolTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
}

def NN_CaseChange : I32Enum<"CaseChange", "what becomes of letters", [
    I32EnumCase<"None", 0, "none">, I32EnumCase<"Lower", 1, "lower">, I32EnumCase<"Upper", 2, "upper">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_StringNormalizeOp : NN_HostOp<"string_normalize", "nacre_host_string_normalize"> {
  let summary = "Words without stop words, in one case";
  let description = [{
    `words` holds the elements of `input`, in order, that are none of `stops`, in the
    wanted case; the first `count` elements are those, the rest are empty. Where none
    remains, `count` is 1: one empty string. Without `case_sensitive`, words are
    compared in the wanted case (lower if none is). Letters change by Unicode's full
    case mapping, without context and whatever the locale.

    ```mlir
    %words, %count = nn.string_normalize %x without %stops to lower
        : (tensor<?x!nn.string>, tensor<2x!nn.string>) -> (tensor<?x!nn.string>, tensor<i64>)
    ```
  }];
  let arguments = (ins NN_StringTensor:$input, NN_StringTensor:$stops, EnumProp<NN_CaseChange>:$change,
                   UnitAttr:$case_sensitive);
  let results = (outs NN_StringTensor:$words, RankedTensorOf<[I64]>:$count);
  let assemblyFormat = [{
    $input `without` $stops `to` $change attr-dict `:` functional-type(operands, results)
  }];
  let numbers = "{int64_t(getChange()), int64_t(getCaseSensitive())}";
}

// One that cuts strings: at a delimiter, or, if that is empty, at white space.
class NN_SplittingOp<string mnemonic, string function, list<Trait> traits = []>
    : NN_HostOp<mnemonic, function, traits> {
  let numbers = "{int64_t(getMaxSplit())}";
}

def NN_StringCountPiecesOp : NN_SplittingOp<"string_count_pieces", "nacre_host_string_count_pieces"> {
  let summary = "Into how many pieces strings fall";
  let description = [{
    What `nn.string_split` would make of each element.

    ```mlir
    %n = nn.string_count_pieces %x at %comma {max_split = -1 : i64}
        : (tensor<?x!nn.string>, tensor<!nn.string>) -> tensor<?xi64>
    ```
  }];
  let arguments = (ins NN_StringTensor:$input, NN_StringTensor:$delimiter, I64Attr:$max_split);
  let results = (outs RankedTensorOf<[I64]>:$result);
  let assemblyFormat = "$input `at` $delimiter attr-dict `:` functional-type(operands, results)";
}

def NN_StringSplitOp : NN_SplittingOp<"string_split", "nacre_host_string_split", [NN_HasShapeOperands]> {
  let summary = "The pieces of strings along a new last dimension";
  let description = [{
    Cuts each element at the delimiter, at most `max_split` times from the left if that
    is not negative, the rest being one piece. An empty delimiter stands for white
    space of any length, which also falls off both ends; then an empty string has no
    pieces. `count` is the size of the new dimension: missing pieces are empty, and
    those beyond are left out.

    ```mlir
    %y = nn.string_split %x at %comma into %n {max_split = -1 : i64}
        : (tensor<?x!nn.string>, tensor<!nn.string>, tensor<i64>) -> tensor<?x?x!nn.string>
    ```
  }];
  let arguments = (ins NN_StringTensor:$input, NN_StringTensor:$delimiter, RankedTensorOf<[I64]>:$count,
                   I64Attr:$max_split);
  let results = (outs NN_StringTensor:$result);
  let assemblyFormat = "$input `at` $delimiter `into` $count attr-dict `:` functional-type(operands, results)";
}

// One whose result has the shape of its first operand.
class NN_SameShapeHostOp<string mnemonic, string function, string elementType>
    : NN_HostOp<mnemonic, function> {
  let definitions = [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *context,
        ::std::optional<::mlir::Location> loc, ::mlir::ValueRange operands, ::mlir::DictionaryAttr,
        ::mlir::OpaqueProperties properties, ::mlir::RegionRange, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      ::mlir::Type elementType = }] # elementType # [{;
      types.push_back(::llvm::cast<::mlir::RankedTensorType>(operands[0].getType()).clone(elementType));
      return ::mlir::success();
    }
    ::llvm::LogicalResult $cppClass::reifyResultShapes(::mlir::OpBuilder &b, ::mlir::ReifiedRankedShapedTypeDims &dims) {
      dims.push_back(::nacre::nn::getDims(b, getLoc(), getOperation()->getOperand(0)));
      return ::mlir::success();
    }
  }];
}

def NN_StringFormatOp : NN_SameShapeHostOp<"string_format", "nacre_host_string_format",
    "::nacre::nn::StringType::get(context)"> {
  let summary = "Numbers as strings";
  let description = [{
    Integers in decimal, booleans as 0 and 1. Floating-point numbers by the fewest
    digits that give the same number back, with an exponent where it is below -4 or
    above 15 (`0.1`, `3.0`, `1e+20`, `-INF`, `NaN`).

    ```mlir
    %y = nn.string_format %x : (tensor<3xf32>) -> tensor<3x!nn.string>
    ```
  }];
  let arguments = (ins NN_Tensor:$input);
  let results = (outs NN_StringTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def NN_StringParseOp : NN_SameShapeHostOp<"string_parse", "nacre_host_string_parse",
    "properties.as<Properties *>()->getTo().getValue()"> {
  let summary = "Strings as numbers";
  let description = [{
    Reads decimal numbers, also with an exponent; for floating-point types infinity and
    NaN too (`INF`, `-inf`, `NaN`). A string that is no number, or one that the type
    does not hold, ends the run with a status.

    ```mlir
    %y = nn.string_parse %x to f32 : (tensor<3x!nn.string>) -> tensor<3xf32>
    ```
  }];
  let arguments = (ins NN_StringTensor:$input, TypeAttr:$to);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = "$input `to` $to attr-dict `:` functional-type(operands, results)";
}

def NN_LookupOp : NN_SameShapeHostOp<"lookup", "nacre_host_lookup",
    "::mlir::getElementTypeOrSelf(operands[2])"> {
  let summary = "The value that belongs to each key";
  let description = [{
    Element by element, `values[i]` where the element equals `keys[i]` (the first such
    key), else `otherwise`. Keys are strings or numbers; NaN equals NaN.

    ```mlir
    %y = nn.lookup %x in %keys to %values or %minus_one
        : (tensor<?x!nn.string>, tensor<9x!nn.string>, tensor<9xi64>, tensor<i64>) -> tensor<?xi64>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, NN_AnyTensor:$keys, NN_AnyTensor:$values, NN_AnyTensor:$otherwise);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = [{
    $input `in` $keys `to` $values `or` $otherwise attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def NN_StringRankOp : NN_SameShapeHostOp<"string_rank", "nacre_host_string_rank",
    "::mlir::IntegerType::get(context, 64)"> {
  let summary = "How many different smaller strings there are, element by element";
  let description = [{
    Numbers that are equal and ordered as the strings are, byte by byte: what sorts or compares numbers serves
    strings with them.

    ```mlir
    %y = nn.string_rank %x : (tensor<?x!nn.string>) -> tensor<?xi64>
    ```
  }];
  let arguments = (ins NN_StringTensor:$input);
  let results = (outs RankedTensorOf<[I64]>:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def NN_StringMatchOp : NN_SameShapeHostOp<"string_match", "nacre_host_string_match",
    "::mlir::IntegerType::get(context, 1)"> {
  let summary = "Whether strings match a regular expression from end to end";
  let description = [{
    `pattern` has RE2's syntax. One that is none ends the run with a status. Strings are
    UTF-8; one that is not matches nothing but bytes.

    ```mlir
    %y = nn.string_match %x to %pattern : (tensor<?x!nn.string>, tensor<!nn.string>) -> tensor<?xi1>
    ```
  }];
  let arguments = (ins NN_StringTensor:$input, NN_StringTensor:$pattern);
  let results = (outs NN_BoolTensor:$result);
  let assemblyFormat = "$input `to` $pattern attr-dict `:` functional-type(operands, results)";
}

def NN_StringBytesOp : NN_HostOp<"string_bytes", "nacre_host_string_bytes", [NN_HasShapeOperands]> {
  let summary = "The bytes of a string";
  let description = [{
    As many as `count` says: what the string lacks is 0, what it has beyond is left out.

    ```mlir
    %y = nn.string_bytes %x, %n : (tensor<!nn.string>, tensor<i64>) -> tensor<?xui8>
    ```
  }];
  let arguments = (ins NN_StringTensor:$input, RankedTensorOf<[I64]>:$count);
  let results = (outs RankedTensorOf<[UI8]>:$result);
  let assemblyFormat = "$input `,` $count attr-dict `:` functional-type(operands, results)";
}

def NN_PixelFormat : I32Enum<"PixelFormat", "what a pixel is made of", [
    I32EnumCase<"RGB", 0, "rgb">, I32EnumCase<"BGR", 1, "bgr">, I32EnumCase<"Gray", 2, "gray">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_DecodeImageOp : NN_HostOp<"decode_image", "nacre_host_decode_image"> {
  let summary = "The pixels of an image file";
  let description = [{
    `input` holds the bytes of a file: BMP, JPEG, JPEG 2000, TIFF, PNG, WebP or PNM.
    `sizes` are height, width and channels of the image; `pixels` has that many bytes, the
    channels of a pixel together. A file that can't be decoded has 0 pixels.

    ```mlir
    %pixels, %sizes = nn.decode_image %file to rgb : (tensor<?xui8>) -> (tensor<!nn.string>, tensor<3xi64>)
    ```
  }];
  let arguments = (ins RankedTensorOf<[UI8]>:$input, EnumProp<NN_PixelFormat>:$format);
  let results = (outs NN_StringTensor:$pixels, RankedTensorOf<[I64]>:$sizes);
  let assemblyFormat = "$input `to` $format attr-dict `:` functional-type(operands, results)";
  let numbers = "{int64_t(getFormat())}";
}

def NN_NgramWeighting : I32Enum<"NgramWeighting", "what an n-gram counts for", [
    I32EnumCase<"Count", 0, "count">, I32EnumCase<"Weight", 1, "weight">,
    I32EnumCase<"WeightedCount", 2, "weighted_count">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_NgramsOp : NN_HostOp<"ngrams", "nacre_host_ngrams"> {
  let summary = "How often known sequences of words occur in each row";
  let noGradient = "the weights are taken as given";
  let description = [{
    `pool` holds known n-grams one after the other: those of one word from
    `starts[0]`, those of two from `starts[1]`, and so on. Those of `min_length` to
    `max_length` words are sought in each row (the input's last dimension), words also
    0 to `max_skip` places apart. The `i`-th n-gram of the pool counts in column
    `columns[i]`: how often it occurs (`count`), its weight if it occurs (`weight`), or
    the product. The result has `size` columns.

    ```mlir
    %y = nn.ngrams %x in %pool, %starts, %columns, %weights count
        {max_length = 2 : i64, max_skip = 0 : i64, min_length = 2 : i64, size = 7 : i64}
        : (tensor<?x12xi32>, tensor<10xi64>, tensor<2xi64>, tensor<7xi64>, tensor<7xf32>) -> tensor<?x7xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, NN_AnyTensor:$pool, NN_IndexVector:$starts,
                   NN_IndexVector:$columns, RankedTensorOf<[F32]>:$weights, EnumProp<NN_NgramWeighting>:$weighting,
                   I64Attr:$min_length, I64Attr:$max_length, I64Attr:$max_skip, I64Attr:$size);
  let results = (outs RankedTensorOf<[F32]>:$result);
  let assemblyFormat = [{
    $input `in` $pool `,` $starts `,` $columns `,` $weights $weighting attr-dict
    `:` functional-type(operands, results)
  }];
  let numbers = "{int64_t(getWeighting()), int64_t(getMinLength()), int64_t(getMaxLength()), int64_t(getMaxSkip())}";
}

#endif // NACRE_DIALECTS_NN_NNTEXTOPS_TD
