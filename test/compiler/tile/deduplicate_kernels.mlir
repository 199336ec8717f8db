// RUN: nacre-opt %s --deduplicate-kernels | FileCheck %s

// CHECK:     kern.func @relu0(%{{.*}}) attributes {nodes = ["/r0"]}
// CHECK-NOT: kern.func @relu1
// CHECK:     kern.func @other
// CHECK:     kern.func @wider
kern.func @relu0(%a: memref<4xf32>, %d: memref<4xf32>) attributes {nodes = ["/r0"]} {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%a : memref<4xf32>) outs(%d : memref<4xf32>) {
    ^bb0(%x: f32, %y: f32):
      %m = arith.maximumf %x, %zero : f32
      linalg.yield %m : f32
  }
  kern.return
}
kern.func @relu1(%in: memref<4xf32>, %out: memref<4xf32>) attributes {nodes = ["/r1"], flops = 4 : i64} {
  %z = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%in : memref<4xf32>) outs(%out : memref<4xf32>) {
    ^bb0(%x: f32, %y: f32):
      %m = arith.maximumf %x, %z : f32
      linalg.yield %m : f32
  }
  kern.return
}
// The operands of the op are the other way round.
kern.func @other(%in: memref<4xf32>, %out: memref<4xf32>) attributes {nodes = ["/r2"]} {
  %z = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%in : memref<4xf32>) outs(%out : memref<4xf32>) {
    ^bb0(%x: f32, %y: f32):
      %m = arith.maximumf %z, %x : f32
      linalg.yield %m : f32
  }
  kern.return
}
// A type differs.
kern.func @wider(%in: memref<8xf32>, %out: memref<8xf32>) attributes {nodes = ["/r3"]} {
  %z = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%in : memref<8xf32>) outs(%out : memref<8xf32>) {
    ^bb0(%x: f32, %y: f32):
      %m = arith.maximumf %x, %z : f32
      linalg.yield %m : f32
  }
  kern.return
}

// CHECK-LABEL: func.func @main
func.func @main() {
  %a = rt.arena 0 : memref<4xf32>
  %b = rt.arena 64 : memref<4xf32>
  // CHECK: kern.call @relu0 ins(%{{.*}}) outs(%{{[0-9]+}} : memref<4xf32>){{$}}
  kern.call @relu0 ins(%a : memref<4xf32>) outs(%b : memref<4xf32>)
  // CHECK: kern.call @relu0 {{.*}} {flops = 4 : i64, formed_as = "relu1", nodes = ["/r1"]}
  kern.call @relu1 ins(%b : memref<4xf32>) outs(%a : memref<4xf32>)
  // CHECK: kern.call @other
  kern.call @other ins(%a : memref<4xf32>) outs(%b : memref<4xf32>)
  return
}

// A call of a version for given sizes keeps its kernel's name, unless the kept kernel is the version's own.
// CHECK-LABEL: func.func private @main.n_1()
func.func private @main.n_1() attributes {nacre.sizes = {n = 1 : i64}} {
  %a = rt.arena 0 : memref<3xf32>
  %b = rt.arena 64 : memref<3xf32>
  // CHECK: kern.call @short_0 {{.*}} {formed_as = "short_1.n_1", nacre.label = "short_1.n_1", nodes = ["/b"]}
  kern.call @short_1.n_1 ins(%a : memref<3xf32>) outs(%b : memref<3xf32>)
  return
}
kern.func @short_0(%in: memref<3xf32>, %out: memref<3xf32>) attributes {nodes = ["/a"]} {
  memref.copy %in, %out : memref<3xf32> to memref<3xf32>
  kern.return
}
kern.func @short_1.n_1(%in: memref<3xf32>, %out: memref<3xf32>) attributes {nodes = ["/b"]} {
  memref.copy %in, %out : memref<3xf32> to memref<3xf32>
  kern.return
}
