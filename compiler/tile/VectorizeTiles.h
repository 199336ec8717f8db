//===- VectorizeTiles.h - Parts of the register-tiling emitter ----*- C++
//-*-===//
//
// A structured op on memrefs becomes register-tiled vector code in three steps:
// `Nest` states the op as loops and address functions, `Plan` decides which
// loop the lanes run along and how many copies of each loop live in registers,
// `emit` writes the code. No step asks for an op by name.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TILE_VECTORIZETILES_H
#define NACRE_COMPILER_TILE_VECTORIZETILES_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

namespace nacre::tile {

/// What the target's vector unit looks like.
struct VectorTarget {
  unsigned vectorBits = 512;
  unsigned registers = 32;
  bool fma = true;
  /// Rows from which on moving an operand pays that could be read where it is, if a
  /// reduction has as many steps, each 16 times as many bytes from the one before.
  int64_t stageRows = 128;
  /// Bytes that a reduction spans from which on moving an operand pays that lies along the rows.
  int64_t farBytes = 1 << 20;
  /// There is an instruction for sums of two products of bf16, added to f32 (avx512bf16), and of
  /// four of 8-bit integers, one unsigned and one signed, added to i32 (avx512vnni).
  bool dotBF16 = false, dotI8 = false;
  /// The same of AArch64: of integers of one sign (dotprod), of unsigned and signed ones (i8mm).
  bool dotSameI8 = false, dotMixedI8 = false;
  /// And for the sum of two products of i16 as i32 (pmaddwd).
  bool dotI16 = false;
};

/// The instruction that adds a group of products.
enum class Dot { None, BF16, UnsignedSigned, Arm, Words };

/// A set of loops of a nest, one bit for each.
using LoopSet = uint64_t;

inline LoopSet bit(unsigned loop) { return LoopSet(1) << loop; }
inline bool contains(LoopSet set, unsigned loop) { return set & bit(loop); }

struct Loop {
  bool reduction = false;
  /// Static trip count, or ShapedType::kDynamic.
  int64_t size = 0;
  /// The loops of the op that make it, outer to inner; several were merged when
  /// all addresses move through them as through one.
  llvm::SmallVector<unsigned, 2> origin;

  bool isStatic() const { return !mlir::ShapedType::isDynamic(size); }
};

/// A summand of an address: `stride * f(iv)`, in elements. f is the identity,
/// or `iv floordiv divisor`, or `iv mod divisor` (packed operands).
struct Term {
  enum Kind { Linear, FloorDiv, Mod };
  Kind kind = Linear;
  unsigned loop = 0;
  int64_t divisor = 1;
  /// Static stride, or ShapedType::kDynamic: `factor` times the stride of
  /// `dim`.
  int64_t stride = 0;
  int64_t factor = 0;
  unsigned dim = 0;

  bool isStatic() const { return !mlir::ShapedType::isDynamic(stride); }
};

/// How the address of one operand moves with the loops.
struct Access {
  mlir::Value source;
  mlir::Type element;
  /// Not a memref: the operand is the same value everywhere.
  bool scalar = false;
  bool used = true;
  LoopSet loops = 0;
  llvm::SmallVector<Term> terms;
  /// Constants in the map's results: `factor` times the stride of `dim`.
  llvm::SmallVector<std::pair<unsigned, int64_t>> constants;

  enum Lanes { None, Same, Contiguous, Reversed, Strided, Unknown };
  /// How `count` consecutive iterations of `loop`, from a multiple of `count`
  /// on, lie in memory.
  Lanes along(unsigned loop, int64_t count) const;
  /// Static stride along a loop; 0 if independent, kDynamic if not one number.
  int64_t strideAlong(unsigned loop) const;
  /// The only, linear term along a loop; null if it is not so simple.
  const Term *linearAlong(unsigned loop) const;
  /// Groups of so many iterations of `steps` lie side by side, those of `count` iterations of `lanes` one
  /// behind the other (PackParameters); 1 if not.
  int64_t groupAlong(unsigned lanes, int64_t count, unsigned steps) const;
};

/// What a reduction loop needs to do of its range (kern.halo): of the loop `tap`, each of whose
/// steps is `factor` iterations of `loop`, the steps that meet an element from `begin` on.
struct Halo {
  unsigned loop;
  int place; ///< The loop that the window moves with; -1: it does not move.
  int64_t factor, stride, dilation, begin, size, places, taps;
};

/// A structured op as loops and addresses. Loops of one iteration are gone;
/// loops that all operands walk through as through one are merged.
struct Nest {
  mlir::linalg::GenericOp op;
  /// An element-wise op on the result, computed on the accumulators. May be null.
  mlir::linalg::GenericOp epilogue;
  llvm::SmallVector<Loop> loops;
  /// Of all operands: inputs, outputs, then the operands of the epilogue.
  llvm::SmallVector<Access> accesses;
  unsigned inputs = 0, outputs = 0;
  /// The op's own result is stored too.
  bool storesOutputs = true;
  LoopSet parallel = 0, reduction = 0;
  llvm::SmallVector<Halo> halos;
  /// The nest's loop of each of the op's loops; -1: it has one iteration.
  llvm::SmallVector<int> loopOf;
  /// Per output: what the accumulators start from, instead of the memory. Null
  /// if the memory is read.
  llvm::SmallVector<mlir::Value> start;

  /// Fails, with the reason, if the op is not of a form that the emitter
  /// handles.
  static std::optional<Nest> get(mlir::linalg::GenericOp op, mlir::linalg::GenericOp epilogue,
                                 std::string &reason);

  llvm::ArrayRef<Access> getInputs() const { return llvm::ArrayRef(accesses).take_front(inputs); }
  llvm::ArrayRef<Access> getOutputs() const {
    return llvm::ArrayRef(accesses).slice(inputs, outputs);
  }
  /// The number of the epilogue's first access.
  unsigned epilogueStart() const { return inputs + outputs; }
  /// The epilogue's operand `number` is the op's result, still in registers.
  bool isResult(unsigned number) const {
    return number >= epilogueStart() && accesses[number].source == accesses[inputs].source;
  }
  /// The access is written.
  bool isWritten(unsigned number) const {
    return number < epilogueStart() ? number >= inputs && storesOutputs
                                    : number + 1 == accesses.size();
  }
  /// The access is read from memory.
  bool isRead(unsigned number) const;
  /// The body's argument for an access.
  mlir::BlockArgument argumentOf(unsigned number) const {
    return number < epilogueStart()
               ? body().getArgument(number)
               : mlir::linalg::GenericOp(epilogue).getBody()->getArgument(number - epilogueStart());
  }
  mlir::Block &body() const { return *mlir::linalg::GenericOp(op).getBody(); }
  mlir::Operation *combiner(unsigned output) const;
};

/// How a value of the op's body varies.
struct ValueInfo {
  enum Form {
    Uniform, ///< The same in all lanes: kept as a scalar.
    Ramp,    ///< Lane i holds the scalar plus i.
    Varying, ///< A vector.
  };
  Form form = Uniform;
  LoopSet loops = 0;
  /// Must not be computed where its reduction loops may have no iteration.
  bool pinned = false;
};

/// Which loop the lanes run along, and how the nest is blocked for registers.
struct Plan {
  unsigned lanes = 0;
  /// Lanes of a vector.
  int64_t width = 0;
  /// The loop along which operands that are strided along the lanes are contiguous:
  /// they are loaded along it and transposed in registers. -1: none.
  int transposed = -1;
  /// Additions of products to accumulators are fused.
  bool fma = true;
  /// The reduction loop whose iterations are taken in groups, two or four, by an instruction that
  /// adds their products to 32 bits. -1: none.
  int grouped = -1;
  int64_t group = 1;
  Dot dot = Dot::None;
  /// Copies of each loop's iterations (of vectors, for the lanes) in one block.
  llvm::SmallVector<int64_t> copies;
  llvm::SmallVector<unsigned> parallelOrder, reductionOrder;
  llvm::DenseMap<mlir::Value, ValueInfo> values;

  static std::optional<Plan> get(const Nest &nest, const VectorTarget &target, std::string &reason);
};

/// memref.copy and named ops as linalg.generic; null if `op` is neither.
mlir::linalg::GenericOp asGeneric(mlir::RewriterBase &rewriter, mlir::Operation *op);

/// Folds the fills just before a reduction, of the very memory that it reduces
/// into, into the accumulators' start values. Returns the fills.
llvm::SmallVector<mlir::Operation *> foldFills(Nest &nest);

/// The next op after `op` that may touch memory, if it is element-wise on its result
/// and may run inside of its loops. Sets whether the result itself is needed.
mlir::linalg::GenericOp findEpilogue(mlir::linalg::GenericOp op, bool &resultIsNeeded);

/// For an element-wise op on the result of `op`: the loop of `op` that each of its
/// loops is. Empty if the loops do not correspond.
llvm::SmallVector<unsigned> matchEpilogueLoops(mlir::linalg::GenericOp op,
                                               mlir::linalg::GenericOp epilogue);

/// What replaced an op: structured ops in order, and the op's epilogue if they do its work
/// too (it is gone then).
struct Staged {
  llvm::SmallVector<mlir::linalg::GenericOp> ops;
  mlir::linalg::GenericOp epilogue;
};

/// Which operand of a contraction is staged: one along rows of the output that lies far apart,
/// or one along its columns that lanes cannot follow, or whose rows are far apart and read
/// often; or whether its steps are cut into pieces (cutSteps).
enum class StagedPart { Rows, Columns, Steps };

/// Replaces a contraction with such an operand by loops that move tiles of it into a buffer
/// first. `op` and its `fills` are gone then. No ops if there is nothing to stage.
Staged stageOperands(mlir::RewriterBase &rewriter, mlir::linalg::GenericOp op,
                     llvm::ArrayRef<mlir::Operation *> fills, mlir::linalg::GenericOp epilogue,
                     const VectorTarget &target, StagedPart part);

/// Sums the products of a contraction in pieces, if panels of a packed operand are long. `op` and
/// its `fills` are gone then. No ops if they are not.
Staged cutSteps(mlir::RewriterBase &rewriter, mlir::linalg::GenericOp op,
                llvm::ArrayRef<mlir::Operation *> fills, mlir::linalg::GenericOp epilogue,
                const VectorTarget &target);

/// A body that adds the product of two inputs of bf16 to an f32, or of two of 8 bits to an i32.
struct TileProduct {
  mlir::Type element;
  bool isUnsigned[2] = {false, false}; ///< Of each input.

  /// Steps of the reduction that lie side by side in 32 bits.
  int64_t group() const { return 32 / element.getIntOrFloatBitWidth(); }
};
std::optional<TileProduct> getTileProduct(mlir::linalg::GenericOp op);

/// So few rows and more share what is read along the columns.
constexpr int64_t kFewestSharingRows = 4;

/// Columns of a contraction's tile, along the loop `columns`: 64 or so, whole blocks of a packed
/// operand; more where rows are few.
int64_t getTileColumns(mlir::linalg::LinalgOp op, unsigned columns);

/// The block at whose start the running thread takes stack memory once.
mlir::Block *entryOfThread(mlir::Operation *op);

/// How the products of a contraction are added in groups.
struct Grouping {
  unsigned loop; ///< Its iterations are taken `size` at a time.
  int64_t size;
  Dot dot;
};

/// The instruction that adds groups of such products to `width` lanes, and how many steps it takes at
/// once; None and 1 if the target has none. Grouping::loop is not set.
Grouping chooseDot(const TileProduct &product, const VectorTarget &target, int64_t width);

/// The reduction loop that can be taken in groups where lanes run along `lanes`.
std::optional<Grouping> findGrouping(const Nest &nest, const VectorTarget &target, unsigned lanes, int64_t width);

/// Integer division and remainder: they trap on zero.
bool isIntegerDivision(mlir::Operation *op);

/// Writes the code of a planned nest before its last op; the ops stay.
void emitNest(mlir::RewriterBase &rewriter, const Nest &nest, const Plan &plan);

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_VECTORIZETILES_H
