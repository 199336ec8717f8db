//===- Lowering.h - What lowering patterns share ----------------*- C++ -*-===//
//
// Conventions of the lowering from nn to linalg:
//  * operands come from the adaptor: unsigned types are signless, booleans and coded types are i8;
//    the op itself still has the original types, which tell signedness;
//  * scalars inside a linalg body are converted with loadElement / storeElement, so
//    that booleans are i1 there;
//  * dynamic sizes come from the op's reifyResultShapes (resultSizes).
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_LOWER_LOWERING_H
#define NACRE_COMPILER_LOWER_LOWERING_H

#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/DialectConversion.h"

namespace nacre::lower {

/// nn's tensor types to those of linalg: ui8 → i8, i1 → i8, i4 and f8E5M2 → i8 (codes),
/// !nn.string → i64 (an address), elsewhere the same (nn::getStoredType).
struct StorageTypeConverter : mlir::TypeConverter {
  StorageTypeConverter();
};

/// The scalar as arithmetic sees it: a boolean's i8 becomes i1.
mlir::Value loadElement(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value stored,
                        mlir::Type original);
/// The scalar as memory holds it.
mlir::Value storeElement(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value element,
                         mlir::Type original);

/// The sizes of result `index`, computed before the op.
llvm::SmallVector<mlir::OpFoldResult> resultSizes(mlir::OpBuilder &builder, mlir::Operation *op,
                                                  unsigned index = 0);

/// An uninitialised tensor of the given sizes.
mlir::Value createEmpty(mlir::OpBuilder &builder, mlir::Location loc,
                        llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Type elementType);
/// A tensor of the given sizes filled with a scalar.
mlir::Value createFilled(mlir::OpBuilder &builder, mlir::Location loc,
                         llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Value scalar);

/// A tensor with `low` and `high` elements of `scalar` around it; itself if there are none. Of windows
/// whose sizes are not known, no tile has a known size (`staticTiles`).
mlir::Value createPadded(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tensor,
                         llvm::ArrayRef<mlir::OpFoldResult> low,
                         llvm::ArrayRef<mlir::OpFoldResult> high, mlir::TypedAttr scalar,
                         bool staticTiles = true);
/// A tensor whose sizes are known as precisely as `type` says.
mlir::Value castTo(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tensor, mlir::Type type);

/// The input's elements in their order under another shape: collapse_shape and
/// expand_shape at most.
mlir::Value createView(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value input,
                       llvm::ArrayRef<mlir::OpFoldResult> inputSizes,
                       llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::RankedTensorType type);

/// Makes an index from a place in the result, in dimension `dimension`.
using IndexMap = llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location, int64_t dimension,
                                                mlir::Value place)>;
/// result[i, j, …] = input[map(0, i), map(1, j), …]; the ranks are the same. `isMapped`
/// tells the dimensions to map, the others keep their index. With `tabulate` each
/// map is first computed once for every place, where it costs more than a load.
mlir::Value createRemapped(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value input,
                           llvm::ArrayRef<mlir::OpFoldResult> sizes, llvm::ArrayRef<bool> isMapped,
                           IndexMap map, bool tabulate);

/// Base of the patterns of one op.
template <typename Op>
struct Lowering : mlir::OpConversionPattern<Op> {
  using mlir::OpConversionPattern<Op>::OpConversionPattern;
  using Adaptor = typename Op::Adaptor;
};

void populateConstantToArithPatterns(const mlir::TypeConverter &converter,
                                     mlir::RewritePatternSet &patterns);
void populateConvToLinalgPatterns(const mlir::TypeConverter &converter,
                                  mlir::RewritePatternSet &patterns);
void populateElementwiseToLinalgPatterns(const mlir::TypeConverter &converter,
                                         mlir::RewritePatternSet &patterns);
void populateLinearToLinalgPatterns(const mlir::TypeConverter &converter,
                                    mlir::RewritePatternSet &patterns);
void populatePoolToLinalgPatterns(const mlir::TypeConverter &converter,
                                  mlir::RewritePatternSet &patterns);
void populateScatterTapsToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateNormalizeToLinalgPatterns(const mlir::TypeConverter &converter,
                                       mlir::RewritePatternSet &patterns);
void populateReduceToLinalgPatterns(const mlir::TypeConverter &converter,
                                    mlir::RewritePatternSet &patterns);
void populateRecurrentToLinalgPatterns(const mlir::TypeConverter &converter,
                                       mlir::RewritePatternSet &patterns);
void populateShapeToLinalgPatterns(const mlir::TypeConverter &converter,
                                   mlir::RewritePatternSet &patterns);
void populateIndexingToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateHostToRtPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateGenerateToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateSortToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateResampleToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateRegionsToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populatePooledRegionsToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateBlocksToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateRandomToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateTreesToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateTrainToLinalgPatterns(const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);
void populateViewsToLinalgPatterns(const mlir::TypeConverter &converter,
                                   mlir::RewritePatternSet &patterns);
void populatePartsToLinalgPatterns(const mlir::TypeConverter &converter,
                                   mlir::RewritePatternSet &patterns);

} // namespace nacre::lower

#endif // NACRE_COMPILER_LOWER_LOWERING_H
