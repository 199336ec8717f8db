// Counts of known sequences of words.
#include "runtime/host/Host.h"

using namespace nacre::host;

namespace {

// Words: strings, or integers of 32 or 64 bits.
class Words {
public:
  explicit Words(const Tensor &tensor) : tensor(tensor) {}
  uint64_t hash(int64_t i) const {
    if (tensor.dtype != NACRE_DTYPE_STRING)
      return mix(static_cast<uint64_t>(number(i)));
    Text text = tensor.text(i);
    return hashBytes(text.data, text.size);
  }
  bool isSame(int64_t i, const Words &other, int64_t j) const {
    return tensor.dtype == NACRE_DTYPE_STRING ? tensor.text(i) == other.tensor.text(j)
                                              : number(i) == other.number(j);
  }

private:
  int64_t number(int64_t i) const {
    return tensor.dtype == NACRE_DTYPE_I32 ? tensor.as<int32_t>()[i] : tensor.as<int64_t>()[i];
  }
  const Tensor &tensor;
};

// An n-gram of the pool: where it begins, and its length.
struct Ngram {
  int64_t begin, length;
};

} // namespace

NACRE_HOST_FUNCTION(ngrams) {
  Call call(context, description);
  Tensor input = call.input(0), pool = call.input(1), starts = call.input(2), columns = call.input(3),
         weights = call.input(4), result = call.output(0);
  int64_t weighting = call.number(0), least = call.number(1), most = call.number(2), maxSkip = call.number(3);
  int64_t width = result.dims[result.rank - 1], length = input.dims[input.rank - 1];
  float *row = result.as<float>();
  std::memset(row, 0, static_cast<size_t>(result.count()) * sizeof(float));

  Words words(input), known(pool);
  auto hashOf = [](const Words &of, int64_t begin, int64_t step, int64_t n) {
    uint64_t hash = static_cast<uint64_t>(n);
    for (int64_t i = 0; i < n; ++i)
      hash = mix(hash * 31 + of.hash(begin + i * step));
    return hash;
  };
  // The compiler has checked that starts rise and that columns lie in the row.
  int64_t total = columns.count(), number = 0;
  auto *ngrams = static_cast<Ngram *>(call.allocate(total * int64_t(sizeof(Ngram))));
  Index index;
  if (!ngrams || !index.reserve(call, total))
    return;
  for (int64_t n = 1; n <= starts.count(); ++n) {
    int64_t end = n < starts.count() ? starts.as<int64_t>()[n] : pool.count();
    for (int64_t at = starts.as<int64_t>()[n - 1]; at + n <= end && number < total; at += n, ++number) {
      ngrams[number] = {at, n};
      if (n >= least && n <= most)
        index.add(hashOf(known, at, 1, n), number);
    }
  }

  for (int64_t r = 0, rows = length ? input.count() / length : 0; r < rows; ++r, row += width)
    for (int64_t n = least; n <= most; ++n)
      for (int64_t step = 1; step <= (n == 1 ? 1 : maxSkip + 1) && (n - 1) * step < length; ++step)
        for (int64_t at = 0; at + (n - 1) * step < length; ++at) {
          int64_t begin = r * length + at;
          int64_t found = index.find(hashOf(words, begin, step, n), [&](int64_t i) {
            if (ngrams[i].length != n)
              return false;
            for (int64_t k = 0; k < n; ++k)
              if (!known.isSame(ngrams[i].begin + k, words, begin + k * step))
                return false;
            return true;
          });
          if (found < 0)
            continue;
          float &count = row[columns.as<int64_t>()[found]];
          float weight = weights.as<float>()[found];
          count = weighting == 0 ? count + 1 : weighting == 1 ? weight : count + weight;
        }
}
