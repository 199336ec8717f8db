include "mlir/IR/OpBase.td"
def Bad_Dialect : Dialect { let name = "bad"; }
def Bad_BareOp : Op<Bad_Dialect, "bare">;
def Bad_SilentOp : Op<Bad_Dialect, "silent"> {
  let summary = "Says nothing";
  let description = "No example.";
}
