// RUN: nacre-opt %s --nn-to-linalg --canonicalize --cse | FileCheck %s

// Blocks of channels in parallel, each of which adds all samples of all cells of all regions,
// channels last.
// CHECK-LABEL: @spread
// CHECK-SAME: (%[[DY:.*]]: tensor<?x24x2x3xf32>
func.func @spread(%dy: tensor<?x24x2x3xf32>, %rois: tensor<?x4xf32>, %batch: tensor<?xi64>) -> tensor<4x24x9x9xf32> {
  %sizes = nn.constant dense<[4, 9, 9]> : tensor<3xi64>
  // CHECK: scf.forall (%[[B:[a-z0-9]+]]) in (3)
  // CHECK: linalg.fill {{.*}} -> tensor<4x9x9x8xf32>
  // CHECK: scf.for %[[R:[a-z0-9]+]] =
  // CHECK: scf.for %[[I:[a-z0-9]+]] =
  // CHECK: scf.for %[[J:[a-z0-9]+]] =
  // CHECK: tensor.extract %[[DY]][%[[R]], %{{.*}}, %[[I]], %[[J]]]
  // CHECK: scf.for
  // CHECK: scf.for
  // CHECK-COUNT-4: tensor.insert_slice %{{.*}} : tensor<8xf32> into tensor<4x9x9x8xf32>
  %y = nn.roi_spread %dy, %rois, %batch, %sizes {height = 2 : i64, width = 3 : i64, sampling_ratio = 0 : i64, spatial_scale = 1.0 : f32}
      : (tensor<?x24x2x3xf32>, tensor<?x4xf32>, tensor<?xi64>, tensor<3xi64>) -> tensor<4x24x9x9xf32>
  return %y : tensor<4x24x9x9xf32>
}

// One pass makes places and weights.
// CHECK-LABEL: @places
// CHECK-SAME: (%[[X:.*]]: tensor<4x8x9x9xf32>
func.func @places(%x: tensor<4x8x9x9xf32>, %rois: tensor<?x4xf32>, %batch: tensor<?xi64>) -> (tensor<?x8x2x3xi64>, tensor<?x8x2x3xf32>) {
  // CHECK: linalg.generic
  // CHECK-COUNT-4: tensor.extract %[[X]]
  // CHECK: linalg.yield %{{.*}}, %{{.*}} : i64, f32
  %i, %w = nn.roi_align_places %x, %rois, %batch {height = 2 : i64, width = 3 : i64, sampling_ratio = 2 : i64, spatial_scale = 1.0 : f32}
      : (tensor<4x8x9x9xf32>, tensor<?x4xf32>, tensor<?xi64>) -> (tensor<?x8x2x3xi64>, tensor<?x8x2x3xf32>)
  return %i, %w : tensor<?x8x2x3xi64>, tensor<?x8x2x3xf32>
}

// -1 where there is no element.
// CHECK-LABEL: @pooled
// CHECK-SAME: (%[[X:.*]]: tensor<4x8x9x9xf32>
func.func @pooled(%x: tensor<4x8x9x9xf32>, %rois: tensor<?x5xf32>) -> tensor<?x8x2x3xi64> {
  // CHECK: arith.constant -1 : i64
  // CHECK: linalg.generic
  // CHECK: tensor.extract %[[X]]
  // CHECK: linalg.yield %{{.*}} : i64
  %i = nn.max_roi_pool_places %x, %rois {height = 2 : i64, width = 3 : i64, spatial_scale = 1.0 : f32}
      : (tensor<4x8x9x9xf32>, tensor<?x5xf32>) -> tensor<?x8x2x3xi64>
  return %i : tensor<?x8x2x3xi64>
}
