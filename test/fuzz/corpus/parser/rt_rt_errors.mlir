
func.func @alloc(%n: index) {
  %0 = rt.alloc(%n) : memref<?x?xf32>
  return
}


func.func @scratch(%n: index) {
  %0 = rt.scratch(%n) : memref<4xf32>
  return
}


func.func @output() {
  %0 = rt.output 0 () : memref<?xf32>
  return
}


func.func @arena() {
  %0 = rt.arena 0 : memref<?xf32>
  return
}


func.func @arena_offset() {
  %0 = rt.arena -64 : memref<4xf32>
  return
}


func.func @parameter() {
  %0 = rt.parameter "w" at -1 : memref<4xf32>
  return
}


func.func @input() {
  %0 = rt.input -1 : memref<4xf32>
  return
}


func.func @release(%t: tensor<4xf32>) {
  rt.release %t : tensor<4xf32>
  return
}


func.func @strings() {
  %0 = rt.strings ["monday"] : memref<2xi64>
  return
}


func.func @check(%ok: i1) {
  rt.check %ok, 0, "a failure that is none"
  return
}


func.func @parallel(%n: index) {
  rt.parallel (%begin, %end) to %n grain 0 {
  }
  return
}


func.func @launch_missing(%n: index) {
  rt.launch @missing() to %n grain 1
  return
}


kern.func @body(%x: memref<4xf32>, %begin: index, %end: index) {
  kern.return
}
func.func @launch_captures(%n: index) {
  rt.launch @body() to %n grain 1
  return
}


func.func @host_call(%x: memref<4xf32>) {
  rt.host_call "f" for "" [] ins(%x : memref<4xf32>) {types = []}
  return
}


func.func @work(%n: i32) {
  rt.work %n
  return
}