
func.func @reshape(%x: tensor<?x128x768xf32>) -> tensor<?x?x?x?xf32> {
  %s = nn.constant dense<[0, 0, 12, -1]> : tensor<4xi64>
  %y = nn.reshape %x, %s : (tensor<?x128x768xf32>, tensor<4xi64>) -> tensor<?x?x?x?xf32>
  return %y : tensor<?x?x?x?xf32>
}

func.func @reshape_allowzero(%x: tensor<0x3xf32>) -> tensor<?x?xf32> {
  %s = nn.constant dense<[7, 0]> : tensor<2xi64>
  %y = nn.reshape %x, %s {allowzero} : (tensor<0x3xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

func.func @reshape_partly_known(%x: tensor<?x4xf32>, %n: i64) -> tensor<?x?xf32> {
  %c2 = arith.constant 2 : i64
  %s = tensor.from_elements %n, %c2 : tensor<2xi64>
  %y = nn.reshape %x, %s : (tensor<?x4xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

func.func @squeeze(%x: tensor<1x?x4x1xf32>) -> tensor<?xf32> {
  %y = nn.squeeze %x {axes = array<i64: 0, 1, 3>} : (tensor<1x?x4x1xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

func.func @unsqueeze(%x: tensor<4x?xf32>) -> tensor<?x?x?x?xf32> {
  %y = nn.unsqueeze %x {axes = array<i64: 0, 2>} : (tensor<4x?xf32>) -> tensor<?x?x?x?xf32>
  return %y : tensor<?x?x?x?xf32>
}

func.func @collapse(%x: tensor<?x4x5xf32>) -> (tensor<?x?xf32>, tensor<?x?x?x?xf32>) {
  %y = nn.collapse %x from 1 to 3 : (tensor<?x4x5xf32>) -> tensor<?x?xf32>
  %z = nn.collapse %x from 3 to 3 : (tensor<?x4x5xf32>) -> tensor<?x?x?x?xf32>
  return %y, %z : tensor<?x?xf32>, tensor<?x?x?x?xf32>
}

func.func @size(%x: tensor<?x3xf32>) -> tensor<i64> {
  %n = nn.size %x : (tensor<?x3xf32>) -> tensor<i64>
  return %n : tensor<i64>
}