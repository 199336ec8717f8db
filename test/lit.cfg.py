# lit configuration: tests mirror the tree (test/dialects/nn/*.mlir and so on).
#
# A test may run `nacre`, `nacre-opt`, `nacre-lsp` and `nacre-reduce` of the build
# tree, `FileCheck`, `not`, `count` and `split-file` of LLVM's packages, and %python (the project's).
import os

import lit.formats

config.name = "nacre"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.test_source_root = os.path.join(config.nacre_source_root, "test")
config.test_exec_root = os.path.join(config.nacre_binary_root, "test")
# Other runners own these folders (tools/dev/test).
config.excludes = ["unit", "conformance", "e2e", "fuzz", "Inputs"]

config.environment["PYTHONDONTWRITEBYTECODE"] = "1"
config.environment["PYTHONPATH"] = os.path.join(config.nacre_binary_root, "python")
# No disk cache: a test sees what the compiler does now.
config.environment["NACRE_CACHE_DIR"] = ""

python = os.path.join(config.nacre_source_root, ".venv", "bin", "python")
if not os.path.exists(python):
    lit_config.fatal(".venv is missing: run tools/dev/setup")
config.substitutions.append(("%python", python))
config.substitutions.append(("%llvm_include", config.llvm_include_dir))
config.substitutions.append(("%nacre_source_root", config.nacre_source_root))

# Tools come from the build tree and from LLVM's packages, before anything else.
bin_dir = os.path.join(config.nacre_binary_root, "bin")
config.environment["PATH"] = os.pathsep.join([bin_dir, config.llvm_tools_dir, "/usr/bin", "/bin"])
for tool in ("nacre", "nacre-opt", "nacre-lsp", "nacre-reduce", "nacre-import"):
    if os.path.exists(os.path.join(bin_dir, tool)):
        config.available_features.add(tool)
