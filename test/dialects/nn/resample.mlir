// Ops that sample images infer their result types.
// RUN: nacre-opt %s -infer-shapes | nacre-opt | FileCheck %s

// CHECK-LABEL: @resized
func.func @resized(%x: tensor<1x3x8x?xf32>, %size: tensor<i64>, %region: tensor<2xf64>, %taps: tensor<i64>, %scale: tensor<f64>) {
  %count = nn.constant dense<16> : tensor<i64>
  %two = nn.constant dense<2> : tensor<i64>
  // CHECK: nn.resize_table {{.*}} linear half_pixel floor : {{.*}} -> (tensor<16x2xi64>, tensor<16x2xf32>, tensor<16xi1>)
  %i, %w, %outside = nn.resize_table %size, %count, %region, %two scale %scale linear half_pixel floor
      : (tensor<i64>, tensor<i64>, tensor<2xf64>, tensor<i64>, tensor<f64>) -> (tensor<?x?xi64>, tensor<?x?xf32>, tensor<?xi1>)
  // CHECK: nn.resample %{{.*}}, %{{.*}}, %{{.*}} along 2 : {{.*}} -> tensor<1x3x16x?xf32>
  %0 = nn.resample %x, %i, %w along 2 : (tensor<1x3x8x?xf32>, tensor<?x?xi64>, tensor<?x?xf32>) -> tensor<?x?x?x?xf32>
  return
}

// CHECK-LABEL: @sampled
func.func @sampled(%x: tensor<?x3x8x8xf32>, %grid: tensor<2x4x5x2xf32>) {
  // CHECK: nn.grid_sample %{{.*}}, %{{.*}} linear zeros : (tensor<?x3x8x8xf32>, tensor<2x4x5x2xf32>) -> tensor<2x3x4x5xf32>
  %0 = nn.grid_sample %x, %grid linear zeros : (tensor<?x3x8x8xf32>, tensor<2x4x5x2xf32>) -> tensor<?x?x?x?xf32>
  return
}

// CHECK-LABEL: @regions
func.func @regions(%x: tensor<1x3x?x?xf32>, %rois: tensor<?x4xf32>, %batch: tensor<?xi64>, %numbered: tensor<6x5xf32>) {
  // CHECK: nn.roi_align %{{.*}}, %{{.*}}, %{{.*}} average {{.*}} -> tensor<?x3x7x5xf32>
  %0 = nn.roi_align %x, %rois, %batch average {height = 7 : i64, width = 5 : i64, sampling_ratio = 2 : i64, spatial_scale = 0.0625 : f32, half_pixel}
      : (tensor<1x3x?x?xf32>, tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x?x?x?xf32>
  // CHECK: nn.max_roi_pool %{{.*}}, %{{.*}} {{.*}} -> tensor<6x3x2x4xf32>
  %1 = nn.max_roi_pool %x, %numbered {height = 2 : i64, width = 4 : i64, spatial_scale = 1.0 : f32}
      : (tensor<1x3x?x?xf32>, tensor<6x5xf32>) -> tensor<?x?x?x?xf32>
  // CHECK: nn.roi_align_places %{{.*}}, %{{.*}}, %{{.*}} {{.*}} -> (tensor<?x3x7x5xi64>, tensor<?x3x7x5xf32>)
  %2:2 = nn.roi_align_places %x, %rois, %batch {height = 7 : i64, width = 5 : i64, sampling_ratio = 0 : i64, spatial_scale = 0.0625 : f32}
      : (tensor<1x3x?x?xf32>, tensor<?x4xf32>, tensor<?xi64>) -> (tensor<?x?x?x?xi64>, tensor<?x?x?x?xf32>)
  // CHECK: nn.max_roi_pool_places %{{.*}}, %{{.*}} {{.*}} -> tensor<6x3x2x4xi64>
  %3 = nn.max_roi_pool_places %x, %numbered {height = 2 : i64, width = 4 : i64, spatial_scale = 1.0 : f32}
      : (tensor<1x3x?x?xf32>, tensor<6x5xf32>) -> tensor<?x?x?x?xi64>
  %sizes = nn.constant dense<[1, 8, 9]> : tensor<3xi64>
  // CHECK: nn.roi_spread %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {{.*}} -> tensor<1x3x8x9xf32>
  %4 = nn.roi_spread %0, %rois, %batch, %sizes {height = 7 : i64, width = 5 : i64, sampling_ratio = 0 : i64, spatial_scale = 0.0625 : f32}
      : (tensor<?x?x?x?xf32>, tensor<?x4xf32>, tensor<?xi64>, tensor<3xi64>) -> tensor<?x?x?x?xf32>
  return
}

// CHECK-LABEL: @blocks
func.func @blocks(%x: tensor<?x12x5xf32>) {
  %image = nn.constant dense<[5, 6]> : tensor<2xi64>
  %block = nn.constant dense<[2, 3]> : tensor<2xi64>
  // CHECK: nn.col2im {{.*}} -> tensor<?x2x5x6xf32>
  %0 = nn.col2im %x, %image, %block {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<?x12x5xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x?x?x?xf32>
  return
}
