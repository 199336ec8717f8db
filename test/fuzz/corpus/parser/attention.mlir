
func.func @types(%q: tensor<?x8x5x16xf32>, %k: tensor<3x2x?x16xf32>, %v: tensor<?x2x7x10xf32>, %m: tensor<8x1x7xf32>, %o: tensor<1xi64>) {
  %y, %s = nn.attention %q, %k, %v mask %m offset %o scores biased {left_window = 2 : i64}
      : (tensor<?x8x5x16xf32>, tensor<3x2x?x16xf32>, tensor<?x2x7x10xf32>, tensor<8x1x7xf32>, tensor<1xi64>)
      -> (tensor<?x?x?x?xf32>, tensor<?x?x?x?xf32>)
  return
}


func.func @heads(%q: tensor<1x5x4x8xf32>, %k: tensor<1x2x4x8xf32>) {
  %y, %s = nn.attention %q, %k, %k scores raw
      : (tensor<1x5x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) -> (tensor<1x5x4x8xf32>, tensor<1x5x4x4xf32>)
  return
}


func.func @depth(%q: tensor<1x2x4x8xf32>, %k: tensor<1x2x4x6xf32>) {
  %y, %s = nn.attention %q, %k, %k scores raw
      : (tensor<1x2x4x8xf32>, tensor<1x2x4x6xf32>, tensor<1x2x4x6xf32>) -> (tensor<1x2x4x6xf32>, tensor<1x2x4x4xf32>)
  return
}


func.func @mask(%q: tensor<1x2x4x8xf32>, %m: tensor<3x4xi1>) {
  %y, %s = nn.attention %q, %q, %q mask %m scores raw
      : (tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<3x4xi1>) -> (tensor<1x2x4x8xf32>, tensor<1x2x4x4xf32>)
  return
}


func.func @mask_type(%q: tensor<1x2x4x8xf32>, %m: tensor<4x4xf16>) {
  %y, %s = nn.attention %q, %q, %q mask %m scores raw
      : (tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<4x4xf16>) -> (tensor<1x2x4x8xf32>, tensor<1x2x4x4xf32>)
  return
}


func.func @lengths(%q: tensor<3x2x4x8xf32>, %l: tensor<2xi64>) {
  %y, %s = nn.attention %q, %q, %q lengths %l scores raw
      : (tensor<3x2x4x8xf32>, tensor<3x2x4x8xf32>, tensor<3x2x4x8xf32>, tensor<2xi64>) -> (tensor<3x2x4x8xf32>, tensor<3x2x4x4xf32>)
  return
}


func.func @window(%q: tensor<3x2x4x8xf32>) {
  %y, %s = nn.attention %q, %q, %q scores raw {left_window = -1 : i64}
      : (tensor<3x2x4x8xf32>, tensor<3x2x4x8xf32>, tensor<3x2x4x8xf32>) -> (tensor<3x2x4x8xf32>, tensor<3x2x4x4xf32>)
  return
}