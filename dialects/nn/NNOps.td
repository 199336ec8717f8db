//===- NNOps.td - All ops of the nn dialect ---------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNOPS_TD
#define NACRE_DIALECTS_NN_NNOPS_TD

include "dialects/nn/NNBase.td"
include "dialects/nn/NNParameterOps.td"
include "dialects/nn/NNElementwiseOps.td"
include "dialects/nn/NNMathOps.td"
include "dialects/nn/NNActivationOps.td"
include "dialects/nn/NNLinearOps.td"
include "dialects/nn/NNAttentionOps.td"
include "dialects/nn/NNNormalizeOps.td"
include "dialects/nn/NNReduceOps.td"
include "dialects/nn/NNRecurrentOps.td"
include "dialects/nn/NNShapeOps.td"
include "dialects/nn/NNIndexingOps.td"
include "dialects/nn/NNGenerateOps.td"
include "dialects/nn/NNResampleOps.td"
include "dialects/nn/NNSpatialOps.td"
include "dialects/nn/NNTextOps.td"
include "dialects/nn/NNTrainOps.td"
include "dialects/nn/NNTreeOps.td"

#endif // NACRE_DIALECTS_NN_NNOPS_TD
