//===- LastError.h - Why a call of the C API failed -------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_LASTERROR_H
#define NACRE_COMPILER_API_LASTERROR_H

#include "runtime/api/nacre.hpp"

namespace nacre {

/// Makes it what nacre_compile_last_error() tells this thread; its status.
nacre_status fail(const Error &error);

} // namespace nacre

#endif // NACRE_COMPILER_API_LASTERROR_H
