// Functions of one number print and parse back, and keep their operand's shape.
// RUN: nacre-opt %s -infer-shapes | nacre-opt | FileCheck %s

// CHECK-LABEL: @floats
func.func @floats(%x: tensor<4x?xf32>) {
  // CHECK: nn.acos %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %0 = nn.acos %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.acosh %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %1 = nn.acosh %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.asin %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %2 = nn.asin %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.asinh %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %3 = nn.asinh %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.atan %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %4 = nn.atan %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.atanh %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %5 = nn.atanh %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.ceil %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %6 = nn.ceil %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.cos %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %7 = nn.cos %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.cosh %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %8 = nn.cosh %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.erf %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %9 = nn.erf %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.exp %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %10 = nn.exp %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.floor %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %11 = nn.floor %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.log %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %12 = nn.log %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.reciprocal %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %13 = nn.reciprocal %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.round %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %14 = nn.round %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.sigmoid %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %15 = nn.sigmoid %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.sin %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %16 = nn.sin %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.sinh %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %17 = nn.sinh %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.softsign %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %18 = nn.softsign %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.sqrt %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %19 = nn.sqrt %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.tan %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %20 = nn.tan %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.tanh %{{.*}} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %21 = nn.tanh %x : (tensor<4x?xf32>) -> tensor<?x?xf32>
  return
}

// CHECK-LABEL: @numbers
func.func @numbers(%x: tensor<4x?xi16>) {
  // CHECK: nn.abs %{{.*}} : (tensor<4x?xi16>) -> tensor<4x?xi16>
  %0 = nn.abs %x : (tensor<4x?xi16>) -> tensor<?x?xi16>
  // CHECK: nn.neg %{{.*}} : (tensor<4x?xi16>) -> tensor<4x?xi16>
  %1 = nn.neg %x : (tensor<4x?xi16>) -> tensor<?x?xi16>
  // CHECK: nn.relu %{{.*}} : (tensor<4x?xi16>) -> tensor<4x?xi16>
  %2 = nn.relu %x : (tensor<4x?xi16>) -> tensor<?x?xi16>
  // CHECK: nn.sign %{{.*}} : (tensor<4x?xi16>) -> tensor<4x?xi16>
  %3 = nn.sign %x : (tensor<4x?xi16>) -> tensor<?x?xi16>
  return
}
