// RUN: nacre-opt %s --nn-to-linalg --canonicalize --cse | FileCheck %s

// CHECK-DAG: #[[STRETCH:.*]] = affine_map<(d0, d1, d2) -> (d1, 0)>
// CHECK-DAG: #[[SAME:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>

// CHECK-LABEL: @slice
// CHECK-SAME: (%[[X:.*]]: tensor<4x10xf32>)
func.func @slice(%x: tensor<4x10xf32>) -> tensor<4x3xf32> {
  %s = nn.constant dense<[0, 7]> : tensor<2xi64>
  %e = nn.constant dense<[9223372036854775807, 1]> : tensor<2xi64>
  %t = nn.constant dense<[1, -2]> : tensor<2xi64>
  // CHECK: linalg.generic
  // CHECK-DAG: %[[I:.*]] = linalg.index 0
  // CHECK-DAG: %[[J:.*]] = linalg.index 1
  // CHECK-DAG: %[[M:.*]] = arith.muli %[[J]], %c-2
  // CHECK-DAG: %[[P:.*]] = arith.addi %[[M]], %c7
  // CHECK: tensor.extract %[[X]][%[[I]], %[[P]]]
  // CHECK: -> tensor<4x3xf32>
  %y = nn.slice %x, %s, %e, %t : (tensor<4x10xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// Starts at run time are clamped once, outside of the loops.
// CHECK-LABEL: @slice_at_run_time
// CHECK: tensor.extract
// CHECK: arith.maxsi
// CHECK: arith.minsi
// CHECK: linalg.generic
// CHECK-NOT: arith.minsi
// CHECK: tensor.extract
func.func @slice_at_run_time(%x: tensor<?xf32>, %s: tensor<1xi64>) -> tensor<?xf32> {
  %e = nn.constant dense<9223372036854775807> : tensor<1xi64>
  %t = nn.constant dense<1> : tensor<1xi64>
  %y = nn.slice %x, %s, %e, %t : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: @concat
// CHECK-SAME: (%[[A:.*]]: tensor<?x10xf32>, %[[B:.*]]: tensor<?x?xf32>)
// CHECK-DAG: %[[N:.*]] = tensor.dim %[[A]]
// CHECK-DAG: %[[M:.*]] = tensor.dim %[[B]]
// CHECK-DAG: %[[S:.*]] = arith.addi %[[N]], %[[M]]
// CHECK-DAG: %[[E:.*]] = tensor.empty(%[[S]])
// CHECK-DAG: %[[D:.*]] = tensor.insert_slice %[[A]] into %[[E]][0, 0] [%[[N]], 10] [1, 1]
// CHECK-DAG: %[[C:.*]] = tensor.cast %[[B]]
// CHECK: tensor.insert_slice %[[C]] into %[[D]][%[[N]], 0] [%[[M]], 10] [1, 1]
func.func @concat(%a: tensor<?x10xf32>, %b: tensor<?x?xf32>) -> tensor<?x10xf32> {
  %y = nn.concat %a, %b along 0 : (tensor<?x10xf32>, tensor<?x?xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// One column added before, two taken at the end.
// CHECK-LABEL: @pad_constant
// CHECK-SAME: (%[[X:.*]]: tensor<?x10xf32>, %[[V:.*]]: tensor<f32>)
// CHECK-DAG: %[[N:.*]] = tensor.dim %[[X]]
// CHECK-DAG: %[[S:.*]] = tensor.extract %[[V]][]
// CHECK: %[[F:.*]] = linalg.fill ins(%[[S]] : f32)
// CHECK: %[[K:.*]] = tensor.extract_slice %[[X]][0, 0] [%[[N]], 8] [1, 1]
// CHECK: tensor.insert_slice %[[K]] into %[[F]][0, 1] [%[[N]], 8] [1, 1]
func.func @pad_constant(%x: tensor<?x10xf32>, %v: tensor<f32>) -> tensor<?x9xf32> {
  %p = nn.constant dense<[0, 1, 0, -2]> : tensor<4xi64>
  %y = nn.pad %x, %p, %v constant : (tensor<?x10xf32>, tensor<4xi64>, tensor<f32>) -> tensor<?x9xf32>
  return %y : tensor<?x9xf32>
}

// The mirrored places of the padded dimension stand in a table.
// CHECK-LABEL: @pad_reflect
// CHECK: %[[T:.*]] = linalg.generic
// CHECK: arith.remsi
// CHECK: -> tensor<13xindex>
// CHECK: linalg.generic {{.*}} ins(%[[T]] : tensor<13xindex>)
// CHECK-NOT: arith.remsi
// CHECK: tensor.extract
func.func @pad_reflect(%x: tensor<?x10xf32>, %v: tensor<f32>) -> tensor<?x13xf32> {
  %p = nn.constant dense<[0, 2, 0, 1]> : tensor<4xi64>
  %y = nn.pad %x, %p, %v reflect : (tensor<?x10xf32>, tensor<4xi64>, tensor<f32>) -> tensor<?x13xf32>
  return %y : tensor<?x13xf32>
}

// No place of nothing is read, how many elements there shall be only a run tells: none.
// CHECK-LABEL: @pad_nothing
// CHECK: tensor.empty({{.*}}) : tensor<?xf32>
// CHECK-NOT: linalg
func.func @pad_nothing(%x: tensor<0xf32>, %p: tensor<2xi64>, %v: tensor<f32>) -> tensor<?xf32> {
  %y = nn.pad %x, %p, %v wrap : (tensor<0xf32>, tensor<2xi64>, tensor<f32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: @broadcast
// CHECK: linalg.generic {indexing_maps = [#[[STRETCH]], #[[SAME]]]
func.func @broadcast(%x: tensor<5x1xf32>, %n: i64) -> tensor<?x5x4xf32> {
  %c5 = arith.constant 5 : i64
  %c4 = arith.constant 4 : i64
  %s = tensor.from_elements %n, %c5, %c4 : tensor<3xi64>
  %y = nn.broadcast %x, %s : (tensor<5x1xf32>, tensor<3xi64>) -> tensor<?x5x4xf32>
  return %y : tensor<?x5x4xf32>
}

// A size that may be 1 or the wanted one: the place is multiplied by 0 or 1.
// CHECK-LABEL: @broadcast_unknown
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>
// CHECK-DAG: %[[N:.*]] = tensor.dim %[[X]]
// CHECK-DAG: %[[ONE:.*]] = arith.cmpi eq, %[[N]], %c1
// CHECK-DAG: %[[F:.*]] = arith.select %[[ONE]], %c0, %c1
// CHECK: linalg.generic
// CHECK: %[[I:.*]] = arith.muli %{{.*}}, %[[F]]
// CHECK: tensor.extract %[[X]][%[[I]]]
func.func @broadcast_unknown(%x: tensor<?xf32>, %s: tensor<1xi64>) -> tensor<?xf32> {
  %y = nn.broadcast %x, %s : (tensor<?xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// What is cut from nothing is nothing, also where the type does not say so.
// CHECK-LABEL: @slice_of_nothing
// CHECK: tensor.empty() : tensor<0xf32>
// CHECK: %[[Y:.*]] = tensor.cast %{{.*}} : tensor<0xf32> to tensor<?xf32>
// CHECK: return %[[Y]]
func.func @slice_of_nothing(%x: tensor<0xf32>, %e: tensor<1xi64>) -> tensor<?xf32> {
  %s = nn.constant dense<0> : tensor<1xi64>
  %t = nn.constant dense<1> : tensor<1xi64>
  %y = nn.slice %x, %s, %e, %t : (tensor<0xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// Of much that is put together threads take slabs, along a dimension that all parts have.
// CHECK-LABEL: @concat_slabs
// CHECK-SAME: (%[[A:.*]]: tensor<64x512xf32>, %[[B:.*]]: tensor<64x512xf32>)
// CHECK: scf.forall (%[[I:.*]]) in (64) shared_outs(%[[ALL:.*]] = %
// CHECK: %[[SLAB:.*]] = tensor.extract_slice %[[ALL]][%[[I]], 0] [1, 1024] [1, 1]
// CHECK: %[[X:.*]] = tensor.extract_slice %[[A]][%[[I]], 0] [1, 512] [1, 1]
// CHECK: %[[HALF:.*]] = tensor.insert_slice %[[X]] into %[[SLAB]][0, 0]
// CHECK: %[[Y:.*]] = tensor.extract_slice %[[B]][%[[I]], 0] [1, 512] [1, 1]
// CHECK: tensor.insert_slice %[[Y]] into %[[HALF]][0, 512]
func.func @concat_slabs(%a: tensor<64x512xf32>, %b: tensor<64x512xf32>) -> tensor<64x1024xf32> {
  %y = nn.concat %a, %b along 1 : (tensor<64x512xf32>, tensor<64x512xf32>) -> tensor<64x1024xf32>
  return %y : tensor<64x1024xf32>
}
