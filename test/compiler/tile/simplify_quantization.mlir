// RUN: nacre-opt %s --simplify-quantization | FileCheck %s

// Quantised and dequantised: limited, divided by fused products, rounded; no integer in between.
// CHECK-LABEL: kern.func @round_trip
// CHECK-DAG: %[[LOW:.+]] = arith.constant -3.000000e+01 : f32
// CHECK-DAG: %[[HIGH:.+]] = arith.constant 3.375000e+01 : f32
// CHECK-DAG: %[[OF_NAN:.+]] = arith.constant -1.200000e+02 : f32
// CHECK-DAG: %[[MINUS:.+]] = arith.constant -2.500000e-01 : f32
// CHECK-DAG: %[[INVERSE:.+]] = arith.constant 4.000000e+00 : f32
// CHECK: ^bb0(%[[X:.+]]: f32, %{{.+}}: f32):
// CHECK: %[[UNDER:.+]] = arith.cmpf ogt, %[[LOW]], %[[X]]
// CHECK: %[[A:.+]] = arith.select %[[UNDER]], %[[LOW]], %[[X]]
// CHECK: %[[OVER:.+]] = arith.cmpf olt, %[[HIGH]], %[[A]]
// CHECK: %[[B:.+]] = arith.select %[[OVER]], %[[HIGH]], %[[A]]
// CHECK: %[[FIRST:.+]] = arith.mulf %[[B]], %[[INVERSE]]
// CHECK: %[[ERROR:.+]] = math.fma %[[FIRST]], %[[MINUS]], %[[B]]
// CHECK: %[[QUOTIENT:.+]] = math.fma %[[ERROR]], %[[INVERSE]], %[[FIRST]]
// CHECK: %[[N:.+]] = math.roundeven %[[QUOTIENT]]
// CHECK: %[[POSITIVE:.+]] = arith.addf %[[N]], %{{.+}}
// CHECK: %[[NUMBER:.+]] = arith.cmpf ord, %[[POSITIVE]], %[[POSITIVE]]
// CHECK: %[[R:.+]] = arith.select %[[NUMBER]], %[[POSITIVE]], %[[OF_NAN]]
// CHECK-NOT: fptosi
// CHECK: %[[Y:.+]] = arith.mulf %[[R]], %{{.+}}
// CHECK: linalg.yield %[[Y]]
#id = affine_map<(i) -> (i)>
kern.func @round_trip(%x: tensor<8xf32>, %out: tensor<8xf32>) -> tensor<8xf32> {
  %s = arith.constant 0.25 : f32
  %zp = arith.constant 120.0 : f32
  %izp = arith.constant 120 : i32
  %lo = arith.constant 0.0 : f32
  %hi = arith.constant 255.0 : f32
  %min = arith.constant -2147483648 : i32
  %fmin = arith.constant -2147483648.0 : f32
  %fend = arith.constant 2147483648.0 : f32
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%out : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.divf %a, %s : f32
    %r = math.roundeven %q : f32
    %z = arith.addf %r, %zp : f32
    %c0 = arith.cmpf ogt, %lo, %z : f32
    %v0 = arith.select %c0, %lo, %z : f32
    %c1 = arith.cmpf olt, %hi, %v0 : f32
    %v = arith.select %c1, %hi, %v0 : f32
    %above = arith.cmpf oge, %v, %fmin : f32
    %below = arith.cmpf olt, %v, %fend : f32
    %inside = arith.andi %above, %below : i1
    %t = arith.fptosi %v : f32 to i32
    %g = arith.select %inside, %t, %min : i32
    %byte = arith.trunci %g : i32 to i8
    %w = arith.extui %byte : i8 to i32
    %d = arith.subi %w, %izp : i32
    %f = arith.sitofp %d : i32 to f32
    %y = arith.mulf %f, %s : f32
    linalg.yield %y : f32
  } -> tensor<8xf32>
  kern.return %0 : tensor<8xf32>
}

// A quotient that is not limited, or by a number that is not known, stays.
// CHECK-LABEL: kern.func @not_limited
// CHECK: arith.divf
// CHECK-LABEL: kern.func @not_constant
// CHECK: arith.divf
kern.func @not_limited(%x: tensor<8xf32>, %out: tensor<8xf32>) -> tensor<8xf32> {
  %s = arith.constant 0.3 : f32
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%out : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.divf %a, %s : f32
    %r = math.roundeven %q : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  kern.return %0 : tensor<8xf32>
}
kern.func @not_constant(%x: tensor<8xf32>, %scales: tensor<8xf32>, %out: tensor<8xf32>) -> tensor<8xf32> {
  %lo = arith.constant 0.0 : f32
  %hi = arith.constant 255.0 : f32
  %0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x, %scales : tensor<8xf32>, tensor<8xf32>) outs(%out : tensor<8xf32>) {
  ^bb0(%a: f32, %s: f32, %o: f32):
    %q = arith.divf %a, %s : f32
    %r = math.roundeven %q : f32
    %c0 = arith.cmpf ogt, %lo, %r : f32
    %v0 = arith.select %c0, %lo, %r : f32
    %c1 = arith.cmpf olt, %hi, %v0 : f32
    %v = arith.select %c1, %hi, %v0 : f32
    linalg.yield %v : f32
  } -> tensor<8xf32>
  kern.return %0 : tensor<8xf32>
}
