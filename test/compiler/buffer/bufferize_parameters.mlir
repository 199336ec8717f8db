// RUN: nacre-opt %s --bufferize --canonicalize --cse | FileCheck %s

nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
nn.parameter trainable @v = dense<1.0> : tensor<4xf32>

// Nothing reads the old value after the update: in place.
// CHECK-LABEL: func.func @in_place
// CHECK: %[[W:.*]] = rt.parameter state "w"
// CHECK: kern.call @update ins(%{{.*}}) outs(%[[W]]
// CHECK-NOT: memref.copy
// CHECK-NOT: memref.alloc
// CHECK: return
func.func @in_place(%x: tensor<4xf32>) {
  %w = nn.get_parameter @w : tensor<4xf32>
  %0 = kern.call @update ins(%x : tensor<4xf32>) outs(%w : tensor<4xf32>) -> tensor<4xf32>
  nn.set_parameter @w, %0 : tensor<4xf32>
  return
}

// A kernel reads the old value after the update.
// CHECK-LABEL: func.func @read_later
// CHECK: %[[W:.*]] = rt.parameter state "w"
// CHECK: %[[T:.*]] = memref.alloc
// CHECK: memref.copy %[[W]], %[[T]]
// CHECK: kern.call @update ins(%{{.*}}) outs(%[[T]]
// CHECK: %[[Y:.*]] = rt.output
// CHECK: kern.call @use ins(%[[W]] {{.*}}) outs(%[[Y]]
// CHECK: memref.copy %[[T]], %[[W]]
// CHECK: return
func.func @read_later(%x: tensor<4xf32>) -> tensor<4xf32> {
  %w = nn.get_parameter @w : tensor<4xf32>
  %0 = kern.call @update ins(%x : tensor<4xf32>) outs(%w : tensor<4xf32>) -> tensor<4xf32>
  nn.set_parameter @w, %0 : tensor<4xf32>
  %again = nn.get_parameter @w : tensor<4xf32>
  %d = tensor.empty() : tensor<4xf32>
  %1 = kern.call @use ins(%again : tensor<4xf32>) outs(%d : tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// So does an output, which is copied at the end.
// CHECK-LABEL: func.func @output
// CHECK: %[[W:.*]] = rt.parameter state "w"
// CHECK: %[[T:.*]] = memref.alloc
// CHECK: kern.call @update ins(%{{.*}}) outs(%[[T]]
// CHECK: %[[Y:.*]] = rt.output
// CHECK: memref.copy %[[W]], %[[Y]]
// CHECK: memref.copy %[[T]], %[[W]]
func.func @output(%x: tensor<4xf32>) -> tensor<4xf32> {
  %w = nn.get_parameter @w : tensor<4xf32>
  %0 = kern.call @update ins(%x : tensor<4xf32>) outs(%w : tensor<4xf32>) -> tensor<4xf32>
  nn.set_parameter @w, %0 : tensor<4xf32>
  return %w : tensor<4xf32>
}

// Two parameters change places: neither is written before both are read.
// CHECK-LABEL: func.func @swap
// CHECK-DAG: %[[W:.*]] = rt.parameter state "w"
// CHECK-DAG: %[[V:.*]] = rt.parameter state "v"
// CHECK: memref.copy %[[V]], %[[A:.*]] :
// CHECK: memref.copy %[[W]], %[[B:.*]] :
// CHECK: memref.copy %[[A]], %[[W]]
// CHECK: memref.copy %[[B]], %[[V]]
func.func @swap() {
  %w = nn.get_parameter @w : tensor<4xf32>
  %v = nn.get_parameter @v : tensor<4xf32>
  nn.set_parameter @w, %v : tensor<4xf32>
  nn.set_parameter @v, %w : tensor<4xf32>
  return
}

// CHECK: kern.func @update(%[[X:.*]]: memref<4xf32>, %[[D:.*]]: memref<4xf32>)
// CHECK: linalg.add ins(%[[D]], %[[X]] : {{.*}}) outs(%[[D]]
kern.func @update(%x: tensor<4xf32>, %d: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linalg.add ins(%d, %x : tensor<4xf32>, tensor<4xf32>) outs(%d : tensor<4xf32>) -> tensor<4xf32>
  kern.return %0 : tensor<4xf32>
}

kern.func @use(%x: tensor<4xf32>, %d: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linalg.exp ins(%x : tensor<4xf32>) outs(%d : tensor<4xf32>) -> tensor<4xf32>
  kern.return %0 : tensor<4xf32>
}
