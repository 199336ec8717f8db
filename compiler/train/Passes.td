//===- Passes.td - Passes of training -----------------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

def ResolveGradientsPass : Pass<"resolve-gradients", "::mlir::func::FuncOp"> {
  let summary = "Replace nn.gradient by the ops that compute it";
  let description = [{
    Reverse-mode differentiation (DifferentiableOpInterface) of what stands between an
    nn.gradient's variables and its value. What it cannot differentiate is an error.
    Precondition: types inferred, shape arithmetic on scalars. Postcondition: no
    nn.gradient and no nn.variable is left.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
                           "::nacre::rt::RtDialect"];
}

def ResolveTrainingModePass : Pass<"resolve-training-mode", "::mlir::ModuleOp"> {
  let summary = "Decide what Dropout and batch normalisation are in each function";
  let description = [{
    A function that sets parameters trains: there nn.in_training is its first operand and
    nn.update_parameter becomes nn.set_parameter. In all others the one is its second
    operand, and the other vanishes.
    Precondition: functions that train have been made. Postcondition: no nn.in_training and
    no nn.update_parameter is left.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def NarrowComputePass : Pass<"narrow-compute", "::mlir::func::FuncOp"> {
  let summary = "Compute products of f32 in f16 or bf16";
  let description = [{
    Matrix products, convolutions and the products of recurrent layers take their operands
    rounded to the narrow type, and sum in f32. What moves elements, and element-wise ops, are
    narrow if their operands are; all else stays in f32 (traits in NNBase.td).
    `make-train-step` and `make-evaluation` run it on their copies of @main before a loss is there.
    Precondition: types inferred, shape arithmetic on scalars. Postcondition: no product of f32
    is left that has no operand of another float type; arguments and results have the types that
    they had. That there is no such product is an error.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect", "::nacre::nn::NNDialect"];
  let options = [Option<"type", "type", "std::string", "\"bf16\"", "bf16 or f16">];
}

def MakeEvaluationPass : Pass<"make-evaluation", "::mlir::ModuleOp"> {
  let summary = "Make a function that computes the loss and changes nothing";
  let description = [{
    A copy of @main, @evaluate, takes the loss's targets too and gives the loss before the
    model's outputs: what a training step does without gradients and updates.
    Precondition: types inferred, shape arithmetic on scalars. Postcondition: @evaluate exists
    and changes no parameter.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
                           "::nacre::nn::NNDialect", "::nacre::rt::RtDialect"];
  let options = [Option<"loss", "loss", "std::string", "\"softmax-cross-entropy\"",
                        "A loss of outputs, output:NAME, or a sum of them: 'a + 0.4*b@aux'">,
                 Option<"precision", "precision", "std::string", "\"f32\"", "What products are computed in: bf16, f16">];
}

def MakeTrainStepPass : Pass<"make-train-step", "::mlir::ModuleOp"> {
  let summary = "Make a training step of @main: forward, backward, update";
  let description = [{
    A copy of @main computes a loss, its gradients with respect to all trainable
    parameters (DifferentiableOpInterface), and sets the parameters, and the optimizer's
    state beside them, to what the optimizer makes of them. docs/training.md describes the
    options.
    Precondition: types inferred, shape arithmetic on scalars. Postcondition: @step exists
    and sets every parameter that is still trainable, after everything that reads one.
    A parameter without a gradient is trainable no more.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
                           "::nacre::nn::NNDialect", "::nacre::rt::RtDialect"];
  let options = [Option<"loss", "loss", "std::string", "\"softmax-cross-entropy\"",
                        "A loss of outputs, output:NAME, or a sum of them: 'a + 0.4*b@aux'">,
                 Option<"optimizer", "optimizer", "std::string", "\"sgd\"", "An optimizer: 'adamw:weight_decay=0.1'">,
                 Option<"groupText", "groups", "std::string", "\"\"",
                        "Settings by parameters' names: '*.bias:weight_decay=0 + enc*:frozen'">,
                 Option<"clipNorm", "clip-norm", "double", "0", "Largest norm of all gradients together (0: any)">,
                 Option<"clipValue", "clip-value", "double", "0", "Largest element of a gradient (0: any)">,
                 Option<"accumulate", "accumulate", "int64_t", "1", "Steps whose gradients' mean makes an update">,
                 Option<"average", "average", "double", "0", "Decay of a moving average of parameters (0: none)">,
                 Option<"detectAnomaly", "detect-anomaly", "bool", "false",
                        "End the run at the first node with a NaN, forward or backward">,
                 Option<"precisionText", "precision", "std::string", "\"f32\"",
                        "What products are computed in: bf16, 'f16:scale=1024'">];
}

def RematerializePass : Pass<"rematerialize", "::mlir::ModuleOp"> {
  let summary = "Compute values again in the backward pass until a step fits into a budget";
  let description = [{
    What the forward pass of @step leaves for the backward pass is kept, or computed again from
    what is kept: cheap ops first, then whole segments of the forward pass, no more than the
    budget asks for. Fails with the least budget that works.
    Precondition: nothing merges equal ops any more before kernels are formed. Postcondition:
    @step holds no more than the budget at a time, with the sizes assumed.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect", "::nacre::kern::KernDialect", "::nacre::rt::RtDialect"];
  let options = [Option<"budget", "budget", "int64_t", "0", "Bytes of parameters, state and a step (0: any number)">,
                 Option<"openSize", "open-size", "int64_t", "0", "What sizes that are not known are taken for">,
                 ListOption<"batch", "batch", "std::string", "Shapes of a batch, by inputs' names: x=64x128">];
  let statistics = [Statistic<"numCopies", "copies", "Ops that are computed again">];
}
