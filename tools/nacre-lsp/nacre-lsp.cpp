//===- nacre-lsp.cpp - Modules in an editor: a language server --*- C++ -*-===//
#include "compiler/pipeline/Register.h"
#include "mlir/IR/Dialect.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  nacre::registerDialects(registry);
  return failed(mlir::MlirLspServerMain(argc, argv, registry));
}
