// RUN: not nacre-opt %s --make-train-step=loss=mse 2>&1 | FileCheck %s --check-prefix=LOSS
// RUN: not nacre-opt %s --make-train-step=optimizer=adam 2>&1 | FileCheck %s --check-prefix=OPTIMIZER
// RUN: not nacre-opt %s --make-train-step 2>&1 | FileCheck %s --check-prefix=LOGITS

// LOSS: unknown loss 'mse', expected softmax-cross-entropy or output:NAME
// OPTIMIZER: unknown optimizer 'adam', expected sgd
// LOGITS: softmax-cross-entropy expects floating-point logits [N, C, D...] as first output, found 'tensor<f32>'
func.func @main(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}
