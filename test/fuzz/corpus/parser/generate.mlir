
func.func @filled(%from: tensor<f32>, %n: tensor<i64>, %i: tensor<4x?xi64>, %values: tensor<2xf32>, %x: tensor<?x8x6xf32>) {
  %five = nn.constant dense<5> : tensor<i64>
  %0 = nn.range from %from by %from count %five : (tensor<f32>, tensor<f32>, tensor<i64>) -> tensor<?xf32>
  %1 = nn.range from %from by %from count %n : (tensor<f32>, tensor<f32>, tensor<i64>) -> tensor<?xf32>
  %2 = nn.one_hot %i, %five, %values at 1 : (tensor<4x?xi64>, tensor<i64>, tensor<2xf32>) -> tensor<?x?x?xf32>
  %3 = nn.trilu %x, %n upper : (tensor<?x8x6xf32>, tensor<i64>) -> tensor<?x?x?xf32>
  return
}

func.func @reversed(%x: tensor<8x4x?xf32>, %n: tensor<4xi64>) {
  %0 = nn.reverse_sequence %x, %n {batch_axis = 1 : i64, time_axis = 0 : i64} : (tensor<8x4x?xf32>, tensor<4xi64>) -> tensor<?x?x?xf32>
  return
}

func.func @counted(%x: tensor<?x3xf32>) {
  %n = nn.count_non_zero %x : (tensor<?x3xf32>) -> tensor<i64>
  %0 = nn.non_zero %x, %n : (tensor<?x3xf32>, tensor<i64>) -> tensor<?x?xi64>
  %first, %inverse, %repeats, %m = nn.unique %x sorted : (tensor<?x3xf32>) -> (tensor<?xi64>, tensor<?xi64>, tensor<?xi64>, tensor<i64>)
  return
}

func.func @chosen(%x: tensor<?x1000xf32>, %k: tensor<i64>, %boxes: tensor<1x?x4xf32>, %scores: tensor<1x80x?xf32>, %limit: tensor<f32>) {
  %five = nn.constant dense<5> : tensor<i64>
  %0:2 = nn.top_k %x, %five along 1 largest : (tensor<?x1000xf32>, tensor<i64>) -> (tensor<?x?xf32>, tensor<?x?xi64>)
  %s, %n = nn.non_max_suppression %boxes, %scores, %k, %limit, %limit : (tensor<1x?x4xf32>, tensor<1x80x?xf32>, tensor<i64>, tensor<f32>, tensor<f32>) -> (tensor<?x3xi64>, tensor<i64>)
  return
}

func.func @random(%key: i64, %n: tensor<2xi64>) -> (tensor<?x?xf64>, tensor<?x?xf32>) {
  %0 = nn.random %key, %n stream 3 of f64 : (i64, tensor<2xi64>) -> tensor<?x?xf64>
  %shape = nn.constant dense<[4, 8]> : tensor<2xi64>
  %1 = nn.random %key, %shape stream 4 of f32 : (i64, tensor<2xi64>) -> tensor<?x?xf32>
  return %0, %1 : tensor<?x?xf64>, tensor<?x?xf32>
}