// RUN: nacre-opt %s --delay-kernels -allow-unregistered-dialect | FileCheck %s

kern.func @large(%a: tensor<16xf32>, %d: tensor<1024xf32>) -> tensor<1024xf32> {
  kern.return %d : tensor<1024xf32>
}
kern.func @small(%a: tensor<1024xf32>, %d: tensor<16xf32>) -> tensor<16xf32> {
  kern.return %d : tensor<16xf32>
}

// A large result waits for its reader, through a view; a small one of a large tensor does not, which
// would be kept for it.
// CHECK-LABEL: func.func @order
// CHECK: kern.call @small ins(%[[OTHER:.*]] : tensor<1024xf32>)
// CHECK-NEXT: %[[L:.*]] = kern.call @large ins(%arg0
// CHECK-NEXT: %[[V:.*]] = tensor.expand_shape %[[L]]
// CHECK-NEXT: "use"(%[[V]])
// CHECK-NEXT: "use"
func.func @order(%x: tensor<16xf32>) {
  %e = tensor.empty() : tensor<1024xf32>
  %l = kern.call @large ins(%x : tensor<16xf32>) outs(%e : tensor<1024xf32>) -> tensor<1024xf32>
  %v = tensor.expand_shape %l [[0, 1]] output_shape [32, 32] : tensor<1024xf32> into tensor<32x32xf32>
  %f = tensor.empty() : tensor<1024xf32>
  %o = kern.call @large ins(%x : tensor<16xf32>) outs(%f : tensor<1024xf32>) -> tensor<1024xf32>
  %g = tensor.empty() : tensor<16xf32>
  %s = kern.call @small ins(%o : tensor<1024xf32>) outs(%g : tensor<16xf32>) -> tensor<16xf32>
  "use"(%v) : (tensor<32x32xf32>) -> ()
  "use"(%s) : (tensor<16xf32>) -> ()
  return
}

// What it reads is written over before: it stays.
// CHECK-LABEL: func.func @overwritten
// CHECK: %[[OLD:.*]] = kern.call @large
// CHECK: kern.call @small {{.*}} outs(%arg0
// CHECK: "use"(%[[OLD]])
func.func @overwritten(%w: tensor<16xf32>, %y: tensor<1024xf32>) {
  %e = tensor.empty() : tensor<1024xf32>
  %l = kern.call @large ins(%w : tensor<16xf32>) outs(%e : tensor<1024xf32>) -> tensor<1024xf32>
  %n = kern.call @small ins(%y : tensor<1024xf32>) outs(%w : tensor<16xf32>) -> tensor<16xf32>
  "use"(%l) : (tensor<1024xf32>) -> ()
  "use"(%n) : (tensor<16xf32>) -> ()
  return
}
