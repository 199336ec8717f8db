//===- Register.cpp - Registers dialects, interfaces and passes -*- C++ -*-===//
#include "compiler/pipeline/Register.h"
#include "compiler/buffer/BufferizableKernels.h"
#include "compiler/buffer/Passes.h"
#include "compiler/codegen/Passes.h"
#include "compiler/codegen/Pipelines.h"
#include "compiler/graph/Passes.h"
#include "compiler/lower/Passes.h"
#include "compiler/pipeline/Phases.h"
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

void nacre::registerDialects(mlir::DialectRegistry &registry) {
  registry.insert<nn::NNDialect, kern::KernDialect, rt::RtDialect>();
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllToLLVMIRTranslations(registry);
  buffer::registerBufferizableOpInterfaces(registry);
}

void nacre::registerPasses() {
  graph::registerGraphPasses();
  lower::registerLowerPasses();
  tile::registerTilePasses();
  buffer::registerBufferPasses();
  codegen::registerCodegenPasses();
  registerPhasePipelines();
  codegen::registerPipelines();
}
