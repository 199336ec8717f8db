//===- AbiTypes.cpp - runtime/abi/nacre_abi.h for generated code *- C++ -*-===//
#include "compiler/codegen/AbiTypes.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/LLVMContext.h"

using namespace llvm;

nacre::codegen::abi::DescriptorTypes::DescriptorTypes(LLVMContext &context) {
  Type *ptr = PointerType::get(context, 0);
  Type *i32 = Type::getInt32Ty(context), *i64 = Type::getInt64Ty(context);
  dim = StructType::create({i64, ptr}, "nacre_abi_dim");
  tensorInfo = StructType::create({ptr, i32, i32, ptr}, "nacre_abi_tensor_info");
  valueInfo = StructType::create({ptr, i32, i32, i32, i32}, "nacre_abi_value_info");
  function =
      StructType::create({ptr, ptr, ptr, ptr, i32, i32, i64, ptr, i32, i32, ptr}, "nacre_abi_function");
  kernelInfo = StructType::create({ptr, ptr, i64, i64}, "nacre_abi_kernel_info");
  parameterInfo =
      StructType::create({tensorInfo, i64, i64, i32, i32, i64}, "nacre_abi_parameter_info");
  model = StructType::create({i32, i32, i32, i32, ptr, ptr, ptr, i32, i32, i32, i32, ptr, i64, i64,
                              i64, ptr, ptr, ptr, ptr},
                             "nacre_abi_model");
}
