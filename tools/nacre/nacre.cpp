//===- nacre.cpp - The user's command ---------------------------*- C++ -*-===//
#include "tools/nacre/Command.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/PrettyStackTrace.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"
#include <csignal>

using namespace nacre;
using namespace nacre::tool;

static const char kOverview[] =
    "Nacre compiles neural networks into native code.\n\n"
    "  nacre compile model.onnx -o model.so      one file, and model.h for C programs\n"
    "  nacre run model.so --input x=x.npy        run it; writes one .npy per output\n"
    "  nacre bench model.onnx --dim batch=8      compile in process and measure\n"
    "  nacre info model.so                       signature, kernels, sizes\n"
    "  nacre verify model.onnx                   compare all its values with a reference\n"
    "  nacre train mlp.onnx --data digits.npz -o trained.onnx\n\n"
    "Exit codes: 0 success, 1 the model or an input is at fault, 2 the command line,\n"
    "3 Nacre itself. `nacre COMMAND --help` explains a command.\n";

/// What `nacre COMMAND --help` begins with.
static std::string describe(const Command &command) {
  return command.subcommand.getDescription().str() + ".\n\n" + command.examples;
}

int main(int argc, char **argv) {
  llvm::setBugReportMsg("nacre: the compiler has crashed\n");
  prepareReproducers();
  llvm::sys::AddSignalHandler([](void *) { writeReproducers(); }, nullptr); // before LLVM's, which print the stack
  llvm::InitLLVM init(argc, argv);
  std::signal(SIGXFSZ, SIG_IGN); // a write beyond the limit of a file's size is an error as others are
  llvm::cl::SetVersionPrinter([](llvm::raw_ostream &os) { os << "nacre " << nacre_version() << '\n'; });
  // LLVM's own options are for its developers.
  for (auto &entry : llvm::cl::getRegisteredOptions())
    if (entry.first != "help" && entry.first != "version")
      entry.second->setHiddenFlag(llvm::cl::ReallyHidden);
  std::string errors;
  llvm::raw_string_ostream stream(errors);
  const Command *named = argc > 1 ? Command::find(argv[1]) : nullptr;
  std::string overview = named ? describe(*named) : kOverview;
  if (!llvm::cl::ParseCommandLineOptions(argc, argv, overview, &stream)) {
    llvm::errs() << errors;
    return kUsageError;
  }
  Command *command = Command::getSelected();
  if (!command) {
    llvm::cl::PrintHelpMessage();
    return kUsageError;
  }
  return (*command)();
}
