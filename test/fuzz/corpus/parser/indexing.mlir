
func.func @gathered(%table: tensor<100x8xf32>, %ids: tensor<?x4xi64>, %x: tensor<4x8xf32>, %i: tensor<4x2xi64>) {
  %0 = nn.gather %table, %ids along 0 : (tensor<100x8xf32>, tensor<?x4xi64>) -> tensor<?x?x?xf32>
  %1 = nn.gather_elements %x, %i along 1 : (tensor<4x8xf32>, tensor<4x2xi64>) -> tensor<?x?xf32>
  %2 = nn.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<4x8xf32>, tensor<4x2xi64>) -> tensor<?xf32>
  return
}

func.func @scattered(%x: tensor<8x4xf32>, %i: tensor<?x1xi64>, %rows: tensor<?x4xf32>, %one: tensor<?x1xf32>) {
  %0 = nn.scatter_nd %x, %i, %rows add : (tensor<8x4xf32>, tensor<?x1xi64>, tensor<?x4xf32>) -> tensor<?x?xf32>
  %1 = nn.scatter_elements %x, %i, %one along 0 max : (tensor<8x4xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> tensor<?x?xf32>
  return
}

func.func @checked(%i: tensor<?x4xi64>, %limit: tensor<i64>) {
  %0 = nn.checked_index %i below %limit : (tensor<?x4xi64>, tensor<i64>) -> tensor<?x?xi64>
  return
}

func.func @cached(%cache: tensor<2x8x64x16xf32>, %new: tensor<2x8x1x16xf32>, %at: tensor<2xi64>) {
  %0 = nn.cache_write %cache, %new, %at along 2 : (tensor<2x8x64x16xf32>, tensor<2x8x1x16xf32>, tensor<2xi64>) -> tensor<?x?x?x?xf32>
  return
}