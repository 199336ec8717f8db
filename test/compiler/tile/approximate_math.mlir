// RUN: nacre-opt %s --approximate-math | FileCheck %s
// RUN: nacre-opt %s --approximate-math=fma=false | FileCheck %s --check-prefix=PLAIN

// CHECK-LABEL: func.func @vectors
// CHECK-NOT: math.exp
// CHECK: math.fma {{.*}} vector<16xf32>
// CHECK: arith.bitcast
// PLAIN-LABEL: func.func @vectors
// PLAIN-NOT: math.fma
func.func @vectors(%x: vector<16xf32>) -> vector<16xf32> {
  %0 = math.exp %x : vector<16xf32>
  return %0 : vector<16xf32>
}

// CHECK-LABEL: func.func @through_f32
// CHECK: arith.extf {{.*}} vector<16xbf16> to vector<16xf32>
// CHECK-NOT: math.tanh
// CHECK: arith.truncf {{.*}} vector<16xf32> to vector<16xbf16>
func.func @through_f32(%x: vector<16xbf16>) -> vector<16xbf16> {
  %0 = math.tanh %x : vector<16xbf16>
  return %0 : vector<16xbf16>
}

// The library computes f64.
// CHECK-LABEL: func.func @doubles
// CHECK: math.log %{{.*}} : f64
func.func @doubles(%x: f64) -> f64 {
  %0 = math.log %x : f64
  return %0 : f64
}

// Far angles are reduced by the library, under a branch.
// CHECK-LABEL: func.func @angles
// CHECK: vector.reduction <or>
// CHECK: scf.if
// CHECK: math.sin {{.*}} vector<16xf64>
func.func @angles(%x: vector<16xf32>) -> vector<16xf32> {
  %0 = math.sin %x : vector<16xf32>
  return %0 : vector<16xf32>
}

// CHECK-LABEL: func.func @square
// CHECK-NEXT: arith.constant
// CHECK-NEXT: arith.mulf
// CHECK-NEXT: return
func.func @square(%x: vector<16xf32>) -> vector<16xf32> {
  %two = arith.constant dense<2.0> : vector<16xf32>
  %0 = math.powf %x, %two : vector<16xf32>
  return %0 : vector<16xf32>
}

// CHECK-LABEL: func.func @maximum
// CHECK-SAME: %[[L:.+]]: vector<16xf32>, %[[R:.+]]: vector<16xf32>
// CHECK: %[[BETTER:.+]] = arith.cmpf ogt, %[[R]], %[[L]]
// CHECK: %[[LARGER:.+]] = arith.select %[[BETTER]], %[[R]], %[[L]]
// CHECK: %[[ISNAN:.+]] = arith.cmpf uno, %[[R]], %[[R]]
// CHECK: arith.select %[[ISNAN]], %{{.+}}, %[[LARGER]]
func.func @maximum(%l: vector<16xf32>, %r: vector<16xf32>) -> vector<16xf32> {
  %0 = arith.maximumf %l, %r : vector<16xf32>
  return %0 : vector<16xf32>
}

// CHECK-LABEL: func.func @rectify
// CHECK: arith.cmpf ogt
// CHECK-NEXT: arith.select
// CHECK-NEXT: return
func.func @rectify(%x: vector<16xf32>) -> vector<16xf32> {
  %zero = arith.constant dense<0.0> : vector<16xf32>
  %0 = arith.maximumf %x, %zero : vector<16xf32>
  return %0 : vector<16xf32>
}
