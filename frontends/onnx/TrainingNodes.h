//===- TrainingNodes.h - Nodes that training treats otherwise ---*- C++ -*-===//
#ifndef NACRE_FRONTENDS_ONNX_TRAININGNODES_H
#define NACRE_FRONTENDS_ONNX_TRAININGNODES_H

#include "frontends/onnx/OnnxExporter.h"
#include "onnx-ml.pb.h"

namespace nacre::frontend {

/// Counts them, and what an exporter has told of those that are no more.
TrainingNodes countTrainingNodes(const ::onnx::ModelProto &model);

/// Gives BatchNormalization and Dropout the form in which runtimes infer: running statistics, and
/// nothing dropped. Stays as it is what a value decides that is known only in a run, and a
/// BatchNormalization whose batch's statistics others read.
void makeInferenceForm(::onnx::ModelProto &model);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_TRAININGNODES_H
