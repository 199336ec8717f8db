// From IR on buffers to code that the runtime runs: as an artefact and in
// process, with parameters, @prepare, threads, dynamic shapes and failures.
#include "compiler/codegen/Codegen.h"
#include "compiler/pipeline/Register.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "runtime/abi/nacre_abi.h"
#include "runtime/api/nacre.h"
#include "llvm/Support/FileSystem.h"
#include <gtest/gtest.h>
#include <fstream>
#include <numeric>

using namespace mlir;
using namespace nacre;

namespace {

/// y = relu(x * W + b) with W computed by @prepare as the transpose of Wt, on
/// rows that are unknown until the run.
constexpr char kModel[] = R"mlir(
nn.parameter @unused = dense<0.0> : tensor<1000000xf32>
nn.parameter @wt = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
nn.parameter @flags = dense<[true, false, true]> : tensor<3xi1>
nn.parameter @b = dense<[0.5, -100.0]> : tensor<2xf32>
nn.parameter @w = dense<0.0> : tensor<3x2xf32> {nn.computed}

kern.func @transpose(%a: memref<2x3xf32>, %d: memref<3x2xf32>) {
  linalg.transpose ins(%a : memref<2x3xf32>) outs(%d : memref<3x2xf32>) permutation = [1, 0]
  kern.return
}

kern.func @linear(%x: memref<?x3xf32>, %w: memref<3x2xf32>, %b: memref<2xf32>, %f: memref<3xi8>,
                  %y: memref<?x2xf32>) attributes {nodes = ["/fc", "/relu"], flops = 12 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %zero = arith.constant 0.0 : f32
  %n = memref.dim %x, %c0 : memref<?x3xf32>
  rt.parallel (%begin, %end) to %n grain 2 {
    %t = rt.scratch() : memref<4xf32>
    scf.for %i = %begin to %end step %c1 {
      scf.for %j = %c0 to %c2 step %c1 {
        %b0 = memref.load %b[%j] : memref<2xf32>
        %sum = scf.for %k = %c0 to %c3 step %c1 iter_args(%s = %b0) -> f32 {
          %xv = memref.load %x[%i, %k] : memref<?x3xf32>
          %wv = memref.load %w[%k, %j] : memref<3x2xf32>
          %p = arith.mulf %xv, %wv : f32
          %q = arith.addf %s, %p : f32
          scf.yield %q : f32
        }
        %r = arith.maximumf %sum, %zero : f32
        memref.store %r, %t[%j] : memref<4xf32>
        %u = memref.load %t[%j] : memref<4xf32>
        memref.store %u, %y[%i, %j] : memref<?x2xf32>
      }
    }
  }
  %flag = memref.load %f[%c0] : memref<3xi8>
  %ok = arith.trunci %flag : i8 to i1
  rt.check %ok, 3, "node '/fc' (Gemm): the flag is false"
  kern.return
}

func.func @prepare() attributes {nacre.inputs = [],
    nacre.outputs = [{name = "w", type = tensor<3x2xf32>, symbols = ["", ""]}]} {
  %wt = rt.parameter "wt" : memref<2x3xf32>
  %w = rt.output 0 () : memref<3x2xf32>
  kern.call @transpose ins(%wt : memref<2x3xf32>) outs(%w : memref<3x2xf32>)
  return
}

func.func @main() attributes {nacre.arena_size = 64 : i64,
    nacre.inputs = [{name = "x", type = tensor<?x3xf32>, symbols = ["n", ""]}],
    nacre.outputs = [{name = "y", type = tensor<?x2xf32>, symbols = ["n", ""]}]} {
  %c0 = arith.constant 0 : index
  %c7 = arith.constant 7 : index
  %x = rt.input 0 : memref<?x3xf32>
  %n = memref.dim %x, %c0 : memref<?x3xf32>
  %few = arith.cmpi ule, %n, %c7 : index
  rt.check %few, 2, "node '/fc' (Gemm): more than 7 rows"
  %w = rt.parameter "w" : memref<3x2xf32>
  %b = rt.parameter "b" : memref<2xf32>
  %f = rt.parameter "flags" : memref<3xi8>
  %t = rt.alloc(%n) : memref<?x2xf32>
  kern.call @linear ins(%x, %w, %b, %f : memref<?x3xf32>, memref<3x2xf32>, memref<2xf32>, memref<3xi8>)
                    outs(%t : memref<?x2xf32>)
  %y = rt.output 0 (%n) : memref<?x2xf32>
  memref.copy %t, %y : memref<?x2xf32> to memref<?x2xf32>
  rt.release %t : memref<?x2xf32>
  return
}
)mlir";

class CodegenTest : public ::testing::Test {
protected:
  CodegenTest() {
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    context.getDiagEngine().registerHandler([&](Diagnostic &diagnostic) {
      messages += diagnostic.str() + "\n";
    });
    llvm::sys::fs::createUniqueDirectory("nacre-codegen-test", folder);
  }
  ~CodegenTest() override { llvm::sys::fs::remove_directories(folder); }

  /// The module's IR is kept: parameters point into it.
  FailureOr<codegen::CompiledModule> compile(const char *text, codegen::CodegenOptions options = {}) {
    modules.push_back(parseSourceString<ModuleOp>(text, &context));
    if (!modules.back())
      return failure();
    return codegen::compileModule(*modules.back(), options);
  }

  std::string path(const char *name) { return (folder + "/" + name).str(); }

  /// Runs the model on `rows` rows x[i][k] = i + k.
  static nacre_status run(nacre_model *model, int64_t rows, int32_t threads, std::vector<float> &y) {
    nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
    options.thread_count = threads;
    nacre_session *session = nullptr;
    if (nacre_status status = nacre_session_create(model, &options, &session))
      return status;
    std::vector<float> x(rows * 3);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t k = 0; k < 3; ++k)
        x[i * 3 + k] = float(i + k);
    nacre_tensor input = {}, output = {};
    input.data = x.data(), input.dtype = NACRE_F32, input.rank = 2;
    input.dims[0] = rows, input.dims[1] = 3;
    nacre_status status = nacre_session_run(session, 0, &input, 1, &output, 1);
    if (status == NACRE_OK)
      y.assign(static_cast<float *>(output.data), static_cast<float *>(output.data) + rows * 2);
    nacre_tensor_release(&output);
    nacre_session_destroy(session);
    return status;
  }

  static void expectRight(const std::vector<float> &y, int64_t rows) {
    ASSERT_EQ(int64_t(y.size()), rows * 2);
    for (int64_t i = 0; i < rows; ++i) {
      EXPECT_EQ(y[2 * i], i * 1 + (i + 1) * 2 + (i + 2) * 3 + 0.5f);
      EXPECT_EQ(y[2 * i + 1], std::max<float>(0, i * 4 + (i + 1) * 5 + (i + 2) * 6 - 100));
    }
  }

  DialectRegistry registry;
  MLIRContext context;
  std::vector<OwningOpRef<ModuleOp>> modules;
  std::string messages;
  llvm::SmallString<128> folder;
};

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

TEST_F(CodegenTest, ArtifactRuns) {
  auto compiled = compile(kModel);
  ASSERT_TRUE(succeeded(compiled)) << messages;
  ASSERT_TRUE(succeeded(codegen::emitFile(*compiled, codegen::FileKind::Shared, path("m.so")))) << messages;
  nacre_model *model = nullptr;
  ASSERT_EQ(nacre_model_load(path("m.so").c_str(), &model), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(nacre_model_verify(model), NACRE_OK) << nacre_last_error();
  for (int32_t threads : {1, 2})
    for (int64_t rows : {0, 1, 2, 3, 7}) {
      std::vector<float> y;
      ASSERT_EQ(run(model, rows, threads, y), NACRE_OK) << nacre_last_error();
      expectRight(y, rows);
    }
  std::vector<float> y;
  EXPECT_EQ(run(model, 8, 1, y), NACRE_INVALID_SHAPE);
  EXPECT_STREQ(nacre_last_error(), "node '/fc' (Gemm): more than 7 rows");
  nacre_model_release(model);
}

TEST_F(CodegenTest, Descriptor) {
  auto compiled = compile(kModel);
  ASSERT_TRUE(succeeded(compiled)) << messages;
  auto loaded = codegen::loadInProcess(*compiled);
  ASSERT_TRUE(succeeded(loaded)) << messages;
  const nacre_abi_model &model = *(*loaded)->getDescriptor();
  EXPECT_EQ(model.magic, NACRE_ABI_MAGIC);
  EXPECT_EQ(model.struct_size, sizeof(nacre_abi_model));
  EXPECT_EQ(model.parameter_data, nullptr);
  ASSERT_EQ(model.function_count, 1);
  const nacre_abi_function &main = model.functions[0];
  EXPECT_STREQ(main.name, "main");
  EXPECT_EQ(main.arena_size, 64);
  ASSERT_EQ(main.input_count, 1);
  EXPECT_STREQ(main.inputs[0].name, "x");
  EXPECT_EQ(main.inputs[0].dims[0].size, -1);
  EXPECT_STREQ(main.inputs[0].dims[0].symbol, "n");
  EXPECT_EQ(main.inputs[0].dims[1].size, 3);
  EXPECT_EQ(main.inputs[0].dims[1].symbol, nullptr);
  ASSERT_EQ(model.kernel_count, 1);
  EXPECT_STREQ(model.kernels[0].name, "linear");
  EXPECT_STREQ(model.kernels[0].nodes, "/fc,/relu");
  EXPECT_EQ(model.kernels[0].flops, 12);
  EXPECT_EQ(model.kernels[0].bytes, -1);
  // In order of use; what only @prepare reads, or nobody, has no place.
  ASSERT_EQ(model.parameter_count, 3);
  EXPECT_STREQ(model.parameters[0].tensor.name, "w");
  EXPECT_EQ(model.parameters[0].offset, 0);
  EXPECT_STREQ(model.parameters[1].tensor.name, "b");
  EXPECT_EQ(model.parameters[1].offset, 64);
  EXPECT_STREQ(model.parameters[2].tensor.name, "flags");
  EXPECT_EQ(model.parameters[2].tensor.dtype, NACRE_DTYPE_BOOL);
  EXPECT_EQ(model.parameters[2].offset, 128);
  EXPECT_EQ(model.parameter_size, 131);
  auto *w = static_cast<const float *>((*loaded)->getParameters());
  EXPECT_EQ(std::vector<float>(w, w + 6), std::vector<float>({1, 4, 2, 5, 3, 6}));
}

TEST_F(CodegenTest, InProcessRunsAndGivesTheSameBits) {
  auto compiled = compile(kModel);
  ASSERT_TRUE(succeeded(compiled)) << messages;
  auto loaded = codegen::loadInProcess(*compiled);
  ASSERT_TRUE(succeeded(loaded)) << messages;
  nacre_model *model = nullptr;
  ASSERT_EQ(nacre_model_create((*loaded)->getDescriptor(), (*loaded)->getParameters(), nullptr,
                               nullptr, &model),
            NACRE_OK)
      << nacre_last_error();
  std::vector<float> y;
  ASSERT_EQ(run(model, 5, 2, y), NACRE_OK) << nacre_last_error();
  expectRight(y, 5);
  nacre_model_release(model);
}

TEST_F(CodegenTest, ArtifactIsDeterministic) {
  for (const char *name : {"a.so", "b.so"}) {
    auto compiled = compile(kModel);
    ASSERT_TRUE(succeeded(compiled)) << messages;
    ASSERT_TRUE(succeeded(codegen::emitFile(*compiled, codegen::FileKind::Shared, path(name)))) << messages;
  }
  EXPECT_EQ(readFile(path("a.so")), readFile(path("b.so")));
}

TEST_F(CodegenTest, NothingIsLeftWhenTheFileCannotBeWritten) {
  auto compiled = compile(kModel);
  ASSERT_TRUE(succeeded(compiled)) << messages;
  EXPECT_TRUE(failed(codegen::emitFile(*compiled, codegen::FileKind::Shared, path("no/such/folder/m.so"))));
  EXPECT_NE(messages.find("cannot write"), std::string::npos) << messages;
}

TEST_F(CodegenTest, KernelFailureEndsTheRun) {
  std::string text = kModel;
  text.replace(text.find("[true, false, true]"), 4 + 1, "[false");
  auto compiled = compile(text.c_str());
  ASSERT_TRUE(succeeded(compiled)) << messages;
  auto loaded = codegen::loadInProcess(*compiled);
  ASSERT_TRUE(succeeded(loaded)) << messages;
  nacre_model *model = nullptr;
  ASSERT_EQ(nacre_model_create((*loaded)->getDescriptor(), (*loaded)->getParameters(), nullptr,
                               nullptr, &model),
            NACRE_OK);
  std::vector<float> y;
  EXPECT_EQ(run(model, 5, 1, y), NACRE_INVALID_VALUE);
  EXPECT_STREQ(nacre_last_error(), "node '/fc' (Gemm): the flag is false");
  nacre_model_release(model);
}

TEST_F(CodegenTest, UnknownCPU) {
  codegen::CodegenOptions options;
  options.targetCPU = "z80";
  EXPECT_TRUE(failed(compile(kModel, options)));
  EXPECT_NE(messages.find("unknown CPU 'z80'"), std::string::npos) << messages;
}

TEST_F(CodegenTest, TargetFeatures) {
  codegen::CodegenOptions options;
  options.targetCPU = "x86-64-v3";
  auto compiled = compile(kModel, options);
  ASSERT_TRUE(succeeded(compiled)) << messages;
  EXPECT_TRUE(compiled->target.hasFeature("avx2"));
  EXPECT_FALSE(compiled->target.hasFeature("avx512f"));
}

// Conversions on a CPU without instructions for them, against the compiler's own:
// every f16, and f32 and f64 around every f16 and half-way between two.
TEST_F(CodegenTest, HalfPrecisionWithoutInstructions) {
  constexpr char text[] = R"mlir(
kern.func @convert(%h: memref<65536xf16>, %f: memref<?xf32>, %d: memref<?xf64>,
                   %hf: memref<65536xf32>, %fh: memref<?xf16>, %dh: memref<?xf16>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%h : memref<65536xf16>) outs(%hf : memref<65536xf32>) {
    ^bb0(%x: f16, %y: f32):
      %r = arith.extf %x : f16 to f32
      linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%f : memref<?xf32>) outs(%fh : memref<?xf16>) {
    ^bb0(%x: f32, %y: f16):
      %r = arith.truncf %x : f32 to f16
      linalg.yield %r : f16
  }
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%d : memref<?xf64>) outs(%dh : memref<?xf16>) {
    ^bb0(%x: f64, %y: f16):
      %r = arith.truncf %x : f64 to f16
      linalg.yield %r : f16
  }
  kern.return
}
func.func @main() attributes {
    nacre.inputs = [{name = "h", type = tensor<65536xf16>, symbols = [""]},
                    {name = "f", type = tensor<?xf32>, symbols = ["n"]}, {name = "d", type = tensor<?xf64>, symbols = ["n"]}],
    nacre.outputs = [{name = "hf", type = tensor<65536xf32>, symbols = [""]},
                     {name = "fh", type = tensor<?xf16>, symbols = ["n"]}, {name = "dh", type = tensor<?xf16>, symbols = ["n"]}]} {
  %c0 = arith.constant 0 : index
  %h = rt.input 0 : memref<65536xf16>
  %f = rt.input 1 : memref<?xf32>
  %d = rt.input 2 : memref<?xf64>
  %n = memref.dim %f, %c0 : memref<?xf32>
  %hf = rt.output 0 () : memref<65536xf32>
  %fh = rt.output 1 (%n) : memref<?xf16>
  %dh = rt.output 2 (%n) : memref<?xf16>
  kern.call @convert ins(%h, %f, %d : memref<65536xf16>, memref<?xf32>, memref<?xf64>)
                     outs(%hf, %fh, %dh : memref<65536xf32>, memref<?xf16>, memref<?xf16>)
  return
}
)mlir";
  std::vector<_Float16> h(65536);
  std::vector<float> f;
  std::vector<double> d;
  for (uint32_t i = 0; i < 65536; ++i) {
    uint16_t bits = uint16_t(i);
    std::memcpy(&h[i], &bits, 2);
    auto low = float(h[i]);
    ++bits;
    _Float16 above;
    std::memcpy(&above, &bits, 2);
    double middle = (double(low) + double(float(above))) / 2;
    for (double value : {double(low), middle, std::nextafter(middle, 1e9), std::nextafter(middle, -1e9),
                         double(low) * 1e9, double(low) * 1e-9}) {
      f.push_back(float(value));
      d.push_back(value);
    }
  }
  for (const char *cpu : {"x86-64", "x86-64-v3"}) {
    codegen::CodegenOptions options;
    options.targetCPU = cpu;
    auto compiled = compile(text, options);
    ASSERT_TRUE(succeeded(compiled)) << messages;
    ASSERT_TRUE(succeeded(codegen::emitFile(*compiled, codegen::FileKind::Shared, path("half.so")))) << messages;
    nacre_model *model = nullptr;
    ASSERT_EQ(nacre_model_load(path("half.so").c_str(), &model), NACRE_OK) << nacre_last_error();
    nacre_session *session = nullptr;
    ASSERT_EQ(nacre_session_create(model, nullptr, &session), NACRE_OK);
    nacre_tensor inputs[3] = {}, outputs[3] = {};
    inputs[0].data = h.data(), inputs[0].dtype = NACRE_F16, inputs[0].dims[0] = 65536;
    inputs[1].data = f.data(), inputs[1].dtype = NACRE_F32, inputs[1].dims[0] = int64_t(f.size());
    inputs[2].data = d.data(), inputs[2].dtype = NACRE_F64, inputs[2].dims[0] = int64_t(d.size());
    for (nacre_tensor &input : inputs)
      input.rank = 1;
    ASSERT_EQ(nacre_session_run(session, 0, inputs, 3, outputs, 3), NACRE_OK) << nacre_last_error();
    auto *hf = static_cast<const float *>(outputs[0].data);
    auto *fh = static_cast<const _Float16 *>(outputs[1].data);
    auto *dh = static_cast<const _Float16 *>(outputs[2].data);
    auto same = [](auto a, auto b) { return a == b ? std::signbit(float(a)) == std::signbit(float(b)) : a != a && b != b; };
    int wrong = 0;
    for (size_t i = 0; i < h.size(); ++i)
      wrong += !same(hf[i], float(h[i]));
    EXPECT_EQ(wrong, 0) << cpu << ": f16 to f32";
    for (size_t i = 0; i < f.size(); ++i) {
      wrong += !same(fh[i], _Float16(f[i]));
      wrong += !same(dh[i], _Float16(d[i]));
    }
    EXPECT_EQ(wrong, 0) << cpu << ": to f16";
    for (nacre_tensor &output : outputs)
      nacre_tensor_release(&output);
    nacre_session_destroy(session);
    nacre_model_release(model);
  }
}

// Parameters beyond 2 GiB: nothing in the code depends on where they end. The
// first is zeros, a hole in the file, so that the test costs no disk.
TEST_F(CodegenTest, HugeParameters) {
  auto compiled = compile(R"mlir(
nn.parameter @huge = dense<0> : tensor<2400000000xi8>
nn.parameter @last = dense<[7, 8, 9]> : tensor<3xi32>
kern.func @read(%huge: memref<2400000000xi8>, %last: memref<3xi32>, %y: memref<2xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %end = arith.constant 2399999999 : index
  %0 = memref.load %huge[%end] : memref<2400000000xi8>
  %1 = arith.extsi %0 : i8 to i32
  %2 = memref.load %last[%c2] : memref<3xi32>
  memref.store %1, %y[%c0] : memref<2xi32>
  memref.store %2, %y[%c1] : memref<2xi32>
  kern.return
}
func.func @main() attributes {nacre.inputs = [],
    nacre.outputs = [{name = "y", type = tensor<2xi32>, symbols = [""]}]} {
  %huge = rt.parameter "huge" : memref<2400000000xi8>
  %last = rt.parameter "last" : memref<3xi32>
  %y = rt.output 0 () : memref<2xi32>
  kern.call @read ins(%huge, %last : memref<2400000000xi8>, memref<3xi32>) outs(%y : memref<2xi32>)
  return
}
)mlir");
  ASSERT_TRUE(succeeded(compiled)) << messages;
  ASSERT_TRUE(succeeded(codegen::emitFile(*compiled, codegen::FileKind::Shared, path("huge.so")))) << messages;
  nacre_model *model = nullptr;
  ASSERT_EQ(nacre_model_load(path("huge.so").c_str(), &model), NACRE_OK) << nacre_last_error();
  nacre_session *session = nullptr;
  ASSERT_EQ(nacre_session_create(model, nullptr, &session), NACRE_OK) << nacre_last_error();
  nacre_tensor y = {};
  ASSERT_EQ(nacre_session_run(session, 0, nullptr, 0, &y, 1), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(static_cast<int32_t *>(y.data)[0], 0);
  EXPECT_EQ(static_cast<int32_t *>(y.data)[1], 9);
  nacre_tensor_release(&y);
  nacre_session_destroy(session);
  nacre_model_release(model);
}
