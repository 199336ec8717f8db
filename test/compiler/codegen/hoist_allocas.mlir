// Stack memory of constant size in a loop would pile up until the function returns.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics --pass-pipeline='builtin.module(llvm.func(hoist-allocas))' | FileCheck %s

// CHECK-LABEL: llvm.func @loop
llvm.func @loop(%n: i64) {
  // CHECK-NEXT: %[[SIZE:.*]] = llvm.mlir.constant(16 : i64)
  // CHECK-NEXT: llvm.alloca %[[SIZE]] x f32
  // CHECK: llvm.br ^bb1
  // CHECK-NOT: llvm.alloca
  llvm.br ^body(%n : i64)
^body(%i: i64):
  %size = llvm.mlir.constant(16 : i64) : i64
  %p = llvm.alloca %size x f32 : (i64) -> !llvm.ptr
  %one = llvm.mlir.constant(1 : i64) : i64
  %next = llvm.sub %i, %one : i64
  %zero = llvm.mlir.constant(0 : i64) : i64
  %more = llvm.icmp "ne" %next, %zero : i64
  llvm.cond_br %more, ^body(%next : i64), ^end
^end:
  llvm.return
}

// -----

llvm.func @dynamic(%n: i64) {
  llvm.br ^body
^body:
  // expected-error@+1 {{of dynamic size outside of the function's entry}}
  %p = llvm.alloca %n x f32 : (i64) -> !llvm.ptr
  llvm.return
}
