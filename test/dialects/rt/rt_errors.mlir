// What the runtime's ops refuse.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @alloc(%n: index) {
  // expected-error@+1 {{has 1 sizes for 2 dynamic dimensions of 'memref<?x?xf32>'}}
  %0 = rt.alloc(%n) : memref<?x?xf32>
  return
}

// -----

func.func @scratch(%n: index) {
  // expected-error@+1 {{has 1 sizes for 0 dynamic dimensions of 'memref<4xf32>'}}
  %0 = rt.scratch(%n) : memref<4xf32>
  return
}

// -----

func.func @output() {
  // expected-error@+1 {{has 0 sizes for 1 dynamic dimensions of 'memref<?xf32>'}}
  %0 = rt.output 0 () : memref<?xf32>
  return
}

// -----

func.func @arena() {
  // expected-error@+1 {{has 0 sizes for 1 dynamic dimensions of 'memref<?xf32>'}}
  %0 = rt.arena 0 : memref<?xf32>
  return
}

// -----

func.func @arena_offset() {
  // expected-error@+1 {{attribute 'offset' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  %0 = rt.arena -64 : memref<4xf32>
  return
}

// -----

func.func @parameter() {
  // expected-error@+1 {{attribute 'offset' failed to satisfy constraint}}
  %0 = rt.parameter "w" at -1 : memref<4xf32>
  return
}

// -----

func.func @input() {
  // expected-error@+1 {{attribute 'index' failed to satisfy constraint}}
  %0 = rt.input -1 : memref<4xf32>
  return
}

// -----

func.func @release(%t: tensor<4xf32>) {
  // expected-error@+1 {{invalid kind of type specified: expected builtin.memref, but found 'tensor<4xf32>'}}
  rt.release %t : tensor<4xf32>
  return
}

// -----

func.func @strings() {
  // expected-error@+1 {{has 1 strings for 'memref<2xi64>'}}
  %0 = rt.strings ["monday"] : memref<2xi64>
  return
}

// -----

func.func @check(%ok: i1) {
  // expected-error@+1 {{attribute 'status' failed to satisfy constraint}}
  rt.check %ok, 0, "a failure that is none"
  return
}

// -----

func.func @parallel(%n: index) {
  // expected-error@+1 {{attribute 'grain' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  rt.parallel (%begin, %end) to %n grain 0 {
  }
  return
}

// -----

func.func @launch_missing(%n: index) {
  // expected-error@+1 {{names no function: @missing}}
  rt.launch @missing() to %n grain 1
  return
}

// -----

kern.func @body(%x: memref<4xf32>, %begin: index, %end: index) {
  kern.return
}
func.func @launch_captures(%n: index) {
  // expected-error@+1 {{captures 0 values for a body of 3 arguments, of which two are begin and end}}
  rt.launch @body() to %n grain 1
  return
}

// -----

func.func @host_call(%x: memref<4xf32>) {
  // expected-error@+1 {{expects an element type for each input and destination, found 0}}
  rt.host_call "f" for "" [] ins(%x : memref<4xf32>) {types = []}
  return
}

// -----

// expected-note@+1 {{prior use here}}
func.func @work(%n: i32) {
  // expected-error@+1 {{expects different type than prior uses: 'index' vs 'i32'}}
  rt.work %n
  return
}

// -----

func.func @kept_number(%m: i64, %n: index) {
  // expected-error @+1 {{'rt.release_since' op operand #1 must be variadic of memref of any type values, but got 'index'}}
  rt.release_since %m keep(%n : index)
  return
}
