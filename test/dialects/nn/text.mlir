// RUN: nacre-opt %s | nacre-opt | FileCheck %s
// RUN: nacre-opt %s --cse | FileCheck %s --check-prefix=CSE

// CHECK-LABEL: @types
func.func @types(%x: tensor<?x!nn.string>, %n: tensor<i64>, %k: tensor<3xi64>, %w: tensor<3xf32>) -> tensor<?x!nn.string> {
  // CHECK: nn.string_constant ["a", "", "\C3\A4\00"] : tensor<3x!nn.string>
  %c = nn.string_constant ["a", "", "\C3\A4\00"] : tensor<3x!nn.string>
  %s = nn.string_constant [","] : tensor<!nn.string>
  // CHECK: nn.string_concat {{.*}} -> tensor<?x!nn.string>
  %0 = nn.string_concat %x, %s : (tensor<?x!nn.string>, tensor<!nn.string>) -> tensor<?x!nn.string>
  // CHECK: nn.string_equal {{.*}} -> tensor<3xi1>
  %1 = nn.string_equal %c, %s : (tensor<3x!nn.string>, tensor<!nn.string>) -> tensor<3xi1>
  // CHECK: nn.string_normalize {{.*}} without {{.*}} to lower {case_sensitive}
  %words, %count = nn.string_normalize %x without %c to lower {case_sensitive}
      : (tensor<?x!nn.string>, tensor<3x!nn.string>) -> (tensor<?x!nn.string>, tensor<i64>)
  // CHECK: nn.string_split {{.*}} -> tensor<?x?x!nn.string>
  %2 = nn.string_split %x at %s into %n {max_split = -1 : i64}
      : (tensor<?x!nn.string>, tensor<!nn.string>, tensor<i64>) -> tensor<?x?x!nn.string>
  // CHECK: nn.lookup {{.*}} -> tensor<?xi64>
  %3 = nn.lookup %x in %c to %k or %n : (tensor<?x!nn.string>, tensor<3x!nn.string>, tensor<3xi64>, tensor<i64>) -> tensor<?xi64>
  // CHECK: nn.string_parse {{.*}} to f32
  %4 = nn.string_parse %x to f32 : (tensor<?x!nn.string>) -> tensor<?xf32>
  // CHECK: nn.string_count_pieces {{.*}} {max_split = -1 : i64} : {{.*}} -> tensor<?xi64>
  %6 = nn.string_count_pieces %x at %s {max_split = -1 : i64} : (tensor<?x!nn.string>, tensor<!nn.string>) -> tensor<?xi64>
  // CHECK: nn.string_format {{.*}} -> tensor<3x!nn.string>
  %7 = nn.string_format %k : (tensor<3xi64>) -> tensor<3x!nn.string>
  // CHECK: nn.ngrams {{.*}} count {{.*}} -> tensor<7xf32>
  %8 = nn.ngrams %x in %c, %k, %k, %w count {max_length = 2 : i64, max_skip = 0 : i64, min_length = 2 : i64, size = 7 : i64}
      : (tensor<?x!nn.string>, tensor<3x!nn.string>, tensor<3xi64>, tensor<3xi64>, tensor<3xf32>) -> tensor<7xf32>
  // CHECK: nn.string_match {{.*}} to {{.*}} -> tensor<?xi1>
  %9 = nn.string_match %x to %s : (tensor<?x!nn.string>, tensor<!nn.string>) -> tensor<?xi1>
  // CHECK: nn.string_rank {{.*}} -> tensor<?xi64>
  %11 = nn.string_rank %x : (tensor<?x!nn.string>) -> tensor<?xi64>
  // CHECK: nn.string_bytes {{.*}} -> tensor<?xui8>
  %10 = nn.string_bytes %s, %n : (tensor<!nn.string>, tensor<i64>) -> tensor<?xui8>
  // CHECK: nn.decode_image {{.*}} to gray : {{.*}} -> (tensor<!nn.string>, tensor<3xi64>)
  %pixels, %sizes = nn.decode_image %10 to gray : (tensor<?xui8>) -> (tensor<!nn.string>, tensor<3xi64>)
  // Strings move as anything else does.
  // CHECK: nn.concat {{.*}} -> tensor<?x!nn.string>
  %5 = nn.concat %words, %c along 0 : (tensor<?x!nn.string>, tensor<3x!nn.string>) -> tensor<?x!nn.string>
  return %5 : tensor<?x!nn.string>
}

// Constant strings fold away in no op, and meet in one.
// CSE-LABEL: @constants
func.func @constants() -> (tensor<1x!nn.string>, tensor<1x!nn.string>) {
  // CSE-NEXT: %[[A:.*]] = nn.string_constant
  // CSE-NEXT: return %[[A]], %[[A]]
  %a = nn.string_constant ["a"] : tensor<1x!nn.string>
  %b = nn.string_constant ["a"] : tensor<1x!nn.string>
  return %a, %b : tensor<1x!nn.string>, tensor<1x!nn.string>
}
