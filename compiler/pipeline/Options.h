//===- Options.h - What a compilation can be told ---------------*- C++ -*-===//
#ifndef NACRE_COMPILER_PIPELINE_OPTIONS_H
#define NACRE_COMPILER_PIPELINE_OPTIONS_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nacre {

/// How to make a training step: the options of make-train-step.
struct TrainingOptions {
  std::string loss, optimizer, groups;
  double clipNorm = 0, clipValue = 0;
  int64_t accumulate = 1;
  double average = 0;
  bool detectAnomaly = false;
  std::string precision = "f32";
  /// Bytes that parameters, state and a step may take (0: any number), where sizes that are not
  /// known are those of a batch ("x=64x128", by inputs' names), or else this one.
  int64_t memoryBudget = 0, openSize = 0;
  std::vector<std::string> batch = {};
};

/// The options of the pipeline. Everything that passes may depend on stands here.
struct PipelineOptions {
  /// Bits of a vector register, and the number of such registers.
  unsigned vectorBits = 512;
  unsigned vectorRegisters = 32;
  /// Products of f32 that a core adds in a cycle.
  int64_t lanes = 32;
  /// The target has a fused multiply-add.
  bool fma = true;
  /// The target adds two products of bf16 to an f32, and gains by it.
  bool dotBF16 = false;
  /// The target adds four products of 8-bit integers to an i32: of unsigned with signed ones, as
  /// x86 does; of two of the same sign, as AArch64 does; and there of unsigned with signed ones.
  bool dotI8 = false, dotSameI8 = false, dotMixedI8 = false;
  /// The target adds two products of i16 to an i32 (pmaddwd).
  bool dotI16 = false;
  /// The target multiplies tiles of bf16 and of 8-bit integers (AMX).
  bool matrixTiles = false;
  /// Caches of one core, in bytes.
  int64_t l1Bytes = 32 << 10;
  int64_t l2Bytes = 1 << 20;
  /// Convolutions sum the products of their windows, without Winograd's transforms.
  bool exactConv = false;
  /// What is decided of kernels whatever the cost models say, "key=choice" each; and whether
  /// kernels shall tell what could be decided otherwise (compiler/tile/Choices.h).
  std::vector<std::string> decisions;
  bool recordChoices = false;
  /// What products of f32 are computed in: f32, bf16 or f16. Of a training step `training` says it.
  std::string precision = "f32";
  /// Sizes of symbols that there shall be versions of the model for, "batch=8" each.
  std::vector<std::string> sizes;
  /// Make a training step as well.
  std::optional<TrainingOptions> training;
  /// No arena: each buffer is an allocation of its own, whose bounds a sanitizer knows.
  bool separateBuffers = false;
  /// The phase after which to stop; empty: run all.
  std::string stopAfter;
  /// The phase at which the imported module enters; empty: at the first.
  std::string startAt;
  /// Write the module after each phase into this folder; empty: don't.
  std::string dumpDirectory;
  /// Passes that are left out, by name.
  std::vector<std::string> disabledPasses;
  /// Print each phase's time to standard error.
  bool timePhases = false;
};

} // namespace nacre

#endif // NACRE_COMPILER_PIPELINE_OPTIONS_H
