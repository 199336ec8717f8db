
func.func @lstm(%g: tensor<7x?x?xf32>, %r: tensor<?x16xf32>, %l: tensor<2xi32>, %p: tensor<48xf32>) {
  %y, %h, %c = nn.lstm %g, %r lengths %l peepholes %p {activations = ["sigmoid", "tanh", "tanh"], alphas = array<f64: 0.0, 0.0, 0.0>,
                                                       betas = array<f64: 0.0, 0.0, 0.0>, clip = 3.0 : f64, input_forget, reverse}
      : (tensor<7x?x?xf32>, tensor<?x16xf32>, tensor<2xi32>, tensor<48xf32>) -> (tensor<?x?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>)
  return
}


func.func @gru(%g: tensor<?x2x48xf32>, %r: tensor<48x16xf32>, %h0: tensor<2x16xf32>, %b: tensor<16xf32>) {
  %y, %h = nn.gru %g, %r initial %h0 bias %b {activations = ["sigmoid", "tanh"], alphas = array<f64: 0.0, 0.0>, betas = array<f64: 0.0, 0.0>}
      : (tensor<?x2x48xf32>, tensor<48x16xf32>, tensor<2x16xf32>, tensor<16xf32>) -> (tensor<?x?x?xf32>, tensor<?x?xf32>)
  return
}


func.func @size(%g: tensor<7x2x40xf32>, %r: tensor<64x16xf32>) {
  %y, %h, %c = nn.lstm %g, %r {activations = ["sigmoid", "tanh", "tanh"], alphas = array<f64: 0.0, 0.0, 0.0>, betas = array<f64: 0.0, 0.0, 0.0>}
      : (tensor<7x2x40xf32>, tensor<64x16xf32>) -> (tensor<7x2x16xf32>, tensor<2x16xf32>, tensor<2x16xf32>)
  return
}


func.func @activation(%g: tensor<7x2x16xf32>, %r: tensor<16x16xf32>) {
  %y, %h = nn.rnn %g, %r {activations = ["swish"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>}
      : (tensor<7x2x16xf32>, tensor<16x16xf32>) -> (tensor<7x2x16xf32>, tensor<2x16xf32>)
  return
}


func.func @initial(%g: tensor<7x2x48xf32>, %r: tensor<48x16xf32>, %h0: tensor<2x8xf32>) {
  %y, %h = nn.gru %g, %r initial %h0 {activations = ["sigmoid", "tanh"], alphas = array<f64: 0.0, 0.0>, betas = array<f64: 0.0, 0.0>}
      : (tensor<7x2x48xf32>, tensor<48x16xf32>, tensor<2x8xf32>) -> (tensor<7x2x16xf32>, tensor<2x16xf32>)
  return
}