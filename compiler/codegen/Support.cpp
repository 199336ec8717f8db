//===- Support.cpp - Helpers that LLVM calls --------------------*- C++ -*-===//
#include "compiler/codegen/Support.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/SourceMgr.h"

using namespace llvm;
using namespace nacre::codegen;

namespace {

struct Helper {
  StringLiteral name;
  StringLiteral code;
};

// All round to the nearest, ties to even, as the instructions would. A double is
// first rounded to odd, so that the second rounding is the right one.
constexpr Helper kHelpers[] = {
    {"__extendhfsf2", R"(
define hidden float @__extendhfsf2(half %x) nounwind {
  %b = bitcast half %x to i16
  %w = zext i16 %b to i32
  %s = and i32 %w, 32768
  %sign = shl i32 %s, 16
  %m = and i32 %w, 32767
  %shifted = shl i32 %m, 13
  %normal = add i32 %shifted, 939524096
  %special = add i32 %normal, 939524096
  %quiet = or i32 %special, 4194304
  %isNaN = icmp ugt i32 %m, 31744
  %infOrNaN = select i1 %isNaN, i32 %quiet, i32 %special
  %f = uitofp i32 %m to float
  %scaled = fmul float %f, 0x3E70000000000000
  %small = bitcast float %scaled to i32
  %isSmall = icmp ult i32 %m, 1024
  %finite = select i1 %isSmall, i32 %small, i32 %normal
  %isBig = icmp uge i32 %m, 31744
  %magnitude = select i1 %isBig, i32 %infOrNaN, i32 %finite
  %r = or i32 %magnitude, %sign
  %result = bitcast i32 %r to float
  ret float %result
}
)"},
    {"__truncsfhf2", R"(
define hidden half @__truncsfhf2(float %x) nounwind {
  %u = bitcast float %x to i32
  %s = lshr i32 %u, 16
  %sign = and i32 %s, 32768
  %a = and i32 %u, 2147483647
  %p = lshr i32 %a, 13
  %payload = and i32 %p, 1023
  %nan = or i32 %payload, 32256
  %odd = and i32 %p, 1
  %biased = add i32 %a, -939520001
  %rounded = add i32 %biased, %odd
  %normal = lshr i32 %rounded, 13
  %fa = bitcast i32 %a to float
  %sum = fadd float %fa, 5.0e-01
  %sumBits = bitcast float %sum to i32
  %small = sub i32 %sumBits, 1056964608
  %isSmall = icmp ult i32 %a, 947912704
  %finite = select i1 %isSmall, i32 %small, i32 %normal
  %isOver = icmp uge i32 %a, 1199570944
  %number = select i1 %isOver, i32 31744, i32 %finite
  %isNaN = icmp ugt i32 %a, 2139095040
  %magnitude = select i1 %isNaN, i32 %nan, i32 %number
  %r = or i32 %magnitude, %sign
  %h = trunc i32 %r to i16
  %result = bitcast i16 %h to half
  ret half %result
}
)"},
    {"__truncdfhf2", R"(
declare double @llvm.fabs.f64(double)
declare half @__truncsfhf2(float)
define hidden half @__truncdfhf2(double %x) nounwind {
  %f = fptrunc double %x to float
  %e = fpext float %f to double
  %inexact = fcmp one double %e, %x
  %bits = bitcast float %f to i32
  %ae = call double @llvm.fabs.f64(double %e)
  %ax = call double @llvm.fabs.f64(double %x)
  %isAbove = fcmp ogt double %ae, %ax
  %below = sub i32 %bits, 1
  %towardZero = select i1 %isAbove, i32 %below, i32 %bits
  %odd = or i32 %towardZero, 1
  %r = select i1 %inexact, i32 %odd, i32 %bits
  %rf = bitcast i32 %r to float
  %result = call half @__truncsfhf2(float %rf)
  ret half %result
}
)"},
    {"__truncsfbf2", R"(
define hidden bfloat @__truncsfbf2(float %x) nounwind {
  %u = bitcast float %x to i32
  %a = and i32 %u, 2147483647
  %isNaN = icmp ugt i32 %a, 2139095040
  %top = lshr i32 %u, 16
  %nan = or i32 %top, 64
  %odd = and i32 %top, 1
  %biased = add i32 %u, 32767
  %sum = add i32 %biased, %odd
  %number = lshr i32 %sum, 16
  %r = select i1 %isNaN, i32 %nan, i32 %number
  %h = trunc i32 %r to i16
  %result = bitcast i16 %h to bfloat
  ret bfloat %result
}
)"},
    {"__truncdfbf2", R"(
declare double @llvm.fabs.f64(double)
declare bfloat @__truncsfbf2(float)
define hidden bfloat @__truncdfbf2(double %x) nounwind {
  %f = fptrunc double %x to float
  %e = fpext float %f to double
  %inexact = fcmp one double %e, %x
  %bits = bitcast float %f to i32
  %ae = call double @llvm.fabs.f64(double %e)
  %ax = call double @llvm.fabs.f64(double %x)
  %isAbove = fcmp ogt double %ae, %ax
  %below = sub i32 %bits, 1
  %towardZero = select i1 %isAbove, i32 %below, i32 %bits
  %odd = or i32 %towardZero, 1
  %r = select i1 %inexact, i32 %odd, i32 %bits
  %rf = bitcast i32 %r to float
  %result = call bfloat @__truncsfbf2(float %rf)
  ret bfloat %result
}
)"},
};

Error addUndefined(MemoryBufferRef buffer, StringSet<> &undefined) {
  auto file = object::ObjectFile::createObjectFile(buffer);
  if (!file)
    return file.takeError();
  for (const object::SymbolRef &symbol : (*file)->symbols()) {
    auto flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    if (!(*flags & object::SymbolRef::SF_Undefined))
      continue;
    auto name = symbol.getName();
    if (!name)
      return name.takeError();
    undefined.insert(*name);
  }
  return Error::success();
}

} // namespace

Expected<SmallVector<Embedded>> nacre::codegen::findHostLibraries(ArrayRef<MemoryBufferRef> objects) {
  StringSet<> undefined;
  for (MemoryBufferRef object : objects)
    if (Error error = addUndefined(object, undefined))
      return error;
  SmallVector<Embedded> libraries;
  for (const LibraryFunction &function : getLibraryFunctions())
    if (undefined.erase(function.symbol))
      libraries.push_back(function.library);
  if (any_of(undefined.keys(), [](StringRef name) { return name.starts_with("nacre_host_"); }))
    libraries.push_back(Embedded::Host);
  return libraries;
}

Expected<std::unique_ptr<MemoryBuffer>>
nacre::codegen::makeSupport(ArrayRef<MemoryBufferRef> objects, const CpuTarget &target) {
  StringSet<> undefined;
  for (MemoryBufferRef object : objects)
    if (Error error = addUndefined(object, undefined))
      return error;
  LLVMContext context;
  Module module("nacre.support", context);
  // Helpers after those that call them.
  for (const Helper &helper : reverse(kHelpers)) {
    Function *wanted = module.getFunction(helper.name);
    if (!undefined.contains(helper.name) && !(wanted && wanted->isDeclaration()))
      continue;
    SMDiagnostic diagnostic;
    std::unique_ptr<Module> parsed = parseAssemblyString(helper.code, diagnostic, context);
    if (!parsed)
      return createStringError(inconvertibleErrorCode(),
                               "internal error: " + diagnostic.getMessage());
    if (Linker::linkModules(module, std::move(parsed)))
      return createStringError(inconvertibleErrorCode(), "internal error: helpers do not link");
  }
  if (module.empty())
    return nullptr;
  return target.compile(module, Effort::Kernel);
}
