kern.func @k(%a: tensor<256x512xf32>, %w: tensor<512x256xf32>, %b: tensor<256xf32>, %d: tensor<256x256xf32>) -> tensor<256x256xf32> {
  %0 = nn.matmul %a, %w : (tensor<256x512xf32>, tensor<512x256xf32>) -> tensor<256x256xf32>
  %1 = nn.add %0, %b : (tensor<256x256xf32>, tensor<256xf32>) -> tensor<256x256xf32>
  %2 = nn.relu %1 : (tensor<256x256xf32>) -> tensor<256x256xf32>
  kern.return %2 : tensor<256x256xf32>
}
