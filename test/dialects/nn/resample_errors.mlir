// What ops that sample images refuse.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @resize_table(%n: tensor<i64>, %region: tensor<3xf64>, %scale: tensor<f64>) {
  // expected-error@+2 {{expected begin and end of a region, found 'tensor<3xf64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %i, %w, %outside = nn.resize_table %n, %n, %region, %n scale %scale linear half_pixel floor
      : (tensor<i64>, tensor<i64>, tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<?x?xi64>, tensor<?x?xf32>, tensor<?xi1>)
  return
}

// -----

func.func @resample(%x: tensor<1x3x8xf32>, %i: tensor<16x2xi64>, %w: tensor<16x3xf32>) {
  // expected-error@+2 {{expected indices and weights of one shape of rank 2, found 'tensor<16x2xi64>' and 'tensor<16x3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.resample %x, %i, %w along 2 : (tensor<1x3x8xf32>, tensor<16x2xi64>, tensor<16x3xf32>) -> tensor<1x3x16xf32>
  return
}

// -----

func.func @resample_axis(%x: tensor<1x3x8xf32>, %i: tensor<16x2xi64>, %w: tensor<16x2xf32>) {
  // expected-error@+2 {{resample along dimension 3 of 'tensor<1x3x8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.resample %x, %i, %w along 3 : (tensor<1x3x8xf32>, tensor<16x2xi64>, tensor<16x2xf32>) -> tensor<1x3x16xf32>
  return
}

// -----

func.func @grid_sample(%x: tensor<1x3x8x8xf32>, %grid: tensor<1x4x5x3xf32>) {
  // expected-error@+2 {{a grid 'tensor<1x4x5x3xf32>' does not fit 'tensor<1x3x8x8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.grid_sample %x, %grid linear zeros : (tensor<1x3x8x8xf32>, tensor<1x4x5x3xf32>) -> tensor<1x3x4x5xf32>
  return
}

// -----

func.func @grid_sample_batch(%x: tensor<1x3x8x8xf32>, %grid: tensor<2x4x5x2xf32>) {
  // expected-error@+2 {{input and grid have different batch sizes: 'tensor<1x3x8x8xf32>' and 'tensor<2x4x5x2xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.grid_sample %x, %grid linear zeros : (tensor<1x3x8x8xf32>, tensor<2x4x5x2xf32>) -> tensor<1x3x4x5xf32>
  return
}

// -----

func.func @roi_align(%x: tensor<1x3x8x8xf32>, %rois: tensor<6x4xf32>, %batch: tensor<5xi64>) {
  // expected-error@+2 {{expected one image for each region, found 'tensor<5xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.roi_align %x, %rois, %batch average {height = 7 : i64, width = 5 : i64, sampling_ratio = 2 : i64, spatial_scale = 0.0625 : f32}
      : (tensor<1x3x8x8xf32>, tensor<6x4xf32>, tensor<5xi64>) -> tensor<6x3x7x5xf32>
  return
}

// -----

func.func @roi_align_ratio(%x: tensor<1x3x8x8xf32>, %rois: tensor<6x4xf32>, %batch: tensor<6xi64>) {
  // expected-error@+2 {{the sampling ratio is negative}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.roi_align %x, %rois, %batch average {height = 7 : i64, width = 5 : i64, sampling_ratio = -1 : i64, spatial_scale = 0.0625 : f32}
      : (tensor<1x3x8x8xf32>, tensor<6x4xf32>, tensor<6xi64>) -> tensor<6x3x7x5xf32>
  return
}

// -----

func.func @max_roi_pool(%x: tensor<1x3x8x8xf32>, %rois: tensor<6x4xf32>) {
  // expected-error@+2 {{expected regions of 5 numbers, found 'tensor<6x4xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.max_roi_pool %x, %rois {height = 2 : i64, width = 4 : i64, spatial_scale = 1.0 : f32}
      : (tensor<1x3x8x8xf32>, tensor<6x4xf32>) -> tensor<6x3x2x4xf32>
  return
}

// -----

func.func @roi_align_places(%x: tensor<1x3x8x8xf32>, %rois: tensor<6x4xf32>, %batch: tensor<5xi64>) {
  // expected-error@+2 {{expected one image for each region and a sampling ratio that is not negative}}
  // expected-error@+1 {{failed to infer returned types}}
  %0:2 = nn.roi_align_places %x, %rois, %batch {height = 7 : i64, width = 5 : i64, sampling_ratio = 2 : i64, spatial_scale = 0.0625 : f32}
      : (tensor<1x3x8x8xf32>, tensor<6x4xf32>, tensor<5xi64>) -> (tensor<6x3x7x5xi64>, tensor<6x3x7x5xf32>)
  return
}

// -----

func.func @max_roi_pool_places(%x: tensor<1x3x8x8xf32>, %rois: tensor<6x4xf32>) {
  // expected-error@+2 {{expected regions of 5 numbers, found 'tensor<6x4xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.max_roi_pool_places %x, %rois {height = 2 : i64, width = 4 : i64, spatial_scale = 1.0 : f32}
      : (tensor<1x3x8x8xf32>, tensor<6x4xf32>) -> tensor<6x3x2x4xi64>
  return
}

// -----

func.func @roi_spread(%dy: tensor<6x3x7x4xf32>, %rois: tensor<6x4xf32>, %batch: tensor<6xi64>, %sizes: tensor<3xi64>) {
  // expected-error@+2 {{expected regions of 7 x 5 cells, found 'tensor<6x3x7x4xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.roi_spread %dy, %rois, %batch, %sizes {height = 7 : i64, width = 5 : i64, sampling_ratio = 2 : i64, spatial_scale = 0.0625 : f32}
      : (tensor<6x3x7x4xf32>, tensor<6x4xf32>, tensor<6xi64>, tensor<3xi64>) -> tensor<?x3x?x?xf32>
  return
}

// -----

func.func @roi_spread_regions(%dy: tensor<6x3x7x5xf32>, %rois: tensor<6x4xf32>, %batch: tensor<5xi64>, %sizes: tensor<3xi64>) {
  // expected-error@+2 {{expected four numbers and one image for each region, found 'tensor<6x4xf32>' and 'tensor<5xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.roi_spread %dy, %rois, %batch, %sizes {height = 7 : i64, width = 5 : i64, sampling_ratio = 2 : i64, spatial_scale = 0.0625 : f32}
      : (tensor<6x3x7x5xf32>, tensor<6x4xf32>, tensor<5xi64>, tensor<3xi64>) -> tensor<?x3x?x?xf32>
  return
}

// -----

func.func @col2im(%x: tensor<1x13x5xf32>) {
  %image = nn.constant dense<[5, 6]> : tensor<2xi64>
  %block = nn.constant dense<[2, 3]> : tensor<2xi64>
  // expected-error@+2 {{dimension 1 of 'tensor<1x13x5xf32>' does not hold whole blocks}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.col2im %x, %image, %block {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x13x5xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<1x2x5x6xf32>
  return
}

// -----

func.func @wide_grid(%x: tensor<1x1x4x4xf32>, %grid: tensor<1x2x2x2xf64>) {
  // expected-error@+2 {{a grid of f64 needs an input of f64, found 'tensor<1x1x4x4xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.grid_sample %x, %grid linear zeros : (tensor<1x1x4x4xf32>, tensor<1x2x2x2xf64>) -> tensor<1x1x2x2xf32>
  return
}
