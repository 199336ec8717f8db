// RUN: nacre-opt %s --bufferize --canonicalize | FileCheck %s

nn.parameter @w = dense<1.0> : tensor<4xf32>

// CHECK-LABEL: func.func @main()
// CHECK: %[[X:.*]] = rt.input 0 : memref<4xf32>
// CHECK: %[[W:.*]] = rt.parameter "w" : memref<4xf32>
// CHECK: %[[T:.*]] = memref.alloc()
// CHECK: kern.call @k ins(%[[X]], %[[W]] : memref<4xf32>, memref<4xf32>) outs(%[[T]]
// CHECK: %[[Y:.*]] = rt.output 0()
// CHECK: kern.call @k ins(%[[T]], %[[W]] : memref<4xf32>, memref<4xf32>) outs(%[[Y]]
// CHECK-NOT: memref.copy
// CHECK: return
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %w = nn.get_parameter @w : tensor<4xf32>
  %d = tensor.empty() : tensor<4xf32>
  %0 = kern.call @k ins(%x, %w : tensor<4xf32>, tensor<4xf32>) outs(%d : tensor<4xf32>) -> tensor<4xf32>
  %1 = kern.call @k ins(%0, %w : tensor<4xf32>, tensor<4xf32>) outs(%d : tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// CHECK: kern.func @k(%{{.*}}: memref<4xf32>, %{{.*}}: memref<4xf32>, %[[D:.*]]: memref<4xf32>)
// CHECK: linalg.add {{.*}} outs(%[[D]]
kern.func @k(%a: tensor<4xf32>, %b: tensor<4xf32>, %d: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linalg.add ins(%a, %b : tensor<4xf32>, tensor<4xf32>) outs(%d : tensor<4xf32>) -> tensor<4xf32>
  kern.return %0 : tensor<4xf32>
}

// A kernel that knows less of its input than the call does.

// CHECK-LABEL: func.func @less_precise
// CHECK: %[[P:.*]] = memref.cast %{{.*}} : memref<4xf32> to memref<?xf32>
// CHECK: kern.call @any ins(%[[P]] : memref<?xf32>)
func.func @less_precise(%x: tensor<4xf32>) -> tensor<?xf32> {
  %n = arith.constant 4 : index
  %d = tensor.empty(%n) : tensor<?xf32>
  %0 = kern.call @any ins(%x : tensor<4xf32>) outs(%d : tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

kern.func @any(%a: tensor<?xf32>, %d: tensor<?xf32>) -> tensor<?xf32> {
  %0 = linalg.exp ins(%a : tensor<?xf32>) outs(%d : tensor<?xf32>) -> tensor<?xf32>
  kern.return %0 : tensor<?xf32>
}

// A view of no elements reads nothing: there is no buffer for a size of which upstream says both that it is
// 0 and that it is open.
// CHECK-LABEL: func.func @no_elements
// CHECK-NOT: memref.collapse_shape
// CHECK: rt.output 0
// CHECK: return
func.func @no_elements(%x: tensor<?x0x?xf32>, %n: tensor<2xindex>) -> tensor<?x?xf32> {
  %c0 = arith.constant 0 : index
  %0 = tensor.collapse_shape %x [[0, 1, 2]] : tensor<?x0x?xf32> into tensor<?xf32>
  %r = tensor.extract %n[%c0] : tensor<2xindex>
  %1 = tensor.expand_shape %0 [[0, 1]] output_shape [%r, %c0] : tensor<?xf32> into tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}
