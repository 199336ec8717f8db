// RUN: nacre-opt %s --make-train-step="loss=output:l detect-anomaly" --cse | FileCheck %s

// What is given, what each node gives to others, and each gradient is looked at before anything is
// set. What a node computes for itself (the squares) is not.
nn.parameter trainable @w = dense<0.5> : tensor<3xf32>
// CHECK-LABEL: func.func @main
// CHECK-NOT: rt.check
// CHECK: func.func @step(%[[X:.*]]: tensor<3xf32>
// CHECK: %[[NAN:.*]] = nn.is_nan %[[X]]
// CHECK: %[[ANY:.*]] = nn.reduce max, %[[NAN]] {axes = array<i64: 0>} : (tensor<3xi1>) -> tensor<i1>
// CHECK: %[[BAD:.*]] = tensor.extract %[[ANY]][]
// CHECK: %[[GOOD:.*]] = arith.xori %[[BAD]]
// CHECK: rt.check %[[GOOD]], 3, "the input 'x' has a NaN"
// CHECK: %[[W:.*]] = nn.get_parameter @w
// CHECK: nn.is_nan %[[W]]
// CHECK: nn.is_inf %[[W]]
// CHECK: rt.check %{{.*}}, 3, "the parameter 'w' has a NaN or an infinity, before this step"
// CHECK: %[[P:.*]] = nn.mul %[[X]], %[[W]]
// CHECK: rt.check %{{.*}}, 3, "node 'p' (Mul): its result has a NaN, the first of this step"
// CHECK: nn.mul %[[P]], %[[P]]
// CHECK-NOT: nn.is_inf
// CHECK: nn.reduce sum
// CHECK: rt.check %{{.*}}, 3, "node 'n' (ReduceSumSquare): its result has a NaN, the first of this step"
// CHECK: rt.check %{{.*}}, 3, "node 'n' (ReduceSumSquare): the gradient of what it takes has a NaN or an infinity, the first on the way back"
// CHECK: rt.check %{{.*}}, 3, "node 'p' (Mul): the gradient of what it takes has a NaN or an infinity, the first on the way back"
// CHECK: rt.check %{{.*}}, 3, "the gradient of the parameter 'w' has a NaN or an infinity
// CHECK: nn.set_parameter @w
// CHECK-NOT: rt.check
func.func @main(%x: tensor<3xf32> {nn.name = "x"}) -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<3xf32>
  %p = nn.mul %x, %w : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32> loc("p (Mul)")
  %s = nn.mul %p, %p : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32> loc("n (ReduceSumSquare)")
  %n = nn.reduce sum, %s {axes = array<i64: 0>} : (tensor<3xf32>) -> tensor<f32> loc("n (ReduceSumSquare)")
  return %n : tensor<f32>
}
