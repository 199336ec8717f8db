// RUN: nacre-opt %s --dispatch-sizes --split-input-file | FileCheck %s

// The size is read where an input has it; the arena is the largest of all.
// CHECK-LABEL: func.func @main() attributes {nacre.arena_size = 256 : i64
// CHECK: %[[X:.*]] = rt.input 1 : memref<?x?xi8>
// CHECK: %[[BATCH:.*]] = memref.dim %[[X]], %c0
// CHECK: scf.index_switch %[[BATCH]]
// CHECK: case 1 {
// CHECK:   memref.dim %{{.*}}, %c1
// CHECK:   scf.index_switch
// CHECK:   case 128 {
// CHECK:     func.call @main.batch_1.seq_128()
// CHECK:   default {
// CHECK:     func.call @main.batch_1()
// CHECK: case 8 {
// CHECK-NOT: scf.index_switch
// CHECK:   func.call @main.batch_8()
// CHECK: default {
// CHECK-NOT: scf.index_switch
// CHECK:   func.call @main.open()
// CHECK: return
// CHECK: func.func private @main.open() attributes {nacre.part} {
// CHECK-NEXT: rt.input 1 : memref<?x?xf32>
// CHECK: func.func private @main.batch_1.seq_128() attributes {{.*}}nacre.part
func.func @main() attributes {nacre.arena_size = 64 : i64, nacre.inputs = [
    {name = "w", symbols = [""], type = tensor<4xf32>},
    {name = "x", symbols = ["batch", "seq"], type = tensor<?x?xf32>}], nacre.outputs = []} {
  %x = rt.input 1 : memref<?x?xf32>
  return
}
func.func private @main.batch_1.seq_128() attributes {nacre.arena_size = 128 : i64, nacre.sizes = {batch = 1 : i64, seq = 128 : i64}} {
  return
}
func.func private @main.batch_1() attributes {nacre.arena_size = 256 : i64, nacre.sizes = {batch = 1 : i64}} {
  return
}
func.func private @main.batch_8() attributes {nacre.arena_size = 0 : i64, nacre.sizes = {batch = 8 : i64}} {
  return
}

// -----

// A size without a symbol is where its name says; a symbol goes before a place of the same name.
// CHECK-LABEL: func.func @main
// CHECK: %[[W:.*]] = rt.input 1 : memref<?x4xi8>
// CHECK: %[[N:.*]] = memref.dim %[[W]], %c0
// CHECK: scf.index_switch %[[N]]
// CHECK: case 5 {
// CHECK:   %[[X:.*]] = rt.input 0 : memref<?x?xi8>
// CHECK:   memref.dim %[[X]], %c1
// CHECK:   case 7 {
// CHECK:     func.call @main.x_0__5.x_1__7()
func.func @main() attributes {nacre.inputs = [
    {name = "x", symbols = ["", ""], type = tensor<?x?xf32>},
    {name = "w", symbols = ["x[0]", ""], type = tensor<?x4xf32>}], nacre.outputs = []} {
  return
}
func.func private @main.x_0__5.x_1__7() attributes {nacre.sizes = {"x[0]" = 5 : i64, "x[1]" = 7 : i64}} {
  return
}

// -----

// CHECK-LABEL: func.func @main
// CHECK-NOT: nacre.part
func.func @main() attributes {nacre.arena_size = 64 : i64, nacre.inputs = [], nacre.outputs = []} {
  return
}
