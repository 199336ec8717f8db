
func.func @strided(%x: tensor<?x3x224x224xf32>, %w: tensor<64x3x7x7xf32>, %b: tensor<64xf32>) -> tensor<?x?x?x?xf32> {
  %y = nn.conv %x, %w bias %b {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 3, 3, 3, 3>}
      : (tensor<?x3x224x224xf32>, tensor<64x3x7x7xf32>, tensor<64xf32>) -> tensor<?x?x?x?xf32>
  return %y : tensor<?x?x?x?xf32>
}


func.func @dilated_1d(%x: tensor<1x4x10xf32>, %w: tensor<5x4x2xf32>) -> tensor<?x?x?xf32> {
  %y = nn.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 2>, pads = array<i64: 1, 0>}
      : (tensor<1x4x10xf32>, tensor<5x4x2xf32>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}


func.func @channels_last_3d(%x: tensor<2x3x4x5x6xf32>, %w: tensor<8x3x1x1x1xf32>) -> tensor<?x?x?x?x?xf32> {
  %y = nn.conv %x, %w {strides = array<i64: 1, 1, 1>, dilations = array<i64: 1, 1, 1>, pads = array<i64: 0, 0, 0, 0, 0, 0>,
                       groups = 2, channels_last}
      : (tensor<2x3x4x5x6xf32>, tensor<8x3x1x1x1xf32>) -> tensor<?x?x?x?x?xf32>
  return %y : tensor<?x?x?x?x?xf32>
}


func.func @same(%x: tensor<1x4x10x?xf32>, %w: tensor<?x4x?x3xf32>) -> tensor<?x?x?x?xf32> {
  %y = nn.conv %x, %w auto_pad same_lower {strides = array<i64: 3, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x4x10x?xf32>, tensor<?x4x?x3xf32>) -> tensor<?x?x?x?xf32>
  return %y : tensor<?x?x?x?xf32>
}