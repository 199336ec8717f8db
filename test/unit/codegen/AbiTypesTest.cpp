// The struct types of the emitted descriptor against the C header.
#include "compiler/codegen/AbiTypes.h"
#include "llvm/IR/DataLayout.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/LLVMContext.h"
#include <gtest/gtest.h>

namespace {

class AbiTypesTest : public ::testing::Test {
protected:
  void expect(llvm::StructType *type, size_t size, std::initializer_list<size_t> offsets) {
    const llvm::StructLayout *actual = layout.getStructLayout(type);
    EXPECT_EQ(actual->getSizeInBytes(), size) << type->getName().str();
    ASSERT_EQ(type->getNumElements(), offsets.size()) << type->getName().str();
    unsigned field = 0;
    for (size_t offset : offsets) {
      EXPECT_EQ(actual->getElementOffset(field), offset)
          << type->getName().str() << " field " << field;
      ++field;
    }
  }

  llvm::LLVMContext context;
  nacre::codegen::abi::DescriptorTypes types{context};
  llvm::DataLayout layout{
      "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"};
};

} // namespace

#define AT(structure, field) offsetof(structure, field)

TEST_F(AbiTypesTest, MatchTheHeader) {
  expect(types.dim, sizeof(nacre_abi_dim), {AT(nacre_abi_dim, size), AT(nacre_abi_dim, symbol)});
  expect(types.tensorInfo, sizeof(nacre_abi_tensor_info),
         {AT(nacre_abi_tensor_info, name), AT(nacre_abi_tensor_info, dtype),
          AT(nacre_abi_tensor_info, rank), AT(nacre_abi_tensor_info, dims)});
  expect(types.function, sizeof(nacre_abi_function),
         {AT(nacre_abi_function, name), AT(nacre_abi_function, run), AT(nacre_abi_function, inputs),
          AT(nacre_abi_function, outputs), AT(nacre_abi_function, input_count),
          AT(nacre_abi_function, output_count), AT(nacre_abi_function, arena_size),
          AT(nacre_abi_function, output_values), AT(nacre_abi_function, output_value_count),
          AT(nacre_abi_function, input_value_count), AT(nacre_abi_function, input_values)});
  expect(types.valueInfo, sizeof(nacre_abi_value_info),
         {AT(nacre_abi_value_info, name), AT(nacre_abi_value_info, kind),
          AT(nacre_abi_value_info, is_optional), AT(nacre_abi_value_info, first),
          AT(nacre_abi_value_info, count)});
  expect(types.kernelInfo, sizeof(nacre_abi_kernel_info),
         {AT(nacre_abi_kernel_info, name), AT(nacre_abi_kernel_info, nodes),
          AT(nacre_abi_kernel_info, flops), AT(nacre_abi_kernel_info, bytes)});
  expect(types.parameterInfo, sizeof(nacre_abi_parameter_info),
         {AT(nacre_abi_parameter_info, tensor), AT(nacre_abi_parameter_info, offset),
          AT(nacre_abi_parameter_info, size), AT(nacre_abi_parameter_info, is_state),
          AT(nacre_abi_parameter_info, reserved), AT(nacre_abi_parameter_info, initial_offset)});
  expect(types.model, sizeof(nacre_abi_model),
         {AT(nacre_abi_model, magic), AT(nacre_abi_model, abi_version),
          AT(nacre_abi_model, struct_size), AT(nacre_abi_model, pointer_bits),
          AT(nacre_abi_model, functions), AT(nacre_abi_model, kernels),
          AT(nacre_abi_model, parameters), AT(nacre_abi_model, function_count),
          AT(nacre_abi_model, kernel_count), AT(nacre_abi_model, parameter_count),
          AT(nacre_abi_model, reserved), AT(nacre_abi_model, parameter_data),
          AT(nacre_abi_model, parameter_size), AT(nacre_abi_model, state_size),
          AT(nacre_abi_model, parameter_checksum), AT(nacre_abi_model, target_cpu),
          AT(nacre_abi_model, target_features), AT(nacre_abi_model, provenance),
          AT(nacre_abi_model, fallback)});
}
