// What is released serves what comes later of the same size; outputs and inputs count.
// RUN: nacre-opt %s --measure-step="open-size=64" | FileCheck %s
// RUN: nacre-opt %s --measure-step="open-size=64 batch=x=128x16" | FileCheck %s --check-prefix=BATCH
// RUN: nacre-opt %s --measure-step | FileCheck %s --check-prefix=OPEN

// 64 x 16 floats are 4096 bytes: the input, the output, two buffers at a time, and the arena.
// CHECK: module attributes {nacre.parameter_bytes = 1024 : i64, nacre.step_bytes = 17408 : i64}
// BATCH: module attributes {nacre.parameter_bytes = 1024 : i64, nacre.step_bytes = 33792 : i64}
// OPEN-NOT: nacre.step_bytes
module {
  nn.parameter trainable @w = dense<0.0> : tensor<16x16xf32>
  func.func @step() attributes {nacre.arena_size = 1024 : i64, nacre.inputs = [{name = "x", symbols = ["N", ""], type = tensor<?x16xf32>}]} {
    %c0 = arith.constant 0 : index
    %x = rt.input 0 : memref<?x16xf32>
    %n = memref.dim %x, %c0 : memref<?x16xf32>
    %a = rt.alloc(%n) : memref<?x16xf32>
    %b = rt.alloc(%n) : memref<?x16xf32>
    rt.release %a : memref<?x16xf32>
    %c = rt.alloc(%n) : memref<?x16xf32>
    rt.release %b : memref<?x16xf32>
    rt.release %c : memref<?x16xf32>
    %y = rt.output 0 (%n) : memref<?x16xf32>
    return
  }
}
