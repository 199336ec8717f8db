
func.func @slice(%x: tensor<10x20x?x5xf32>) -> tensor<?x?x?x?xf32> {
  %s = nn.constant dense<[-3, 30, 0, 1]> : tensor<4xi64>
  %e = nn.constant dense<[9223372036854775807, -9223372036854775808, 2, 1]> : tensor<4xi64>
  %t = nn.constant dense<[2, -3, 1, 1]> : tensor<4xi64>
  %y = nn.slice %x, %s, %e, %t : (tensor<10x20x?x5xf32>, tensor<4xi64>, tensor<4xi64>, tensor<4xi64>) -> tensor<?x?x?x?xf32>
  return %y : tensor<?x?x?x?xf32>
}

func.func @concat(%a: tensor<?x3xf32>, %b: tensor<2x?xf32>) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %y = nn.concat %a, %b along 1 : (tensor<?x3xf32>, tensor<2x?xf32>) -> tensor<?x?xf32>
  %z = nn.concat %a, %b along 0 : (tensor<?x3xf32>, tensor<2x?xf32>) -> tensor<?x?xf32>
  return %y, %z : tensor<?x?xf32>, tensor<?x?xf32>
}

func.func @pad(%x: tensor<4x?x?xf32>, %v: tensor<f32>) -> tensor<?x?x?xf32> {
  %p = nn.constant dense<[1, 0, 1, -9, 0, 0]> : tensor<6xi64>
  %y = nn.pad %x, %p, %v reflect : (tensor<4x?x?xf32>, tensor<6xi64>, tensor<f32>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}