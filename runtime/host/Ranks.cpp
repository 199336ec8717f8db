// Strings in order.
#include "runtime/host/Host.h"

using namespace nacre::host;

namespace {

bool isLess(Text a, Text b) {
  int64_t common = a.size < b.size ? a.size : b.size;
  int order = std::memcmp(a.data, b.data, static_cast<size_t>(common));
  return order ? order < 0 : a.size < b.size;
}

// Merges the sorted runs [begin, middle) and [middle, end) of `from` into `to`.
void merge(const Tensor &texts, const int64_t *from, int64_t *to, int64_t begin, int64_t middle, int64_t end) {
  for (int64_t left = begin, right = middle, at = begin; at < end; ++at) {
    bool takesRight = left == middle || (right < end && isLess(texts.text(from[right]), texts.text(from[left])));
    to[at] = takesRight ? from[right++] : from[left++];
  }
}

} // namespace

NACRE_HOST_FUNCTION(string_rank) {
  Call call(context, description);
  Tensor input = call.input(0), result = call.output(0);
  int64_t count = input.count();
  auto *ranks = result.as<int64_t>();
  int64_t *order = nullptr, *other = nullptr;
  if (count > 1) {
    order = static_cast<int64_t *>(call.allocate(count * int64_t(sizeof(int64_t))));
    other = order ? static_cast<int64_t *>(call.allocate(count * int64_t(sizeof(int64_t)))) : nullptr;
  }
  if (!other) {
    for (int64_t i = 0; i < count; ++i)
      ranks[i] = 0;
    return;
  }
  for (int64_t i = 0; i < count; ++i)
    order[i] = i;
  for (int64_t width = 1; width < count; width *= 2) {
    for (int64_t begin = 0; begin < count; begin += 2 * width) {
      int64_t middle = begin + width < count ? begin + width : count;
      merge(input, order, other, begin, middle, middle + width < count ? middle + width : count);
    }
    int64_t *swapped = order;
    order = other;
    other = swapped;
  }
  for (int64_t i = 0, rank = 0; i < count; ++i) {
    if (i && !(input.text(order[i]) == input.text(order[i - 1])))
      ++rank;
    ranks[order[i]] = rank;
  }
}
