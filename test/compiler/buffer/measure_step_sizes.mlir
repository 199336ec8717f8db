// Sizes that are computed of a batch's: through branches that sizes decide, loops and views.
// RUN: nacre-opt %s --split-input-file --measure-step="batch=x=128x16" | FileCheck %s

// 128 x 16 floats are 8192 bytes: the input; the branch's buffer, which is released under another name, and
// then serves once more; the output of half the rows. Of the branch that is not taken nothing counts.
// CHECK-LABEL: module attributes
// CHECK-SAME: nacre.step_bytes = 20480 : i64
module {
  func.func @step() attributes {nacre.inputs = [{name = "x", symbols = ["N", ""], type = tensor<?x16xf32>}]} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %x = rt.input 0 : memref<?x16xf32>
    %n = memref.dim %x, %c0 : memref<?x16xf32>
    %isOne = arith.cmpi eq, %n, %c1 : index
    %a = scf.if %isOne -> memref<?x16xf32> {
      %many = arith.muli %n, %n : index
      %r = rt.alloc(%many) : memref<?x16xf32>
      scf.yield %r : memref<?x16xf32>
    } else {
      %r = rt.alloc(%n) : memref<?x16xf32>
      scf.yield %r : memref<?x16xf32>
    }
    %m = memref.dim %a, %c0 : memref<?x16xf32>
    rt.release %a : memref<?x16xf32>
    %b = rt.alloc(%m) : memref<?x16xf32>
    rt.release %b : memref<?x16xf32>
    %half = arith.divsi %m, %c2 : index
    %y = rt.output 0 (%half) : memref<?x16xf32>
    return
  }
}

// -----

// Around a loop and through a view the size stays; the input, two buffers, of which one is the loop's.
// CHECK-LABEL: module attributes
// CHECK-SAME: nacre.step_bytes = 24576 : i64
module {
  func.func @step() attributes {nacre.inputs = [{name = "x", symbols = ["N", ""], type = tensor<?x16xf32>}]} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %x = rt.input 0 : memref<?x16xf32>
    %n = memref.dim %x, %c0 : memref<?x16xf32>
    %a = rt.alloc(%n) : memref<?x16xf32>
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%carried = %a) -> memref<?x16xf32> {
      %flat = memref.collapse_shape %carried [[0, 1]] : memref<?x16xf32> into memref<?xf32>
      %m = memref.dim %flat, %c0 : memref<?xf32>
      %b = rt.alloc(%m) : memref<?xf32>
      rt.release %b : memref<?xf32>
      scf.yield %carried : memref<?x16xf32>
    }
    return
  }
}

// -----

// What a value decides is not known.
// CHECK-NOT: nacre.step_bytes
module {
  func.func @step() attributes {nacre.inputs = [{name = "x", symbols = ["N", ""], type = tensor<?x16xf32>}]} {
    %c0 = arith.constant 0 : index
    %x = rt.input 0 : memref<?x16xindex>
    %n = memref.load %x[%c0, %c0] : memref<?x16xindex>
    %a = rt.alloc(%n) : memref<?x16xf32>
    rt.release %a : memref<?x16xf32>
    return
  }
}
