// A check that is known to hold goes away; others stay.
// RUN: nacre-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: @checks
// CHECK-SAME: (%[[C:.*]]: i1)
func.func @checks(%c: i1) {
  // CHECK-DAG: %[[F:.*]] = arith.constant false
  // CHECK-NOT: "holds"
  // CHECK: rt.check %[[F]], 3, "fails"
  // CHECK: rt.check %[[C]], 3, "may hold"
  %true = arith.constant true
  %false = arith.constant false
  rt.check %true, 3, "holds"
  rt.check %false, 3, "fails"
  rt.check %c, 3, "may hold"
  return
}
