//===- nacre-opt.cpp - All dialects and passes, one at a time ---*- C++ -*-===//
#include "compiler/pipeline/Register.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  nacre::registerDialects(registry);
  mlir::registerAllPasses();
  nacre::registerPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Nacre's optimizer driver\n", registry));
}
