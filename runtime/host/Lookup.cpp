// Values by keys.
#include "runtime/abi/nacre_dtype.h"
#include "runtime/host/Host.h"

using namespace nacre::host;

namespace {

// Elements as keys: their bytes, but numbers that are equal have equal ones.
class Keys {
public:
  explicit Keys(const Tensor &tensor) : tensor(tensor), width(nacre_abi_dtype_bits(tensor.dtype) / 8) {}

  // The key of element i, written into `number` if it is one.
  Text get(int64_t i, uint64_t &number) const {
    if (tensor.dtype == NACRE_DTYPE_STRING)
      return tensor.text(i);
    number = 0;
    std::memcpy(&number, tensor.as<char>() + i * width, static_cast<size_t>(width));
    if (tensor.dtype == NACRE_DTYPE_F32)
      normalize<float>(number);
    else if (tensor.dtype == NACRE_DTYPE_F64)
      normalize<double>(number);
    return Text(reinterpret_cast<const char *>(&number), sizeof number);
  }

private:
  template <typename T> static void normalize(uint64_t &number) {
    T value;
    std::memcpy(&value, &number, sizeof value);
    if (value == 0)
      number = 0; // of either sign
    else if (value != value)
      number = ~uint64_t(0); // all kinds of NaN
  }

  const Tensor &tensor;
  int32_t width;
};

} // namespace

NACRE_HOST_FUNCTION(lookup) {
  Call call(context, description);
  Tensor input = call.input(0), keys = call.input(1), values = call.input(2), otherwise = call.input(3),
         result = call.output(0);
  size_t width = result.dtype == NACRE_DTYPE_STRING ? sizeof(Handle)
                                                    : static_cast<size_t>(nacre_abi_dtype_bits(result.dtype) / 8);
  Keys known(keys), wanted(input);
  Index index;
  uint64_t number, other;
  int64_t count = keys.count() < values.count() ? keys.count() : values.count();
  auto find = [&](Text key) {
    return index.find(hashBytes(key.data, key.size), [&](int64_t i) { return known.get(i, other) == key; });
  };
  if (index.reserve(call, count))
    for (int64_t i = 0; i < count; ++i) {
      Text key = known.get(i, number);
      if (find(key) < 0)
        index.add(hashBytes(key.data, key.size), i);
    }
  for (int64_t i = 0, e = result.count(); i < e; ++i) {
    int64_t found = find(wanted.get(i, number));
    const char *from = found < 0 ? otherwise.as<char>() : values.as<char>() + size_t(found) * width;
    std::memcpy(result.as<char>() + size_t(i) * width, from, width);
  }
}
