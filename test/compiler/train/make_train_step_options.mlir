// RUN: not nacre-opt %s --make-train-step=loss=mean 2>&1 | FileCheck %s --check-prefix=LOSS
// RUN: not nacre-opt %s --make-train-step=optimizer=adem 2>&1 | FileCheck %s --check-prefix=OPTIMIZER
// RUN: not nacre-opt %s --make-train-step 2>&1 | FileCheck %s --check-prefix=LOGITS

// LOSS: unknown loss 'mean', expected softmax-cross-entropy, nll, {{.*}} or output:NAME
// OPTIMIZER: unknown optimizer 'adem', expected sgd, adam, {{.*}} or lion
// LOGITS: softmax-cross-entropy expects floating-point logits [N, C, D...], found 'tensor<f32>'
func.func @main(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}
